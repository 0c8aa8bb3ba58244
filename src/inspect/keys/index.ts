/** Keys of ESP and AH for those who look at packets: Wireshark's file of them, and the opener. */
export * from './esp-opener.js'
export * from './esp-sa.js'
