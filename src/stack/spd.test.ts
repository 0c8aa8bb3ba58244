import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  IPV4,
  IPV6,
  type IpAddress,
  IpPrefix,
  PacketBuffer,
  parseIpAddress,
  writeUint16,
} from '../base/index.js'
import { FlowKey } from './flow-key.js'
import { POLICY_LIMIT, type Policy, type PortRange, Spd, type TrafficSelector } from './spd.js'

interface Packet {
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly protocol: number
  readonly sourcePort: number
  readonly destinationPort: number
  readonly type: number
  readonly code: number
  readonly fragment: boolean
}

/** As bytes: IPv6 with a destination options header in front, and a fragment header where it is one. */
function bytesOf(packet: Packet): PacketBuffer {
  const { source, destination, protocol, fragment } = packet
  const isV4 = source.family === 4
  const upper = new Uint8Array(8)
  if (protocol === 1 || protocol === 58) upper.set([packet.type, packet.code])
  else {
    writeUint16(upper, 0, packet.sourcePort)
    writeUint16(upper, 2, packet.destinationPort)
  }
  const header = new Uint8Array(isV4 ? 20 : 40 + 8 + (fragment ? 8 : 0))
  if (isV4) {
    header[0] = 0x45
    header[8] = 64
    header[9] = protocol
    if (fragment) writeUint16(header, 6, 0x2005)
    header.set(source.bytes, 12)
    header.set(destination.bytes, 16)
  } else {
    header[0] = 0x60
    header[6] = fragment ? 44 : 60
    header[7] = 64
    header.set(source.bytes, 8)
    header.set(destination.bytes, 24)
    header[40] = protocol
    if (fragment) {
      writeUint16(header, 42, 0x0008)
    }
  }
  const whole = new Uint8Array(header.length + upper.length)
  whole.set(header)
  whole.set(upper, header.length)
  return PacketBuffer.copyOf(whole, isV4 ? IPV4 : IPV6)
}

const address = (family: 4 | 6): fc.Arbitrary<IpAddress> =>
  fc
    .tuple(fc.constantFrom(0, 1, 2, 128, 255), fc.constantFrom(0, 1, 2, 3, 254, 255))
    .map(
      ([a, b]) =>
        parseIpAddress(family === 4 ? `10.${a}.0.${b}` : `fd00:${a.toString(16)}::${b.toString(16)}`)!,
    )
const prefix = (family: 4 | 6): fc.Arbitrary<IpPrefix> =>
  fc
    .tuple(
      address(family),
      family === 4 ? fc.constantFrom(0, 8, 15, 16, 30, 31, 32) : fc.constantFrom(0, 16, 31, 32, 64, 127, 128),
    )
    .map(([one, length]) => new IpPrefix(one, length))
const port = fc.constantFrom(0, 1, 22, 80, 81, 65_535)
const range: fc.Arbitrary<PortRange> = fc
  .tuple(port, port)
  .map(([a, b]) => ({ first: Math.min(a, b), last: Math.max(a, b) }))

const selector = (family: 4 | 6): fc.Arbitrary<TrafficSelector> =>
  fc
    .record({
      source: prefix(family),
      destination: prefix(family),
      protocol: fc.constantFrom(undefined, 6, 17, family === 4 ? 1 : 58),
      sourcePorts: fc.option(range, { nil: undefined }),
      destinationPorts: fc.option(range, { nil: undefined }),
      icmpType: fc.option(fc.constantFrom(0, 8), { nil: undefined }),
    })
    .map(({ source, destination, protocol, sourcePorts, destinationPorts, icmpType }) => {
      const isIcmp = protocol === 1 || protocol === 58
      return {
        source,
        destination,
        ...(protocol === undefined ? {} : { protocol }),
        ...(protocol === undefined || isIcmp || sourcePorts === undefined ? {} : { sourcePorts }),
        ...(protocol === undefined || isIcmp || destinationPorts === undefined ? {} : { destinationPorts }),
        ...(isIcmp && icmpType !== undefined ? { icmpType } : {}),
      }
    })
const policy = (family: 4 | 6): fc.Arbitrary<Policy> =>
  fc.record({
    direction: fc.constantFrom('in', 'out'),
    selector: selector(family),
    action: fc.constantFrom('use', 'require', 'deny', 'bypass'),
    protocol: fc.constant('esp'),
  })
const packet = (family: 4 | 6): fc.Arbitrary<Packet> =>
  fc.record({
    source: address(family),
    destination: address(family),
    protocol: fc.constantFrom(6, 17, family === 4 ? 1 : 58, 47),
    sourcePort: port,
    destinationPort: port,
    type: fc.constantFrom(0, 8, 3),
    code: fc.constant(0),
    fragment: fc.boolean(),
  })

/** What the packet shows against what the selector asks: yes, no, or it cannot be told. */
function matches(one: TrafficSelector, shown: Packet): boolean | undefined {
  if (!one.source.contains(shown.source) || !one.destination.contains(shown.destination)) return false
  if (one.protocol === undefined) return true
  if (one.protocol !== shown.protocol) return false
  const asks =
    one.sourcePorts !== undefined || one.destinationPorts !== undefined || one.icmpType !== undefined
  if (!asks) return true
  if (shown.fragment) return undefined
  const within = (asked: PortRange | undefined, value: number): boolean =>
    asked === undefined || (value >= asked.first && value <= asked.last)
  return (
    within(one.sourcePorts, shown.sourcePort) &&
    within(one.destinationPorts, shown.destinationPort) &&
    (one.icmpType === undefined || one.icmpType === shown.type)
  )
}

const all = { first: -1, last: 65_535 }
/** True if whatever `a` matches, `b` matches too, and not the other way round. */
function isWithin(a: TrafficSelector, b: TrafficSelector): boolean {
  const parts = (one: TrafficSelector): number[] => [
    one.source.length,
    one.destination.length,
    one.protocol ?? -1,
    one.sourcePorts?.first ?? -1,
    one.sourcePorts?.last ?? -1,
    one.destinationPorts?.first ?? -1,
    one.destinationPorts?.last ?? -1,
    one.icmpType ?? -1,
  ]
  const inside = (x: PortRange | undefined, y: PortRange | undefined): boolean => {
    const outer = y ?? all
    const inner = x ?? all
    return inner.first >= outer.first && inner.last <= outer.last
  }
  return (
    b.source.length <= a.source.length &&
    b.source.contains(a.source.address) &&
    b.destination.length <= a.destination.length &&
    b.destination.contains(a.destination.address) &&
    (b.protocol === undefined || a.protocol === b.protocol) &&
    inside(a.sourcePorts, b.sourcePorts) &&
    inside(a.destinationPorts, b.destinationPorts) &&
    (b.icmpType === undefined || a.icmpType === b.icmpType) &&
    parts(a).join() !== parts(b).join()
  )
}

for (const family of [4, 6] as const) {
  test(`IPv${family}: the policy found matches, and none that lies within it does`, () => {
    fc.assert(
      fc.property(fc.array(policy(family), { maxLength: 12 }), packet(family), (policies, shown) => {
        const spd = new Spd()
        for (const one of policies) spd.add(one)
        const key = new FlowKey()
        assert.ok(key.read(bytesOf(shown)))
        for (const direction of ['in', 'out'] as const) {
          const kept = spd.list().filter((one) => one.direction === direction)
          const found = spd.lookup(direction, key)
          const sure = kept.filter((one) => matches(one.selector, shown) === true)
          if (found === undefined) {
            assert.deepEqual(sure, [])
            // What cannot be told never slips past a policy that must not be missed.
            assert.ok(
              kept.every(
                (one) =>
                  matches(one.selector, shown) !== undefined ||
                  (one.action !== 'require' && one.action !== 'deny'),
              ),
            )
            continue
          }
          if (found.unreadable) {
            assert.equal(found.action, 'deny')
            assert.equal(matches(found.selector, shown), undefined)
            continue
          }
          assert.ok(sure.includes(found))
          for (const other of sure) assert.ok(!isWithin(other.selector, found.selector))
          // A fragment that a narrower `require` may cover must not have come this far.
          for (const other of kept)
            if (matches(other.selector, shown) === undefined && isWithin(other.selector, found.selector))
              assert.ok(other.action === 'use' || other.action === 'bypass')
        }
      }),
      { numRuns: 3000 },
    )
  })

  test(`IPv${family}: of selectors that are equally narrow, the first added counts; again is in its place`, () => {
    const spd = new Spd()
    const any = family === 4 ? '0.0.0.0/0' : '::/0'
    const host = family === 4 ? '10.0.0.1/32' : 'fd00::1/128'
    const make = (source: string, destination: string, action: Policy['action']): Policy => ({
      direction: 'out',
      selector: { source: IpPrefix.parse(source)!, destination: IpPrefix.parse(destination)! },
      action,
      protocol: 'esp',
    })
    spd.add(make(host, any, 'require'))
    spd.add(make(any, host, 'bypass'))
    const one = IpPrefix.parse(host)!.address
    const key = new FlowKey()
    key.read(
      bytesOf({
        source: one,
        destination: one,
        protocol: 6,
        sourcePort: 1,
        destinationPort: 2,
        type: 0,
        code: 0,
        fragment: false,
      }),
    )
    assert.equal(spd.lookup('out', key)?.action, 'require')
    spd.add(make(host, any, 'deny'))
    assert.equal(spd.size, 2)
    assert.equal(spd.lookup('out', key)?.action, 'deny')
    assert.equal(spd.lookup('in', key), undefined)
    assert.equal(spd.remove('out', make(host, any, 'use').selector)?.action, 'deny')
    assert.equal(spd.remove('out', make(host, any, 'use').selector), undefined)
    assert.equal(spd.lookup('out', key)?.action, 'bypass')
    spd.clear()
    assert.deepEqual([spd.size, spd.lookup('out', key)], [0, undefined])
  })
}

test('packets cut off, and chains that hide the upper layer, show no ports; nothing is read beyond the end', () => {
  const key = new FlowKey()
  const v4 = bytesOf({
    source: parseIpAddress('10.0.0.1')!,
    destination: parseIpAddress('10.0.0.2')!,
    protocol: 6,
    sourcePort: 5,
    destinationPort: 6,
    type: 0,
    code: 0,
    fragment: false,
  })
  assert.ok(key.read(v4))
  assert.deepEqual([key.protocol, key.sourcePort, key.destinationPort, key.opaque], [6, 5, 6, false])
  v4.end = v4.start + 23
  assert.ok(key.read(v4))
  assert.deepEqual([key.protocol, key.sourcePort, key.opaque], [6, -1, true])
  v4.end = v4.start + 19
  assert.equal(key.read(v4), false)
  const chain = new Uint8Array(40 + 8 * 9)
  chain[0] = 0x60
  chain[6] = 60
  for (let at = 40; at < chain.length; at += 8) chain[at] = 60
  assert.ok(key.read(PacketBuffer.copyOf(chain, IPV6)))
  assert.deepEqual([key.protocol, key.opaque], [-1, true])
})

test('what cannot be a selector is refused, and so are too many', () => {
  const spd = new Spd()
  const four = IpPrefix.parse('10.0.0.0/8')!
  const make = (more: Partial<TrafficSelector>): Policy => ({
    direction: 'in',
    selector: { source: four, destination: four, ...more },
    action: 'use',
    protocol: 'esp',
  })
  for (const more of [
    { destination: IpPrefix.parse('::/0')! },
    { sourcePorts: { first: 1, last: 2 } },
    { protocol: 6, sourcePorts: { first: 2, last: 1 } },
    { protocol: 6, destinationPorts: { first: 2, last: 65_536 } },
  ])
    assert.throws(() => spd.add(make(more)), { code: 'STACK_POLICY' })
  for (let i = 0; i < POLICY_LIMIT; i++) spd.add(make({ protocol: 6, sourcePorts: { first: i, last: i } }))
  assert.throws(() => spd.add(make({})), /too many policies/)
})
