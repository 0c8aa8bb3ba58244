/**
 * The inner-source filter: a packet leaves a tunnel only if the way back to its source leads into the same tunnel
 * (RFC 3704 section 2.2, strict reverse path). Without it the far end, or whoever writes its address into an outer
 * header, could speak here as anybody: CVE-2020-10136, CVE-2024-7595, CVE-2025-23018, CVE-2025-23019.
 *
 * The kernel's own table decides; its answers are kept for a short time in a table of fixed size.
 */
import { type IpAddress, ipAddressFrom, readUint32 } from '../base/index.js'

/** Sources whose answer is remembered, an interface. A power of two. */
export const SOURCE_CACHE_SLOTS = 1024
/** How long an answer counts, in milliseconds: a route that was added or removed is noticed after that. */
export const SOURCE_CACHE_MS = 1000
/** Questions to the kernel a second, an interface: what a peer with invented sources can cost. */
export const SOURCE_LOOKUPS_PER_SECOND = 5000

const UNICAST = 1
const ICMPV6 = 58

/**
 * Index of the interface that a packet to `address` (of a socket with `mark`) would leave by, and rtnetlink's type of that
 * route.
 */
export type RouteLookup = (
  address: IpAddress,
  mark?: number,
) => { interfaceIndex: number; type: number } | undefined

export class SourceFilter {
  readonly #lookup: RouteLookup
  readonly #interfaceIndex: number
  /** Family and the address's four words (IPv4: the last three zero). */
  readonly #keys: Uint32Array = new Uint32Array(5 * SOURCE_CACHE_SLOTS)
  readonly #until: Float64Array = new Float64Array(SOURCE_CACHE_SLOTS)
  readonly #admitted: Uint8Array = new Uint8Array(SOURCE_CACHE_SLOTS)
  #second = 0
  #lookups = 0

  constructor(interfaceIndex: number, lookup: RouteLookup) {
    this.#interfaceIndex = interfaceIndex
    this.#lookup = lookup
  }

  /**
   * Whether the IP packet at `start` (whole, of `kind`) may leave the tunnel; otherwise the reason to count.
   * `nowMs` is any clock in milliseconds.
   */
  refuses(bytes: Uint8Array, start: number, kind: 4 | 6, nowMs: number): string | undefined {
    const at = start + (kind === 4 ? 12 : 8)
    const a = readUint32(bytes, at)
    // Link-local sources have no route back but the link itself (RFC 4291 section 2.5.6: never forwarded).
    if (kind === 6 && (a & 0xffc00000) >>> 0 === 0xfe800000) return undefined
    const b = kind === 4 ? 0 : readUint32(bytes, at + 4)
    const c = kind === 4 ? 0 : readUint32(bytes, at + 8)
    const d = kind === 4 ? 0 : readUint32(bytes, at + 12)
    // Duplicate address detection comes from :: with a hop limit of 255 (RFC 4862 section 5.4.2).
    if (kind === 6 && (a | b | c | d) === 0)
      return bytes[start + 6] === ICMPV6 && bytes[start + 7] === 255 ? undefined : 'inner.source'
    let hash = Math.imul(a ^ Math.imul(b, 0x85ebca6b) ^ Math.imul(c, 0xc2b2ae35) ^ d, 0x9e3779b1)
    hash = (hash ^ (hash >>> 15)) & (SOURCE_CACHE_SLOTS - 1)
    const keys = this.#keys
    const key = 5 * hash
    if (
      this.#until[hash]! > nowMs &&
      keys[key] === kind &&
      keys[key + 1] === a &&
      keys[key + 2] === b &&
      keys[key + 3] === c &&
      keys[key + 4] === d
    )
      return this.#admitted[hash] === 1 ? undefined : 'inner.source'
    if (nowMs - this.#second >= 1000) {
      this.#second = nowMs
      this.#lookups = 0
    }
    if (++this.#lookups > SOURCE_LOOKUPS_PER_SECOND) return 'inner.source.limit'
    const route = this.#lookup(ipAddressFrom(bytes.slice(at, at + (kind === 4 ? 4 : 16))))
    const admitted =
      route !== undefined && route.type === UNICAST && route.interfaceIndex === this.#interfaceIndex
    keys[key] = kind
    keys[key + 1] = a
    keys[key + 2] = b
    keys[key + 3] = c
    keys[key + 4] = d
    this.#until[hash] = nowMs + SOURCE_CACHE_MS
    this.#admitted[hash] = admitted ? 1 : 0
    return admitted ? undefined : 'inner.source'
  }
}
