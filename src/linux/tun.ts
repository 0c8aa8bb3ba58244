/** TUN and TAP interfaces: /dev/net/tun (Linux Documentation/networking/tuntap.rst). */
import { WarrenError } from '../base/index.js'
import { Errno, LITTLE_ENDIAN, libc, systemError } from './ffi.js'
import { uint32 } from './netlink.js'
import { VNET_LENGTH } from './offload/index.js'

const O_RDWR = 0o2
const O_NONBLOCK = 0o4000
const O_CLOEXEC = 0o2000000

const TUNSETIFF = 0x400454ca
const TUNGETFEATURES = 0x800454cf
const TUNSETOFFLOAD = 0x400454d0
const TUNSETVNETHDRSZ = 0x400454d8
const IFF_TUN = 0x0001
const IFF_TAP = 0x0002
const IFF_NO_PI = 0x1000
/** A virtio header stands before every packet, in both directions. */
const IFF_VNET_HDR = 0x4000
/** Several descriptors of one interface, each a queue of its own. */
const IFF_MULTI_QUEUE = 0x0100
/** Fails if the name is taken: an interface that somebody else made persistent must not be taken over. */
const IFF_TUN_EXCL = 0x8000

/** Checksums, and TCP over IPv4 and IPv6 in one piece, with ECN: TUN_F_CSUM, _TSO4, _TSO6, _TSO_ECN. */
const TUN_TCP_OFFLOADS = 0x1 | 0x2 | 0x4 | 0x8
/** UDP in one piece, which Linux hands over since 6.2: TUN_F_USO4, _USO6. */
const TUN_UDP_OFFLOADS = 0x20 | 0x40

/** IFNAMSIZ is 16 with the zero byte. */
export const INTERFACE_NAME_LIMIT = 15

/** struct ifreq with a name and flags. */
export function encodeIfreq(name: string, flags: number): Uint8Array {
  const bytes = new Uint8Array(40)
  bytes.set(new TextEncoder().encode(name))
  new DataView(bytes.buffer).setUint16(16, flags, LITTLE_ENDIAN)
  return bytes
}

/** Throws `LINUX_INTERFACE_NAME`, unless the kernel would take this name. */
export function checkInterfaceName(name: string): void {
  const legal = /^[^\s/:%]+$/.test(name) && name !== '.' && name !== '..'
  if (legal && new TextEncoder().encode(name).length <= INTERFACE_NAME_LIMIT) return
  throw new WarrenError('LINUX_INTERFACE_NAME', 'not a name for an interface', {
    found: JSON.stringify(name),
    expected: `1 to ${INTERFACE_NAME_LIMIT} bytes without blanks, '/', ':' and '%'`,
  })
}

export interface OpenedTun {
  /** Non-blocking, closed on exec. */
  readonly fd: number
  /** A virtio header (offload/vnet-header.ts) stands before every packet, in both directions. */
  readonly offload: boolean
  /** Descriptors of further queues. */
  readonly queues: readonly number[]
}

/** Makes an interface. It lives as long as the descriptor: even a process that is killed leaves none behind. */
export function openTun(name: string, layer: 'ip' | 'ethernet', queues = 1): OpenedTun {
  checkInterfaceName(name)
  const kind = layer === 'ip' ? IFF_TUN : IFF_TAP
  const several = queues > 1 && (features() & IFF_MULTI_QUEUE) !== 0
  const { fd, offload } = openQueue(name, kind | IFF_TUN_EXCL | (several ? IFF_MULTI_QUEUE : 0))
  const more: number[] = []
  try {
    while (several && more.length + 1 < queues) more.push(openQueue(name, kind | IFF_MULTI_QUEUE).fd)
  } catch {
    // As many as the kernel gives.
  }
  return { fd, offload, queues: more }
}

/** What the kernel's TUN can do: IFF_*. */
function features(): number {
  const c = libc()
  const fd = c.open('/dev/net/tun', O_RDWR | O_CLOEXEC)
  if (fd < 0) return 0
  const found = featuresOf(fd)
  c.close(fd)
  return found
}

function openQueue(name: string, kind: number): { fd: number; offload: boolean } {
  const c = libc()
  const fd = c.open('/dev/net/tun', O_RDWR | O_NONBLOCK | O_CLOEXEC)
  if (fd < 0) {
    const errno = c.errno()
    const missing = errno === Errno.ENOENT || errno === Errno.ENODEV || errno === Errno.ENXIO
    throw systemError(
      'open /dev/net/tun',
      errno,
      missing ? 'load the kernel module with `modprobe tun`; in a container, pass the device in' : undefined,
    )
  }
  const offload = (featuresOf(fd) & IFF_VNET_HDR) !== 0
  const flags = kind | IFF_NO_PI | (offload ? IFF_VNET_HDR : 0)
  if (c.ioctl(fd, TUNSETIFF, encodeIfreq(name, flags)) < 0) {
    const errno = c.errno()
    c.close(fd)
    const taken = errno === Errno.EBUSY || errno === Errno.EEXIST || errno === Errno.EINVAL
    throw systemError(
      `make the interface ${name}`,
      errno,
      taken
        ? `an interface of that name is there already: remove it with \`ip link del ${name}\``
        : undefined,
    )
  }
  if (offload) {
    const length = uint32(VNET_LENGTH)
    if (c.ioctl(fd, TUNSETVNETHDRSZ, length) < 0) {
      const errno = c.errno()
      c.close(fd)
      throw systemError(`have ${VNET_LENGTH} bytes before each packet of ${name}`, errno)
    }
    // The argument is the value itself. A kernel that refuses hands over whole packets with whole checksums.
    if (c.ioctl(fd, TUNSETOFFLOAD, TUN_TCP_OFFLOADS | TUN_UDP_OFFLOADS) < 0)
      c.ioctl(fd, TUNSETOFFLOAD, TUN_TCP_OFFLOADS)
  }
  return { fd, offload }
}

function featuresOf(fd: number): number {
  const features = uint32(0)
  if (libc().ioctl(fd, TUNGETFEATURES, features) < 0) return 0
  return new DataView(features.buffer).getUint32(0, LITTLE_ENDIAN)
}
