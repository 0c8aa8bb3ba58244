/** The addresses that a gateway gives away (RFC 7296 section 2.19): each to one peer at a time. */
import { type Instant, type IpAddress, type IpPrefix, ipAddressFrom, type Random } from '../../base/index.js'

/** Identities whose last address is remembered. */
const REMEMBERED = 4096
/** Pools are no larger than this: an IPv6 prefix has more addresses than anybody counts. */
const SIZE_MAX = 0x1_0000_0000n

/** Who has an address: its IKE SA, which may be another after a while. */
export interface Tenant {
  close(reason: string, retry: boolean, now: Instant): void
}

export interface Lease {
  readonly address: IpAddress
  /** Whose it is: a proved identity as text. */
  readonly holder: string
  tenant: Tenant
}

export interface LeaseRequest {
  readonly prefix: IpPrefix
  readonly holder: string
  readonly tenant: Tenant
  /** What the peer asks for; it gets that if it can. */
  readonly wanted?: IpAddress | undefined
  /** It gets what it had before. */
  readonly sticky: boolean
}

export class AddressPool {
  readonly #random: Random
  readonly #isOwn: (address: IpAddress) => boolean
  /** By address. */
  readonly #leases = new Map<string, Lease>()
  /** By who has them. */
  readonly #held = new Map<string, Set<Lease>>()
  /** What an identity had last, in the order in which it was given. */
  readonly #remembered = new Map<string, IpAddress>()

  /** `isOwn`: addresses of the gateway itself, which nobody else can have. */
  constructor(random: Random, isOwn: (address: IpAddress) => boolean = () => false) {
    this.#random = random
    this.#isOwn = isOwn
  }

  get size(): number {
    return this.#leases.size
  }

  /** Undefined: the pool is full. */
  lease(request: LeaseRequest, now: Instant): Lease | undefined {
    const { prefix, holder, tenant, wanted, sticky } = request
    const key = `${prefix} ${holder}`
    const before = [...(this.#held.get(holder) ?? [])].find(
      (lease) => lease.tenant !== tenant && prefix.contains(lease.address),
    )
    if (sticky && before !== undefined) this.#evict(before, now)
    const favourites = [
      ...(sticky ? [before?.address, this.#remembered.get(key)] : []),
      wanted !== undefined && prefix.contains(wanted) && isUsable(prefix, wanted) ? wanted : undefined,
    ]
    let address = favourites.find(
      (one) => one !== undefined && !this.#leases.has(`${one}`) && !this.#isOwn(one),
    )
    address ??= this.#free(prefix)
    if (address === undefined && before !== undefined) {
      // Nobody keeps others out: of a full pool a peer's newer SA takes the address of its older one.
      this.#evict(before, now)
      address = before.address
    }
    if (address === undefined) return undefined
    const lease: Lease = { address, holder, tenant }
    this.#leases.set(`${address}`, lease)
    const held = this.#held.get(holder)
    if (held === undefined) this.#held.set(holder, new Set([lease]))
    else held.add(lease)
    if (sticky) this.#remember(key, address)
    return lease
  }

  release(lease: Lease): void {
    const key = `${lease.address}`
    if (this.#leases.get(key) !== lease) return
    this.#leases.delete(key)
    const held = this.#held.get(lease.holder)
    held?.delete(lease)
    if (held?.size === 0) this.#held.delete(lease.holder)
  }

  #evict(lease: Lease, now: Instant): void {
    this.release(lease)
    lease.tenant.close('the peer has begun anew', false, now)
  }

  #remember(key: string, address: IpAddress): void {
    this.#remembered.delete(key)
    this.#remembered.set(key, address)
    const [oldest] = this.#remembered.keys()
    if (this.#remembered.size > REMEMBERED && oldest !== undefined) this.#remembered.delete(oldest)
  }

  /** Of those that nobody has, one behind a place by chance: an address that was given up rests for a while. */
  #free(prefix: IpPrefix): IpAddress | undefined {
    const [first, count] = usable(prefix)
    const start = BigInt(this.#random.below(Number(count)))
    // Among one more than are given away there is one that is free.
    let tries = Math.min(Number(count), this.#leases.size + 1)
    for (let i = 0; i < tries; i++) {
      const address = offset(prefix.address, first + ((start + BigInt(i)) % count))
      if (this.#leases.has(`${address}`)) continue
      if (!this.#isOwn(address)) return address
      tries = Math.min(Number(count), tries + 1)
    }
    return undefined
  }
}

/** The first that may be given away, counted from the prefix's own, and how many there are. */
function usable(prefix: IpPrefix): [first: bigint, count: bigint] {
  const bits = 8 * prefix.address.bytes.length - prefix.length
  const all = 1n << BigInt(bits)
  // The network itself, and of IPv4 its broadcast address (RFC 1122 section 3.2.1.3); RFC 3021: of two both serve.
  if (bits < 2) return [0n, all]
  const count = all - (prefix.family === 4 ? 2n : 1n)
  return [1n, count < SIZE_MAX ? count : SIZE_MAX]
}

function isUsable(prefix: IpPrefix, address: IpAddress): boolean {
  const [first] = usable(prefix)
  const last =
    prefix.family === 4 && first === 1n ? offset(prefix.address, usable(prefix)[1] + 1n) : undefined
  return !(first === 1n && address.equals(prefix.address)) && last?.equals(address) !== true
}

function offset(base: IpAddress, by: bigint): IpAddress {
  const bytes = Uint8Array.from(base.bytes)
  let carry = by
  for (let i = bytes.length - 1; i >= 0 && carry > 0n; i--) {
    carry += BigInt(bytes[i]!)
    bytes[i] = Number(carry & 0xffn)
    carry >>= 8n
  }
  return ipAddressFrom(bytes)
}
