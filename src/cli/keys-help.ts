/** What `--help` of `dump` and `explain` says of keys. */
export const keysHelp: string = `  --keys FILE     opens ESP and IKE and verifies AH with these keys: Wireshark's file esp_sa or ikev2_decryption_table,
                  mode 0600, or "running": those of the running \`warren up\` ("running:SOCKET" for one with --socket; a
                  file so named is ./running). For several files say it several times
  --unverified    also shows, marked, what a packet with a wrong ICV decrypts to
`
