/** One datagram of a machine's own over its carrier's socket: the slow path, with its own outer header and metadata. */
import { concatBytes } from '../base/index.js'
import type { Datagram } from '../proto/machine.js'
import { ipv4 } from '../wire/ipv4.js'
import { Errno, errnoName, LITTLE_ENDIAN, libc, NativeMemory } from './ffi.js'
import {
  CMSG_INT_SPACE,
  IOV_LEN,
  IOVEC_LENGTH,
  IP_PROTOCOL,
  IP_TOS,
  IP_TTL,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_HOPLIMIT,
  IPV6_TCLASS,
  MMSGHDR_LENGTH,
  MSG_CONTROL,
  MSG_CONTROLLEN,
  MSG_IOV,
  MSG_IOVLEN,
  MSG_NAME,
  MSG_NAMELEN,
  SOCKADDR_IN6_LENGTH,
  writeCmsgInt,
} from './sockaddr.js'

const BUFFER = 65_536
const IOV: number = MMSGHDR_LENGTH
const CONTROL: number = IOV + IOVEC_LENGTH
const NAME: number = CONTROL + 2 * CMSG_INT_SPACE
const DATA: number = NAME + SOCKADDR_IN6_LENGTH + 4

let memory: NativeMemory | undefined

/** `undefined`: sent; else errno's name, or `length`. `to`: the sockaddr, where the socket is not connected. */
export function sendDatagram(
  fd: number,
  datagram: Datagram,
  defaultTtl: number,
  to?: Uint8Array,
): string | undefined {
  const { carrier, payload, ttl = 0, trafficClass = 0 } = datagram
  const v4 = carrier.local.family === 4
  // Over IPv4 raw sockets take whole packets.
  const isWhole = v4 && carrier.kind === 'ip'
  const bytes = isWhole ? withHeader(datagram, ttl || defaultTtl) : payload
  if (bytes.length > BUFFER) return 'length'
  memory ??= new NativeMemory(DATA + BUFFER)
  const { view } = memory
  memory.bytes.fill(0, 0, DATA)
  memory.bytes.set(bytes, DATA)
  if (to !== undefined) {
    memory.bytes.set(to, NAME)
    memory.setPointer(MSG_NAME, NAME)
    view.setUint32(MSG_NAMELEN, to.length, LITTLE_ENDIAN)
  }
  memory.setPointer(MSG_IOV, IOV)
  view.setUint32(MSG_IOVLEN, 1, LITTLE_ENDIAN)
  memory.setPointer(IOV, DATA)
  view.setUint32(IOV + IOV_LEN, bytes.length, LITTLE_ENDIAN)
  if (isWhole) {
    // As in the data plane: rules of routing may ask for it.
    memory.setPointer(MSG_CONTROL, CONTROL)
    view.setUint32(MSG_CONTROLLEN, CMSG_INT_SPACE, LITTLE_ENDIAN)
    writeCmsgInt(view, CONTROL, IPPROTO_IP, IP_PROTOCOL, carrier.protocol)
  } else {
    memory.setPointer(MSG_CONTROL, CONTROL)
    view.setUint32(MSG_CONTROLLEN, 2 * CMSG_INT_SPACE, LITTLE_ENDIAN)
    const level = v4 ? IPPROTO_IP : IPPROTO_IPV6
    const at = writeCmsgInt(view, CONTROL, level, v4 ? IP_TTL : IPV6_HOPLIMIT, ttl || defaultTtl)
    writeCmsgInt(view, at, level, v4 ? IP_TOS : IPV6_TCLASS, trafficClass)
  }
  const c = libc()
  // A second time, for the first may only tell the ICMP error of an earlier packet.
  if (c.sendmsg(fd, memory.base, 0) >= 0) return undefined
  // Kernels before 6.4 do not know the control message.
  if (isWhole && c.errno() === Errno.EINVAL) view.setUint32(MSG_CONTROLLEN, 0, LITTLE_ENDIAN)
  if (c.sendmsg(fd, memory.base, 0) >= 0) return undefined
  return errnoName(c.errno())
}

/** The kernel fills in identification (where 0) and checksum. */
function withHeader({ carrier, payload, trafficClass = 0 }: Datagram, ttl: number): Uint8Array {
  const { local, remote, protocol } = carrier
  if (local.family !== 4 || remote.family !== 4) throw new TypeError('not an IPv4 carrier')
  const header = new Uint8Array(20)
  ipv4.emit(
    {
      dscp: trafficClass >>> 2,
      ecn: trafficClass & 3,
      totalLength: 20 + payload.length,
      identification: 0,
      dontFragment: false,
      moreFragments: false,
      fragmentOffset: 0,
      ttl,
      protocol,
      source: local,
      destination: remote,
    },
    header,
    0,
  )
  return concatBytes(header, payload)
}
