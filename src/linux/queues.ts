/**
 * Several queues of one interface, a thread each. The kernel puts a flow that it sends out of the interface on the queue
 * that a packet of the same flow was last written to (Documentation/networking/tuntap.rst, multiqueue). One thread writes
 * all that comes in; so it is its choice of a queue that spreads what goes out.
 */
import type { EspSpec } from '../proto/esp/index.js'
import { shareSa } from '../proto/esp/index.js'
import type { TransformSpec } from '../proto/machine.js'
import { EtherType, IpProtocol } from '../wire/numbers.js'

/**
 * The transform of a path for each of `threads` threads. The first has the inbound side alone: a replay window has one
 * owner.
 */
export function transformsFor(transform: TransformSpec, threads: number): TransformSpec[] {
  const { outbound } = transform as EspSpec
  if (transform.protocol !== 'esp' || threads === 1) return Array.from({ length: threads }, () => transform)
  const shared = outbound === undefined ? undefined : shareSa(outbound, threads)
  return Array.from({ length: threads }, (_, i) => ({
    ...transform,
    ...(shared === undefined ? {} : { outbound: shared[i]! }),
    ...(i === 0 ? {} : { inbound: [] }),
  }))
}

const ETHERNET_LENGTH = 14
const FRAGMENT = 0x3fff

/** A number below `queues`, the same for both directions of a flow. */
export function queueOf(view: DataView, start: number, isFrame: boolean, queues: number): number {
  let at = start
  let version = view.getUint8(at) >>> 4
  if (isFrame) {
    const type = view.getUint16(at + 12)
    at += ETHERNET_LENGTH
    version = type === EtherType.ipv4 ? 4 : type === EtherType.ipv6 ? 6 : 0
  }
  let hash = 0
  let ports = 0
  if (version === 4) {
    hash = view.getInt32(at + 12) ^ view.getInt32(at + 16)
    const protocol = view.getUint8(at + 9)
    if (hasPorts(protocol) && (view.getUint16(at + 6) & FRAGMENT) === 0)
      ports = at + 4 * (view.getUint8(at) & 15)
  } else if (version === 6) {
    for (let i = 8; i < 40; i += 4) hash ^= view.getInt32(at + i)
    if (hasPorts(view.getUint8(at + 6))) ports = at + 40
  }
  if (ports !== 0) hash ^= view.getUint16(ports) ^ view.getUint16(ports + 2)
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b)
  return ((hash ^ (hash >>> 16)) >>> 0) % queues
}

const hasPorts = (protocol: number): boolean => protocol === IpProtocol.tcp || protocol === IpProtocol.udp
