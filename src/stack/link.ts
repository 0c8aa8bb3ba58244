/**
 * The last step out: an IP packet that fits is handed to its interface, in a frame where the link wants one.
 */
import { ETHERNET, type Instant, type IpAddress, type PacketBuffer, writeUint16 } from '../base/index.js'
import { EtherType } from '../wire/numbers.js'
import type { Core } from './core.js'
import { ETHERNET_HEADER, withHeadroom } from './headers.js'
import type { NetworkInterface } from './interface.js'
import type { SendResult } from './types.js'

export class LinkOutput {
  readonly #core: Core

  constructor(core: Core) {
    this.#core = core
  }

  /** `forwarded`: it is another's packet, so that its sender hears if the next hop does not answer. */
  send(
    ifc: NetworkInterface,
    packet: PacketBuffer,
    nextHop: IpAddress,
    forwarded: boolean,
    now: Instant,
  ): SendResult {
    if (ifc.kind !== 'ethernet') {
      ifc.transmit(packet, now)
      return 'ok'
    }
    const group = groupMac(nextHop, this.#core)
    if (group !== undefined) {
      this.frame(ifc, packet, group, etherTypeOf(nextHop), now)
      return 'ok'
    }
    const cache = nextHop.family === 4 ? this.#core.arp.cache : this.#core.nd.cache
    const mac = cache.resolve(ifc, nextHop, packet, forwarded, now)
    if (mac === 'held') return 'ok'
    if (mac === 'down') return 'down'
    this.frame(ifc, packet, mac, etherTypeOf(nextHop), now)
    return 'ok'
  }

  /** Puts the packet into a frame and sends it. */
  frame(
    ifc: NetworkInterface,
    packet: PacketBuffer,
    destination: Uint8Array,
    etherType: number,
    now: Instant,
  ): void {
    if (ifc.mac === undefined) return
    const frame = withHeadroom(packet, ETHERNET_HEADER)
    frame.start -= ETHERNET_HEADER
    frame.bytes.set(destination, frame.start)
    frame.bytes.set(ifc.mac.bytes, frame.start + 6)
    writeUint16(frame.bytes, frame.start + 12, etherType)
    frame.kind = ETHERNET
    ifc.transmit(frame, now)
  }
}

const etherTypeOf = (address: IpAddress): number => (address.family === 4 ? EtherType.ipv4 : EtherType.ipv6)

const BROADCAST = new Uint8Array(6).fill(0xff)

/** The group address below a group address: RFC 1112 section 6.4, RFC 2464 section 7. */
function groupMac(address: IpAddress, core: Core): Uint8Array | undefined {
  if (address.isMulticast) {
    return address.family === 4
      ? Uint8Array.of(1, 0, 0x5e, address.bytes[1]! & 0x7f, address.bytes[2]!, address.bytes[3]!)
      : Uint8Array.of(0x33, 0x33, ...address.bytes.subarray(12))
  }
  return core.local.isBroadcast(address) ? BROADCAST : undefined
}
