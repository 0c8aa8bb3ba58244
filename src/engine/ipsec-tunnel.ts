/**
 * From flows and manual SAs, as a file has them, to paths and policies of one host. A rule names two ends and not which
 * of them is ours: that is known on the host alone, so it is asked when the tunnel starts.
 */
import { IPV4, IPV6, type IpAddress, type Random, WarrenError } from '../base/index.js'
import { largestInside, type ManualSaConfig, type ManualSaPath, type PlainPath } from '../proto/esp/index.js'
import type { GifSpec } from '../proto/gif/index.js'
import type { Carrier, PolicySpec } from '../proto/machine.js'
import { ipCarrier, outerSpec } from '../proto/tunnel-metadata.js'
import { type Policy, Spd } from '../stack/spd.js'
import { IpProtocol } from '../wire/numbers.js'
import { type ManualSa, saSpecOf } from './ipsec/sa.js'

/** What an `ipsec.conf` says, with the lines that describe it. */
export interface IpsecDefinition {
  readonly flows: readonly { readonly policy: Policy; readonly text: string }[]
  /** In the order of the file: of several to one peer the last is the newest. `text` has no key in it. */
  readonly sas: readonly { readonly sa: ManualSa; readonly text: string }[]
}

/** RFC 3948 section 2.1: where encapsulated ESP is heard. */
const ENCAPSULATION_PORT = 4500
/** Of a link. */
const LINK_MTU = 1500
/** RFC 8200 section 5: whatever carries IPv6 takes this much. */
const LEAST_MTU = 1280

/** A path, and what a policy asks of it. */
interface Candidate {
  readonly id: string
  readonly made: ManualSaPath | PlainPath
  readonly protocol: ManualSa['protocol']
  readonly mode: ManualSa['mode']
  readonly local: IpAddress
  readonly remote: IpAddress
  /** Kinds of packet inside: both families, or one. */
  readonly families: readonly (4 | 6)[]
  readonly out: boolean
  readonly in: boolean
}

interface Group {
  readonly out: ManualSa[]
  readonly in: ManualSa[]
}

/**
 * Paths and policies for the host whose addresses `isLocal` knows. Of the SAs between the same two ends, with one
 * protocol and mode, the first that goes out and the first that comes in make one path, and so on.
 * Throws `WarrenError` IPSEC_NOT_OURS, STACK_POLICY, TUNNEL_OUTER.
 */
export function manualConfigOf(
  { flows, sas }: IpsecDefinition,
  isLocal: (address: IpAddress) => boolean,
  random: Random,
): ManualSaConfig {
  const groups = new Map<string, Group>()
  for (const { sa } of sas) {
    const isOut = isLocal(sa.source)
    if (!isOut && !isLocal(sa.destination)) refuseNotOurs(sa)
    const [local, remote] = isOut ? [sa.source, sa.destination] : [sa.destination, sa.source]
    const key = `${sa.protocol} ${sa.mode} ${local} ${remote} ${sa.udpPort ?? ''}`
    const group = groups.get(key) ?? { out: [], in: [] }
    groups.set(key, group)
    group[isOut ? 'out' : 'in'].push(sa)
  }
  const candidates = [...groups.values()].flatMap((group) => candidatesOf(group, random))
  // The database's own rules: what they refuse is refused here, and of two with one selector the later counts.
  const spd = new Spd()
  for (const { policy } of flows) spd.add(policy)
  return {
    policies: spd.list().map((policy) => policySpecOf(policy, candidates)),
    paths: candidates.map(({ made }) => made),
  }
}

/** MTU of the interface: what fits into a link's 1500 bytes by each of the SAs. Never under 1280. */
export function ipsecMtu(sas: readonly ManualSa[]): number {
  const seed = new Uint8Array(8)
  const fitting = sas.map((sa) =>
    sa.protocol === 'ipip'
      ? LINK_MTU - (sa.source.family === 4 ? 20 : 40)
      : largestInside(saSpecOf(sa, true, seed), LINK_MTU),
  )
  return Math.max(LEAST_MTU, Math.min(LINK_MTU, ...fitting))
}

function refuseNotOurs({ protocol, source, destination, spi, where }: ManualSa): never {
  throw new WarrenError('IPSEC_NOT_OURS', 'a security association between others', {
    found: `${protocol} from ${source} to ${destination} spi ${hexSpi(spi)}`,
    expected: 'an address of this host as one of its ends',
    ...(where === undefined ? {} : { where }),
    mend: 'mend its addresses, or give this host the one that is meant to be its own',
  })
}

const hexSpi = (spi: number | undefined): string =>
  spi === undefined ? '-' : `0x${spi.toString(16).padStart(8, '0')}`

function candidatesOf(group: Group, random: Random): Candidate[] {
  const made: Candidate[] = []
  for (let i = 0; i < Math.max(group.out.length, group.in.length); i++) {
    const [out, back] = [group.out[i], group.in[i]]
    const sa = (out ?? back)!
    const [local, remote] = out === undefined ? [sa.destination, sa.source] : [sa.source, sa.destination]
    const name = `${sa.protocol} ${local} --> ${remote} ${hexSpi(out?.spi)}:${hexSpi(back?.spi)}`
    const ends = {
      protocol: sa.protocol,
      mode: sa.mode,
      local,
      remote,
      out: out !== undefined,
      in: back !== undefined,
    }
    if (sa.protocol === 'ipip') {
      for (const family of [4, 6] as const) {
        const plain = ipipPath(`${name} ${family === 4 ? 'inet' : 'inet6'}`, local, remote, family)
        made.push({ ...ends, id: plain.id, made: plain, families: [family] })
      }
      continue
    }
    const spec = (one: ManualSa, outbound: boolean): ReturnType<typeof saSpecOf> =>
      saSpecOf(one, outbound, random.fill(new Uint8Array(8)))
    const path: ManualSaPath = {
      id: name,
      carrier: carrierOf(sa, local, remote),
      ...(out === undefined ? {} : { outbound: spec(out, true) }),
      inbound: back === undefined ? [] : [spec(back, false)],
    }
    const families: readonly (4 | 6)[] = sa.mode === 'tunnel' ? [4, 6] : [local.family]
    made.push({ ...ends, id: name, made: path, families })
  }
  return made
}

function carrierOf(sa: ManualSa, local: IpAddress, remote: IpAddress): Carrier {
  if (sa.udpPort === undefined)
    return { kind: 'ip', protocol: sa.protocol === 'ah' ? IpProtocol.ah : IpProtocol.esp, local, remote }
  return {
    kind: 'udp',
    protocol: 17,
    local,
    remote,
    localPort: ENCAPSULATION_PORT,
    remotePort: sa.udpPort,
  }
}

/** As gif(4) does it: one protocol number a family inside. */
function ipipPath(id: string, local: IpAddress, remote: IpAddress, family: 4 | 6): PlainPath {
  const outer = { local, remote }
  const protocol = family === 4 ? IpProtocol.ipip : IpProtocol.ipv6
  return {
    id,
    carrier: ipCarrier(protocol, outer),
    takes: [family === 4 ? IPV4 : IPV6],
    transform: { protocol: 'gif', family, outer: outerSpec(outer, protocol, 'ip') } satisfies GifSpec,
  }
}

/** Transport mode before tunnel mode, the newest first: a packet between an SA's own ends needs no tunnel. */
function policySpecOf(policy: Policy, candidates: readonly Candidate[]): PolicySpec {
  const { direction, action, selector, where } = policy
  const { source, destination, ...upper } = selector
  const serving =
    action === 'use' || action === 'require' ? candidates.filter((one) => serves(one, policy)) : []
  const ordered = [
    ...serving.filter(({ mode }) => mode === 'transport').reverse(),
    ...serving.filter(({ mode }) => mode === 'tunnel').reverse(),
  ]
  return {
    direction,
    action,
    family: source.family,
    source: prefixOf(source),
    destination: prefixOf(destination),
    ...upper,
    paths: ordered.map(({ id }) => id),
    ...(where === undefined ? {} : { where }),
  }
}

function serves(path: Candidate, { direction, selector, protocol, local, peer }: Policy): boolean {
  if (!path[direction] || path.protocol !== protocol) return false
  if (local !== undefined && !local.equals(path.local)) return false
  if (!path.families.includes(selector.source.family)) return false
  const far = direction === 'out' ? selector.destination : selector.source
  const near = direction === 'out' ? selector.source : selector.destination
  // The packets between the ends alone are what transport mode has.
  if (path.mode === 'transport' && !(far.contains(path.remote) && near.contains(path.local))) return false
  if (peer !== undefined) return peer.equals(path.remote)
  // `peer any`: the far end of a packet is its peer. A tunnel has many far ends behind it, unless the flow has one.
  return (
    path.mode === 'transport' ||
    (far.length === 8 * far.address.bytes.length && far.address.equals(path.remote))
  )
}

const prefixOf = ({ address, length }: Policy['selector']['source']): PolicySpec['source'] => ({
  address: address.bytes,
  length,
})
