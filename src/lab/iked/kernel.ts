/**
 * What iked(8) puts into its machine's kernel: the SAs of its children and their policies. `couple` and `decouple` of
 * ikectl(8) join the two and part them.
 */
import { type Instant, IpPrefix, ipAddressFrom } from '../../base/index.js'
import type { EncryptionId, IntegrityId, Ipsec, IpsecEvent, ManualSa } from '../../engine/index.js'
import type { EspSpec, PathSpec, PolicySpec, ReachedLifetime, SaSpec } from '../../proto/index.js'
import type { Policy, TrafficSelector } from '../../stack/index.js'

/** A path as the kernel has it: an SA in each direction. */
interface InstalledPath {
  readonly spec: PathSpec
  readonly sas: readonly ManualSa[]
}

export class IkedKernel {
  readonly #ipsec: Ipsec
  readonly #onReached: (pathId: string, lifetime: ReachedLifetime, now: Instant) => void
  readonly #paths = new Map<string, InstalledPath>()
  /** By direction and selector. */
  #policies = new Map<string, Policy>()
  #specs: readonly PolicySpec[] = []
  #coupled = true
  readonly #listener = (event: IpsecEvent, now: Instant): void => this.#heard(event, now)

  constructor(ipsec: Ipsec, onReached: (pathId: string, lifetime: ReachedLifetime, now: Instant) => void) {
    this.#ipsec = ipsec
    this.#onReached = onReached
    ipsec.listeners.add(this.#listener)
  }

  get coupled(): boolean {
    return this.#coupled
  }

  /** @throws WarrenError IPSEC_* of an SA that the kernel does not take */
  install(spec: PathSpec): void {
    const path = { spec, sas: sasOf(spec) }
    this.#paths.set(spec.id, path)
    if (!this.#coupled) return
    // Inwards first: what the peer sends by the new one is understood from the moment that it may send it.
    for (const sa of path.sas) this.#ipsec.addSa(sa)
  }

  remove(pathId: string): void {
    const path = this.#paths.get(pathId)
    if (path === undefined) return
    this.#paths.delete(pathId)
    for (const sa of path.sas) this.#ipsec.removeSa(sa)
  }

  /** In the place of all that were; what stays is not touched. */
  setPolicies(specs: readonly PolicySpec[]): void {
    this.#specs = specs
    if (!this.#coupled) return
    const wanted = new Map<string, Policy>()
    for (const spec of specs) {
      const policy = policyOf(spec, this.#ends(spec))
      wanted.set(keyOf(policy), policy)
    }
    for (const [key, policy] of this.#policies)
      if (!wanted.has(key)) this.#ipsec.removePolicy(policy.direction, policy.selector)
    for (const [key, policy] of wanted)
      if (!samePolicy(this.#policies.get(key), policy)) this.#ipsec.addPolicy(policy)
    this.#policies = wanted
  }

  /** Ends of the path that serves a policy: what ipsecctl(8) shows. */
  #ends({ paths }: PolicySpec): PathSpec['carrier'] | undefined {
    for (const id of paths) {
      const path = this.#paths.get(id)
      if (path !== undefined) return path.spec.carrier
    }
    return undefined
  }

  /** Nothing of ours is in the kernel any more: what the policies covered passes in clear, as on OpenBSD. */
  decouple(): void {
    if (!this.#coupled) return
    this.#coupled = false
    this.#unload()
  }

  /**
   * Policies are back at once. The SAs are not: their numbers would begin anew under keys that were used, so each child is
   * made anew by way of its soft lifetime.
   */
  couple(now: Instant): void {
    if (this.#coupled) return
    this.#coupled = true
    this.setPolicies(this.#specs)
    for (const [id, { sas }] of [...this.#paths])
      this.#onReached(id, { direction: 'outbound', spi: sas[1]?.spi ?? 0, kind: 'soft' }, now)
  }

  /** The daemon is gone, and what it had loaded with it. */
  close(): void {
    this.#unload()
    this.#paths.clear()
    this.#ipsec.listeners.delete(this.#listener)
  }

  #unload(): void {
    for (const { sas } of this.#paths.values()) for (const sa of sas) this.#ipsec.removeSa(sa)
    for (const { direction, selector } of this.#policies.values())
      this.#ipsec.removePolicy(direction, selector)
    this.#policies.clear()
  }

  #heard(event: IpsecEvent, now: Instant): void {
    if (event.kind !== 'soft' && event.kind !== 'hard' && event.kind !== 'overflow') return
    const { path: id, spi } = event.sa
    const path = id === undefined ? undefined : this.#paths.get(id)
    // Paths of another daemon on the same machine may have the same name.
    if (id === undefined || path?.sas.includes(event.sa) !== true) return
    const direction = event.sa === path.sas[0] ? 'inbound' : 'outbound'
    this.#onReached(id, { direction, spi, kind: event.kind }, now)
  }
}

/** Inbound, then outbound. */
function sasOf({ id, carrier, transform }: PathSpec): ManualSa[] {
  const { inbound, outbound } = transform as EspSpec
  const udp = carrier.kind === 'udp' ? { udpPort: carrier.remotePort } : {}
  const one = (spec: SaSpec, out: boolean): ManualSa => {
    const { encryption, integrity } = spec.suite
    return {
      protocol: spec.protocol,
      mode: spec.mode,
      source: out ? carrier.local : carrier.remote,
      destination: out ? carrier.remote : carrier.local,
      spi: spec.spi,
      ...(encryption === undefined || spec.keys.encryption === undefined
        ? {}
        : {
            encryption: {
              name: encryptionWord(encryption, spec.keys.encryption.length),
              id: encryption,
              key: spec.keys.encryption,
            },
          }),
      ...(integrity === undefined || spec.keys.integrity === undefined
        ? {}
        : {
            authentication: {
              name: INTEGRITIES[integrity] ?? integrity,
              id: integrity,
              key: spec.keys.integrity,
            },
          }),
      unauthenticated: false,
      esn: spec.esn,
      window: spec.window,
      lifetimes: spec.lifetimes,
      ...udp,
      path: id,
    }
  }
  const [first] = [inbound].flat()
  return [
    ...(first === undefined ? [] : [one(first, false)]),
    ...(outbound === undefined ? [] : [one(outbound, true)]),
  ]
}

/** Of an AES: what stands behind its length, and its salt in bytes. */
const AES: Readonly<Partial<Record<EncryptionId, readonly [string, number]>>> = {
  ENCR_AES_CBC: ['', 0],
  ENCR_AES_CTR: ['-ctr', 4],
  ENCR_AES_GCM_16: ['-gcm', 4],
  ENCR_AES_GCM_12: ['-gcm-12', 4],
  ENCR_AES_GCM_8: ['-gcm-8', 4],
  ENCR_AES_CCM_16: ['-ccm', 3],
  ENCR_AES_CCM_12: ['-ccm-12', 3],
  ENCR_AES_CCM_8: ['-ccm-8', 3],
  ENCR_NULL_AUTH_AES_GMAC: ['-gmac', 4],
}
const OTHERS: Readonly<Partial<Record<EncryptionId, string>>> = {
  ENCR_3DES: '3des-cbc',
  ENCR_CHACHA20_POLY1305: 'chacha20-poly1305',
  ENCR_NULL: 'null',
}
const INTEGRITIES: Readonly<Partial<Record<IntegrityId, string>>> = {
  AUTH_HMAC_SHA1_96: 'hmac-sha1',
  AUTH_HMAC_SHA2_256_128: 'hmac-sha2-256',
  AUTH_HMAC_SHA2_384_192: 'hmac-sha2-384',
  AUTH_HMAC_SHA2_512_256: 'hmac-sha2-512',
  AUTH_AES_XCBC_96: 'aes-xcbc',
  AUTH_AES_CMAC_96: 'aes-cmac',
}

/** As ipsec.conf(5) calls it: `aes-256-gcm`. */
function encryptionWord(id: EncryptionId, keyLength: number): string {
  const aes = AES[id]
  if (aes === undefined) return OTHERS[id] ?? id
  const [suffix, salt] = aes
  return `aes-${8 * (keyLength - salt)}${suffix}`
}

/** The algorithms of a path: `enc aes-256-gcm`, `enc aes-256 auth hmac-sha2-256`, with ` esn` where it has them. */
export function algorithmsOf(spec: PathSpec): string {
  const sa = sasOf(spec)[0]
  const words = [
    ...(sa?.encryption === undefined ? [] : [`enc ${sa.encryption.name}`]),
    ...(sa?.authentication === undefined ? [] : [`auth ${sa.authentication.name}`]),
    ...(sa?.esn === true ? ['esn'] : []),
  ]
  return words.join(' ')
}

function policyOf(spec: PolicySpec, carrier: PathSpec['carrier'] | undefined): Policy {
  const prefix = ({ address, length }: PolicySpec['source']): IpPrefix =>
    new IpPrefix(ipAddressFrom(address), length)
  const { direction, action, protocol, sourcePorts, destinationPorts, icmpType, icmpCode, paths, where } =
    spec
  return {
    direction,
    action,
    selector: {
      source: prefix(spec.source),
      destination: prefix(spec.destination),
      ...(protocol === undefined ? {} : { protocol }),
      ...(sourcePorts === undefined ? {} : { sourcePorts }),
      ...(destinationPorts === undefined ? {} : { destinationPorts }),
      ...(icmpType === undefined ? {} : { icmpType }),
      ...(icmpCode === undefined ? {} : { icmpCode }),
    },
    protocol: carrier?.protocol === 51 ? 'ah' : 'esp',
    ...(carrier === undefined ? {} : { local: carrier.local, peer: carrier.remote }),
    paths,
    ...(where === undefined ? {} : { where }),
  }
}

const keyOf = ({ direction, selector }: Policy): string => `${direction} ${textOf(selector)}`

function textOf(selector: TrafficSelector): string {
  const { source, destination, protocol, sourcePorts, destinationPorts, icmpType, icmpCode } = selector
  const ports = (range: typeof sourcePorts): string =>
    range === undefined ? '' : `${range.first}-${range.last}`
  return `${source} ${destination} ${protocol ?? ''} ${ports(sourcePorts)} ${ports(destinationPorts)} ${icmpType ?? ''} ${icmpCode ?? ''}`
}

const samePolicy = (a: Policy | undefined, b: Policy): boolean =>
  a !== undefined &&
  a.action === b.action &&
  a.protocol === b.protocol &&
  `${a.local} ${a.peer} ${a.paths}` === `${b.local} ${b.peer} ${b.paths}`
