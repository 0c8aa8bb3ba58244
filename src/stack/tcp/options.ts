import type { Counters, Instant, IpAddress, Random, TimerQueue } from '../../base/index.js'
import type { TcpLimits } from './limits.js'

export interface TcpLayerOptions {
  readonly random: Random
  readonly timers: TimerQueue
  readonly counters: Counters
  readonly limits?: Partial<TcpLimits>
  /** Ask for ECN, and agree to it (RFC 3168). Off as OpenBSD's `net.inet.tcp.ecn`. */
  readonly ecn?: boolean
  /**
   * Sends a whole segment, checksum included. The array is fresh and the callee's. `ecnCapable`: the packet may
   * carry ECT(0). May deliver at once (a loopback): what arrives meanwhile waits.
   */
  transmit(
    segment: Uint8Array,
    source: IpAddress,
    destination: IpAddress,
    now: Instant,
    ecnCapable: boolean,
  ): void
  /** The address from which this host would send to `destination`. */
  sourceFor(destination: IpAddress): IpAddress | undefined
  /** The MSS for the path (MTU less the IP and TCP headers, without options), as far as it is known. */
  mssFor(destination: IpAddress): number
}

export interface ConnectOptions {
  readonly source?: IpAddress
  readonly sourcePort?: number
  readonly destination: IpAddress
  readonly port: number
}
