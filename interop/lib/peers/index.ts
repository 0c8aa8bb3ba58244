/** The daemons that Warren is measured and tested beside. */
export { bare } from './bare.js'
export { openvpn, startOpenvpn } from './openvpn.js'
export { type Peer, type RunningPeer, runningPair, untilReached } from './peer.js'
export { makeSshKey, SSH_PORT, SSHD, ssh, sshOptions, startSshd } from './ssh.js'
export { Charon, type CharonOptions, strongswan } from './strongswan.js'
export { makeTincNode, startTinc, type TincNode, tinc } from './tinc.js'
export { startWarrenEnd, type WarrenEnd, type WarrenPeer, warrenPeers } from './warren.js'
