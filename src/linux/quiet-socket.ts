/**
 * A raw socket that hears everybody and keeps nothing. Where no socket takes a packet of ESP or AH, the kernel answers it
 * with ICMP (protocol unreachable; RFC 1122 section 3.2.2.1), and tells a stranger what the peer hears too: nothing is
 * said of packets that no security association takes (RFC 4301 section 5.2). Kernels with an ESP of their own are not
 * disturbed: a raw socket gets copies.
 */
import type { IpAddress } from '../base/index.js'
import { LITTLE_ENDIAN, libc, NativeMemory, systemError } from './ffi.js'
import {
  AF_INET,
  AF_INET6,
  encodeSockaddr,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_SOCKET,
} from './sockaddr.js'

const SO_ATTACH_FILTER = 26
/** BPF_RET | BPF_K of 0 bytes. */
const RETURN_NOTHING = 0x06
/** struct sock_fprog: the number of instructions, and where they are. */
const FPROG_FILTER = 8
const FPROG_LENGTH = 16

/** struct sock_fprog and its one instruction: the kernel copies it, and native memory is never freed. */
let keepNothing: NativeMemory | undefined

function filter(): NativeMemory {
  if (keepNothing !== undefined) return keepNothing
  const program = new NativeMemory(FPROG_LENGTH + 8)
  program.view.setUint16(0, 1, LITTLE_ENDIAN)
  program.setPointer(FPROG_FILTER, FPROG_LENGTH)
  program.view.setUint16(FPROG_LENGTH, RETURN_NOTHING, LITTLE_ENDIAN)
  keepNothing = program
  return program
}

/** Throws `LINUX_*` where the kernel refuses. */
export function openQuietSocket(protocol: number, local: IpAddress): number {
  const c = libc()
  const domain = local.family === 4 ? AF_INET : AF_INET6
  const what = `open a raw socket for protocol ${protocol} at ${local}`
  const fd = c.socket(domain, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol)
  if (fd < 0) throw systemError(what, c.errno())
  const address = encodeSockaddr(local)
  const failed =
    c.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, filter().base, FPROG_LENGTH) < 0 ||
    c.bind(fd, address, address.length) < 0
  const errno = failed ? c.errno() : 0
  if (!failed) return fd
  c.close(fd)
  throw systemError(what, errno)
}

/** The quiet sockets of a host, one for each protocol and address, as long as somebody wants it. */
export class QuietSockets {
  readonly #sockets = new Map<string, { readonly fd: number; users: number }>()

  /** Throws `LINUX_*` where the kernel refuses. */
  acquire(protocol: number, local: IpAddress): void {
    const key = `${protocol} ${local}`
    const socket = this.#sockets.get(key) ?? { fd: openQuietSocket(protocol, local), users: 0 }
    this.#sockets.set(key, socket)
    socket.users++
  }

  /** The counterpart of one `acquire`. */
  giveBack(protocol: number, local: IpAddress): void {
    const key = `${protocol} ${local}`
    const socket = this.#sockets.get(key)
    if (socket === undefined || --socket.users > 0) return
    this.#sockets.delete(key)
    libc().close(socket.fd)
  }

  clear(): void {
    for (const { fd } of this.#sockets.values()) libc().close(fd)
    this.#sockets.clear()
  }
}
