/**
 * Connected UDP sockets: the carrier of ESP in UDP (RFC 3948). Connected, so that the kernel hands over what the peer
 * sent from the one port and nothing else; shared, so that a socket for everybody (IKE's own, on the same port) keeps
 * the rest.
 */

import type { UdpCarrier } from '../proto/machine.js'
import { libc, systemError } from './ffi.js'
import { uint32 } from './netlink.js'
import {
  AF_INET,
  AF_INET6,
  encodeSockaddr,
  IP_RECVTOS,
  IP_RECVTTL,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_AUTOFLOWLABEL,
  IPV6_FLOWINFO,
  IPV6_RECVHOPLIMIT,
  IPV6_RECVTCLASS,
  SO_MARK,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
  SOL_UDP,
  UDP_GRO,
} from './sockaddr.js'
import { drain, enlargeBuffers } from './socket-options.js'

export interface UdpSocketOptions {
  /** SO_MARK, by which rules of routing know its packets. */
  readonly mark?: number
  /** Datagrams may arrive joined, one behind the other (UDP_GRO): there is no room in front of each. Default: true. */
  readonly joined?: boolean
}

/**
 * Opens, binds and connects. Throws `LINUX_` and the errno's name: EADDRNOTAVAIL where `local` is no address of this
 * machine, EADDRINUSE where somebody has the port for himself, ENETUNREACH where there is no way to `remote`.
 */
export function openUdpSocket(carrier: UdpCarrier, { mark, joined = true }: UdpSocketOptions = {}): number {
  const c = libc()
  const { local, localPort, remote, remotePort } = carrier
  const v4 = local.family === 4
  const what = `open a UDP socket from ${local} port ${localPort} to ${remote} port ${remotePort}`
  const fd = c.socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
  if (fd < 0) throw systemError(what, c.errno())
  const fail = (asked: string): never => {
    const errno = c.errno()
    c.close(fd)
    throw systemError(asked, errno)
  }
  const set = (level: number, option: number, value: number): boolean =>
    c.setsockopt(fd, level, option, uint32(value), 4) >= 0
  const wanted = v4 ? [IP_RECVTOS, IP_RECVTTL] : [IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS, IPV6_FLOWINFO]
  for (const option of [SO_REUSEADDR, SO_REUSEPORT]) if (!set(SOL_SOCKET, option, 1)) fail(what)
  for (const option of wanted) if (!set(v4 ? IPPROTO_IP : IPPROTO_IPV6, option, 1)) fail(what)
  // What a tunnel's flow label is, its file says; the kernel would make one up.
  if (!v4) set(IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 0)
  if (mark !== undefined && !set(SOL_SOCKET, SO_MARK, mark)) fail(what)
  enlargeBuffers(fd)
  const from = encodeSockaddr(local, localPort)
  if (c.bind(fd, from, from.length) < 0) fail(`bind to ${local} port ${localPort}`)
  const to = encodeSockaddr(remote, remotePort)
  if (c.connect(fd, to, to.length) < 0) fail(`connect to ${remote} port ${remotePort}`)
  drain(fd)
  // A kernel that does not know it (before Linux 5.0) hands over one datagram at a time.
  if (joined) setJoined(fd, true)
  return fd
}

/** Whether datagrams may arrive joined from now on. */
export function setJoined(fd: number, joined: boolean): void {
  libc().setsockopt(fd, SOL_UDP, UDP_GRO, uint32(joined ? 1 : 0), 4)
}
