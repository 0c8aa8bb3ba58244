/** Policies and flows to test with, over few addresses and ports, so that they meet; and the database as the oracle. */
import fc from 'fast-check'
import { IPV4, IPV6, type IpAddress, IpPrefix, PacketBuffer, parseIpAddress } from '../../base/index.js'
import type { PolicySpec } from '../../proto/machine.js'
import { FlowKey } from '../../stack/flow-key.js'
import { type Policy, Spd } from '../../stack/spd.js'
import { orderPolicies } from './order.js'

/** One packet's selectors. */
export interface Flow {
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly protocol: number
  readonly sourcePort?: number
  readonly destinationPort?: number
  readonly icmpType?: number
}

const HOSTS = { 4: ['10.0.1.1', '10.0.1.2', '10.0.2.1'], 6: ['fd00:1::1', 'fd00:1::2', 'fd00:2::1'] } as const
const PREFIXES = {
  4: ['0.0.0.0/0', '10.0.0.0/8', '10.0.1.0/24', '10.0.0.0/22', '10.0.1.1/32', '10.0.2.1/32'],
  6: ['::/0', 'fd00::/16', 'fd00:1::/64', 'fd00::/30', 'fd00:1::1/128', 'fd00:2::1/128'],
} as const

const port = fc.constantFrom(1, 2, 3, 4)
const range = fc.tuple(port, port).map(([a, b]) => ({ first: Math.min(a, b), last: Math.max(a, b) }))

const upper: fc.Arbitrary<Partial<PolicySpec>> = fc.oneof(
  fc.constant({}),
  fc.constantFrom({ protocol: 6 }, { protocol: 17 }, { protocol: 47 }),
  fc
    .record(
      { protocol: fc.constantFrom(6, 17), sourcePorts: range, destinationPorts: range },
      { requiredKeys: ['protocol'] },
    )
    .map((one) => ({ ...one })),
)

const family = fc.constantFrom<4 | 6>(4, 6)

const policy: fc.Arbitrary<PolicySpec> = family.chain((of) => {
  const end = fc.constantFrom(...PREFIXES[of]).map((text) => {
    const { address, length } = IpPrefix.parse(text)!
    return { address: address.bytes, length }
  })
  const icmp = fc.constantFrom(0, 8).map((icmpType) => ({ protocol: of === 4 ? 1 : 58, icmpType }))
  return fc
    .tuple(
      fc.constantFrom<'in' | 'out'>('in', 'out'),
      fc.constantFrom<PolicySpec['action']>('use', 'require', 'deny', 'bypass'),
      end,
      end,
      fc.oneof({ arbitrary: upper, weight: 4 }, { arbitrary: icmp, weight: 1 }),
      fc.constantFrom<readonly string[]>(['a'], ['b'], ['a', 'b'], []),
    )
    .map(([direction, action, source, destination, rest, paths]) => ({
      direction,
      action,
      family: of,
      source,
      destination,
      paths,
      ...rest,
    }))
})

export const policies: fc.Arbitrary<PolicySpec[]> = fc.array(policy, { maxLength: 12 })

const flow: fc.Arbitrary<Flow> = family.chain((of) => {
  const host = fc.constantFrom(...HOSTS[of]).map((text) => parseIpAddress(text)!)
  const kind: fc.Arbitrary<Omit<Flow, 'source' | 'destination'>> = fc.oneof(
    fc.record({ protocol: fc.constantFrom(6, 17), sourcePort: port, destinationPort: port }),
    fc.record({ protocol: fc.constant(of === 4 ? 1 : 58), icmpType: fc.constantFrom(0, 8, 128) }),
    fc.constantFrom({ protocol: 47 }, { protocol: 89 }),
  )
  return fc.tuple(host, host, kind).map(([source, destination, rest]) => ({ source, destination, ...rest }))
})

export const flows: fc.Arbitrary<Flow[]> = fc.array(flow, { minLength: 1, maxLength: 8 })

/** How a packet hides its upper layer, or does not. */
export type Shape = 'whole' | 'first fragment' | 'later fragment' | 'lost chain' | 'cut off'
export const shapes: fc.Arbitrary<Shape> = fc.constantFrom<Shape>(
  'whole',
  'whole',
  'first fragment',
  'later fragment',
  'lost chain',
  'cut off',
)

/** A packet of the flow. A later fragment has ports where none should be looked for. */
export function packetOf(flow: Flow, shape: Shape): Uint8Array {
  const { source, destination, protocol, sourcePort = 0, destinationPort = 0, icmpType } = flow
  const payload =
    icmpType === undefined
      ? [sourcePort >> 8, sourcePort & 255, destinationPort >> 8, destinationPort & 255, 0, 0, 0, 0]
      : [icmpType, 0, 0, 0, 0, 0, 0, 0]
  const rest = shape === 'cut off' ? payload.slice(0, 1) : payload
  if (source.family === 4) {
    const offset = shape === 'first fragment' ? 0x2000 : shape === 'later fragment' ? 1 : 0
    const header = [0x45, 0, 0, 20 + rest.length, 0, 1, offset >> 8, offset & 255, 64, protocol, 0, 0]
    return Uint8Array.from([...header, ...source.bytes, ...destination.bytes, ...rest])
  }
  const isFragment = shape !== 'whole' && shape !== 'cut off'
  const next = shape === 'lost chain' ? 60 : protocol
  const fragment = isFragment ? [next, 0, 0, shape === 'first fragment' ? 1 : 8, 0, 0, 0, 1] : []
  const length = fragment.length + rest.length
  const header = [0x60, 0, 0, 0, 0, length, isFragment ? 44 : protocol, 64]
  return Uint8Array.from([...header, ...source.bytes, ...destination.bytes, ...fragment, ...rest])
}

/** The policy that a flow (or a packet of it) falls under, by the database of src/stack. */
export function oracle(
  specs: readonly PolicySpec[],
): (direction: 'in' | 'out', flow: Flow, shape?: Shape) => (PolicySpec & { unreadable?: true }) | undefined {
  const spd = new Spd()
  const found = new Map<string, PolicySpec>()
  for (const [i, { spec, source, destination }] of orderPolicies(specs).entries()) {
    const { direction, action, protocol, sourcePorts, destinationPorts, icmpType } = spec
    found.set(String(i), spec)
    const policy: Policy = {
      direction,
      action,
      protocol: 'esp',
      where: String(i),
      selector: {
        source,
        destination,
        ...(protocol === undefined ? {} : { protocol }),
        ...(sourcePorts === undefined ? {} : { sourcePorts }),
        ...(destinationPorts === undefined ? {} : { destinationPorts }),
        ...(icmpType === undefined ? {} : { icmpType }),
      },
    }
    spd.add(policy)
  }
  return (direction, flow, shape = 'whole') => {
    const bytes = packetOf(flow, shape)
    const packet = new PacketBuffer(bytes)
    packet.kind = flow.source.family === 4 ? IPV4 : IPV6
    const key = new FlowKey()
    key.read(packet)
    const hit = spd.lookup(direction, key)
    const spec = hit === undefined ? undefined : found.get(hit.where!)
    return spec === undefined || hit?.unreadable === undefined
      ? spec
      : { ...spec, action: 'deny', unreadable: true }
  }
}
