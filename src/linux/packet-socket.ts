/**
 * Live capture: an AF_PACKET socket (packet(7)) that a thread of its own reads, since reading blocks.
 */
import { Worker } from 'node:worker_threads'
import { WarrenError } from '../base/index.js'
import { check, LITTLE_ENDIAN, libc, systemError } from './ffi.js'
import { uint32 } from './netlink.js'
import type { CaptureData, CaptureMessage } from './packet-worker.js'
import { AF_PACKET, SO_RCVBUF, SO_RCVBUFFORCE, SOCK_CLOEXEC, SOCK_RAW, SOL_SOCKET } from './sockaddr.js'

const ETH_P_ALL = 0x0003
const SO_TIMESTAMP = 29
const SOL_PACKET = 263
const PACKET_IGNORE_OUTGOING = 23
const SOCKADDR_LL_LENGTH = 20
const EFD_CLOEXEC = 0o2000000
const EFD_NONBLOCK = 0o4000
const CAPTURE_BUFFER = 8 << 20
/** Packets that wait to be taken; more are dropped and counted. */
export const CAPTURE_QUEUE_LIMIT = 16_384

export interface CapturedPacket {
  readonly bytes: Uint8Array
  /** Microseconds since the Unix epoch, from the kernel. */
  readonly timestamp: number
}

/** `ethernet`: frames; `raw`: IP packets (TUN, and tunnels without a link layer). */
export type CaptureLink = 'ethernet' | 'raw'

export interface PacketCapture extends AsyncIterable<CapturedPacket> {
  readonly interfaceName: string
  readonly link: CaptureLink
  /** Packets that nobody took in time. */
  readonly dropped: number
  /** Ends the iteration. */
  close(): Promise<void>
}

/** struct sockaddr_ll for binding: all protocols of one interface. */
export function encodeSockaddrLl(interfaceIndex: number): Uint8Array {
  const bytes = new Uint8Array(SOCKADDR_LL_LENGTH)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, AF_PACKET, LITTLE_ENDIAN)
  view.setUint16(2, ETH_P_ALL)
  view.setInt32(4, interfaceIndex, LITTLE_ENDIAN)
  return bytes
}

/** Throws `LINUX_ENODEV` where there is no such interface, `LINUX_EPERM` without the right. */
export function openPacketSocket(interfaceName: string): PacketCapture {
  const c = libc()
  const index = c.if_nametoindex(interfaceName)
  if (index === 0)
    throw systemError(`capture on ${interfaceName}`, c.errno(), 'name one that `ip link` shows')
  // Protocol 0: nothing is heard before bind() names the interface.
  const fd = check(c.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), `capture on ${interfaceName}`)
  try {
    const size = uint32(CAPTURE_BUFFER)
    if (c.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, size, 4) < 0)
      c.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, size, 4)
    check(c.setsockopt(fd, SOL_SOCKET, SO_TIMESTAMP, uint32(1), 4), 'ask for timestamps')
    const address = encodeSockaddrLl(index)
    const type = linkTypeOf(interfaceName, fd)
    // What loopback sends it also receives: once is enough. Kernels before 4.20 show it twice.
    if (type === ARPHRD_LOOPBACK) c.setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, uint32(1), 4)
    check(c.bind(fd, address, address.length), `capture on ${interfaceName}`)
    return new Capture(interfaceName, fd, linkOf(interfaceName, type))
  } catch (error) {
    c.close(fd)
    throw error
  }
}

const SIOCGIFHWADDR = 0x8927
const ARPHRD_ETHER = 1
const ARPHRD_LOOPBACK = 772
const RAW_TYPES = new Set([
  65_534 /* none */, 768 /* tunnel */, 769 /* tunnel6 */, 776 /* sit */, 778 /* gre */, 519,
])

function linkTypeOf(name: string, fd: number): number {
  const request = new Uint8Array(40)
  request.set(new TextEncoder().encode(name).subarray(0, 15))
  check(libc().ioctl(fd, SIOCGIFHWADDR, request), `ask for the link type of ${name}`)
  return new DataView(request.buffer).getUint16(16, LITTLE_ENDIAN)
}

function linkOf(name: string, type: number): CaptureLink {
  if (type === ARPHRD_ETHER || type === ARPHRD_LOOPBACK) return 'ethernet'
  if (RAW_TYPES.has(type)) return 'raw'
  throw new WarrenError('LINUX_LINK_TYPE', `${name} has a link type that is not supported`, {
    found: `ARPHRD ${type}`,
    expected: 'Ethernet, loopback or IP',
  })
}

class Capture implements PacketCapture {
  readonly interfaceName: string
  readonly link: CaptureLink
  dropped = 0
  readonly #fd: number
  readonly #wakeFd: number
  readonly #worker: Worker
  readonly #gone: Promise<void>
  readonly #queue: CapturedPacket[] = []
  #taken = 0
  #ended = false
  #failure: Error | undefined
  #wake: (() => void) | undefined

  constructor(interfaceName: string, fd: number, link: CaptureLink) {
    this.interfaceName = interfaceName
    this.link = link
    this.#fd = fd
    this.#wakeFd = check(libc().eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), 'make an eventfd')
    const workerData: CaptureData = { fd, wakeFd: this.#wakeFd }
    this.#worker = new Worker(new URL('./packet-worker.js', import.meta.url), { workerData, name: 'capture' })
    this.#worker.on('message', (message: CaptureMessage) => this.#hear(message))
    this.#worker.on('error', (error) => {
      this.#failure = error instanceof Error ? error : new Error(String(error))
    })
    this.#gone = new Promise((resolve) => {
      this.#worker.on('exit', () => {
        libc().close(this.#fd)
        libc().close(this.#wakeFd)
        this.#end()
        resolve()
      })
    })
  }

  async *[Symbol.asyncIterator](): AsyncIterator<CapturedPacket> {
    try {
      for (;;) {
        while (this.#taken < this.#queue.length) yield this.#queue[this.#taken++]!
        this.#queue.length = 0
        this.#taken = 0
        if (this.#failure !== undefined) throw this.#failure
        if (this.#ended) return
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    } finally {
      await this.close()
    }
  }

  async close(): Promise<void> {
    if (!this.#ended) libc().write(this.#wakeFd, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0), 8)
    await this.#gone
  }

  #hear(message: CaptureMessage): void {
    if ('error' in message)
      this.#failure = new WarrenError(message.error, `capture on ${this.interfaceName} ended`)
    else {
      for (const packet of message.packets) {
        if (this.#queue.length - this.#taken >= CAPTURE_QUEUE_LIMIT) this.dropped++
        else this.#queue.push(packet)
      }
    }
    this.#wake?.()
  }

  #end(): void {
    this.#ended = true
    this.#wake?.()
  }
}
