/**
 * A host that has nothing but SAs: it answers pings that come through them and sends its own. Run in a namespace, told
 * what to do over the channel of its parent; no policy, no routes, no TUN: what it shows is the bytes of the wire.
 *
 * Sockets: for each pair of addresses a raw one (src/linux/raw-socket.ts), or UDP with both ports 4500.
 */
import { type IpAddress, PacketBuffer, writeUint16 } from '../../src/base/index.js'
import { nodeProvider } from '../../src/crypto/index.js'
import { Errno, errnoName, LITTLE_ENDIAN, libc, NativeMemory, systemError } from '../../src/linux/ffi.js'
import { openRawSocket } from '../../src/linux/raw-socket.js'
import {
  AF_INET,
  AF_INET6,
  encodeSockaddr,
  MSG_DONTWAIT,
  POLLIN,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
} from '../../src/linux/sockaddr.js'
import { createEspTransforms, type SaTransforms } from '../../src/proto/esp/transforms.js'
import { EspOutbound, PASS, type SaSpec } from '../../src/proto/index.js'
import { readEcho, writeEcho } from './echo.js'
import { addressOf } from './xfrm.js'

/** A pair of SAs. Structured-cloneable. */
export interface ResponderCase {
  readonly id: number
  readonly local: string
  readonly remote: string
  readonly udp: boolean
  readonly outbound: SaSpec
  readonly inbound: SaSpec
  /** Who pings whom inside. */
  readonly inner: { readonly local: string; readonly remote: string }
}
export type Order =
  | { readonly do: 'open'; readonly cases: readonly ResponderCase[] }
  | { readonly do: 'ping'; readonly ids: readonly number[]; readonly size: number }
  /** Dummy packets (RFC 4303 section 2.6). */
  | { readonly do: 'dummy'; readonly ids: readonly number[]; readonly size: number }
  /** What it sent last again, `times`. */
  | { readonly do: 'again'; readonly ids: readonly number[]; readonly times: number }
  /** A ping whose last byte is wrong, `times`. */
  | { readonly do: 'bent'; readonly ids: readonly number[]; readonly times: number; readonly size: number }
  /** Two pings, the first of them sent after the second, whose number is `by` more. */
  | { readonly do: 'late'; readonly ids: readonly number[]; readonly by: number; readonly size: number }
  | { readonly do: 'report' }
export interface CaseReport {
  readonly id: number
  /** Packets that went out by the SA, and that came by it whole. */
  readonly sent: number
  readonly taken: number
  /** Requests of the peer that were answered, replies of the peer by size. */
  readonly answered: number
  readonly replies: Readonly<Record<number, number>>
  /** Bytes of ESP or AH of the last packet that came. */
  readonly lastLength: number
  /** Anything else: drops of the transforms, of the socket, what is wrong inside. */
  readonly wrong: readonly string[]
}
export type Told = {
  readonly done: Order['do']
  readonly reports?: readonly CaseReport[]
  readonly error?: string
}

const SOCK_DGRAM = 2
const HEADROOM = 256
const LONGEST = 65_535 + HEADROOM + 320
const WINDOW = 64
const WAIT_MS = 4000

function openUdp(local: IpAddress, remote: IpAddress): number {
  const c = libc()
  const fd = c.socket(local.family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 17)
  const [from, to] = [encodeSockaddr(local, 4500), encodeSockaddr(remote, 4500)]
  if (fd < 0 || c.bind(fd, from, from.length) < 0 || c.connect(fd, to, to.length) < 0)
    throw systemError(`UDP from ${local} to ${remote}`, c.errno())
  return fd
}

class Pair {
  readonly id: number
  readonly fd: number
  readonly udp: boolean
  readonly protocol: number
  readonly #local: IpAddress
  readonly #remote: IpAddress
  readonly #inner: readonly [IpAddress, IpAddress]
  readonly #outbound: SaTransforms
  readonly #inbound: SaTransforms
  readonly #wrong: string[] = []
  readonly #replies: Record<number, number> = {}
  #last: Uint8Array = new Uint8Array(0)
  #sent = 0
  #taken = 0
  #answered = 0
  #pings = 0
  #lastLength = 0
  /** What is sealed now is not sent. */
  #holds = false
  /** Echoes that are under way. */
  waiting = 0

  constructor({ id, local, remote, udp, outbound, inbound, inner }: ResponderCase) {
    this.id = id
    this.udp = udp
    this.protocol = outbound.protocol === 'ah' ? 51 : 50
    this.#local = addressOf(local)
    this.#remote = addressOf(remote)
    this.#inner = [addressOf(inner.local), addressOf(inner.remote)]
    const transforms = createEspTransforms({ protocol: 'esp', outbound, inbound }, nodeProvider)
    this.#outbound = transforms.outbound
    this.#inbound = transforms.inbound
    this.fd = udp
      ? openUdp(this.#local, this.#remote)
      : openRawSocket(this.protocol, this.#local, this.#remote)
  }

  ping(size: number): void {
    const [source, destination] = this.#inner
    const data = Uint8Array.from({ length: size }, (_, i) => (i * 7 + this.id) & 255)
    this.waiting++
    this.#seal(
      writeEcho({
        ...{ kind: 'request', source, destination, data },
        identifier: this.id & 0xffff,
        sequence: ++this.#pings,
      }),
    )
  }

  #seal(packet: Uint8Array): void {
    const buffer = PacketBuffer.copyOf(packet, packet[0]! >>> 4 === 4 ? 4 : 6, HEADROOM, 2048)
    if (this.#outbound.process(buffer) === PASS) this.#send(buffer)
    else {
      this.#wrong.push('not sealed')
      this.waiting = 0
    }
  }

  dummy(size: number): void {
    const buffer = new PacketBuffer(new Uint8Array(LONGEST), HEADROOM, HEADROOM)
    if (!(this.#outbound instanceof EspOutbound) || this.#outbound.dummy(buffer, size) !== PASS)
      this.#wrong.push('no dummy')
    else this.#send(buffer)
  }

  late(by: number, size: number): void {
    const held = this.#hold(size)
    // Numbers that are used and go nowhere.
    for (let i = 1; i < by; i++) this.#hold(0)
    this.ping(size)
    this.#write(held)
    this.#sent++
  }

  again(times: number): void {
    for (let i = 0; i < times; i++) this.#write(this.#last)
  }

  bent(times: number, size: number): void {
    const bytes = this.#hold(size)
    bytes[bytes.length - 1]! ^= 1
    for (let i = 0; i < times; i++) this.#write(bytes)
  }

  /** Seals a ping and keeps it back. */
  #hold(size: number): Uint8Array {
    this.#holds = true
    this.ping(size)
    this.waiting--
    this.#holds = false
    return this.#last
  }

  #send(packet: PacketBuffer): void {
    if (!this.udp && this.#local.family === 4) this.#header(packet)
    this.#last = packet.copy()
    if (this.#holds) return
    this.#sent++
    this.#write(this.#last)
  }

  #write(bytes: Uint8Array): void {
    const c = libc()
    if (c.send(this.fd, bytes, bytes.length, 0) < 0) this.#wrong.push(`send: ${errnoName(c.errno())}`)
  }

  /** RFC 791; the kernel fills in the checksum (raw(7)). */
  #header(packet: PacketBuffer): void {
    const { bytes } = packet
    const at = packet.start - 20
    bytes.fill(0, at, at + 20)
    bytes[at] = 0x45
    bytes[at + 1] = packet.outerTrafficClass
    writeUint16(bytes, at + 2, packet.end - at)
    writeUint16(bytes, at + 4, packet.outerIdentification)
    writeUint16(bytes, at + 6, packet.outerDontFragment ? 0x4000 : 0)
    bytes[at + 8] = packet.outerTtl || 64
    bytes[at + 9] = this.protocol
    bytes.set(this.#local.bytes, at + 12)
    bytes.set(this.#remote.bytes, at + 16)
    packet.start = at
  }

  /** Reads all that waits. */
  receive(scratch: Uint8Array): void {
    const c = libc()
    for (;;) {
      const length = c.recv(this.fd, scratch, scratch.length, MSG_DONTWAIT)
      if (length < 0) {
        if (c.errno() !== Errno.EAGAIN) this.#wrong.push(`recv: ${errnoName(c.errno())}`)
        return
      }
      this.#take(scratch.subarray(0, length))
    }
  }

  #take(bytes: Uint8Array): void {
    const packet = PacketBuffer.copyOf(bytes, 0, HEADROOM)
    if (!this.udp && this.#local.family === 4) {
      packet.outerHeaderStart = packet.start
      packet.outerTrafficClass = bytes[1]!
      packet.outerTtl = bytes[8]!
      packet.start += 4 * (bytes[0]! & 15)
    } else packet.outerTtl = 64
    this.#lastLength = packet.length
    const verdict = this.#inbound.process(packet)
    if (verdict !== PASS) {
      this.#wrong.push(`verdict ${verdict}`)
      return
    }
    this.#taken++
    const echo = readEcho(packet.view())
    if (typeof echo === 'string') {
      this.#wrong.push(`inside: ${echo}`)
      return
    }
    const [here, there] = this.#inner
    const { kind, source, destination, data } = echo
    if (!source.equals(there) || !destination.equals(here))
      this.#wrong.push(`inside: ${source} to ${destination}`)
    else if (kind === 'request') {
      this.#answered++
      this.#seal(writeEcho({ ...echo, kind: 'reply', source: destination, destination: source }))
    } else if (data.every((byte, i) => byte === ((i * 7 + this.id) & 255))) {
      this.waiting--
      this.#replies[data.length] = (this.#replies[data.length] ?? 0) + 1
    } else this.#wrong.push('inside: other data than was sent')
  }

  report(): CaseReport {
    const drops = [this.#outbound, this.#inbound].flatMap(({ drops: counters }) =>
      Object.entries(counters.toJSON()).map(([reason, count]) => `${reason} ${count}`),
    )
    return {
      id: this.id,
      sent: this.#sent,
      taken: this.#taken,
      answered: this.#answered,
      replies: this.#replies,
      lastLength: this.#lastLength,
      wrong: [...new Set(this.#wrong), ...drops],
    }
  }
}

const pairs = new Map<number, Pair>()
const scratch = new Uint8Array(65_535)
let pollfds = new NativeMemory(8)
let order: Pair[] = []

function open(cases: readonly ResponderCase[]): void {
  for (const one of cases) pairs.set(one.id, new Pair(one))
  order = [...pairs.values()]
  pollfds = new NativeMemory(8 * order.length)
  for (const [i, { fd }] of order.entries()) {
    pollfds.view.setInt32(8 * i, fd, LITTLE_ENDIAN)
    pollfds.view.setUint16(8 * i + 4, POLLIN, LITTLE_ENDIAN)
  }
}

/** Serves what has come, waiting for it `ms` at most. */
function serve(ms: number): void {
  if (libc().poll(pollfds.base, order.length, ms) <= 0) return
  for (const [i, pair] of order.entries())
    if (pollfds.view.getUint16(8 * i + 6, LITTLE_ENDIAN) !== 0) pair.receive(scratch)
}

/** Pings, some at a time, so that no queue on the way overflows. */
function pingAll(targets: readonly Pair[], size: number): void {
  for (let at = 0; at < targets.length; at += WINDOW) {
    const some = targets.slice(at, at + WINDOW)
    for (const pair of some) {
      pair.waiting = 0
      pair.ping(size)
    }
    const until = performance.now() + WAIT_MS
    while (some.some(({ waiting }) => waiting > 0) && performance.now() < until) serve(5)
  }
}

function obey(told: Order): Told {
  const targets = 'ids' in told ? told.ids.map((id) => pairs.get(id)!) : []
  if (told.do === 'open') open(told.cases)
  else if (told.do === 'ping') pingAll(targets, told.size)
  else if (told.do === 'dummy') for (const pair of targets) pair.dummy(told.size)
  else if (told.do === 'again') for (const pair of targets) pair.again(told.times)
  else if (told.do === 'bent') for (const pair of targets) pair.bent(told.times, told.size)
  else if (told.do === 'late') for (const pair of targets) pair.late(told.by, told.size)
  else return { done: told.do, reports: order.map((pair) => pair.report()) }
  return { done: told.do }
}

if (process.send !== undefined) {
  const tell = (told: Told): void => {
    process.send!(told)
  }
  process.on('message', (told: Order) => {
    try {
      tell(obey(told))
    } catch (error) {
      tell({ done: told.do, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    }
  })
  const loop = (): void => {
    serve(2)
    setImmediate(loop)
  }
  process.on('disconnect', () => process.exit(0))
  loop()
}
