/** What every carrier's socket is asked for, and what is asked of it. */
import { readFileSync } from 'node:fs'
import { Errno, LITTLE_ENDIAN, libc, systemError } from './ffi.js'
import { uint32 } from './netlink.js'
import {
  IP_MTU,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MTU,
  MSG_DONTWAIT,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
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
