/** What both ICMPs ask before they send or believe an error. */
import type { Instant, IpAddress } from '../base/index.js'
import type { Core } from './core.js'
import type { NetworkInterface } from './interface.js'
import type { PathMtuTable } from './pmtu.js'

/** An error that reached us, about a packet that says it was ours. */
export interface IcmpErrorReport {
  readonly family: 4 | 6
  readonly kind: 'unreachable' | 'too-big' | 'time-exceeded' | 'parameter-problem'
  readonly code: number
  /** Who reported it. */
  readonly reporter: IpAddress
  /** Of the quoted packet: ours. */
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly protocol: number
  /** Start of the quoted packet's payload, as much as came (8 bytes at least). */
  readonly payload: Uint8Array
  /** With `too-big`: the path's new MTU. */
  readonly mtu?: number
}

/**
 * The address from which an error about a packet to `destination` goes back: that one if it is ours, else the one of
 * the interface that the error leaves by (RFC 1812 section 4.3.2.4, RFC 4443 section 2.2).
 */
export const errorSource = (
  core: Core,
  destination: IpAddress,
  arrived: NetworkInterface,
): IpAddress | undefined => (core.local.has(destination, arrived) ? destination : undefined)

/** A report as it was read, before anybody judged it. */
export type QuotedPacket = Omit<IcmpErrorReport, 'kind' | 'mtu'>

/**
 * A router says that a packet of ours (`length` bytes in all) was larger than `told` (0: it does not say how much it
 * would take). Who sent the packet decides whether to believe it; only then does the path's MTU shrink. `pathMtus`: where it
 * is kept.
 */
export function tooBigReported(
  core: Core,
  about: QuotedPacket,
  length: number,
  told: number,
  now: Instant,
  pathMtus: PathMtuTable = core.pathMtus,
): void {
  const { counters, transport } = core
  const name = about.family === 4 ? 'icmp' : 'icmpv6'
  if (!transport.believes(about, told, now)) {
    counters.add(`${name}.tooBigUnasked`)
    return
  }
  const mtu = pathMtus.report(about.destination, about.protocol, length, told, now)
  if (mtu === 'unasked') {
    counters.add(`${name}.tooBigUnasked`)
    return
  }
  if (mtu === 'notSmaller') {
    counters.add(`${name}.tooBigNotSmaller`)
    return
  }
  transport.tellError({ ...about, kind: 'too-big', mtu }, now)
}
