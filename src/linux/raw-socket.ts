/**
 * Raw IP sockets: the carrier of gif, gre, eoip and etherip. Bound to the tunnel's own end and connected to the
 * other, so that the kernel itself hands over nothing from a third party (CVE-2020-10136, CVE-2024-7595).
 *
 * Over IPv4 we write the outer header ourselves (IP_HDRINCL), and cut what is too long for the path; over IPv6 the
 * kernel writes it, with hop limit, traffic class and flow label given for each packet.
 */
import { readFileSync } from 'node:fs'
import type { IpAddress } from '../base/index.js'
import { Errno, LITTLE_ENDIAN, libc, systemError } from './ffi.js'
import { uint32 } from './netlink.js'
import {
  AF_INET,
  AF_INET6,
  encodeSockaddr,
  IP_HDRINCL,
  IP_MTU,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_AUTOFLOWLABEL,
  IPV6_FLOWINFO,
  IPV6_FLOWINFO_SEND,
  IPV6_MTU,
  IPV6_RECVHOPLIMIT,
  IPV6_RECVTCLASS,
  MSG_DONTWAIT,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_SOCKET,
} from './sockaddr.js'

/** Bytes that wait in the kernel, in each direction: some 30 ms of a gigabit. */
export const SOCKET_BUFFER: number = 4 << 20

export const IPV4_OUTER_LENGTH = 20
export const IPV6_OUTER_LENGTH = 40

/**
 * Opens, binds and connects. Throws `LINUX_` and the errno's name: EADDRNOTAVAIL where `local` is no address of this
 * machine, ENETUNREACH where there is no way to `remote`, EPERM without the right.
 */
export function openRawSocket(protocol: number, local: IpAddress, remote: IpAddress): number {
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
  // Beyond net.core.rmem_max it takes CAP_NET_ADMIN; less is no reason to give up.
  for (const [force, plain] of [
    [SO_SNDBUFFORCE, SO_SNDBUF],
    [SO_RCVBUFFORCE, SO_RCVBUF],
  ] as const) {
    const size = uint32(SOCKET_BUFFER)
    if (c.setsockopt(fd, SOL_SOCKET, force, size, 4) < 0) c.setsockopt(fd, SOL_SOCKET, plain, size, 4)
  }
  const from = encodeSockaddr(local)
  if (c.bind(fd, from, from.length) < 0) fail(`bind to ${local}`)
  const to = encodeSockaddr(remote)
  if (c.connect(fd, to, to.length) < 0) fail(`connect to ${remote}`)
  drain(fd)
  return fd
}

/** Between socket() and connect() anybody was heard: what came then is thrown away. */
function drain(fd: number): void {
  const c = libc()
  const scrap = new Uint8Array(1)
  for (;;) {
    if (c.recv(fd, scrap, 1, MSG_DONTWAIT) >= 0) continue
    const errno = c.errno()
    // An ICMP error that waits at the socket is told once, in place of a packet.
    if (errno === Errno.EAGAIN) return
    if (errno === Errno.EBADF || errno === Errno.ENOTSOCK) throw systemError('read a raw socket', errno)
  }
}

/** Path MTU of a connected socket as the kernel knows it; `undefined` where it has no route now. */
export function pathMtu(fd: number, family: 4 | 6): number | undefined {
  const value = new Uint8Array(4)
  const length = uint32(4)
  const [level, option] = family === 4 ? [IPPROTO_IP, IP_MTU] : [IPPROTO_IPV6, IPV6_MTU]
  if (libc().getsockopt(fd, level, option, value, length) < 0) return undefined
  return new DataView(value.buffer).getInt32(0, LITTLE_ENDIAN)
}

/** net.ipv4.ip_default_ttl, or 64. */
export function defaultTtl(): number {
  try {
    const ttl = Number(readFileSync('/proc/sys/net/ipv4/ip_default_ttl', 'utf8'))
    return ttl >= 1 && ttl <= 255 ? ttl : 64
  } catch {
    return 64
  }
}
