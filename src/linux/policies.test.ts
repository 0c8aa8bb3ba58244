import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { IPV4, IPV6, PacketBuffer, type PacketKind, parseIpAddress, SeededRandom } from '../base/index.js'
import { ManualSaMachine, type ManualSaPath, type SaLifetimes, type SaSpec } from '../proto/esp/index.js'
import type { PolicySpec } from '../proto/machine.js'
import { outerSpec } from '../proto/tunnel-metadata.js'
import type { PlanePath } from './path.js'
import { PlanePolicies } from './policies.js'
import { type Flow, flows, oracle, packetOf, policies, shapes } from './steering/testing.js'
import {
  LOCAL,
  pathsOf,
  packetOf as plainPacket,
  planeBed,
  put,
  REMOTE,
  Sockets,
  takeAll,
} from './testing.js'

const address = (text: string): NonNullable<ReturnType<typeof parseIpAddress>> => parseIpAddress(text)!

/** As much of a path as the policies ask for. */
function pathOf(
  id: string,
  { mode = 'tunnel', takes = [IPV4, IPV6] }: { mode?: 'tunnel' | 'transport'; takes?: PacketKind[] } = {},
): PlanePath {
  const transform = { protocol: 'esp', outbound: { mode }, inbound: [] }
  const spec = { id, interfaceId: 1, carrierId: 2, takes, transform }
  const [local, remote] = [address('10.0.1.1').bytes, address('10.0.2.1').bytes]
  return { spec, carrier: { spec: { local, remote } } } as unknown as PlanePath
}

function buffer(flow: Flow, shape: Parameters<typeof packetOf>[1] = 'whole'): PacketBuffer {
  const packet = new PacketBuffer(packetOf(flow, shape))
  packet.kind = flow.source.family === 4 ? IPV4 : IPV6
  return packet
}

const flow = (source: string, destination: string, protocol = 6): Flow => ({
  source: address(source),
  destination: address(destination),
  protocol,
  sourcePort: 1,
  destinationPort: 2,
})

const policy = (
  direction: 'in' | 'out',
  from: string,
  to: string,
  more: Partial<PolicySpec> = {},
): PolicySpec => ({
  direction,
  action: 'require',
  family: from.includes(':') ? 6 : 4,
  source: prefix(from),
  destination: prefix(to),
  paths: ['a', 'b'],
  ...more,
})

function prefix(text: string): PolicySpec['source'] {
  const [host = '', length] = text.split('/')
  return { address: address(host).bytes, length: Number(length) }
}

function of(
  specs: readonly PolicySpec[],
  ...standing: PlanePath[]
): { made: PlanePolicies; paths: Map<string, PlanePath> } {
  const paths = new Map(standing.map((path) => [path.spec.id, path]))
  const made = new PlanePolicies(paths)
  made.replace(specs)
  return { made, paths }
}

test('out: the first path of the policy that stands; none: by what the policy says', () => {
  const { made, paths } = of([
    policy('out', '10.0.1.0/24', '10.0.2.0/24'),
    policy('out', '10.0.1.0/24', '10.0.3.0/24', { action: 'use' }),
    policy('out', '10.0.1.0/24', '10.0.4.0/24', { action: 'deny' }),
    policy('out', '10.0.1.0/24', '10.0.5.0/24', { action: 'bypass' }),
    policy('out', '10.0.1.0/24', '10.0.6.0/24', {
      action: 'deny',
      protocol: 6,
      destinationPorts: { first: 9, last: 9 },
    }),
  ])
  const [a, b] = [pathOf('a'), pathOf('b')]
  const chosen = (to: string): PlanePath | undefined => made.choose(buffer(flow('10.0.1.1', to)))
  assert.equal(chosen('10.0.2.1'), undefined)
  paths.set('b', b)
  made.changed()
  assert.equal(chosen('10.0.2.1'), b)
  paths.set('a', a)
  made.changed()
  assert.equal(chosen('10.0.2.1'), a)
  assert.equal(chosen('10.0.3.1'), a)
  assert.equal(chosen('10.0.4.1'), undefined)
  assert.equal(chosen('10.0.5.1'), undefined)
  assert.equal(chosen('10.0.9.1'), undefined)
  assert.equal(made.choose(buffer(flow('10.0.1.1', '10.0.6.1'), 'later fragment')), undefined)
  paths.clear()
  made.changed()
  assert.equal(chosen('10.0.3.1'), undefined)
  assert.deepEqual(made.drops.toJSON(), {
    'spd.require': 1,
    'spd.deny': 1,
    'spd.none': 3,
    'spd.unreadable': 1,
  })
})

test('transport mode takes the packets between its own ends alone, and no path a kind that it does not carry', () => {
  const { made } = of(
    [
      policy('out', '0.0.0.0/0', '0.0.0.0/0', { paths: ['t', 'a'] }),
      policy('out', '::/0', '::/0', { paths: ['six'] }),
    ],
    pathOf('t', { mode: 'transport' }),
    pathOf('a'),
    pathOf('six', { takes: [IPV4] }),
  )
  const chosen = (from: string, to: string): string | undefined =>
    made.choose(buffer(flow(from, to)))?.spec.id
  assert.equal(chosen('10.0.1.1', '10.0.2.1'), 't')
  assert.equal(chosen('10.0.1.1', '10.0.2.2'), 'a')
  assert.equal(chosen('10.0.1.2', '10.0.2.1'), 'a')
  assert.equal(chosen('fd00::1', 'fd00::2'), undefined)
})

test('in: only by a path that the policy names', () => {
  const [a, b] = [pathOf('a'), pathOf('b')]
  const { made } = of(
    [
      policy('in', '10.0.2.0/24', '10.0.1.0/24', { paths: ['a'] }),
      policy('in', '10.0.3.0/24', '10.0.1.0/24', { action: 'use', paths: ['b'] }),
      policy('in', '10.0.4.0/24', '10.0.1.0/24', { action: 'bypass', paths: ['a'] }),
      policy('in', '10.0.5.0/24', '10.0.1.0/24', { action: 'deny', paths: ['a'] }),
      policy('out', '10.0.6.0/24', '10.0.1.0/24', { paths: ['a'] }),
    ],
    a,
    b,
  )
  const refused = (path: PlanePath, from: string): string | undefined =>
    made.refuses(path, buffer(flow(from, '10.0.1.1')))
  assert.equal(refused(a, '10.0.2.1'), undefined)
  assert.equal(refused(b, '10.0.2.1'), 'ipsec.policy')
  assert.equal(refused(b, '10.0.3.1'), undefined)
  for (const from of ['10.0.3.1', '10.0.4.1', '10.0.5.1', '10.0.6.1', '10.0.7.1'])
    assert.equal(refused(a, from), 'ipsec.policy', from)
  const broken = new PacketBuffer(new Uint8Array(10))
  broken.kind = IPV4
  assert.equal(made.refuses(a, broken), 'ipsec.policy')
})

test('law: what is chosen and refused is what the policy database says', () => {
  const [a, b] = [pathOf('a'), pathOf('b')]
  fc.assert(
    fc.property(policies, flows, shapes, fc.boolean(), (specs, sent, shape, bStands) => {
      const standing = bStands ? [a, b] : [a]
      const { made } = of(specs, ...standing)
      const says = oracle(specs)
      for (const one of sent) {
        const out = says('out', one, shape)
        const wanted =
          out?.action === 'require' || out?.action === 'use'
            ? (standing.find(({ spec }) => out.paths[0] === spec.id) ??
              standing.find(({ spec }) => out.paths.includes(spec.id)))
            : undefined
        assert.equal(made.choose(buffer(one, shape)), wanted)
        const back = says('in', one, shape)
        const mayCome = (back?.action === 'require' || back?.action === 'use') && back.paths.includes('a')
        assert.equal(made.refuses(a, buffer(one, shape)), mayCome ? undefined : 'ipsec.policy')
      }
    }),
  )
})

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

test('no allocation a packet', () => {
  const a = pathOf('a')
  const { made } = of(
    [
      policy('out', '10.0.9.0/24', '10.0.2.0/24', { protocol: 6, destinationPorts: { first: 2, last: 9 } }),
      policy('out', '10.0.1.0/24', '10.0.2.0/24'),
      policy('in', '10.0.2.0/24', '10.0.1.0/24'),
    ],
    pathOf('t', { mode: 'transport' }),
    a,
  )
  const there = buffer(flow('10.0.1.1', '10.0.2.7'))
  const back = buffer(flow('10.0.2.7', '10.0.1.1'))
  const nowhere = buffer(flow('10.0.1.1', '10.0.7.7'))
  const run = (count: number): void => {
    for (let i = 0; i < count; i++) {
      if (made.choose(there) !== a || made.refuses(a, back) !== undefined) assert.fail()
      if (made.choose(nowhere) !== undefined) assert.fail()
    }
  }
  run(50_000)
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < 8; round++) {
    collect()
    const before = process.memoryUsage().heapUsed
    run(20_000)
    least = Math.min(least, process.memoryUsage().heapUsed - before)
  }
  assert.ok(least < 20_000 * 2, `${least} bytes for 20000 packets`)
})

describe('policies in the data plane', { skip: process.platform === 'linux' ? false : 'needs Linux' }, () => {
  const sockets = new Sockets()
  after(() => sockets.close())
  const random = new SeededRandom(7)
  const encryption = random.fill(new Uint8Array(36))

  const sa = (spi: number, lifetimes: SaLifetimes = {}): SaSpec => ({
    spi,
    protocol: 'esp',
    mode: 'tunnel',
    suite: { encryption: 'ENCR_AES_GCM_16' },
    keys: { encryption },
    esn: false,
    window: 64,
    lifetimes,
    local: LOCAL.bytes,
    remote: REMOTE.bytes,
    outer: outerSpec({ local: LOCAL, remote: REMOTE }, 50, 'ip'),
  })
  const path = (id: string, spi: number, lifetimes?: SaLifetimes): ManualSaPath => ({
    id,
    carrier: { kind: 'ip', protocol: 50, local: LOCAL, remote: REMOTE },
    outbound: sa(spi, lifetimes),
    inbound: [sa(spi + 1)],
  })
  const packet = (to: string): Uint8Array => plainPacket('10.0.1.1', to, random.fill(new Uint8Array(40)))
  const spiOf = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(20)

  test('each packet by the path of its policy; the interface drops what no policy leads on', () => {
    const { plane, inside, outside } = planeBed(
      sockets,
      pathsOf(new ManualSaMachine({ paths: [path('a', 0x1001), path('b', 0x2001)] })),
    )
    plane.setPolicies(1, [
      policy('out', '10.0.1.0/24', '10.0.2.0/24', { paths: ['a'] }),
      policy('out', '10.0.1.0/24', '10.0.3.0/24', { paths: ['b'] }),
      policy('out', '10.0.1.0/24', '10.0.4.0/24', { paths: ['c'] }),
    ])
    for (const to of ['10.0.2.1', '10.0.3.1', '10.0.4.1', '10.0.5.1']) put(inside, packet(to))
    plane.round(100)
    assert.deepEqual(takeAll(outside).map(spiOf), [0x1001, 0x2001])
    assert.deepEqual(plane.counts().policies, [
      { interfaceId: 1, drops: { 'spd.require': 1, 'spd.none': 1 } },
    ])
    plane.removePath(1, 'a')
    put(inside, packet('10.0.2.1'))
    plane.round(100)
    assert.deepEqual(takeAll(outside), [])
    assert.equal(plane.counts().policies[0]?.drops['spd.require'], 2)
  })

  test('what a path brings for another is dropped where it is counted', () => {
    const { plane, inside, outside, refused } = planeBed(
      sockets,
      pathsOf(
        new ManualSaMachine({
          // What a sends is heard by b.
          paths: [
            { ...path('a', 0x1001), inbound: [] },
            { ...path('b', 0x2001), inbound: [sa(0x1001)] },
          ],
        }),
      ),
    )
    plane.setPolicies(1, [
      policy('out', '10.0.1.0/24', '10.0.0.0/16', { paths: ['a'] }),
      policy('in', '10.0.1.0/24', '10.0.2.0/24', { paths: ['b'] }),
      policy('in', '10.0.1.0/24', '10.0.3.0/24', { paths: ['a'] }),
    ])
    const [wanted, foreign] = [packet('10.0.2.1'), packet('10.0.3.1')]
    put(inside, wanted)
    put(inside, foreign)
    plane.round(100)
    for (const sent of takeAll(outside)) {
      // The peer's packet: the ends of the outer header change places.
      sent.set(REMOTE.bytes, 12)
      sent.set(LOCAL.bytes, 16)
      put(outside, sent)
    }
    plane.round(100)
    assert.deepEqual(takeAll(inside), [wanted])
    const b = plane.counts().paths.find(({ id }) => id === 'b')
    assert.equal(b?.inbound.drops['ipsec.policy'], 1)
    assert.deepEqual(refused, [
      {
        reason: 'ipsec.policy',
        spi: 0x1001,
        sequence: 2,
        source: REMOTE.bytes,
        destination: LOCAL.bytes,
        suppressed: 0,
      },
    ])
  })

  test('limits are told once each, and counted SA by SA', () => {
    const { plane, inside, outside, reached } = planeBed(
      sockets,
      pathsOf(new ManualSaMachine({ paths: [path('a', 0x1001, { softPackets: 2, hardPackets: 3 })] })),
    )
    plane.setPolicies(1, [policy('out', '10.0.1.0/24', '10.0.2.0/24', { paths: ['a'] })])
    for (let i = 0; i < 2; i++) {
      put(inside, packet('10.0.2.1'))
      plane.round(100)
    }
    const soft = ['a', { direction: 'outbound', spi: 0x1001, kind: 'soft' }]
    assert.deepEqual(reached, [soft])
    for (let i = 0; i < 3; i++) {
      put(inside, packet('10.0.2.1'))
      plane.round(100)
    }
    assert.deepEqual(reached, [soft, ['a', { direction: 'outbound', spi: 0x1001, kind: 'hard' }]])
    assert.equal(takeAll(outside).length, 3)
    const [counted] = plane.counts().paths
    assert.deepEqual(counted?.sas, [
      { direction: 'outbound', spi: 0x1001, packets: 3, bytes: counted?.sas?.[0]?.bytes },
      { direction: 'inbound', spi: 0x1002, packets: 0, bytes: 0 },
    ])
    assert.equal(counted?.outbound.drops['esp.lifetime'], 2)
  })
})
