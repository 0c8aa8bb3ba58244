import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { IPV4, IPV6, PacketBuffer, ReplayWindow, readUint32 } from '../../base/index.js'
import { type EncryptionName, MACS, type MacName, nodeProvider } from '../../crypto/index.js'
import { CONTROL, DROP, FOREIGN, PASS } from '../machine.js'
import { ipOf } from '../testing.js'
import { createTransforms } from '../transforms.js'
import { AhInbound, AhOutbound } from './ah.js'
import { ESN_NONE, highSequence } from './esn.js'
import { EspInbound } from './inbound.js'
import { EspOutbound } from './outbound.js'
import type { SaSpec } from './sa.js'
import { ENDS, hand, keysOf, packetOf, type SaOptions, SUITES, saOf } from './testing.js'
import { createEspTransforms, type SaTransforms } from './transforms.js'

const INNER = { 4: [ipOf('10.1.0.1'), ipOf('10.2.0.1')], 6: [ipOf('fd00:1::1'), ipOf('fd00:2::1')] } as const

/** The outbound half at one end, the inbound half at the other. */
function pair(options: SaOptions = {}): { outbound: SaTransforms; inbound: SaTransforms } {
  const out = createEspTransforms({ protocol: 'esp', outbound: saOf(options), inbound: [] }, nodeProvider)
  const reversed = saOf({ ...options, reverse: true })
  const { inbound } = createEspTransforms(
    { protocol: 'esp', outbound: reversed, inbound: [reversed] },
    nodeProvider,
  )
  return { outbound: out.outbound, inbound }
}

function seal(outbound: SaTransforms, bytes: Uint8Array, tailroom = 320): PacketBuffer {
  const packet = PacketBuffer.copyOf(bytes, bytes[0]! >>> 4 === 4 ? IPV4 : IPV6, 128, tailroom)
  assert.equal(outbound.process(packet), PASS, JSON.stringify(outbound.drops))
  return packet
}
const inner4 = packetOf(4, 40, INNER[4])
const inner6 = packetOf(6, 40, INNER[6])

const suiteName = (suite: SaSpec['suite']): string =>
  [suite.encryption, suite.integrity].filter((name) => name !== undefined).join(' + ')

const AH_SUITES = (Object.keys(MACS) as MacName[]).map((integrity) => ({ integrity }))
const ALL = [
  ...SUITES.map((suite) => ({ protocol: 'esp' as const, suite })),
  ...AH_SUITES.map((suite) => ({ protocol: 'ah' as const, suite })),
]

for (const { protocol, suite } of ALL) {
  test(`round trips: ${protocol} ${suiteName(suite)}`, () => {
    fc.assert(
      fc.property(
        fc.constantFrom('tunnel' as const, 'transport' as const),
        fc.constantFrom<4 | 6>(4, 6),
        fc.constantFrom<4 | 6>(4, 6),
        fc.boolean(),
        fc.boolean(),
        fc.integer({ min: 0, max: 1500 }),
        fc.nat(0xffffffff),
        fc.nat(0xfffffffe),
        (mode, family, innerFamily, esn, udp, data, high, low) => {
          const inside = mode === 'transport' ? family : innerFamily
          const { outbound, inbound } = pair({
            ...{ protocol, suite, mode, family, esn },
            sequence: { high: esn ? high : 0, low },
            ...(udp && protocol === 'esp' ? { udpEncapsulation: true } : {}),
            ivSeed: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
          })
          const inner = packetOf(inside, data, mode === 'transport' ? ENDS[family] : INNER[inside])
          const sent = seal(outbound, inner)
          assert.equal(readUint32(sent.bytes, sent.start + (protocol === 'esp' ? 4 : 8)), low + 1)
          const { verdict, packet } = hand(inbound, sent)
          assert.equal(verdict, PASS, JSON.stringify(inbound.drops))
          assert.equal(packet.kind, inside)
          assert.deepEqual(packet.copy(), inner)
        },
      ),
      { numRuns: 40 },
    )
  })

  test(`any byte changed is refused: ${protocol} ${suiteName(suite)}`, () => {
    for (const esn of [false, true]) {
      const { outbound, inbound } = pair({ protocol, suite, esn })
      const sent = seal(outbound, inner4)
      for (let at = 0; at < sent.length; at++) {
        const before = JSON.stringify(inbound.drops)
        const { verdict, packet } = hand(inbound, sent, (bytes) => {
          bytes[at]! ^= 1 << (at % 8)
        })
        const spi = protocol === 'esp' ? at < 4 : at >= 4 && at < 8
        assert.equal(verdict, spi ? FOREIGN : DROP, `byte ${at}`)
        assert.equal(JSON.stringify(inbound.drops) === before, spi, `byte ${at}`)
        if (spi) assert.equal(packet.length, sent.length)
      }
      assert.equal(hand(inbound, sent).verdict, PASS, 'and the honest packet still goes')
    }
  })

  test(`cut off anywhere: ${protocol} ${suiteName(suite)}`, () => {
    const { outbound, inbound } = pair({ protocol, suite })
    const sent = seal(outbound, inner6)
    for (let length = 0; length < sent.length; length++) {
      const packet = PacketBuffer.copyOf(sent.view().subarray(0, length), 0)
      assert.equal(inbound.process(packet), DROP, `${length}`)
    }
    const counted = Object.values(inbound.drops.toJSON()).reduce((sum, count) => sum + count, 0)
    assert.equal(counted, sent.length)
    assert.equal(hand(inbound, sent).verdict, PASS)
  })
}

test('garbage never throws and is counted, or is another SA', () => {
  for (const { protocol, suite } of ALL)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), fc.boolean(), (bytes, ours, esn) => {
        const { inbound } = pair({ protocol, suite, esn, udpEncapsulation: protocol === 'esp' })
        const packet = PacketBuffer.copyOf(bytes, 0)
        const at = packet.start + (protocol === 'esp' ? 0 : 4)
        if (ours) packet.bytes.set([0, 0, 0x10, 0x01], at)
        const verdict = inbound.process(packet)
        const counted = Object.values(inbound.drops.toJSON()).reduce((sum, count) => sum + count, 0)
        assert.equal(counted, verdict === DROP ? 1 : 0)
        assert.notEqual(verdict, PASS)
      }),
      { numRuns: 50 },
    )
})

describe('replay (RFC 4303 section 3.4.3)', () => {
  test('CVE-2019-5613: a packet is taken once; a forged one ahead does not move the window', () => {
    for (const protocol of ['esp', 'ah'] as const) {
      const suite = protocol === 'esp' ? { encryption: 'ENCR_AES_GCM_16' as const } : AH_SUITES[1]!
      const { outbound, inbound } = pair({ protocol, suite })
      const packets = Array.from({ length: 70 }, () => seal(outbound, inner4))
      assert.equal(hand(inbound, packets[0]!).verdict, PASS)
      assert.equal(hand(inbound, packets[0]!).verdict, DROP)
      // The highest of numbers, but not authentic.
      const forged = hand(inbound, packets[1]!, (bytes) =>
        bytes.fill(0xff, protocol === 'esp' ? 4 : 8, protocol === 'esp' ? 8 : 12),
      )
      assert.equal(forged.verdict, DROP)
      assert.equal(inbound.drops.get(`${protocol}.icv`), 1)
      assert.equal(hand(inbound, packets[1]!).verdict, PASS, 'the window did not move')
      assert.equal(hand(inbound, packets[69]!).verdict, PASS)
      assert.equal(hand(inbound, packets[5]!).verdict, DROP, 'left of the window of 64')
      assert.equal(hand(inbound, packets[6]!).verdict, PASS, 'its last')
      assert.equal(hand(inbound, packets[6]!).verdict, DROP)
      assert.equal(inbound.drops.get(`${protocol}.replay`), 3)
    }
  })

  test('the number 0 is never sent, so never taken', () => {
    const { outbound, inbound } = pair({ suite: { encryption: 'ENCR_NULL', integrity: 'AUTH_HMAC_SHA1_96' } })
    const sent = seal(outbound, inner4)
    const view = sent.view()
    view.fill(0, 4, 8)
    const mac = nodeProvider.mac('AUTH_HMAC_SHA1_96', keysOf({ integrity: 'AUTH_HMAC_SHA1_96' }).integrity!)
    mac.compute(view, 0, view.length - 12, undefined, view, view.length - 12)
    assert.equal(hand(inbound, sent).verdict, DROP)
    assert.deepEqual(inbound.drops.toJSON(), { 'esp.replay': 1 })
  })

  test('extended numbers go on where 32 bits end, in any order within the window', () => {
    const options: SaOptions = { esn: true, sequence: { high: 0, low: 0xfffffff0 } }
    const { outbound, inbound } = pair(options)
    const packets = Array.from({ length: 40 }, () => seal(outbound, inner4))
    for (const i of [0, 20, 10, 39, 5, 30, 14, 15, 16])
      assert.equal(hand(inbound, packets[i]!).verdict, PASS, `${i}`)
    for (const i of [0, 20, 5, 16]) assert.equal(hand(inbound, packets[i]!).verdict, DROP, `${i}`)
    assert.deepEqual(inbound.drops.toJSON(), { 'esp.replay': 4 })
  })
})

test('RFC 4303 appendix A2: the high half is inferred for every number near the window', () => {
  for (const size of [64, 1000, 8192])
    for (const top of [100n, 2n ** 32n - 3n, 2n ** 32n + 5n, 5n * 2n ** 32n + 31n, 7n * 2n ** 32n - 1n]) {
      const window = new ReplayWindow(size)
      window.reset(Number(top & 0xffffffffn), Number(top >> 32n))
      for (let off = -BigInt(size) + 1n; off < 9000n; off += 7n) {
        const n = top + off
        if (n < 0n) continue
        assert.equal(highSequence(window, Number(n & 0xffffffffn)), Number(n >> 32n), `${size} ${top} ${off}`)
      }
    }
  const first = new ReplayWindow(64)
  first.advance(5)
  assert.equal(highSequence(first, 0xfffffff0), ESN_NONE, 'before the first')
  const last = new ReplayWindow(64)
  last.reset(1000, 0xffffffff)
  assert.equal(highSequence(last, 3), ESN_NONE, 'beyond the last')
})

describe('the sequence ends (RFC 4303 section 3.3.3)', () => {
  const cases: [name: string, options: SaOptions][] = [
    ['32 bits', { sequence: { high: 0, low: 0xfffffffe } }],
    ['64 bits', { esn: true, sequence: { high: 0xffffffff, low: 0xfffffffe } }],
    ['AH', { protocol: 'ah', suite: AH_SUITES[0]!, sequence: { high: 0, low: 0xfffffffe } }],
  ]
  for (const [name, options] of cases)
    test(name, () => {
      const { outbound } = pair(options)
      seal(outbound, inner4)
      assert.equal(outbound.reached, 0)
      for (let i = 0; i < 2; i++) {
        const packet = PacketBuffer.copyOf(inner4, IPV4)
        assert.equal(outbound.process(packet), DROP)
      }
      assert.deepEqual(outbound.drops.toJSON(), { [`${options.protocol ?? 'esp'}.overflow`]: 2 })
      assert.equal(outbound.reached, 3)
    })
})

test('soft lifetimes warn, hard ones stop, in both directions', () => {
  for (const lifetimes of [
    { softPackets: 2, hardPackets: 3 },
    { softBytes: 2 * inner4.length, hardBytes: 3 * inner4.length },
  ]) {
    const { outbound, inbound } = pair({ lifetimes })
    const spare = pair().outbound
    const reached: number[] = []
    for (let i = 0; i < 3; i++) {
      seal(outbound, inner4)
      reached.push(outbound.reached)
    }
    assert.deepEqual(reached, [0, 1, 2])
    assert.equal(outbound.process(PacketBuffer.copyOf(inner4, IPV4)), DROP)
    assert.deepEqual(outbound.drops.toJSON(), { 'esp.lifetime': 1 })
    if (lifetimes.softPackets === undefined) continue
    const packets = Array.from({ length: 4 }, () => seal(spare, inner4))
    const verdicts = packets.map((packet) => hand(inbound, packet).verdict)
    assert.deepEqual(verdicts, [PASS, PASS, PASS, DROP])
    assert.deepEqual(inbound.drops.toJSON(), { 'esp.lifetime': 1 })
  }
})

test('a forged packet uses up no lifetime', () => {
  const { outbound, inbound } = pair({ lifetimes: { hardPackets: 1 } })
  const sent = seal(outbound, inner4)
  for (let i = 0; i < 5; i++)
    hand(inbound, sent, (bytes) => {
      bytes[30]! ^= 1
    })
  assert.equal(hand(inbound, sent).verdict, PASS)
})

describe('CVE-2005-0039: ESP without integrity', () => {
  const bare = { encryption: 'ENCR_AES_CBC' as const }
  test('is refused unless named', () => {
    assert.throws(() => pair({ suite: bare }), { code: 'SA_SUITE' })
    const { outbound, inbound } = pair({ suite: bare, unauthenticated: true })
    const { verdict, packet } = hand(inbound, seal(outbound, inner4))
    assert.equal(verdict, PASS)
    assert.deepEqual(packet.copy(), inner4)
  })
  test('CTR and NULL have no name that lets them', () => {
    assert.throws(() => pair({ suite: { encryption: 'ENCR_AES_CTR' }, unauthenticated: true }), {
      code: 'SA_SUITE',
    })
    assert.throws(() => pair({ suite: {}, unauthenticated: true }), { code: 'SA_SUITE' })
  })
  test('bit flips in authenticated ciphertext never reach the inner header: nothing is answered', () => {
    const { outbound, inbound } = pair({ suite: { ...bare, integrity: 'AUTH_HMAC_SHA2_256_128' } })
    const sent = seal(outbound, inner4)
    // The attack flips bits of the IV, and so of the inner header: header length, TTL, protocol, addresses.
    for (let bit = 0; bit < 128; bit++) {
      const { verdict } = hand(inbound, sent, (bytes) => {
        bytes[8 + (bit >> 3)]! ^= 1 << (bit & 7)
      })
      assert.equal(verdict, DROP)
    }
    assert.deepEqual(inbound.drops.toJSON(), { 'esp.icv': 128 }, 'one reason, whatever was hit')
  })
})

const broken: [name: string, change: Partial<SaSpec>, code: string][] = [
  ['an SPI that is reserved', { spi: 255 }, 'SA_SPI'],
  ['an SPI of 33 bits', { spi: 2 ** 32 }, 'SA_SPI'],
  ['a window of 63', { window: 63 }, 'SA_WINDOW'],
  ['a window of 8193', { window: 8193 }, 'SA_WINDOW'],
  ['a soft lifetime beyond the hard one', { lifetimes: { softSeconds: 9, hardSeconds: 8 } }, 'SA_LIFETIME'],
  ['a lifetime of nothing', { lifetimes: { hardBytes: 0 } }, 'SA_LIFETIME'],
  [
    'two integrities',
    { suite: { encryption: 'ENCR_AES_GCM_16', integrity: 'AUTH_HMAC_SHA1_96' } },
    'SA_SUITE',
  ],
  ['AH that encrypts', { protocol: 'ah', suite: { encryption: 'ENCR_AES_CBC' } }, 'SA_SUITE'],
  ['AH of nothing', { protocol: 'ah', suite: {} }, 'SA_SUITE'],
  ['AH in UDP', { protocol: 'ah', suite: AH_SUITES[0]!, udpEncapsulation: true }, 'SA_SUITE'],
  ['no such algorithm', { suite: { encryption: 'ENCR_DES' as EncryptionName } }, 'CRYPTO_ALGORITHM'],
  ['a key too short', { keys: { encryption: new Uint8Array(19) } }, 'CRYPTO_KEY'],
]
for (const [name, change, code] of broken)
  test(`no SA for: ${name}`, () => {
    assert.throws(() => new EspOutbound({ ...saOf(), ...change }, nodeProvider), { code })
  })

test('a wrong SPI is another SA: untouched, not counted; two SAs are told apart', () => {
  const first = saOf({ reverse: true })
  const second = { ...first, spi: 0x2002, keys: { encryption: new Uint8Array(36).fill(7) } }
  const inbound = new EspInbound([first, second], nodeProvider)
  const out1 = new EspOutbound(saOf(), nodeProvider)
  const out2 = new EspOutbound({ ...saOf(), spi: 0x2002, keys: second.keys }, nodeProvider)
  const out3 = new EspOutbound(saOf({ spi: 0x3003 }), nodeProvider)
  assert.equal(hand(inbound, seal(out1, inner4)).verdict, PASS)
  assert.equal(hand(inbound, seal(out2, inner4)).verdict, PASS)
  const sent = seal(out3, inner4)
  const { verdict, packet } = hand(inbound, sent)
  assert.equal(verdict, FOREIGN)
  assert.deepEqual(packet.copy(), sent.copy())
  assert.deepEqual(inbound.drops.toJSON(), {})
  assert.equal(inbound.lifetimeOf(0x2002)?.packets, 1)
})

/** ESP with NULL encryption whose plaintext is `plain`, sealed as the SA wants it. */
function sealedByHand(plain: Uint8Array, sequence = 1): PacketBuffer {
  const bytes = new Uint8Array(8 + plain.length + 12)
  bytes.set([0, 0, 0x10, 0x01, 0, 0, 0, sequence])
  bytes.set(plain, 8)
  const key = keysOf({ integrity: 'AUTH_HMAC_SHA1_96' }).integrity!
  nodeProvider
    .mac('AUTH_HMAC_SHA1_96', key)
    .compute(bytes, 0, 8 + plain.length, undefined, bytes, 8 + plain.length)
  return PacketBuffer.copyOf(bytes, 0)
}
const nullSuite = { encryption: 'ENCR_NULL' as const, integrity: 'AUTH_HMAC_SHA1_96' as const }
const withTrailer = (inner: Uint8Array, trailer: readonly number[]): Uint8Array =>
  Uint8Array.from([...inner, ...trailer])

const plaintexts: [name: string, plain: Uint8Array, reason: string | undefined][] = [
  ['right', withTrailer(inner4, [1, 2, 2, 4]), undefined],
  ['padding that does not count from 1', withTrailer(inner4, [1, 1, 2, 4]), 'esp.padding'],
  ['padding of zeros', withTrailer(inner4, [0, 0, 2, 4]), 'esp.padding'],
  ['more padding than there is', Uint8Array.of(1, 2, 3, 255, 255, 255, 255, 4), 'esp.padding'],
  ['nothing but padding', Uint8Array.of(1, 2, 2, 4), 'inner.ipv4.length'],
  ['a next header that is no tunnel', withTrailer(inner4, [1, 2, 2, 17]), 'esp.nextheader'],
  ['IPv6 named as IPv4', withTrailer(inner6, [1, 2, 2, 4]), 'inner.ipv4.version'],
  ['a dummy (RFC 4303 section 2.6)', withTrailer(inner4, [1, 2, 2, 59]), 'esp.dummy'],
  ['padding for confidentiality (section 2.7)', withTrailer(inner4, [9, 9, 9, 9, 1, 2, 2, 4]), undefined],
]
for (const [name, plain, reason] of plaintexts)
  test(`plaintext: ${name}`, () => {
    const { inbound } = pair({ suite: nullSuite })
    const { verdict, packet } = hand(inbound, sealedByHand(plain))
    assert.equal(verdict, reason === undefined ? PASS : DROP)
    if (reason === undefined) assert.deepEqual(packet.copy(), inner4)
    else assert.deepEqual(inbound.drops.toJSON(), { [reason]: 1 })
  })

test('tfc padding: every packet that fits is as long as the others, with zeros inside; longer ones go as they are', () => {
  const { outbound, inbound } = pair({ tfcPadding: 300, suite: nullSuite })
  const lengths = new Set<number>()
  for (const data of [0, 10, 50, 200]) {
    const inner = packetOf(4, data, INNER[4])
    const buffer = PacketBuffer.copyOf(inner, IPV4)
    buffer.bytes.fill(0xee, buffer.end)
    assert.equal(outbound.process(buffer), PASS)
    assert.ok(!buffer.view().includes(0xee, 8 + inner.length) || data === 200)
    lengths.add(buffer.length)
    assert.deepEqual(hand(inbound, buffer).packet.copy(), inner)
  }
  assert.equal(lengths.size, 1)
  const long = packetOf(4, 500, INNER[4])
  assert.deepEqual(hand(inbound, seal(outbound, long)).packet.copy(), long)
  const tight = PacketBuffer.copyOf(inner4, IPV4, 128, 40)
  assert.equal(outbound.process(tight), PASS, 'as far as there is room')
})

test('dummy packets are dropped by the peer, after they were verified', () => {
  const outbound = new EspOutbound(saOf(), nodeProvider)
  const { inbound } = pair()
  const buffer = PacketBuffer.copyOf(new Uint8Array(1), 0)
  assert.equal(outbound.dummy(buffer, 100), PASS)
  assert.equal(hand(inbound, buffer).verdict, DROP)
  assert.deepEqual(inbound.drops.toJSON(), { 'esp.dummy': 1 })
})

test('RFC 3948: a keepalive is dropped, what stands behind a non-ESP marker is the machine’s', () => {
  const { inbound } = pair({ udpEncapsulation: true })
  assert.equal(inbound.process(PacketBuffer.copyOf(Uint8Array.of(0xff), 0)), DROP)
  const ike = PacketBuffer.copyOf(Uint8Array.of(0, 0, 0, 0, 1, 2, 3), 0)
  assert.equal(inbound.process(ike), CONTROL)
  assert.equal(ike.length, 7)
  assert.deepEqual(inbound.drops.toJSON(), { 'esp.keepalive': 1 })
})

describe('the header outside', () => {
  test('tunnel mode copies DSCP and ECN (RFC 4301 section 5.1.2, RFC 6040) and takes CE back in', () => {
    const { outbound, inbound } = pair()
    const sent = seal(outbound, inner4)
    assert.equal(sent.outerTrafficClass, 0xb8)
    assert.equal(sent.outerTtl, 64)
    sent.outerTrafficClass = 0xbb
    assert.equal(hand(inbound, sent).verdict, DROP)
    assert.deepEqual(inbound.drops.toJSON(), { 'ecn.ceOverNotEct': 1 })
    const ect = packetOf(6, 8, INNER[6]).with(1, 0xa1)
    const marked = seal(outbound, ect)
    assert.equal(marked.outerTrafficClass, 0xba)
    marked.outerTrafficClass |= 3
    assert.deepEqual(hand(inbound, marked).packet.copy(), ect.with(1, 0xb1))
  })
  test('DF is copied, set or clear (RFC 4301 section 8.1)', () => {
    const clear = inner4.with(6, 0)
    const df = (options: SaOptions, inner: Uint8Array): boolean =>
      seal(pair(options).outbound, inner).outerDontFragment
    assert.deepEqual([df({ copyDf: true }, inner4), df({ copyDf: true }, clear)], [true, false])
    assert.deepEqual([df({ dontFragment: true }, clear), df({}, inner4)], [true, false])
  })
  test('transport mode hands on TTL, class, DF, identification and flow label', () => {
    const sent = seal(pair({ mode: 'transport' }).outbound, packetOf(4, 9))
    assert.deepEqual(
      [sent.outerTtl, sent.outerTrafficClass, sent.outerDontFragment, sent.outerIdentification],
      [63, 0xb8, true, 0x1234],
    )
    const sent6 = seal(pair({ mode: 'transport', family: 6 }).outbound, packetOf(6, 9))
    assert.deepEqual([sent6.outerTtl, sent6.outerTrafficClass, sent6.outerFlowLabel], [63, 0xb8, 0x12345])
  })
})

const refusals: [name: string, family: 4 | 6, packet: Uint8Array, reason: string][] = [
  ['of another source', 4, inner4, 'selector'],
  ['with options', 4, packetOf(4, 9).with(0, 0x46), 'options'],
  ['a fragment', 4, packetOf(4, 9).with(6, 0x20), 'fragment'],
  ['a later fragment', 4, packetOf(4, 9).with(7, 5), 'fragment'],
  ['an IPv6 fragment', 6, packetOf(6, 9).with(6, 44), 'fragment'],
  ['with hop-by-hop options', 6, packetOf(6, 9).with(6, 0), 'options'],
]
for (const protocol of ['esp', 'ah'] as const)
  for (const [name, family, inner, reason] of refusals)
    test(`transport mode refuses a packet ${name}: ${protocol}`, () => {
      const suite = protocol === 'ah' ? AH_SUITES[0]! : nullSuite
      const { outbound } = pair({ mode: 'transport', family, protocol, suite })
      assert.equal(outbound.process(PacketBuffer.copyOf(inner, family)), DROP)
      assert.deepEqual(outbound.drops.toJSON(), { [`${protocol}.${reason}`]: 1 })
    })

test('no room in front or behind is counted, not written over', () => {
  const { outbound } = pair()
  assert.equal(outbound.process(PacketBuffer.copyOf(inner4, IPV4, 8)), DROP)
  assert.equal(outbound.process(PacketBuffer.copyOf(inner4, IPV4, 128, 4)), DROP)
  assert.deepEqual(outbound.drops.toJSON(), { 'esp.room': 2 })
  const { inbound, outbound: esn } = pair({ esn: true })
  const sent = seal(esn, inner4)
  assert.equal(inbound.process(new PacketBuffer(sent.copy())), DROP)
  assert.deepEqual(inbound.drops.toJSON(), { 'esp.room': 1 })
})

test('the same packet under the same key with another seed shares no IV', () => {
  for (const encryption of ['ENCR_AES_GCM_16', 'ENCR_AES_CBC', 'ENCR_3DES', 'ENCR_AES_CTR'] as const) {
    const suite =
      encryption === 'ENCR_AES_GCM_16'
        ? { encryption }
        : { encryption, integrity: 'AUTH_HMAC_SHA1_96' as const }
    const ivs = new Set<string>()
    for (const seed of [1, 2]) {
      const { outbound } = pair({ suite, ivSeed: new Uint8Array(8).fill(seed) })
      for (let i = 0; i < 50; i++) ivs.add(seal(outbound, inner4).view().subarray(8, 16).join())
    }
    assert.equal(ivs.size, 100, encryption)
  }
})

test('ESP leaves the bytes in front of it as they were, also with an extended number', () => {
  const { outbound, inbound } = pair({ esn: true })
  const sent = seal(outbound, inner4)
  const packet = PacketBuffer.copyOf(sent.view(), 0)
  packet.bytes.fill(0x5a, 0, packet.start)
  packet.bytes[packet.end - 1]! ^= 1
  assert.equal(inbound.process(packet), DROP)
  assert.ok(packet.bytes.subarray(0, 128).every((byte) => byte === 0x5a))
  assert.equal(readUint32(packet.bytes, 128), 0x1001)
})

test('destroy wipes: a packet after it is refused', () => {
  const { outbound, inbound } = pair()
  const sent = seal(outbound, inner4)
  outbound.destroy()
  inbound.destroy()
  assert.equal(outbound.process(PacketBuffer.copyOf(inner4, IPV4)), DROP)
  assert.equal(hand(inbound, sent).verdict, DROP)
})

test('a path is plain data: it survives a structured clone', () => {
  const outbound = saOf()
  const spec = { protocol: 'esp', outbound, inbound: [saOf({ reverse: true })] }
  const clone = createTransforms(structuredClone(spec))
  const packet = PacketBuffer.copyOf(inner4, IPV4)
  assert.equal(clone.outbound.process(packet), PASS)
  assert.equal(hand(pair().inbound, packet).verdict, PASS)
})

describe('AH covers the outer header (RFC 4302 section 3.3.3.1)', () => {
  const suite = { integrity: 'AUTH_HMAC_SHA2_256_128' as const }
  test('its source, destination, length and identification; not TTL, class or DF', () => {
    const sent = seal(new AhOutbound(saOf({ protocol: 'ah', suite }), nodeProvider) as SaTransforms, inner4)
    assert.ok(sent.outerIdentification > 0, 'not left to the host')
    const tell = (change: (packet: PacketBuffer) => void, spec: Partial<SaSpec> = {}): number => {
      const inbound = new AhInbound(
        [{ ...saOf({ protocol: 'ah', suite, reverse: true }), ...spec }],
        nodeProvider,
      )
      const packet = PacketBuffer.copyOf(sent.view(), 0)
      packet.outerIdentification = sent.outerIdentification
      change(packet)
      return inbound.process(packet)
    }
    const nothing = (): void => {}
    assert.equal(tell(nothing), PASS)
    assert.equal(
      tell((packet) => Object.assign(packet, { outerTtl: 3, outerTrafficClass: 4, outerDontFragment: true })),
      PASS,
    )
    assert.equal(
      tell((packet) => packet.outerIdentification++),
      DROP,
    )
    assert.equal(
      tell((packet) => packet.bytes.fill(0, packet.end++, packet.end)),
      DROP,
    )
    assert.equal(tell(nothing, { remote: ipOf('192.0.2.9').bytes }), DROP)
    assert.equal(tell(nothing, { local: ipOf('192.0.2.9').bytes }), DROP)
  })

  test('32 bits of alignment over IPv4, 64 over IPv6, and 64 where it is asked for', () => {
    const words = (family: 4 | 6, ahAlignment?: 4 | 8): number => {
      const options = {
        protocol: 'ah' as const,
        suite,
        family,
        ...(ahAlignment === undefined ? {} : { ahAlignment }),
      }
      return seal(pair(options).outbound, inner4).view()[1]!
    }
    assert.deepEqual([words(4), words(6), words(4, 8)], [5, 6, 6])
  })
})
