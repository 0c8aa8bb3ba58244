/**
 * pf(4)'s nat-to over IPv4: the source of what leaves is another address and port, and answers find their way back. One
 * mapping for each pair of ends, as pf has it, so that a peer's port is another one for each of its destinations.
 */
import {
  after,
  type Counters,
  type Instant,
  type IpAddress,
  type PacketBuffer,
  type Random,
  readUint16,
  writeUint16,
} from '../../base/index.js'
import type { NetworkInterface } from '../../stack/index.js'
import { Matcher, type PfSurroundings } from './match.js'
import { type PfPacket, readPacket } from './packet.js'
import type { PfRule, PfStatement } from './rules.js'
import { type Ends, keyOf, TIMEOUTS } from './states.js'

/** Where pf.conf(5) has nat-to choose a port. */
const FIRST_PORT = 50_001
const LAST_PORT = 65_535
const MAPPING_LIMIT = 10_000

const TCP = 6
const UDP = 17
const ICMP = 1

interface Mapping {
  readonly protocol: number
  readonly inside: IpAddress
  readonly insidePort: number
  readonly outside: IpAddress
  readonly outsidePort: number
  readonly remote: IpAddress
  readonly remotePort: number
  expires: Instant
}

export interface TranslatorOptions {
  readonly around: PfSurroundings
  readonly random: Random
  readonly counters: Counters
}

export class Translator {
  readonly #options: TranslatorOptions
  readonly #matcher: Matcher
  #rules: readonly PfRule[] = []
  /** By the ends of a packet from inside, and by those of its answer. */
  readonly #outward = new Map<string, Mapping>()
  readonly #inward = new Map<string, Mapping>()

  constructor(options: TranslatorOptions) {
    this.#options = options
    this.#matcher = new Matcher(options.around)
  }

  /** The rules with nat-to among these; mappings stay. */
  load(statements: readonly PfStatement[], tables: Matcher['tables']): void {
    this.#rules = statements.filter(
      (one): one is PfRule => one.action !== 'anchor' && one.natTo !== undefined,
    )
    this.#matcher.tables = tables
  }

  /** What leaves by `ifc`, in place; false: it cannot be translated and must not leave as it is. */
  outbound(ifc: NetworkInterface, packet: PacketBuffer, now: Instant): boolean {
    if (this.#rules.length === 0 && this.#outward.size === 0) return true
    const read = readPacket(packet.bytes, packet.start, packet.end)
    if (read?.family !== 4) return true
    const rule = this.#rules.findLast((one) => this.#matcher.matches(one, 'out', ifc, read))
    if (rule === undefined) return true
    const { counters } = this.#options
    // pf joins fragments before it translates; here they are not.
    if (read.fragmentId !== undefined || !hasPorts(read)) {
      counters.add('nat-unsupported')
      return false
    }
    const mapping = this.#outward.get(keyOf(read)) ?? this.#map(rule, read, now)
    if (mapping === undefined) {
      counters.add('nat-full')
      return false
    }
    this.#keep(mapping, now)
    rewrite(packet, read, 12, mapping.outside, read.protocol === ICMP ? 4 : 0, mapping.outsidePort)
    return true
  }

  /** What has come in, in place, before anybody asks whom it is for. */
  inbound(packet: PacketBuffer, now: Instant): void {
    if (this.#inward.size === 0) return
    const read = readPacket(packet.bytes, packet.start, packet.end)
    if (read?.family !== 4 || read.fragmentId !== undefined || !hasPorts(read)) return
    const mapping = this.#inward.get(keyOf(read))
    if (mapping === undefined || mapping.expires <= now) return
    this.#keep(mapping, now)
    rewrite(packet, read, 16, mapping.inside, read.protocol === ICMP ? 4 : 2, mapping.insidePort)
  }

  #keep(mapping: Mapping, now: Instant): void {
    const { protocol } = mapping
    const wait = protocol === TCP ? TIMEOUTS.tcpEstablished : protocol === UDP ? TIMEOUTS.udp : TIMEOUTS.icmp
    mapping.expires = after(now, wait)
  }

  #map(rule: PfRule, packet: PfPacket, now: Instant): Mapping | undefined {
    if (this.#outward.size >= MAPPING_LIMIT) this.#sweep(now)
    const outside = this.#address(rule)
    if (outside === undefined || this.#outward.size >= MAPPING_LIMIT) return undefined
    const { protocol, source: inside, sourcePort: insidePort } = packet
    const { destination: remote, destinationPort: remotePort } = packet
    for (let tries = 0; tries < 64; tries++) {
      const outsidePort = FIRST_PORT + this.#options.random.below(LAST_PORT - FIRST_PORT + 1)
      const answer: Ends = {
        protocol,
        source: remote,
        // An echo's identifier stands for both ports.
        sourcePort: protocol === ICMP ? outsidePort : remotePort,
        destination: outside,
        destinationPort: outsidePort,
      }
      const taken = this.#inward.get(keyOf(answer))
      if (taken !== undefined && taken.expires > now) continue
      const mapping = { protocol, inside, insidePort, outside, outsidePort, remote, remotePort, expires: now }
      this.#outward.set(keyOf(packet), mapping)
      this.#inward.set(keyOf(answer), mapping)
      return mapping
    }
    return undefined
  }

  #address({ natTo }: PfRule): IpAddress | undefined {
    if (natTo?.kind === 'prefix') return natTo.prefix.address
    if (natTo?.kind !== 'interface') return undefined
    return this.#options.around.interfaces
      .get(natTo.name)
      ?.addresses.find(({ address }) => address.family === 4)?.address
  }

  #sweep(now: Instant): void {
    for (const table of [this.#outward, this.#inward])
      for (const [key, { expires }] of table) if (expires <= now) table.delete(key)
  }
}

/** Ports, or an echo's identifier; and the checksum behind them is there too. */
const hasPorts = ({ protocol, icmpType, headerEnd }: PfPacket): boolean =>
  headerEnd &&
  (protocol === TCP || protocol === UDP || (protocol === ICMP && (icmpType === 0 || icmpType === 8)))

/** Where a checksum of the upper layer stands, from its header's start. */
const CHECKSUM_AT: Readonly<Record<number, number>> = { [TCP]: 16, [UDP]: 6, [ICMP]: 2 }

/** Puts an address and a port in the place of those that are there; checksums follow (RFC 1624). */
function rewrite(
  { bytes, start }: PacketBuffer,
  { protocol, payloadStart }: PfPacket,
  addressAt: number,
  address: IpAddress,
  portAt: number,
  port: number,
): void {
  const at = start + addressAt
  const upper = payloadStart + CHECKSUM_AT[protocol]!
  // RFC 768: no checksum at all.
  const hasChecksum = protocol !== UDP || readUint16(bytes, upper) !== 0
  const change = (where: number, value: number, ...checksums: number[]): void => {
    const old = readUint16(bytes, where)
    writeUint16(bytes, where, value)
    for (const checksum of checksums) adjust(bytes, checksum, old, value)
  }
  for (const half of [0, 2])
    change(
      at + half,
      readUint16(address.bytes, half),
      start + 10,
      // ICMP's own checksum covers no header of IP.
      ...(protocol === ICMP || !hasChecksum ? [] : [upper]),
    )
  change(payloadStart + portAt, port, ...(hasChecksum ? [upper] : []))
  if (protocol === UDP && hasChecksum && readUint16(bytes, upper) === 0) writeUint16(bytes, upper, 0xffff)
}

/** RFC 1624, equation 3. */
function adjust(bytes: Uint8Array, at: number, old: number, value: number): void {
  let sum = (~readUint16(bytes, at) & 0xffff) + (~old & 0xffff) + value
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  writeUint16(bytes, at, ~sum & 0xffff)
}
