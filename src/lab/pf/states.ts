/** The states of connections: their keys, their lives, and how pfctl prints them. */
import { type Duration, type Instant, type IpAddress, seconds } from '../../base/index.js'
import type { PfPacket } from './packet.js'
import { type PfRule, protocolName } from './rules.js'

/** pf.conf's default timeouts. */
export const TIMEOUTS: Readonly<
  Record<'tcpOpening' | 'tcpEstablished' | 'tcpClosing' | 'udp' | 'icmp' | 'other' | 'fragment', Duration>
> = {
  tcpOpening: seconds(30),
  tcpEstablished: seconds(86_400),
  tcpClosing: seconds(90),
  udp: seconds(60),
  icmp: seconds(20),
  other: seconds(60),
  fragment: seconds(60),
}

export interface PfState {
  readonly protocol: number
  readonly source: IpAddress
  readonly sourcePort: number
  readonly destination: IpAddress
  readonly destinationPort: number
  readonly direction: 'in' | 'out'
  readonly rule: PfRule
  packets: number
  bytes: number
  /** True once the other side has answered. */
  answered: boolean
  closing: boolean
  expires: Instant
}

export type Ends = Pick<PfPacket, 'protocol' | 'source' | 'sourcePort' | 'destination' | 'destinationPort'>
export const keyOf = (p: Ends): string =>
  `${p.protocol} ${p.source} ${p.sourcePort} ${p.destination} ${p.destinationPort}`
export const reverseKeyOf = (p: Ends): string =>
  `${p.protocol} ${p.destination} ${p.destinationPort} ${p.source} ${p.sourcePort}`

export function lifetime(state: PfState): Duration {
  if (state.protocol === 6)
    return state.closing
      ? TIMEOUTS.tcpClosing
      : state.answered
        ? TIMEOUTS.tcpEstablished
        : TIMEOUTS.tcpOpening
  if (state.protocol === 17) return TIMEOUTS.udp
  return state.protocol === 1 || state.protocol === 58 ? TIMEOUTS.icmp : TIMEOUTS.other
}

/** A state as `pfctl -ss` prints it. */
export function showState(state: PfState): string {
  const end = (address: IpAddress, port: number): string =>
    port === 0 ? String(address) : address.family === 6 ? `${address}[${port}]` : `${address}:${port}`
  const arrow = state.direction === 'out' ? '->' : '<-'
  const first =
    state.direction === 'out'
      ? end(state.source, state.sourcePort)
      : end(state.destination, state.destinationPort)
  const second =
    state.direction === 'out'
      ? end(state.destination, state.destinationPort)
      : end(state.source, state.sourcePort)
  const level =
    state.protocol === 6
      ? state.closing
        ? 'FIN_WAIT_2:FIN_WAIT_2'
        : state.answered
          ? 'ESTABLISHED:ESTABLISHED'
          : 'SYN_SENT:CLOSED'
      : state.protocol === 1 || state.protocol === 58
        ? '0:0'
        : state.answered
          ? 'MULTIPLE:MULTIPLE'
          : 'SINGLE:NO_TRAFFIC'
  return `all ${protocolName(state.protocol)} ${first} ${arrow} ${second}       ${level}`
}
