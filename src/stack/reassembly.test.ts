import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, seconds } from '../base/index.js'
import { fragmentIpv4, fragmentIpv6 } from './fragment.js'
import type { StackLimits } from './limits.js'
import type { Stack } from './stack.js'
import {
  configure,
  echoRequest,
  type Probe,
  rawFragmentHeader,
  rawIpv4,
  rawIpv6,
  TestNetwork,
} from './testing.js'

interface Setup {
  readonly network: TestNetwork
  readonly stack: Stack
  readonly port: Probe
}

function setup(limits: Partial<StackLimits> = {}): Setup {
  const network = new TestNetwork()
  const stack = network.stack('alice', limits)
  const port = network.probe(stack, { mtu: 65_535 })
  configure(port, '10.1.0.1/32 10.1.0.2', 'fd01::1/64')
  return { network, stack, port }
}

const SOURCE = { 4: '10.1.0.2', 6: 'fd01::2' } as const
const OURS = { 4: '10.1.0.1', 6: 'fd01::1' } as const

/** An echo request of `size` bytes of data, whole. */
function echo(family: 4 | 6, size: number, source: string = SOURCE[family]): Uint8Array {
  const payload = echoRequest(family, size)
  return family === 4
    ? rawIpv4({ source, destination: OURS[4], protocol: 1, identification: 77 }, payload)
    : rawIpv6({ source, destination: OURS[6], nextHeader: 58 }, payload)
}

const cut = (family: 4 | 6, size: number, mtu: number): Uint8Array[] =>
  family === 4 ? fragmentIpv4(echo(4, size), mtu) : fragmentIpv6(echo(6, size), mtu, 77)

/** One fragment of no particular datagram. */
function piece(
  family: 4 | 6,
  offset: number,
  data: Uint8Array,
  more: boolean,
  identification = 5,
  source: string = SOURCE[family],
): Uint8Array {
  const destination = OURS[family]
  return family === 4
    ? rawIpv4({ source, destination, identification, offset, moreFragments: more }, data)
    : rawIpv6(
        { source, destination, nextHeader: 44 },
        concatBytes(rawFragmentHeader(17, offset, more, identification), data),
      )
}

for (const family of [4, 6] as const) {
  const name = `ipv${family}`

  test(`${name}: fragments in any order, with copies among them, make the packet`, () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 9000 }),
        fc.integer({ min: family === 4 ? 68 : 1280, max: 3000 }),
        fc.array(fc.nat(), { maxLength: 400 }),
        (size, mtu, order) => {
          const { port } = setup()
          const fragments = cut(family, size, mtu)
          for (const one of fragments) assert.ok(one.length <= mtu)
          const shuffled = fragments.map((bytes, i) => ({ bytes, key: order[i] ?? i }))
          shuffled.sort((a, b) => a.key - b.key)
          // A copy of the first comes again before the last, so that the datagram is still open.
          if (shuffled.length > 1) shuffled.splice(1, 0, shuffled[0]!)
          for (const { bytes } of shuffled) port.inject(bytes)
          const sent = port.take()
          assert.equal(sent.length, 1)
          const answered = sent[0]!.subarray(sent[0]!.length - size)
          assert.deepEqual(answered, echoRequest(family, size).subarray(8))
        },
      ),
      { numRuns: 60 },
    )
  })

  test(`${name}: fragments that overlap are refused, with all that still comes (RFC 5722)`, () => {
    for (const [first, second] of [
      [piece(family, 0, new Uint8Array(32), true), piece(family, 24, new Uint8Array(32), true)],
      [piece(family, 24, new Uint8Array(32), true), piece(family, 0, new Uint8Array(32), true)],
      [piece(family, 0, new Uint8Array(32), true), piece(family, 0, new Uint8Array(32).fill(1), true)],
      [piece(family, 0, new Uint8Array(64), true), piece(family, 16, new Uint8Array(8), true)],
    ] as const) {
      const { network, stack, port } = setup()
      port.inject(first)
      port.inject(second)
      assert.equal(stack.counters.get(`${name}.fragmentOverlap`), 1)
      port.inject(piece(family, 96, new Uint8Array(8), false))
      port.inject(piece(family, 56, new Uint8Array(40), true))
      assert.ok(stack.counters.get(`${name}.fragmentOfRefused`) >= 1)
      assert.equal(stack.counters.get(`${name}.reassembled`), 0)
      network.advance(seconds(61))
      // Silently: no report of a time-out either.
      assert.deepEqual(port.take(), [])
      for (const fragment of cut(family, 4000, 1280)) port.inject(fragment)
      assert.equal(port.take().length, 1)
    }
  })

  test(`${name}: an end that moves, and data beyond the end, are contradictions`, () => {
    for (const packets of [
      [piece(family, 32, new Uint8Array(8), false), piece(family, 64, new Uint8Array(8), false)],
      [piece(family, 32, new Uint8Array(8), false), piece(family, 40, new Uint8Array(8), true)],
      [piece(family, 64, new Uint8Array(8), true), piece(family, 32, new Uint8Array(8), false)],
    ]) {
      const { stack, port } = setup()
      for (const packet of packets) port.inject(packet)
      assert.equal(stack.counters.get(`${name}.fragmentContradiction`), 1)
    }
  })

  test(`${name}: as many bytes as the end promises, but not the right ones, are no packet`, () => {
    const { stack, port } = setup()
    port.inject(piece(family, 64, new Uint8Array(8), true))
    port.inject(piece(family, 32, new Uint8Array(8), false))
    port.inject(piece(family, 0, new Uint8Array(24), true))
    assert.equal(stack.counters.get(`${name}.reassembled`), 0)
    assert.equal(stack.counters.get(`${name}.fragmentOfRefused`), 1)
  })

  test(`${name}: arbitrary fragments never throw, and what they make has every byte in its place`, () => {
    const fragment = fc.record({
      offset: fc.integer({ min: 0, max: 12 }),
      units: fc.integer({ min: 1, max: 5 }),
      more: fc.boolean(),
      identification: fc.integer({ min: 1, max: 2 }),
    })
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 25 }), (fragments) => {
        const { stack, port } = setup()
        stack.handle(17, (packet) => {
          const bytes = packet.view()
          assert.ok(bytes.every((byte, i) => byte === i >> 3))
          return true
        })
        for (const { offset, units, more, identification } of fragments) {
          const data = Uint8Array.from({ length: 8 * units }, (_, i) => offset + (i >> 3))
          port.inject(piece(family, 8 * offset, data, more, identification))
        }
      }),
      { numRuns: 500 },
    )
  })

  test(`${name}: lengths that no fragment has: empty, not of eights, beyond 65,535 (the ping of death)`, () => {
    const { stack, port } = setup()
    port.inject(piece(family, 8, new Uint8Array(0), true))
    port.inject(piece(family, 8, new Uint8Array(13), true))
    port.inject(piece(family, 65_528, new Uint8Array(100), false))
    assert.deepEqual(
      ['fragmentEmpty', 'fragmentLength', 'fragmentBeyondEnd'].map((reason) =>
        stack.counters.get(`${name}.${reason}`),
      ),
      [1, 1, 1],
    )
    assert.equal(port.take().length, family === 4 ? 0 : 2)
  })

  test(`${name}: a datagram that stays incomplete is given up, and reported if its start is there`, () => {
    const { network, stack, port } = setup()
    const [first, second] = cut(family, 4000, 1280)
    port.inject(second!)
    network.advance(seconds(70))
    assert.deepEqual(port.take(), [])
    assert.equal(stack.counters.get(`${name}.reassemblyTimeout`), 1)
    port.inject(first!)
    network.advance(seconds(family === 4 ? 29 : 59))
    assert.deepEqual(port.take(), [])
    network.advance(seconds(2))
    const [report] = port.take()
    const at = family === 4 ? 20 : 40
    assert.deepEqual([report![at], report![at + 1]], [family === 4 ? 11 : 3, 1])
    assert.equal(stack.counters.get(`${name}.reassemblyTimeout`), 2)
  })

  test(`${name}: one source fills no more than its share; an honest datagram still comes through`, () => {
    const { stack, port } = setup({ reassemblyDatagrams: 64, reassemblyBytes: 1 << 20 })
    const [first, ...rest] = cut(family, 8000, 1280)
    port.inject(first!)
    const flooder = family === 4 ? '10.9.9.9' : 'fd09::9'
    for (let i = 0; i < 5000; i++)
      port.inject(piece(family, 8 * (1 + (i % 100)), new Uint8Array(1200), true, i, flooder))
    assert.ok(stack.counters.get(`${name}.reassemblyFull`) > 4900)
    for (const fragment of rest) port.inject(fragment)
    assert.equal(port.take().length, 1)
  })

  test(`${name}: many sources fill no more than the whole`, () => {
    const { network, stack, port } = setup({ reassemblyDatagrams: 64, reassemblyBytes: 200_000 })
    for (let i = 0; i < 2000; i++) {
      const source = family === 4 ? `10.9.${i >> 8}.${i & 255}` : `fd09::${i.toString(16)}`
      port.inject(piece(family, 8, new Uint8Array(1200), true, i, source))
    }
    // What is kept is what times out.
    const full = stack.counters.get(`${name}.reassemblyFull`)
    network.advance(seconds(70))
    const kept = stack.counters.get(`${name}.reassemblyTimeout`)
    assert.equal(full + kept, 2000)
    assert.ok(kept <= 64, `${kept}`)
    assert.equal(network.ping(stack, OURS[family]).replied, true)
  })

  test(`${name}: bytes are bounded, of one source and of all`, () => {
    const { stack, port } = setup({ reassemblyBytes: 200_000 })
    // Eight datagrams of 30,000 bytes each from one source, whose share is 50,000: one stays.
    for (let id = 0; id < 8; id++) port.inject(piece(family, 8, new Uint8Array(30_000), true, id))
    assert.equal(stack.counters.get(`${name}.reassemblyFull`), 7)
    // A datagram that alone is more than the share goes itself.
    const big = setup({ reassemblyBytes: 100_000 })
    big.port.inject(piece(family, 8, new Uint8Array(30_000), true))
    assert.equal(big.stack.counters.get(`${name}.reassemblyFull`), 1)
    // Six sources with 40,000 bytes each: four fit into the whole.
    const many = setup({ reassemblyBytes: 200_000 })
    for (let i = 1; i <= 6; i++)
      many.port.inject(
        piece(family, 8, new Uint8Array(40_000), true, 1, family === 4 ? `10.9.0.${i}` : `fd09::${i}`),
      )
    assert.equal(many.stack.counters.get(`${name}.reassemblyFull`), 2)
    many.network.advance(seconds(61))
    assert.equal(many.stack.counters.get(`${name}.reassemblyTimeout`), 4)
  })

  test(`${name}: a datagram of too many fragments is refused`, () => {
    const { stack, port } = setup({ reassemblyFragments: 20 })
    for (let i = 0; i < 40; i++) port.inject(piece(family, 16 * i, new Uint8Array(8), true))
    assert.equal(stack.counters.get(`${name}.fragmentsTooMany`), 1)
    assert.equal(stack.counters.get(`${name}.fragmentOfRefused`), 19)
  })

  test(`${name}: congestion marks of fragments add up (RFC 3168 section 5.3)`, () => {
    const { stack, port } = setup()
    const heard: number[] = []
    stack.handle(97, (packet) => {
      heard.push(packet.outerTrafficClass & 3)
      return true
    })
    /** The fragments of one packet, each with a mark of its own. */
    const parts = (marks: readonly number[], identification: number): void => {
      for (const [i, trafficClass] of marks.entries()) {
        const fields = { source: SOURCE[family], destination: OURS[family], trafficClass }
        const data = new Uint8Array(2000)
        const fragments =
          family === 4
            ? fragmentIpv4(rawIpv4({ ...fields, protocol: 97, identification }, data), 1280)
            : fragmentIpv6(rawIpv6({ ...fields, nextHeader: 97 }, data), 1280, identification)
        port.inject(fragments[i]!)
      }
    }
    parts([2, 2], 1)
    parts([2, 3], 2)
    parts([0, 3], 3)
    assert.deepEqual(heard, [2, 3])
    assert.equal(stack.counters.get(`${name}.fragmentEcn`), 1)
  })
}

test('an IPv6 first fragment holds the whole header chain, or the datagram is refused (RFC 7112)', () => {
  const { stack, port } = setup()
  port.inject(
    rawIpv6(
      { source: SOURCE[6], destination: OURS[6], nextHeader: 44 },
      concatBytes(rawFragmentHeader(60, 0, true, 9), Uint8Array.of(17, 1, 1, 4, 0, 0, 0, 0)),
    ),
  )
  assert.equal(stack.counters.get('ipv6.firstFragmentChain'), 1)
  const [problem] = port.take()
  assert.deepEqual([problem![40], problem![41]], [4, 3])
})

test('an IPv4 packet that is cut twice is still one, and only copied options go along', () => {
  const options = [
    { kind: 148, data: Uint8Array.of(0, 0) },
    { kind: 7, data: Uint8Array.of(4, 0, 0, 0, 0) },
  ]
  const whole = rawIpv4(
    { source: SOURCE[4], destination: OURS[4], protocol: 1, identification: 3, options },
    echoRequest(4, 3000),
  )
  const once = fragmentIpv4(whole, 1500)
  const twice = once.flatMap((fragment) => fragmentIpv4(fragment, 576))
  assert.deepEqual(
    twice.map((fragment) => 4 * (fragment[0]! & 15)),
    [32, ...new Array<number>(twice.length - 1).fill(24)],
  )
  const { port } = setup()
  for (const fragment of twice.reverse()) port.inject(fragment)
  assert.equal(port.take().length, 1)
})

test('what cannot be cut comes back empty, what fits comes back alone', () => {
  const packet = echo(4, 100)
  assert.deepEqual(fragmentIpv4(packet, 1500), [packet])
  assert.deepEqual(fragmentIpv4(packet, 27), [])
  assert.deepEqual(fragmentIpv4(packet.subarray(0, 50), 28), [])
  assert.deepEqual(fragmentIpv4(new Uint8Array(3), 1500), [])
  const six = echo(6, 2000)
  assert.deepEqual(fragmentIpv6(six, 2048, 1), [six])
  assert.deepEqual(fragmentIpv6(six, 55, 1), [])
  assert.deepEqual(fragmentIpv6(six.subarray(0, 100), 1280, 1), [])
})
