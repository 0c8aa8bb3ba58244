/** The guard's rules, run by a small interpreter of nf_tables over their bytes, against the policy database. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseIpAddress, readUint16, readUint32, toHex } from '../../base/index.js'
import { Errno, systemError } from '../ffi.js'
import { type CarrierPorts, Guard, guardChains, type NftablesFace } from './guard.js'
import type { ChainSpec } from './nftables.js'
import { orderPolicies } from './order.js'
import { type Flow, flows, oracle, packetOf, policies, type Shape, shapes } from './testing.js'

const ENC0 = 7
const MARK = 0x5741_5252

interface Packet {
  readonly bytes: Uint8Array
  readonly inIndex?: number
  readonly outIndex?: number
  readonly mark?: number
}

interface Outcome {
  readonly verdict: 'accept' | 'drop'
  readonly counted: readonly string[]
}

type Attributes = Map<number, Uint8Array>

/** Attributes in their order; the expressions of a rule all have one type. */
function* attributesOf(bytes: Uint8Array): Generator<[type: number, payload: Uint8Array]> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < bytes.length; ) {
    const length = view.getUint16(at, true)
    yield [view.getUint16(at + 2, true) & 0x3fff, bytes.subarray(at + 4, at + length)]
    at += (length + 3) & ~3
  }
}
const mapOf = (bytes: Uint8Array): Attributes => new Map(attributesOf(bytes))
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes).replace(/\0$/, '')
const numberOf = (attributes: Attributes, type: number): number => readUint32(attributes.get(type)!, 0)
const dataOf = (attributes: Attributes, type: number): Uint8Array => mapOf(attributes.get(type)!).get(1)!

/** What the kernel knows of the packet before it asks the rules (nft_set_pktinfo). */
function layersOf(bytes: Uint8Array): {
  l4proto?: number
  thoff: number
  fragmentOffset: number
  fragment?: number
} {
  if (bytes[0]! >> 4 === 4)
    return { l4proto: bytes[9]!, thoff: 20, fragmentOffset: readUint16(bytes, 6) & 0x1fff }
  let protocol = bytes[6]!
  let thoff = 40
  let fragment: number | undefined
  let fragmentOffset = 0
  if (protocol === 44) {
    fragment = thoff
    protocol = bytes[thoff]!
    fragmentOffset = readUint16(bytes, thoff + 2) >> 3
    thoff += 8
  }
  // ipv6_find_hdr: a later fragment whose first header is not the upper layer leads nowhere.
  const found = protocol !== 60 && (protocol !== 51 || fragmentOffset === 0)
  return {
    thoff,
    fragmentOffset,
    ...(fragment === undefined ? {} : { fragment }),
    ...(found ? { l4proto: protocol } : {}),
  }
}

/** `careless`: as kernels that read transport headers out of later fragments. */
function run(chains: readonly ChainSpec[], first: string, packet: Packet, careless: boolean): Outcome {
  const counted: string[] = []
  const layers = layersOf(packet.bytes)
  const load = (name: string, data: Attributes): Uint8Array | undefined => {
    if (name === 'exthdr') {
      assert.equal(data.get(2)![0], 44)
      if (layers.fragment === undefined) return undefined
      const at = layers.fragment + numberOf(data, 3)
      return packet.bytes.subarray(at, at + numberOf(data, 4))
    }
    if (name === 'payload') {
      const transport = numberOf(data, 2) === 2
      if (transport && (layers.l4proto === undefined || (layers.fragmentOffset > 0 && !careless)))
        return undefined
      const at = (transport ? layers.thoff : 0) + numberOf(data, 3)
      const loaded = packet.bytes.subarray(at, at + numberOf(data, 4))
      return loaded.length === numberOf(data, 4) ? loaded : undefined
    }
    const native = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer)
    switch (numberOf(data, 2)) {
      case 3:
        return native(packet.mark ?? 0)
      case 4:
        return packet.inIndex === undefined ? undefined : native(packet.inIndex)
      case 5:
        return packet.outIndex === undefined ? undefined : native(packet.outIndex)
      case 15:
        return Uint8Array.of(packet.bytes[0]! >> 4 === 4 ? 2 : 10)
      case 16:
        return layers.l4proto === undefined ? undefined : Uint8Array.of(layers.l4proto)
      default:
        throw new Error('an unknown meta key')
    }
  }
  /** A verdict; `undefined`: the rule came to its end, or did not match. */
  const rule = (expressions: Uint8Array): number | string | undefined => {
    let register: Uint8Array = new Uint8Array()
    for (const [, element] of attributesOf(expressions)) {
      const parts = mapOf(element)
      const name = textOf(parts.get(1)!)
      const data = mapOf(parts.get(2)!)
      if (name === 'meta' || name === 'payload' || name === 'exthdr') {
        const loaded = load(name, data)
        if (loaded === undefined) return undefined
        register = loaded
      } else if (name === 'bitwise') {
        const mask = dataOf(data, 4)
        assert.equal(mask.length, register.length)
        register = register.map((byte, i) => byte & mask[i]!)
      } else if (name === 'cmp') {
        const wanted = dataOf(data, 3)
        assert.equal(wanted.length, register.length)
        if ((toHex(wanted) === toHex(register)) !== (numberOf(data, 2) === 0)) return undefined
      } else if (name === 'range') {
        const text = toHex(register)
        if (text < toHex(dataOf(data, 3)) || text > toHex(dataOf(data, 4))) return undefined
      } else if (name === 'objref') counted.push(textOf(data.get(2)!))
      else {
        assert.equal(name, 'immediate')
        const verdict = mapOf(mapOf(data.get(2)!).get(2)!)
        const code = readUint32(verdict.get(1)!, 0) | 0
        return code === -3 ? textOf(verdict.get(2)!) : code
      }
    }
    return undefined
  }
  const walk = (name: string): number | undefined => {
    const chain = chains.find((one) => one.name === name)
    assert.ok(chain, `chain ${name}`)
    for (const expressions of chain.rules) {
      const result = rule(expressions)
      if (result === -5) return undefined
      const code = typeof result === 'string' ? walk(result) : result
      if (code !== undefined) return code
    }
    return undefined
  }
  return { verdict: walk(first) === 0 ? 'drop' : 'accept', counted }
}

const OPTIONS = { interfaceIndex: ENC0, mark: MARK }

test('the guard drops what the policy database says is not to go, or come, in clear', () => {
  fc.assert(
    fc.property(policies, flows, shapes, fc.boolean(), (specs, some, shape, careless) => {
      const chains = guardChains(orderPolicies(specs), [], OPTIONS)
      const lookup = oracle(specs)
      for (const flow of some) {
        // A chain of headers is IPv6's alone.
        if (shape === 'lost chain' && flow.source.family === 4) continue
        const bytes = packetOf(flow, shape)
        for (const direction of ['in', 'out'] as const) {
          const found = lookup(direction, flow, shape)
          const drops = found?.action === 'require' || found?.action === 'deny'
          for (const chain of direction === 'in' ? ['prerouting'] : ['postrouting', 'postsrcnat']) {
            const outcome = run(chains, chain, { bytes, inIndex: 3, outIndex: 3 }, careless)
            assert.equal(
              outcome.verdict,
              drops ? 'drop' : 'accept',
              `${chain}, ${shape}, ${JSON.stringify(flow)}`,
            )
            assert.deepEqual(outcome.counted, drops ? [`guard.${direction}`] : [])
          }
        }
      }
    }),
    { numRuns: 400 },
  )
})

const any = { address: new Uint8Array(4), length: 0 }
const any6 = { address: new Uint8Array(16), length: 0 }
const closed = (['in', 'out'] as const).flatMap((direction) => [
  { direction, action: 'deny' as const, family: 4 as const, source: any, destination: any, paths: [] },
  { direction, action: 'deny' as const, family: 6 as const, source: any6, destination: any6, paths: [] },
])
const flowOf = (source: string, destination: string, rest: Omit<Flow, 'source' | 'destination'>): Flow => ({
  source: parseIpAddress(source)!,
  destination: parseIpAddress(destination)!,
  ...rest,
})
const verdictOf = (
  chain: string,
  flow: Flow,
  packet: Partial<Packet> = {},
  carriers: readonly CarrierPorts[] = [],
  shape: Shape = 'whole',
): string =>
  run(
    guardChains(orderPolicies(closed), carriers, OPTIONS),
    chain,
    { bytes: packetOf(flow, shape), inIndex: 3, outIndex: 3, ...packet },
    false,
  ).verdict

test('our interface, loopback and our mark go past', () => {
  const flow = flowOf('10.0.0.1', '10.0.0.2', { protocol: 6, sourcePort: 1, destinationPort: 2 })
  assert.equal(verdictOf('prerouting', flow), 'drop')
  assert.equal(verdictOf('prerouting', flow, { inIndex: ENC0 }), 'accept')
  assert.equal(verdictOf('prerouting', flow, { inIndex: 1 }), 'accept')
  assert.equal(verdictOf('prerouting', flow, { mark: MARK }), 'drop', 'a mark says nothing of what arrives')
  assert.equal(verdictOf('postrouting', flow), 'drop')
  assert.equal(verdictOf('postrouting', flow, { outIndex: ENC0 }), 'accept')
  assert.equal(verdictOf('postrouting', flow, { outIndex: 1 }), 'accept')
  assert.equal(verdictOf('postsrcnat', flow, { mark: MARK }), 'accept')
  assert.equal(verdictOf('postsrcnat', flow, { mark: MARK + 1 }), 'drop')
})

test('ESP and AH arrive, and do not leave without the mark', () => {
  for (const protocol of [50, 51])
    for (const [a, b] of [
      ['10.0.0.1', '10.0.0.2'],
      ['fd00::1', 'fd00::2'],
    ] as const) {
      for (const shape of ['whole', 'first fragment', 'later fragment'] as const)
        assert.equal(verdictOf('prerouting', flowOf(a, b, { protocol }), {}, [], shape), 'accept', shape)
      assert.equal(verdictOf('postrouting', flowOf(a, b, { protocol })), 'drop')
    }
})

test('neighbour discovery goes both ways, with hop limit 255 only', () => {
  for (const icmpType of [132, 133, 137, 138]) {
    const bytes = packetOf(flowOf('fe80::1', 'ff02::1', { protocol: 58, icmpType }), 'whole')
    const wanted = icmpType === 133 || icmpType === 137 ? 'accept' : 'drop'
    for (const chain of ['prerouting', 'postrouting']) {
      bytes[7] = 255
      const flow = flowOf('fe80::1', 'ff02::1', { protocol: 58, icmpType })
      assert.equal(verdictOf(chain, flow, { bytes }), wanted, `type ${icmpType}`)
      assert.equal(verdictOf(chain, flow), 'drop', 'hop limit 64')
    }
  }
})

test('the UDP of carriers arrives, later fragments between its two ends with it', () => {
  const bytesOf = (text: string): Uint8Array => parseIpAddress(text)!.bytes
  const ends = { local: bytesOf('10.0.0.1'), remote: bytesOf('10.0.0.2') }
  const carriers: CarrierPorts[] = [
    { family: 4, ...ends, localPort: 4500, remotePort: 4501 },
    { family: 6, localPort: 500 },
  ]
  const udp = (a: string, b: string, sourcePort: number, destinationPort: number, shape?: Shape): string =>
    verdictOf('prerouting', flowOf(a, b, { protocol: 17, sourcePort, destinationPort }), {}, carriers, shape)
  assert.equal(udp('10.0.0.2', '10.0.0.1', 4501, 4500), 'accept')
  assert.equal(udp('10.0.0.2', '10.0.0.1', 4501, 4500, 'first fragment'), 'accept')
  assert.equal(udp('10.0.0.2', '10.0.0.1', 9, 9, 'later fragment'), 'accept')
  assert.equal(udp('10.0.0.2', '10.0.0.1', 4502, 4500), 'drop')
  assert.equal(udp('10.0.0.2', '10.0.0.1', 4501, 4502), 'drop')
  assert.equal(udp('10.0.0.3', '10.0.0.1', 4501, 4500), 'drop')
  assert.equal(udp('10.0.0.3', '10.0.0.1', 4501, 4500, 'later fragment'), 'drop')
  assert.equal(udp('fd00::2', 'fd00::1', 77, 500), 'accept', 'any port of theirs')
  assert.equal(udp('fd00::2', 'fd00::1', 77, 501), 'drop')
  assert.equal(udp('fd00::2', 'fd00::1', 77, 500, 'later fragment'), 'drop')
})

test('IP in IP of a carrier arrives, between its own two ends alone', () => {
  const bytesOf = (text: string): Uint8Array => parseIpAddress(text)!.bytes
  const carriers: CarrierPorts[] = [
    { family: 4, protocol: 4, local: bytesOf('10.0.0.1'), remote: bytesOf('10.0.0.2') },
  ]
  const of = (a: string, b: string, protocol: number): string =>
    verdictOf('prerouting', flowOf(a, b, { protocol }), {}, carriers)
  assert.equal(of('10.0.0.2', '10.0.0.1', 4), 'accept')
  assert.equal(of('10.0.0.2', '10.0.0.1', 41), 'drop')
  assert.equal(of('10.0.0.3', '10.0.0.1', 4), 'drop')
  assert.equal(of('10.0.0.1', '10.0.0.2', 4), 'drop')
})

test('a kernel without nf_tables: one line says so, and nothing fails', () => {
  const lines: string[] = []
  const lacking = (answer: () => NftablesFace): Guard =>
    new Guard(OPTIONS, (line) => lines.push(line), answer)
  const none = lacking(() => {
    throw systemError('open a netlink socket', Errno.EPROTONOSUPPORT)
  })
  const half = lacking(() => ({
    transact: () => ({ errno: Errno.EOPNOTSUPP }),
    counters: () => new Map(),
    close() {},
  }))
  for (const guard of [none, half]) {
    guard.replace([], [])
    guard.replace([], [])
    assert.deepEqual(guard.drops(), {})
    guard.remove()
    guard.close()
  }
  assert.equal(lines.length, 2)
  assert.match(lines[0]!, /no nf_tables/)
  const forbidden = lacking(() => ({
    transact: () => ({ errno: Errno.EPERM, words: 'no' }),
    counters: () => new Map(),
    close() {},
  }))
  assert.throws(() => forbidden.replace([], []), { code: 'LINUX_EPERM', message: /the kernel says "no"/ })
})

test('what a table has counted is kept when another takes its place', () => {
  let table = new Map<string, number>()
  const guard = new Guard(
    OPTIONS,
    () => {},
    () => ({
      transact: (requests) => {
        assert.ok(requests.length > 0)
        table = new Map([['guard.in', 0]])
        return { errno: 0 }
      },
      counters: () => table,
      close() {},
    }),
  )
  guard.replace([], [])
  assert.deepEqual(guard.drops(), {})
  table.set('guard.in', 5)
  guard.replace([], [])
  table.set('guard.in', 2)
  assert.deepEqual(guard.drops(), { 'guard.in': 7 })
  guard.remove()
  assert.deepEqual(guard.drops(), { 'guard.in': 7 })
})
