/**
 * Foreign functions: the few functions of libc that Node has no face for, through koffi, so that nothing is compiled
 * on the user's machine.
 *
 * A pointer is a byte array (lent for the call), or an address as a plain number: user space ends below 2^47, so a
 * double holds it exactly and no BigInt is made on the data path. What the data path calls takes numbers only, declared
 * `size_t`: koffi converts those in half the time that a `void*` takes.
 */
import { createRequire } from 'node:module'
import { constants, endianness } from 'node:os'
import { WarrenError } from '../base/index.js'
import { WASM_PAGE, type WasmMemory, wasmMemory } from './offload/fast-sum.js'

/** Where bytes lie in native memory. */
export type Address = number
export type Pointer = Uint8Array | Address

/**
 * Structures of the kernel are in the machine's own order. Only 64-bit little-endian machines are supported (x64,
 * arm64, riscv64, ppc64le): `libc()` refuses others.
 */
export const LITTLE_ENDIAN = true

/** Each returns what the system call returns: below zero it failed, and `errno()` says why. */
export interface Libc {
  open(path: string, flags: number): number
  close(fd: number): number
  read(fd: number, buffer: Address, length: number): number
  write(fd: number, buffer: Pointer, length: number): number
  /** write(2) again, from native memory. */
  writeAt(fd: number, buffer: Address, length: number): number
  writev(fd: number, iovecs: Address, count: number): number
  ioctl(fd: number, request: number, argument: Pointer): number
  poll(fds: Address, count: number, timeoutMs: number): number
  eventfd(initial: number, flags: number): number
  socket(domain: number, type: number, protocol: number): number
  bind(fd: number, address: Pointer, length: number): number
  connect(fd: number, address: Pointer, length: number): number
  getsockname(fd: number, address: Pointer, length: Pointer): number
  setsockopt(fd: number, level: number, option: number, value: Pointer, length: number): number
  getsockopt(fd: number, level: number, option: number, value: Pointer, length: Pointer): number
  send(fd: number, buffer: Pointer, length: number, flags: number): number
  recv(fd: number, buffer: Pointer, length: number, flags: number): number
  sendmsg(fd: number, message: Address, flags: number): number
  recvmsg(fd: number, message: Address, flags: number): number
  sendmmsg(fd: number, messages: Address, count: number, flags: number): number
  recvmmsg(fd: number, messages: Address, count: number, flags: number, timeout: number): number
  calloc(count: number, size: number): bigint
  /** All ones where it fails. */
  mmap(
    address: Address,
    length: number,
    protection: number,
    flags: number,
    fd: number,
    offset: number,
  ): number | bigint
  free(pointer: number): void
  memfd_create(name: string, flags: number): number
  ftruncate(fd: number, length: number): number
  /** memmove(3) with 0 bytes: where an array lies. */
  address_of(array: Uint8Array, same: Uint8Array, nothing: 0): number | bigint
  sched_yield(): number
  if_nametoindex(name: string): number
  /** The errno of this thread's last call. */
  errno(): number
}

const PROTOTYPES: Record<
  Exclude<keyof Libc, 'errno'>,
  [result: string, parameters: string[], symbol?: string]
> = {
  open: ['int', ['const char*', 'int']],
  close: ['int', ['int']],
  read: ['long', ['int', 'size_t', 'size_t']],
  write: ['long', ['int', 'void*', 'size_t']],
  writeAt: ['long', ['int', 'size_t', 'size_t'], 'write'],
  writev: ['long', ['int', 'size_t', 'int']],
  ioctl: ['int', ['int', 'ulong', 'void*']],
  poll: ['int', ['size_t', 'ulong', 'int']],
  eventfd: ['int', ['uint', 'int']],
  socket: ['int', ['int', 'int', 'int']],
  bind: ['int', ['int', 'void*', 'uint']],
  connect: ['int', ['int', 'void*', 'uint']],
  getsockname: ['int', ['int', 'void*', 'void*']],
  setsockopt: ['int', ['int', 'int', 'int', 'void*', 'uint']],
  getsockopt: ['int', ['int', 'int', 'int', 'void*', 'void*']],
  send: ['long', ['int', 'void*', 'size_t', 'int']],
  recv: ['long', ['int', 'void*', 'size_t', 'int']],
  sendmsg: ['long', ['int', 'size_t', 'int']],
  recvmsg: ['long', ['int', 'size_t', 'int']],
  sendmmsg: ['int', ['int', 'size_t', 'uint', 'int']],
  recvmmsg: ['int', ['int', 'size_t', 'uint', 'int', 'size_t']],
  calloc: ['void*', ['size_t', 'size_t']],
  mmap: ['size_t', ['size_t', 'size_t', 'int', 'int', 'int', 'long']],
  free: ['void', ['size_t']],
  memfd_create: ['int', ['const char*', 'uint']],
  ftruncate: ['int', ['int', 'long']],
  address_of: ['size_t', ['void*', 'void*', 'size_t'], 'memmove'],
  sched_yield: ['int', []],
  if_nametoindex: ['uint', ['const char*']],
}

type Koffi = typeof import('koffi')

let loaded: { koffi: Koffi; libc: Libc } | undefined

/** Loads koffi and binds the functions, once a thread. Throws `LINUX_NO_FFI`, `LINUX_NOT_LINUX`. */
function load(): { koffi: Koffi; libc: Libc } {
  if (loaded !== undefined) return loaded
  if (process.platform !== 'linux')
    throw new WarrenError('LINUX_NOT_LINUX', 'tunnels of this machine need Linux', {
      found: process.platform,
      mend: 'use `warren lab`, which needs nothing of the machine',
    })
  if (endianness() !== 'LE')
    throw new WarrenError('LINUX_BIG_ENDIAN', 'big-endian machines are not supported', {
      found: process.arch,
    })
  let koffi: Koffi
  let library: ReturnType<Koffi['load']>
  try {
    koffi = createRequire(import.meta.url)('koffi') as Koffi
    library = koffi.load(null)
  } catch (error) {
    throw new WarrenError('LINUX_NO_FFI', 'koffi, which calls the C library, could not be loaded', {
      found: error instanceof Error ? error.message.split('\n')[0]! : String(error),
      mend: 'install again with `npm install`, without --omit=optional and --ignore-scripts',
    })
  }
  const functions: Record<string, unknown> = { errno: () => koffi.errno() }
  for (const [name, [result, parameters, symbol = name]] of Object.entries(PROTOTYPES))
    functions[name] = library.func(symbol, result, parameters)
  loaded = { koffi, libc: functions as unknown as Libc }
  return loaded
}

export function libc(): Libc {
  return load().libc
}

const PROT_READ_WRITE = 3
const MAP_PRIVATE_ANONYMOUS = 0x22
/** x86 only: below 2^31. */
const MAP_32BIT = 0x40

/**
 * Zeroed memory. Where it can be had it lies below 2^31: V8 makes no object of numbers so small, and a sum of an address
 * and an offset, which every system call takes, would else be 16 bytes of garbage.
 */
function allocate(c: Libc, length: number): Address {
  if (process.arch === 'x64') {
    const address = c.mmap(0, length, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS | MAP_32BIT, -1, 0)
    if (typeof address === 'number' && address + length < 2 ** 31) return address
  }
  const address = c.calloc(1, length)
  if (!address) throw new WarrenError('LINUX_NO_MEMORY', `no ${length} bytes of memory`)
  return Number(address)
}

const MAP_SHARED = 1
const MAP_FIXED = 0x10
const MFD_CLOEXEC = 1

/**
 * The same with WebAssembly as a second reader: pages of a nameless file, mapped below 2^31 and over the memory of
 * WebAssembly, which cannot be asked to lie somewhere. Undefined: not to be had here.
 */
function allocateShared(c: Libc, length: number): { address: Address; memory: WasmMemory } | undefined {
  if (process.arch !== 'x64') return undefined
  const pages = Math.ceil(length / WASM_PAGE)
  const memory = wasmMemory(pages)
  if (memory === undefined) return undefined
  const bytes = pages * WASM_PAGE
  const fd = c.memfd_create('warren packets', MFD_CLOEXEC)
  if (fd < 0) return undefined
  try {
    if (c.ftruncate(fd, bytes) < 0) return undefined
    const address = c.mmap(0, bytes, PROT_READ_WRITE, MAP_SHARED | MAP_32BIT, fd, 0)
    if (typeof address !== 'number' || address <= 0 || address + bytes >= 2 ** 31) return undefined
    // Moves nothing: it returns where the bytes lie.
    const there = c.address_of(new Uint8Array(memory.buffer), new Uint8Array(memory.buffer), 0)
    const mapped = c.mmap(Number(there), bytes, PROT_READ_WRITE, MAP_SHARED | MAP_FIXED, fd, 0)
    return Number(mapped) === Number(there) ? { address, memory } : undefined
  } finally {
    c.close(fd)
  }
}

/**
 * One zeroed block outside the JavaScript heap, seen as one array: what a system call fills is read here without a
 * copy. Never freed while the process lives (views of it may be anywhere).
 */
export class NativeMemory {
  readonly bytes: Uint8Array
  readonly view: DataView
  /** Address of byte 0. */
  readonly base: Address
  /** The same bytes at the same offsets, for WebAssembly; undefined where they cannot be had. */
  readonly wasm: WasmMemory | undefined

  /** `wasm`: WebAssembly is to see it too. */
  constructor(length: number, wasm = false) {
    const { koffi, libc: c } = load()
    const shared = wasm ? allocateShared(c, length) : undefined
    this.base = shared?.address ?? allocate(c, length)
    this.wasm = shared?.memory
    const block = koffi.view(BigInt(this.base), length)
    this.bytes = new Uint8Array(block)
    this.view = new DataView(block)
  }

  /** Writes the address of `offset` at `at`, as a pointer inside a structure. */
  setPointer(at: number, offset: number): void {
    this.view.setBigUint64(at, BigInt(this.base + offset), LITTLE_ENDIAN)
  }
}

/** errno values by name: `Errno.EAGAIN`. */
export const Errno: typeof constants.errno = constants.errno

const errnoNames: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.errno).map(([name, number]) => [number, name]),
)
// Names that POSIX gives twice; the first in the table would say it the less usual way.
const preferred: Record<number, string> = {
  [constants.errno.EAGAIN]: 'EAGAIN',
  [constants.errno.EOPNOTSUPP]: 'EOPNOTSUPP',
}

export function errnoName(errno: number): string {
  return preferred[errno] ?? errnoNames.get(errno) ?? `errno ${errno}`
}

const mends: Record<string, string> = {
  EPERM: 'run it as root, or with CAP_NET_ADMIN and CAP_NET_RAW',
  EACCES: 'run it as root, or with CAP_NET_ADMIN and CAP_NET_RAW',
  EADDRNOTAVAIL: 'give this machine that address first, or name one that it has',
  ENETUNREACH: 'add a route to it first',
  EHOSTUNREACH: 'add a route to it first',
  EMFILE: 'raise the limit of open files (ulimit -n)',
  ENFILE: 'raise the limit of open files (sysctl fs.file-max)',
}

/**
 * An error for a system call that failed: what was asked, errno's name, and the mend where there is a usual one.
 * `code` is LINUX_ and the errno's name, as in `LINUX_EPERM`.
 */
export function systemError(asked: string, errno: number, mend?: string): WarrenError {
  const name = errnoName(errno)
  const advice = mend ?? mends[name]
  return new WarrenError(`LINUX_${name}`, `could not ${asked}`, {
    found: name,
    ...(advice === undefined ? {} : { mend: advice }),
  })
}

/** `result` of a call just made, or the error of it. */
export function check(result: number, asked: string, mend?: string): number {
  if (result < 0) throw systemError(asked, libc().errno(), mend)
  return result
}
