/**
 * TCP without I/O: RFC 9293, with the timer of RFC 6298, windows and timestamps of RFC 7323 (PAWS), SACK of RFC 2018
 * and RFC 6675 (NewReno, RFC 6582, without), CUBIC of RFC 9438, ECN of RFC 3168, the defences of RFC 5961, RFC 5927,
 * RFC 6528 and RFC 6056, RFC 1337 and RFC 6191 in TIME-WAIT, path MTU by ICMP (RFC 1191, RFC 8201).
 *
 * Not there: urgent data (URG is read as plain data, RFC 6093), SYN cookies, Fast Open, D-SACK, RACK-TLP, F-RTO,
 * packetization-layer path MTU discovery, MD5 and AO authentication, Multipath TCP.
 *
 * A segment's way: layer.ts (parse, find the connection) → input.ts (RFC 9293 section 3.10.7) → acknowledge.ts →
 * output.ts; timers: timeouts.ts; the user's calls: connection.ts. All work on one control-block.ts.
 */
export { TcpConnection } from './connection.js'
export type { TcpEvent, TcpState } from './control-block.js'
export type { TcpErrorCode } from './errors.js'
export { TcpLayer } from './layer.js'
export { defaultTcpLimits, type TcpLimits } from './limits.js'
export type { ListenOptions } from './listener.js'
export type { ConnectOptions, TcpLayerOptions } from './options.js'
export type { QuotedSegment } from './path.js'
