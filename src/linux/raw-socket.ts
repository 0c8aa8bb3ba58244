/**
 * Raw IP sockets: the carrier of gif, gre, eoip and etherip. Bound to the tunnel's own end and connected to the
 * other, so that the kernel itself hands over nothing from a third party (CVE-2020-10136, CVE-2024-7595).
 *
 * Over IPv4 we write the outer header ourselves (IP_HDRINCL), and cut what is too long for the path; over IPv6 the
 * kernel writes it, with hop limit, traffic class and flow label given for each packet.
 */
import type { IpAddress } from '../base/index.js'
import { libc, systemError } from './ffi.js'
import { uint32 } from './netlink.js'
import {
  AF_INET,
  AF_INET6,
  encodeSockaddr,
  IP_HDRINCL,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_AUTOFLOWLABEL,
  IPV6_FLOWINFO,
  IPV6_FLOWINFO_SEND,
  IPV6_RECVHOPLIMIT,
  IPV6_RECVTCLASS,
  SO_MARK,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_SOCKET,
} from './sockaddr.js'
import { drain, enlargeBuffers } from './socket-options.js'

export const IPV4_OUTER_LENGTH = 20
export const IPV6_OUTER_LENGTH = 40

/**
 * Opens, binds and connects. Throws `LINUX_` and the errno's name: EADDRNOTAVAIL where `local` is no address of this
 * machine, ENETUNREACH where there is no way to `remote`, EPERM without the right. `mark`: SO_MARK, by which rules of
 * routing know its packets.
 */
export function openRawSocket(protocol: number, local: IpAddress, remote: IpAddress, mark?: number): number {
  const c = libc()
  const v4 = local.family === 4
  const what = `open a raw socket for protocol ${protocol} from ${local} to ${remote}`
  const fd = c.socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol)
  if (fd < 0) throw systemError(what, c.errno())
  const fail = (asked: string): never => {
    const errno = c.errno()
    c.close(fd)
    throw systemError(asked, errno)
  }
  const on = uint32(1)
  if (v4) {
    if (c.setsockopt(fd, IPPROTO_IP, IP_HDRINCL, on, 4) < 0) fail(what)
  } else {
    // A tunnel's flow label is what its file says, 0 where it says nothing; the kernel would make one up.
    c.setsockopt(fd, IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, uint32(0), 4)
    for (const option of [IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS, IPV6_FLOWINFO, IPV6_FLOWINFO_SEND])
      if (c.setsockopt(fd, IPPROTO_IPV6, option, on, 4) < 0) fail(what)
  }
  enlargeBuffers(fd)
  if (mark !== undefined && c.setsockopt(fd, SOL_SOCKET, SO_MARK, uint32(mark), 4) < 0) fail(what)
  const from = encodeSockaddr(local)
  if (c.bind(fd, from, from.length) < 0) fail(`bind to ${local}`)
  const to = encodeSockaddr(remote)
  if (c.connect(fd, to, to.length) < 0) fail(`connect to ${remote}`)
  drain(fd)
  return fd
}
