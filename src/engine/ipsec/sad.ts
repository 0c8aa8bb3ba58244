/** The security association database (RFC 4301 section 4.4.2) of one host: found by SPI inwards, by peer outwards. */
import { type Instant, type IpAddress, WarrenError } from '../../base/index.js'
import type { ManualSa, SaProtocol } from './sa.js'
import type { SaTransform } from './transforms.js'

/** SAs of one host, both directions. */
export const SA_LIMIT = 4096

/** An SA that stands. */
export interface SaEntry {
  readonly sa: ManualSa
  readonly direction: 'in' | 'out'
  readonly transform: SaTransform
  readonly addedAt: Instant
  packets: number
  bytes: number
  firstUsed?: Instant
  lastUsed?: Instant
  /** Soft lifetime was told. */
  softTold: boolean
}

export function countUse(entry: SaEntry, bytes: number, now: Instant): void {
  entry.packets++
  entry.bytes += bytes
  entry.firstUsed ??= now
  entry.lastUsed = now
}

export class SecurityAssociationDatabase {
  /** Inbound: by SPI; of one SPI few, told apart by protocol and destination (RFC 4301 section 4.1). */
  readonly #inbound = new Map<number, SaEntry[]>()
  readonly #outbound: SaEntry[] = []
  #size = 0
  /** Grows with every change: what was looked up before may be another now. */
  version = 0

  get size(): number {
    return this.#size
  }

  /** Whether some outbound SA is of transport mode. */
  get hasTransport(): boolean {
    return this.#outbound.some(({ sa }) => sa.mode === 'transport')
  }

  /** @throws WarrenError IPSEC_SA_EXISTS 'File exists', IPSEC_LIMIT */
  add(entry: SaEntry): void {
    const { sa } = entry
    if (this.find(sa) !== undefined)
      throw new WarrenError('IPSEC_SA_EXISTS', 'File exists', {
        found: `${sa.protocol} to ${sa.destination} spi 0x${sa.spi.toString(16).padStart(8, '0')}`,
        ...(sa.where === undefined ? {} : { where: sa.where }),
      })
    if (this.#size >= SA_LIMIT)
      throw new WarrenError('IPSEC_LIMIT', 'too many security associations', {
        expected: `at most ${SA_LIMIT}`,
      })
    if (entry.direction === 'in') {
      const list = this.#inbound.get(sa.spi) ?? []
      list.push(entry)
      this.#inbound.set(sa.spi, list)
    } else this.#outbound.unshift(entry)
    this.#size++
    this.version++
  }

  remove(entry: SaEntry): void {
    const { spi } = entry.sa
    const list = entry.direction === 'in' ? (this.#inbound.get(spi) ?? []) : this.#outbound
    const at = list.indexOf(entry)
    if (at < 0) return
    list.splice(at, 1)
    if (entry.direction === 'in' && list.length === 0) this.#inbound.delete(spi)
    this.#size--
    this.version++
    entry.transform.destroy()
  }

  find({
    protocol,
    destination,
    spi,
  }: Pick<ManualSa, 'protocol' | 'destination' | 'spi'>): SaEntry | undefined {
    return this.list().find(
      ({ sa }) => sa.protocol === protocol && sa.spi === spi && sa.destination.equals(destination),
    )
  }

  /** In the order of their SPIs, as ipsecctl(8) shows them. */
  list(): SaEntry[] {
    return [...[...this.#inbound.values()].flat(), ...this.#outbound].sort((a, b) => a.sa.spi - b.sa.spi)
  }

  /** The SA that a packet names. */
  inbound(protocol: SaProtocol, spi: number, destination: IpAddress): SaEntry | undefined {
    const list = this.#inbound.get(spi)
    if (list === undefined) return undefined
    for (const entry of list)
      if (entry.sa.protocol === protocol && entry.sa.destination.equals(destination)) return entry
    return undefined
  }

  /** The outbound SA of a path that a key exchange made. */
  ofPath(path: string): SaEntry | undefined {
    return this.#outbound.find(({ sa }) => sa.path === path)
  }

  /** The inbound SA of IP in IP between these ends; such packets name no SPI. */
  inboundIpip(source: IpAddress, destination: IpAddress): SaEntry | undefined {
    for (const list of this.#inbound.values())
      for (const entry of list)
        if (
          entry.sa.protocol === 'ipip' &&
          entry.sa.source.equals(source) &&
          entry.sa.destination.equals(destination)
        )
          return entry
    return undefined
  }

  /** The newest SA to `peer` (from `local`) that `serves`. */
  outbound(
    protocol: SaProtocol,
    peer: IpAddress,
    local: IpAddress | undefined,
    serves: (entry: SaEntry) => boolean,
  ): SaEntry | undefined {
    for (const entry of this.#outbound) {
      const { sa } = entry
      if (sa.protocol !== protocol || !sa.destination.equals(peer)) continue
      if (local !== undefined && !sa.source.equals(local)) continue
      if (serves(entry)) return entry
    }
    return undefined
  }
}
