/**
 * UDP carriers (RFC 3948) on a host of the lab: a connected socket of the stack for each, shared by the paths that it
 * carries; and the UDP header of what they send.
 */
import { type Instant, OPAQUE, PacketBuffer, writeUint16 } from '../base/index.js'
import type { UdpPorts } from '../engine/index.js'
import type { UdpCarrier } from '../proto/index.js'
import type { PacketInfo, Stack, UdpSocket } from '../stack/index.js'
import { sealUdpChecksum, UDP_HEADER_LENGTH } from '../wire/index.js'

/** Takes the payload of a datagram, whose buffer is its own. */
export type DatagramTaker = (packet: PacketBuffer, info: PacketInfo, ports: UdpPorts, now: Instant) => void

interface Bound {
  readonly socket: UdpSocket
  users: number
}

export class UdpCarriers {
  readonly #stack: Stack
  readonly #take: DatagramTaker
  readonly #sockets = new Map<string, Bound>()

  constructor(stack: Stack, take: DatagramTaker) {
    this.#stack = stack
    this.#take = take
  }

  /**
   * Hears this peer alone: what others send to the port is somebody else's, IKE's for one. Throws `WarrenError` STACK_*
   * where the port cannot be had.
   */
  bind(carrier: UdpCarrier): void {
    const key = keyOf(carrier)
    const bound = this.#sockets.get(key)
    if (bound !== undefined) {
      bound.users++
      return
    }
    const { local, localPort, remote, remotePort } = carrier
    const socket = this.#stack.udp.bind({
      address: local,
      port: localPort,
      remote: { address: remote, port: remotePort },
      onDatagram: ({ data, source, destination, sourcePort, ttl, trafficClass, interface: arrived }, now) => {
        const packet = PacketBuffer.copyOf(data, OPAQUE)
        packet.outerTtl = ttl
        packet.outerTrafficClass = trafficClass
        const info = { source, destination, interface: arrived, ttl }
        this.#take(packet, info, { source: sourcePort, destination: localPort }, now)
      },
    })
    this.#sockets.set(key, { socket, users: 1 })
  }

  /** The counterpart of one `bind`. */
  unbind(carrier: UdpCarrier): void {
    const key = keyOf(carrier)
    const bound = this.#sockets.get(key)
    if (bound === undefined || --bound.users > 0) return
    bound.socket.close()
    this.#sockets.delete(key)
  }
}

/** The payload with a UDP header in front (RFC 768): in place, or a copy where there is no room. */
export function prependUdp(
  packet: PacketBuffer,
  { local, localPort, remote, remotePort }: UdpCarrier,
): PacketBuffer {
  const datagram = packet.start >= UDP_HEADER_LENGTH ? packet : PacketBuffer.copyOf(packet.view(), OPAQUE)
  datagram.start -= UDP_HEADER_LENGTH
  const { bytes, start, end } = datagram
  writeUint16(bytes, start, localPort)
  writeUint16(bytes, start + 2, remotePort)
  writeUint16(bytes, start + 4, end - start)
  writeUint16(bytes, start + 6, 0)
  sealUdpChecksum(bytes, start, end, local, remote)
  return datagram
}

const keyOf = ({ local, localPort, remote, remotePort }: UdpCarrier): string =>
  `${local} ${localPort} ${remote} ${remotePort}`
