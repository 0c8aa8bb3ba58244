/**
 * The limit of every table and queue that a stranger can fill. Each is our choice; what a standard fixes stands beside
 * the code that uses it.
 */
export interface StackLimits {
  /** Entries of each neighbour cache (ARP, ND). */
  readonly neighbours: number
  /** Entries of each that wait for an answer. */
  readonly neighboursIncomplete: number
  /** Packets that wait for one neighbour: the fragments of one datagram of any length. */
  readonly neighbourHold: number
  /** Packets that wait for all neighbours of one family. */
  readonly neighbourHoldTotal: number
  /** Bytes held by incomplete datagrams, both families together. */
  readonly reassemblyBytes: number
  /** Incomplete datagrams. */
  readonly reassemblyDatagrams: number
  /** Of these, how many (and of the bytes, which share) one source may have: 1 in `reassemblySourceShare`. */
  readonly reassemblySourceShare: number
  /** Fragments of one datagram. */
  readonly reassemblyFragments: number
  /** ICMP errors a second, and in one burst (net.inet.icmp.errppslimit). */
  readonly icmpErrorsPerSecond: number
  /** Echo replies a second. */
  readonly echoRepliesPerSecond: number
  /** Destinations whose path MTU is remembered. */
  readonly pathMtus: number
  /** Destinations whose recent large packets are remembered, to tell whether a "too big" can be about one. */
  readonly recentDestinations: number
  /** Packets on their way through a loopback interface. */
  readonly loopbackQueue: number
  /** Routes that a user may add. */
  readonly routes: number
  readonly udpSockets: number
  /** IPv6 extension headers of one packet. */
  readonly extensionHeaders: number
  /** Options of one extension header. */
  readonly extensionOptions: number
}

export const defaultLimits: StackLimits = {
  neighbours: 1024,
  neighboursIncomplete: 128,
  neighbourHold: 64,
  neighbourHoldTotal: 512,
  reassemblyBytes: 4 << 20,
  reassemblyDatagrams: 256,
  reassemblySourceShare: 4,
  reassemblyFragments: 1500,
  icmpErrorsPerSecond: 100,
  echoRepliesPerSecond: 100_000,
  pathMtus: 1024,
  recentDestinations: 256,
  loopbackQueue: 1024,
  routes: 16_384,
  udpSockets: 4096,
  extensionHeaders: 8,
  extensionOptions: 16,
}
