/**
 * A learning bridge (IEEE 802.1D clause 7, without the spanning tree), as OpenBSD's bridge(4) does it: addresses
 * are learned from sources, known unicast goes to one port, all else to all ports but the one it came from.
 *
 * No I/O and no clock of its own: a port is told what to transmit, `now` is an argument. The address table is
 * bounded in count and age. A frame that came round a loop is stopped by its nesting count, because no port here
 * takes part in a spanning tree.
 */
import {
  after,
  Counters,
  type Duration,
  type Instant,
  MacAddress,
  type PacketBuffer,
  readUint16,
  seconds,
} from '../base/index.js'

/** OpenBSD's default age of an address, ifconfig's `timeout 240`. */
export const BRIDGE_TIMEOUT: Duration = seconds(240)
/** OpenBSD's default size of the table, ifconfig's `maxaddr 100`. */
export const BRIDGE_MAX_ADDRESSES = 100
/** Times that one frame may pass bridges of one host before it is taken for a loop. */
export const BRIDGE_MAX_NESTING = 8

const MINIMUM_FRAME = 14

export interface BridgePort {
  readonly name: string
  /** The frame is lent for the call only. */
  transmit(frame: PacketBuffer, now: Instant): void
  /** Learns from what arrives here (default true); ifconfig's `learn`. */
  learn?: boolean
  /** Passes on unknown destinations to here (default true); ifconfig's `discover`. */
  discover?: boolean
}

export interface BridgeAddress {
  readonly address: MacAddress
  readonly port: BridgePort
  /** `undefined`: static, never ages. */
  readonly expires?: Instant
}

export interface BridgeOptions {
  readonly timeout?: Duration
  readonly maxAddresses?: number
}

/** What a filter says of a frame that passes a port: false drops it. */
export type BridgeFilter = (
  direction: 'in' | 'out',
  port: BridgePort,
  frame: PacketBuffer,
  now: Instant,
) => boolean

interface Learned {
  port: BridgePort
  expires: Instant | undefined
}

export class Bridge {
  readonly counters: Counters = new Counters()
  /** Sees every frame that the bridge takes in, before it is passed on. */
  readonly taps: Set<(frame: Uint8Array, now: Instant) => void> = new Set()
  filter?: BridgeFilter
  timeout: Duration
  maxAddresses: number
  #ports: BridgePort[] = []
  /** Keyed by the address as a number (48 bits fit a double exactly); oldest use first. */
  readonly #table = new Map<number, Learned>()

  constructor(options: BridgeOptions = {}) {
    this.timeout = options.timeout ?? BRIDGE_TIMEOUT
    this.maxAddresses = options.maxAddresses ?? BRIDGE_MAX_ADDRESSES
  }

  get ports(): readonly BridgePort[] {
    return this.#ports
  }

  addPort(port: BridgePort): void {
    if (!this.#ports.includes(port)) this.#ports = [...this.#ports, port]
  }

  /** Removes the port and forgets what was learned from it. */
  removePort(port: BridgePort): void {
    this.#ports = this.#ports.filter((other) => other !== port)
    for (const [key, entry] of this.#table) if (entry.port === port) this.#table.delete(key)
  }

  /** A static entry: the address is behind the port and stays there. False: the table is full. */
  setStatic(address: MacAddress, port: BridgePort): boolean {
    const key = keyOf(address.bytes, 0)
    if (!this.#table.has(key) && this.#table.size >= this.maxAddresses) return false
    this.#table.set(key, { port, expires: undefined })
    return true
  }

  /** Forgets one address; false if it was not there. */
  deleteAddress(address: MacAddress): boolean {
    return this.#table.delete(keyOf(address.bytes, 0))
  }

  /** Forgets what was learned, and the static entries too if `all`. */
  flush(all = false): void {
    for (const [key, entry] of this.#table) if (all || entry.expires !== undefined) this.#table.delete(key)
  }

  /** The table as it stands at `now`, without what has aged. */
  addresses(now: Instant): BridgeAddress[] {
    const list: BridgeAddress[] = []
    for (const [key, { port, expires }] of this.#table) {
      if (expires !== undefined && expires <= now) continue
      list.push({ address: addressOf(key), port, ...(expires === undefined ? {} : { expires }) })
    }
    return list
  }

  /** A frame arrived at `port`. Its bytes are not changed and not kept. */
  receive(port: BridgePort, frame: PacketBuffer, now: Instant): void {
    if (!this.#ports.includes(port)) {
      this.counters.add('bridge.not-a-port')
      return
    }
    if (frame.length < MINIMUM_FRAME) {
      this.counters.add('bridge.short')
      return
    }
    if (frame.nesting >= BRIDGE_MAX_NESTING) {
      this.counters.add('bridge.loop')
      return
    }
    const { bytes, start } = frame
    for (const tap of this.taps) tap(frame.view(), now)
    // A group address as source is nobody's (IEEE 802.3 clause 3.2.3): not learned, not passed on.
    if ((bytes[start + 6]! & 1) === 1) {
      this.counters.add('bridge.group-source')
      return
    }
    if (this.filter?.('in', port, frame, now) === false) {
      this.counters.add('bridge.filtered')
      return
    }
    if (port.learn !== false) this.#learn(keyOf(bytes, start + 6), port, now)
    frame.nesting++
    if ((bytes[start]! & 1) === 0) {
      const known = this.#lookup(keyOf(bytes, start), now)
      if (known === port) {
        this.counters.add('bridge.same-port')
        return
      }
      if (known !== undefined) {
        this.#send(known, frame, now)
        return
      }
      this.counters.add('bridge.flooded')
      for (const other of this.#ports)
        if (other !== port && other.discover !== false) this.#send(other, frame, now)
      return
    }
    for (const other of this.#ports) if (other !== port) this.#send(other, frame, now)
  }

  #send(port: BridgePort, frame: PacketBuffer, now: Instant): void {
    // A port may use up the buffer's bounds (a tunnel prepends its header): each gets them as they were.
    const { start, end, nesting, kind } = frame
    if (this.filter?.('out', port, frame, now) === false) this.counters.add('bridge.filtered')
    else port.transmit(frame, now)
    frame.start = start
    frame.end = end
    frame.nesting = nesting
    frame.kind = kind
  }

  #lookup(key: number, now: Instant): BridgePort | undefined {
    const entry = this.#table.get(key)
    if (entry === undefined) return undefined
    if (entry.expires !== undefined && entry.expires <= now) {
      this.#table.delete(key)
      return undefined
    }
    return entry.port
  }

  #learn(key: number, port: BridgePort, now: Instant): void {
    const entry = this.#table.get(key)
    if (entry !== undefined) {
      if (entry.expires === undefined) return
      entry.port = port
      entry.expires = after(now, this.timeout)
      return
    }
    if (this.#table.size >= this.maxAddresses) this.#sweep(now)
    // Full of addresses that are in use: a newcomer is flooded, it does not push out who is known.
    if (this.#table.size >= this.maxAddresses) {
      this.counters.add('bridge.table-full')
      return
    }
    this.#table.set(key, { port, expires: after(now, this.timeout) })
  }

  #sweep(now: Instant): void {
    for (const [key, { expires }] of this.#table)
      if (expires !== undefined && expires <= now) this.#table.delete(key)
  }
}

const keyOf = (bytes: Uint8Array, at: number): number =>
  readUint16(bytes, at) * 2 ** 32 + (readUint16(bytes, at + 2) * 2 ** 16 + readUint16(bytes, at + 4))

function addressOf(key: number): MacAddress {
  return new MacAddress(Uint8Array.from({ length: 6 }, (_, i) => Math.floor(key / 2 ** (8 * (5 - i))) % 256))
}
