/** For tests: a stranger on the testbed's bridge, who sends what he likes. */
import {
  ETHERNET,
  Ipv4Address,
  Ipv6Address,
  MacAddress,
  type PacketBuffer,
  writeUint16,
} from '../base/index.js'
import { ethernet, ipv4, ipv6, sealIpv4Checksum } from '../wire/index.js'
import { BridgeDevice } from './devices.js'
import type { Lab } from './lab.js'
import { Link } from './link.js'

export class Stranger {
  static readonly mac: MacAddress = new MacAddress(Uint8Array.of(2, 0, 0, 0, 0, 0x66))
  readonly #link: Link
  readonly #lab: Lab
  readonly heard: Uint8Array[] = []

  constructor(lab: Lab) {
    this.#lab = lab
    this.#link = new Link(lab.clock)
    const tap = lab.host.plugIn('tap', 'tap9', this.#link.ends[0], [0xfe, 0xe1, 0xba, 0xd0, 9, 9])
    const bridge = lab.host.device('bridge1')
    if (bridge instanceof BridgeDevice) bridge.add(tap)
    lab.host.stack.setUp(tap.interface, true, lab.clock.now())
    this.#link.ends[1].onFrame = (frame: PacketBuffer) => {
      if (frame.kind === ETHERNET) this.heard.push(frame.copy())
    }
  }

  /** An IP packet to the machine's vio0, in a frame. */
  send(machine: string, packet: Uint8Array): void {
    const destination = this.#lab.machine(machine)?.device('vio0')?.interface.mac ?? MacAddress.broadcast
    const etherType = packet[0]! >> 4 === 4 ? 0x0800 : 0x86dd
    const header = ethernet.toBytes({ destination, source: Stranger.mac, etherType })
    const frame = new Uint8Array(Math.max(60, header.length + packet.length))
    frame.set(header)
    frame.set(packet, header.length)
    this.#link.ends[1].transmit(frame, this.#lab.clock.now())
  }
}

/** An IP packet of either family, by its addresses. */
export function ipPacket(
  source: string,
  destination: string,
  protocol: number,
  payload: Uint8Array,
): Uint8Array {
  if (source.includes(':')) {
    const header = ipv6.toBytes({
      payloadLength: payload.length,
      nextHeader: protocol,
      hopLimit: 64,
      source: Ipv6Address.parse(source)!,
      destination: Ipv6Address.parse(destination)!,
    })
    return join(header, payload)
  }
  const header = ipv4.toBytes({
    totalLength: 20 + payload.length,
    identification: 1,
    dontFragment: false,
    moreFragments: false,
    fragmentOffset: 0,
    ttl: 64,
    protocol,
    source: Ipv4Address.parse(source)!,
    destination: Ipv4Address.parse(destination)!,
  })
  const packet = join(header, payload)
  sealIpv4Checksum(packet, 0)
  return packet
}

/** An ICMP echo request of 8 bytes, its checksum right. */
export function echoRequest(id: number): Uint8Array {
  const bytes = new Uint8Array(8)
  bytes[0] = 8
  writeUint16(bytes, 4, id)
  writeUint16(bytes, 2, 0xffff - (0x0800 + id))
  return bytes
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
