/**
 * What the kernel tells of its own accord: this machine's addresses, links and routes have changed (rtnetlink(7), RFC 3549
 * section 2.3.1). The data plane's thread waits for it, since it is in poll() anyway; what there is now, the main thread asks.
 */
import { check, Errno, LITTLE_ENDIAN, libc } from './ffi.js'
import { decodeMessages, NETLINK_ROUTE, type NetlinkMessage, uint32 } from './netlink.js'
import {
  AF_NETLINK,
  MSG_DONTWAIT,
  SO_RCVBUF,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_SOCKET,
} from './sockaddr.js'
import { STEERING_PROTOCOL } from './steering/rules.js'

const RTM_NEWLINK = 16
const RTM_DELLINK = 17
const RTM_NEWADDR = 20
const RTM_DELADDR = 21
const RTM_NEWROUTE = 24
const RTM_DELROUTE = 25

const RTMGRP_LINK = 0x1
const RTMGRP_IPV4_IFADDR = 0x10
const RTMGRP_IPV4_ROUTE = 0x40
const RTMGRP_IPV6_IFADDR = 0x100
const RTMGRP_IPV6_ROUTE = 0x400
const GROUPS = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE

/** struct sockaddr_nl. */
const SOCKADDR_NL_LENGTH = 12
const NL_GROUPS = 8
/** struct rtmsg: who made the route, and its type. */
const RTM_PROTOCOL = 5
const RTM_TYPE = 7
const RTN_UNICAST = 1

/** Throws `LINUX_*` where the kernel refuses. */
export function openNetworkWatch(): number {
  const c = libc()
  const what = 'listen for changes of the addresses'
  const fd = check(c.socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE), what)
  c.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, uint32(1 << 18), 4)
  const address = new Uint8Array(SOCKADDR_NL_LENGTH)
  const view = new DataView(address.buffer)
  view.setUint16(0, AF_NETLINK, LITTLE_ENDIAN)
  view.setUint32(NL_GROUPS, GROUPS, LITTLE_ENDIAN)
  try {
    check(c.bind(fd, address, address.length), what)
  } catch (error) {
    c.close(fd)
    throw error
  }
  return fd
}

/**
 * Reads all that waits; whether any of it may matter. What did not fit into the socket's buffer may have. `buffer`: of some
 * 32 KiB.
 */
export function drainNetworkWatch(fd: number, buffer: Uint8Array): boolean {
  const c = libc()
  for (let matters = false; ; ) {
    const length = c.recv(fd, buffer, buffer.length, MSG_DONTWAIT)
    if (length > 0) {
      matters ||= decodeMessages(buffer.subarray(0, length)).some(isNews)
      continue
    }
    const errno = length < 0 ? c.errno() : 0
    if (errno === Errno.EINTR) continue
    if (errno !== Errno.ENOBUFS) return matters
    matters = true
  }
}

/** Routes that steering makes are no news, and those of addresses themselves come with them. */
export function isNews({ type, body }: NetlinkMessage): boolean {
  switch (type) {
    case RTM_NEWADDR:
    case RTM_DELADDR:
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return true
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      return body[RTM_PROTOCOL] !== STEERING_PROTOCOL && body[RTM_TYPE] === RTN_UNICAST
    default:
      return false
  }
}
