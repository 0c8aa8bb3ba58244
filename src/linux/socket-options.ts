/** What every carrier's socket is asked for, and what is asked of it. */
import { readFileSync } from 'node:fs'
import { ipAddressFrom } from '../base/index.js'
import { Errno, LITTLE_ENDIAN, libc, systemError } from './ffi.js'
import type { CarrierSpec } from './messages.js'
import { uint32 } from './netlink.js'
import {
  AF_INET,
  AF_INET6,
  encodeSockaddr,
  IP_MTU,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MTU,
  MSG_DONTWAIT,
  SO_MARK,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOL_SOCKET,
} from './sockaddr.js'

/** Bytes that wait in the kernel, in each direction: some 30 ms of a gigabit. */
export const SOCKET_BUFFER: number = 4 << 20

/** Beyond net.core.rmem_max it takes CAP_NET_ADMIN; less is no reason to give up. */
export function enlargeBuffers(fd: number): void {
  const c = libc()
  for (const [force, plain] of [
    [SO_SNDBUFFORCE, SO_SNDBUF],
    [SO_RCVBUFFORCE, SO_RCVBUF],
  ] as const) {
    const size = uint32(SOCKET_BUFFER)
    if (c.setsockopt(fd, SOL_SOCKET, force, size, 4) < 0) c.setsockopt(fd, SOL_SOCKET, plain, size, 4)
  }
}

/** Between socket() and connect() anybody was heard: what came then is thrown away. */
export function drain(fd: number): void {
  const c = libc()
  const scrap = new Uint8Array(1)
  for (;;) {
    if (c.recv(fd, scrap, 1, MSG_DONTWAIT) >= 0) continue
    const errno = c.errno()
    // An ICMP error that waits at the socket is told once, in place of a packet.
    if (errno === Errno.EAGAIN) return
    if (errno === Errno.EBADF || errno === Errno.ENOTSOCK) throw systemError('read a socket', errno)
  }
}

/** RFC 863: nothing is sent there. */
const DISCARD_PORT = 9

/**
 * Path MTU between the ends of a carrier as the kernel's routes have it now; `undefined` where there is no way. A
 * carrier's own socket would tell that of the route it had when it was connected, or 68 once that route is gone.
 */
export function pathMtu({ family, local, remote, mark }: CarrierSpec): number | undefined {
  const c = libc()
  const fd = c.socket(family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  if (fd < 0) return undefined
  try {
    if (mark !== undefined) c.setsockopt(fd, SOL_SOCKET, SO_MARK, uint32(mark), 4)
    const from = encodeSockaddr(ipAddressFrom(local))
    const to = encodeSockaddr(ipAddressFrom(remote), DISCARD_PORT)
    if (c.bind(fd, from, from.length) < 0 || c.connect(fd, to, to.length) < 0) return undefined
    const [level, option] = family === 4 ? [IPPROTO_IP, IP_MTU] : [IPPROTO_IPV6, IPV6_MTU]
    const value = uint32(0)
    if (c.getsockopt(fd, level, option, value, uint32(4)) < 0) return undefined
    return new DataView(value.buffer).getInt32(0, LITTLE_ENDIAN)
  } finally {
    c.close(fd)
  }
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
