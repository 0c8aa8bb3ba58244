/**
 * Structures of the socket interface, laid out as Linux on 64-bit machines has them: sockaddr_in, sockaddr_in6,
 * mmsghdr, iovec, cmsghdr. Offsets are numbers so that the data path touches them without an object in between.
 */
import { type IpAddress, ipAddressFrom } from '../base/index.js'
import { LITTLE_ENDIAN } from './ffi.js'

export const AF_INET = 2
export const AF_INET6 = 10
export const AF_NETLINK = 16
export const AF_PACKET = 17

export const SOCK_DGRAM = 2
export const SOCK_RAW = 3
export const SOCK_NONBLOCK = 0o4000
export const SOCK_CLOEXEC = 0o2000000

export const SOL_SOCKET = 1
export const SO_REUSEADDR = 2
export const SO_SNDBUF = 7
export const SO_RCVBUF = 8
export const SO_ERROR = 4
export const SO_NO_CHECK = 11
export const SO_REUSEPORT = 15
export const SO_MARK = 36
export const SO_SNDBUFFORCE = 32
export const SO_RCVBUFFORCE = 33
export const SO_RCVTIMEO = 20

export const IPPROTO_IP = 0
export const IP_TOS = 1
export const IP_TTL = 2
export const IP_HDRINCL = 3
/** Control message: the protocol by which a packet with a header of its own is routed. */
export const IP_PROTOCOL = 52
export const IP_MTU_DISCOVER = 10
export const IP_RECVERR = 11
export const IP_RECVTTL = 12
export const IP_RECVTOS = 13
export const IP_MTU = 14

export const IPPROTO_IPV6 = 41
export const IPV6_FLOWINFO = 11
export const IPV6_MTU_DISCOVER = 23
export const IPV6_MTU = 24
export const IPV6_RECVERR = 25
export const IPV6_DONTFRAG = 62
export const IPV6_FLOWINFO_SEND = 33
export const IPV6_RECVHOPLIMIT = 51
export const IPV6_HOPLIMIT = 52
export const IPV6_RECVTCLASS = 66
export const IPV6_TCLASS = 67
export const IPV6_AUTOFLOWLABEL = 70

export const SOL_UDP = 17
export const UDP_SEGMENT = 103
export const UDP_GRO = 104

/** Of IP_MTU_DISCOVER and IPV6_MTU_DISCOVER: never, by the route's MTU, always DF, DF whatever the route says. */
export const PMTUDISC_DONT = 0
export const PMTUDISC_WANT = 1
export const PMTUDISC_DO = 2
export const PMTUDISC_PROBE = 3

export const MSG_DONTWAIT = 0x40
export const MSG_TRUNC = 0x20

export const POLLIN = 1
export const POLLOUT = 4
export const POLLERR = 8
export const POLLHUP = 16
export const POLLNVAL = 32

export const SOCKADDR_IN_LENGTH = 16
export const SOCKADDR_IN6_LENGTH = 28
/** Where the address stands in sockaddr_in and sockaddr_in6. */
export const SIN_ADDR = 4
export const SIN6_FLOWINFO = 4
export const SIN6_ADDR = 8

/** sockaddr_in or sockaddr_in6 of an address; the port is 0 for raw sockets. */
export function encodeSockaddr(address: IpAddress, port = 0, scopeId = 0): Uint8Array {
  const bytes = new Uint8Array(address.family === 4 ? SOCKADDR_IN_LENGTH : SOCKADDR_IN6_LENGTH)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, address.family === 4 ? AF_INET : AF_INET6, LITTLE_ENDIAN)
  view.setUint16(2, port)
  bytes.set(address.bytes, address.family === 4 ? SIN_ADDR : SIN6_ADDR)
  if (address.family === 6) view.setUint32(24, scopeId, LITTLE_ENDIAN)
  return bytes
}

/** `undefined` if it is neither family or too short. The address owns its bytes. */
export function decodeSockaddr(bytes: Uint8Array): { address: IpAddress; port: number } | undefined {
  if (bytes.length < SOCKADDR_IN_LENGTH) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const family = view.getUint16(0, LITTLE_ENDIAN)
  const port = view.getUint16(2)
  if (family === AF_INET) return { address: ipAddressFrom(bytes.slice(SIN_ADDR, SIN_ADDR + 4)), port }
  if (family !== AF_INET6 || bytes.length < SOCKADDR_IN6_LENGTH) return undefined
  return { address: ipAddressFrom(bytes.slice(SIN6_ADDR, SIN6_ADDR + 16)), port }
}

/** struct mmsghdr: a msghdr of 56 bytes, then the length that was moved. */
export const MMSGHDR_LENGTH = 64
export const MSG_NAME = 0
export const MSG_NAMELEN = 8
export const MSG_IOV = 16
export const MSG_IOVLEN = 24
export const MSG_CONTROL = 32
export const MSG_CONTROLLEN = 40
export const MSG_FLAGS = 48
export const MSG_LEN = 56

/** struct iovec: base, length. */
export const IOVEC_LENGTH = 16
export const IOV_BASE = 0
export const IOV_LEN = 8

/** struct cmsghdr: length (8 bytes), level, type; then the data, padded to 8. */
export const CMSGHDR_LENGTH = 16
export const cmsgLength = (data: number): number => CMSGHDR_LENGTH + data
export const cmsgSpace = (data: number): number => CMSGHDR_LENGTH + ((data + 7) & ~7)
/** Room of one control message that holds an int. */
export const CMSG_INT_SPACE: number = cmsgSpace(4)

/** Writes a control message that holds an int; returns the offset behind it. */
export function writeCmsgInt(view: DataView, at: number, level: number, type: number, value: number): number {
  view.setUint32(at, cmsgLength(4), LITTLE_ENDIAN)
  view.setUint32(at + 4, 0, LITTLE_ENDIAN)
  view.setInt32(at + 8, level, LITTLE_ENDIAN)
  view.setInt32(at + 12, type, LITTLE_ENDIAN)
  view.setInt32(at + CMSGHDR_LENGTH, value, LITTLE_ENDIAN)
  return at + CMSG_INT_SPACE
}

/** The int of the first control message of this level and type in `[at, end)`, or -1. */
export function readCmsgInt(view: DataView, at: number, end: number, level: number, type: number): number {
  while (at + CMSGHDR_LENGTH <= end) {
    const length = view.getUint32(at, LITTLE_ENDIAN)
    if (length < CMSGHDR_LENGTH || at + length > end) return -1
    if (view.getInt32(at + 8, LITTLE_ENDIAN) === level && view.getInt32(at + 12, LITTLE_ENDIAN) === type)
      return length >= cmsgLength(4) ? view.getInt32(at + CMSGHDR_LENGTH, LITTLE_ENDIAN) : -1
    at += (length + 7) & ~7
  }
  return -1
}
