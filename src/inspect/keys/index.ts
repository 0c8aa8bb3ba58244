/** Keys of ESP, AH and IKE for those who look at packets: Wireshark's files of them, and the openers. */
export * from './both.js'
export * from './esp-opener.js'
export * from './esp-sa.js'
export * from './ike-opener.js'
export * from './ikev2-table.js'
