/**
 * UDP ports for machines that speak with anybody (IKE). A socket a local address and port, read by the main thread's event
 * loop: the kernel's receive buffer is the bound of what waits. Sockets that are connected to a peer on the same port (ESP
 * in UDP) have what comes from there.
 */
import { createSocket, type Socket } from 'node:dgram'
import { type Counters, type IpAddress, parseIpAddress } from '../base/index.js'
import type { Datagram } from '../proto/machine.js'
import { libc, systemError } from './ffi.js'
import { uint32 } from './netlink.js'
import { sendDatagram } from './send.js'
import {
  AF_INET,
  AF_INET6,
  encodeSockaddr,
  IP_MTU_DISCOVER,
  IPPROTO_IP,
  PMTUDISC_DONT,
  SO_MARK,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
} from './sockaddr.js'

export interface PortOptions {
  /** SO_MARK, by which rules of routing know its packets. */
  readonly mark: number
  readonly counters: Counters
  readonly defaultTtl: number
}

export class UdpPort {
  readonly local: IpAddress
  readonly port: number
  readonly #fd: number
  readonly #socket: Socket
  readonly #options: PortOptions

  /**
   * Throws `LINUX_` and the errno's name: EADDRNOTAVAIL where `local` is no address of this machine, EADDRINUSE where
   * somebody has the port for himself.
   */
  constructor(
    local: IpAddress,
    port: number,
    onDatagram: (datagram: Datagram) => void,
    options: PortOptions,
  ) {
    this.local = local
    this.port = port
    this.#options = options
    this.#fd = openSocket(local, port, options.mark)
    this.#socket = createSocket(local.family === 4 ? 'udp4' : 'udp6')
    this.#socket.on('message', (payload, { address, port: remotePort }) => {
      const remote = parseIpAddress(address.replace(/%.*$/, ''))
      if (remote === undefined || remotePort === 0) {
        options.counters.add('port.source')
        return
      }
      onDatagram({
        carrier: { kind: 'udp', protocol: 17, local, remote, localPort: port, remotePort },
        payload: new Uint8Array(payload.buffer, payload.byteOffset, payload.length),
      })
    })
    this.#socket.on('error', () => options.counters.add('port.error'))
    this.#socket.bind({ fd: this.#fd })
  }

  /** What the kernel refuses is counted: it is as if lost on the way. */
  transmit(datagram: Datagram): void {
    const { carrier } = datagram
    const to = encodeSockaddr(carrier.remote, carrier.kind === 'udp' ? carrier.remotePort : 0)
    const reason = sendDatagram(this.#fd, datagram, this.#options.defaultTtl, to)
    if (reason !== undefined) this.#options.counters.add(`transmit.${reason}`)
  }

  /** The descriptor goes with it. */
  close(): void {
    this.#socket.close()
  }
}

function openSocket(local: IpAddress, port: number, mark: number): number {
  const c = libc()
  const v4 = local.family === 4
  const what = `open UDP port ${port} at ${local}`
  const fd = c.socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
  if (fd < 0) throw systemError(what, c.errno())
  const fail = (): never => {
    const errno = c.errno()
    c.close(fd)
    throw systemError(what, errno)
  }
  for (const [option, value] of [
    [SO_REUSEADDR, 1],
    [SO_REUSEPORT, 1],
    [SO_MARK, mark],
  ] as const)
    if (c.setsockopt(fd, SOL_SOCKET, option, uint32(value), 4) < 0) fail()
  // A message larger than the path goes in fragments of IP, where the peer has none of IKE's own.
  if (v4) c.setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, uint32(PMTUDISC_DONT), 4)
  const address = encodeSockaddr(local, port)
  if (c.bind(fd, address, address.length) < 0) fail()
  return fd
}
