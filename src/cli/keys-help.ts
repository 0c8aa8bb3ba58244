/** What `--help` of `dump` and `explain` says of keys. */
export const keysHelp: string = `  --keys FILE     opens ESP and verifies AH with these keys: Wireshark's file esp_sa, mode 0600, or "running": those of
                  the running \`warren up\` ("running:SOCKET" for one with --socket; a file so named is ./running)
  --unverified    also shows, marked, what a packet with a wrong ICV decrypts to
`
