/** TUN and TAP interfaces: /dev/net/tun (Linux Documentation/networking/tuntap.rst). */
import { WarrenError } from '../base/index.js'
import { Errno, LITTLE_ENDIAN, libc, systemError } from './ffi.js'

const O_RDWR = 0o2
const O_NONBLOCK = 0o4000
const O_CLOEXEC = 0o2000000

const TUNSETIFF = 0x400454ca
const IFF_TUN = 0x0001
const IFF_TAP = 0x0002
const IFF_NO_PI = 0x1000
/** Fails if the name is taken: an interface that somebody else made persistent must not be taken over. */
const IFF_TUN_EXCL = 0x8000

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

/**
 * Makes an interface and returns its descriptor (non-blocking, closed on exec). The interface lives as long as the
 * descriptor: even a process that is killed leaves none behind.
 */
export function openTun(name: string, layer: 'ip' | 'ethernet'): number {
  checkInterfaceName(name)
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
  const flags = (layer === 'ip' ? IFF_TUN : IFF_TAP) | IFF_NO_PI | IFF_TUN_EXCL
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
  return fd
}
