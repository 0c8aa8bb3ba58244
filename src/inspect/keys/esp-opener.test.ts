/** Packets that Linux sealed, opened for the eye: the same bytes inside as went in, every bit named, and no lie about the ICV. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { IPV4, type Ipv4Address, PacketBuffer, readUint16 } from '../../base/index.js'
import { nodeProvider } from '../../crypto/index.js'
import { ENDS, saOf } from '../../proto/esp/testing.js'
import { PASS } from '../../proto/machine.js'
import { createTransforms } from '../../proto/transforms.js'
import { dissect, dissectOpened } from '../dissect/dissect.js'
import type { Layer } from '../dissect/layer.js'
import { explain, explanationToJson, renderExplanation } from '../explain.js'
import { LinkType } from '../link-type.js'
import { TcpdumpPrinter } from '../print/line.js'
import { ip4Packet } from '../testing/packets.js'
import { EspOpener } from './esp-opener.js'
import type { SaKeys } from './esp-sa.js'
import { hexBytes, keysOf, type LinuxVector, linuxVectors, vectorName } from './testing.js'

const openerOf = (...keys: SaKeys[]): EspOpener => new EspOpener(keys, nodeProvider)
const icvOf = (layers: readonly Layer[]): Layer['fields'][number] =>
  layers.flatMap(({ fields }) => fields).find(({ field }) => field === 'icv')!

function assertCovers(bytes: Uint8Array, layers: readonly Layer[]): void {
  let at = 0
  for (const layer of layers) {
    assert.equal(layer.start, at, layer.name)
    let bit = 8 * layer.start
    for (const field of layer.fields) {
      assert.equal(field.bitStart, bit, `${layer.name}.${field.field}`)
      bit += field.bitLength
    }
    assert.equal(bit, 8 * layer.end, layer.name)
    at = layer.end
  }
  assert.equal(at, bytes.length)
}

/** Where the payload of an IP packet begins, behind extension headers. */
function payloadAt(packet: Uint8Array): number {
  if (packet[0]! >>> 4 === 4) return 4 * (packet[0]! & 15)
  let at = 40
  for (let protocol = packet[6]!; protocol === 0 || protocol === 60; ) {
    protocol = packet[at]!
    at += 8 * (packet[at + 1]! + 1)
  }
  return at
}

/** The bytes of what was inside: an IP packet in tunnel mode, its payload in transport mode. */
function insideOf({ mode }: LinuxVector, layers: readonly Layer[], bytes: Uint8Array): Uint8Array {
  const seal = layers.findIndex(({ name }) => name === 'esp' || name === 'ah')
  const { end: start } = layers[seal]!
  const last = layers.findIndex(({ name }) => name === 'espTrailer')
  const end = last < 0 ? bytes.length : layers[last]!.start
  const inside = bytes.subarray(start, end)
  if (mode === 'transport') return inside
  // Behind the inner packet there may be padding for traffic flow confidentiality.
  return inside.subarray(0, inside[0]! >>> 4 === 4 ? readUint16(inside, 2) : 40 + readUint16(inside, 4))
}

for (const vector of linuxVectors) {
  const keys = keysOf(vector)
  test(`from Linux: ${vectorName(vector)}`, () => {
    const opener = openerOf(keys)
    for (const { inner, outer } of vector.packets) {
      const packet = hexBytes(outer)
      const before = packet.slice()
      const { layers, bytes } = dissectOpened(packet, LinkType.raw, { opener })
      assert.deepEqual(packet, before, 'nothing is changed in what was given')
      assertCovers(packet, layers)
      assert.equal(icvOf(layers).meaning, 'correct')
      const whole = hexBytes(inner)
      assert.deepEqual(
        insideOf(vector, layers, bytes),
        vector.mode === 'tunnel' ? whole : whole.subarray(payloadAt(whole)),
      )
      // The datagrams inside were sent without a checksum, which over IPv6 is told as a fault of theirs.
      const { problems } = explain(packet, LinkType.raw, undefined, opener)
      assert.deepEqual(
        problems.filter((problem) => !problem.startsWith('User Datagram Protocol, checksum: found 0')),
        [],
      )
    }
  })

  test(`one bit wrong is never shown: ${vectorName(vector)}`, () => {
    const opener = openerOf(keys)
    const { outer } = vector.packets[0]!
    const packet = hexBytes(outer)
    // The last byte is the ICV's or AH's content.
    packet[packet.length - 1]! ^= 1
    const { layers, bytes } = dissectOpened(packet, LinkType.raw, { opener })
    assertCovers(packet, layers)
    assert.match(icvOf(layers).problem!, /another key/)
    assert.deepEqual(bytes, packet)
    if (vector.protocol === 'esp') assert.equal(layers.at(-1)!.name, 'esp')
    const line = new TcpdumpPrinter({ opener, numeric: true }).line(packet, LinkType.raw)
    assert.match(line, /len \d+ \[bad icv\]/)
    if (vector.protocol === 'esp') assert.doesNotMatch(line, /\.12345/)
  })
}

const of = (wanted: (vector: LinuxVector) => boolean): LinuxVector => linuxVectors.find(wanted)!
const gcm = of(({ encryption, mode, esn }) => encryption === 'ENCR_AES_GCM_16' && mode === 'tunnel' && !esn)
const cbc = of(({ encryption, mode, esn }) => encryption === 'ENCR_AES_CBC' && mode === 'tunnel' && !esn)
const packetOf = (vector: LinuxVector, i = 0): Uint8Array => hexBytes(vector.packets[i]!.outer)

describe('the line', () => {
  const line = (vector: LinuxVector, verbose = 0, opener = openerOf(keysOf(vector))): string =>
    new TcpdumpPrinter({ opener, numeric: true, verbose }).line(packetOf(vector), LinkType.raw)
  test('what is inside follows a colon; -v says (esp) and that the ICV is right, -vv the padding', () => {
    assert.match(
      line(gcm),
      /> [\d.]+: esp spi 0x00001000 seq 1 len 88: 10\.1\.0\.1\.12345 > 10\.2\.0\.1\.12346: udp 26/,
    )
    assert.match(line(gcm, 1), /len 88 \[icv ok\]: 10\.1\.0\.1\.12345.* \(esp\) /)
    assert.match(line(gcm, 2), /len 88 \[icv ok\] pad 0: 10\.1/)
  })
  test('transport mode has the addresses outside', () => {
    const vector = of(({ mode, family, encap }) => mode === 'transport' && family === 4 && !encap)
    assert.match(
      line(vector),
      /192\.0\.2\.1 > 192\.0\.2\.2: esp .*: 192\.0\.2\.1\.12345 > 192\.0\.2\.2\.12346: udp/,
    )
  })
  test('in UDP, and over IPv6', () => {
    assert.match(
      line(of(({ encap, mode }) => encap && mode === 'tunnel')),
      /udpencap: esp spi .*: 10\.1\.0\.1\.12345/,
    )
    assert.match(
      line(of(({ family, mode }) => family === 6 && mode === 'tunnel')),
      /: esp spi .*len \d+: .*12345/,
    )
  })
  test('without a key, and with a key of another SPI, it is as before', () => {
    const bare = new TcpdumpPrinter({ numeric: true }).line(packetOf(gcm), LinkType.raw)
    assert.equal(line(gcm, 0, openerOf(keysOf(cbc))), bare)
  })
  test('cut off: [|esp], and explained as closed', () => {
    const packet = packetOf(gcm).subarray(0, 90)
    const opener = openerOf(keysOf(gcm))
    const printed = (originalLength: number): string =>
      new TcpdumpPrinter({ opener }).line(packet, LinkType.raw, { originalLength })
    assert.match(printed(108), /len 88 \[\|esp\] /)
    // As long as this on the wire as well: what its IP header promised never came.
    assert.match(printed(90), /truncated-ip - 18 bytes missing!.* len 70 \(DF\)/)
    const { layers } = dissectOpened(packet, LinkType.raw, { originalLength: 108, opener })
    assert.match(layers.at(-1)!.note!, /18 of its bytes are not here/)
  })
})

describe('which key', () => {
  const opened = (keys: readonly SaKeys[], vector = gcm): readonly Layer[] =>
    dissectOpened(packetOf(vector), LinkType.raw, { opener: openerOf(...keys) }).layers
  const isOpen = (layers: readonly Layer[]): boolean => layers.some(({ name }) => name === 'espTrailer')
  test('addresses, prefixes and * are looked at', () => {
    const sa = keysOf(gcm)
    for (const source of ['*', '192.0.2.1', '192.0.2.0/24', '192.*.2.1'])
      assert.ok(isOpen(opened([{ ...sa, source }])), source)
    for (const source of ['192.0.2.9', '192.0.3.0/24', '191.*.2.1'])
      assert.ok(!isOpen(opened([{ ...sa, source }])), source)
    assert.ok(isOpen(opened([{ ...sa, spi: '0x000010**' }])))
    assert.ok(isOpen(opened([{ ...sa, spi: '4096' }])))
    assert.ok(!isOpen(opened([{ ...sa, spi: '4097' }])))
  })
  test('several for one SPI: the one whose ICV is right', () => {
    const wrong = { ...keysOf(gcm), encryptionKey: new Uint8Array(20) }
    assert.ok(isOpen(opened([wrong, keysOf(gcm)])))
    assert.ok(!isOpen(opened([wrong])))
  })
  test('a record that cannot check does not get around one that can', () => {
    const sa = keysOf(cbc)
    const { integrity: _, ...rest } = sa
    const blind: SaKeys = { ...rest, uncheckedIcv: 12 }
    const packet = packetOf(cbc)
    packet[packet.length - 1]! ^= 1
    const { layers } = dissectOpened(packet, LinkType.raw, { opener: openerOf(sa, blind) })
    assert.ok(!isOpen(layers))
    assert.equal(
      icvOf(opened([{ ...blind, uncheckedIcv: cbcIcv }], cbc)).meaning,
      'not checked: its algorithm is not given',
    )
  })
  test('an algorithm that is not here is named', () => {
    const layers = opened([{ ...keysOf(gcm), unsupported: 'TWOFISH-CBC' }])
    assert.match(layers.at(-1)!.note!, /no TWOFISH-CBC/)
  })
})
const cbcIcv =
  cbc.integrity === 'AUTH_HMAC_SHA1_96' ? 12 : cbc.integrity === 'AUTH_HMAC_SHA2_256_128' ? 16 : 32

test('unverified content is shown only where it was asked for, and marked', () => {
  for (const vector of linuxVectors.filter(({ protocol, mode }) => protocol === 'esp' && mode === 'tunnel')) {
    const packet = packetOf(vector)
    packet[packet.length - 1]! ^= 1
    const opener = new EspOpener([keysOf(vector)], nodeProvider, { unverified: true })
    const { layers, bytes } = dissectOpened(packet, LinkType.raw, { opener })
    assertCovers(packet, layers)
    assert.ok(icvOf(layers).problem !== undefined)
    // ChaCha20 without its ICV nobody opens.
    if (vector.encryption === 'ENCR_CHACHA20_POLY1305') {
      assert.ok(!layers.some(({ name }) => name === 'espTrailer'))
      continue
    }
    assert.match(layers.find(({ name }) => name === 'esp')!.note!, /not to be trusted/)
    assert.deepEqual(insideOf(vector, layers, bytes), hexBytes(vector.packets[0]!.inner))
  }
})

test('AH in front of ESP: both verified, what is inside followed; changed on the way is told', () => {
  const integrity = 'AUTH_HMAC_SHA2_256_128'
  const ah = saOf({ protocol: 'ah', mode: 'transport', suite: { integrity }, spi: 0x3333 })
  const esp = packetOf(gcm)
  const { outbound } = createTransforms(
    { protocol: 'esp', outbound: ah, inbound: [] },
    { crypto: nodeProvider },
  )
  const buffer = PacketBuffer.copyOf(esp, IPV4)
  assert.equal(outbound.process(buffer), PASS)
  const packet = ip4Packet([ENDS[4][0] as Ipv4Address, ENDS[4][1] as Ipv4Address], 51, buffer.copy(), {
    identification: buffer.outerIdentification,
    ttl: 7,
  })
  const keys: SaKeys = {
    ...{ family: 4, source: '*', destination: '*', spi: '0x00003333', integrity },
    ...{ encryption: 'ENCR_NULL', encryptionKey: new Uint8Array(0), integrityKey: ah.keys.integrity! },
  }
  const opener = openerOf(keys, keysOf(gcm))
  const { layers } = dissectOpened(packet, LinkType.raw, { opener })
  assertCovers(packet, layers)
  assert.deepEqual(
    layers.map(({ name }) => name),
    ['ipv4', 'ah', 'esp', 'ipv4', 'udp', 'payload', 'espTrailer'],
  )
  assert.deepEqual(explain(packet, LinkType.raw, undefined, opener).problems, [])
  const line = (verbose: number): string =>
    new TcpdumpPrinter({ opener, numeric: true, verbose }).line(packet, LinkType.raw)
  assert.match(line(0), /ah spi 0x00003333 seq 1 len \d+$/)
  assert.match(
    line(1),
    /len \d+ \[icv ok\]\n\t\[ esp spi 0x00001000 seq 1 len 88 \[icv ok\]: 10\.1\.0\.1\.12345/,
  )
  // A field of the IP header that must not change: AH tells it, ESP does not cover it.
  packet[4]! ^= 1
  const problems = explain(packet, LinkType.raw, undefined, opener).problems.join('\n')
  assert.match(problems, /Authentication Header, integrity check value/)
  assert.doesNotMatch(problems, /Encapsulating/)
  assert.match(line(0), /\[bad icv\]/)
})

test('extended numbers: the high half is found, said, and followed over the wrap', () => {
  const vector = of(({ esn, packets }) => esn && packets.length > 1)
  const opener = openerOf(keysOf(vector))
  const halves = vector.packets.map(({ outer }) => {
    const { layers } = dissectOpened(hexBytes(outer), LinkType.raw, { opener })
    return /high half (\d+)/.exec(layers.find(({ name }) => name === 'esp' || name === 'ah')!.note!)![1]
  })
  assert.deepEqual(halves, ['1', '2'])
})

test('explained in text and as JSON: IV, trailer and ICV, and never a key', () => {
  const explanation = explain(packetOf(gcm), LinkType.raw, undefined, openerOf(keysOf(gcm)))
  const text = renderExplanation(explanation)
  assert.match(text, /decrypted: ENCR_AES_GCM_16; ICV correct/)
  assert.match(text, /Initialization vector \(IV\)/)
  assert.match(text, /Next header +4 /)
  assert.match(text, /Integrity check value \(ICV\) .*correct/)
  const json = JSON.stringify(explanationToJson(explanation))
  for (const secret of [gcm.encryptionKey, gcm.encryptionKey.slice(0, 32)]) {
    assert.ok(!json.includes(secret))
    assert.ok(!text.includes(secret))
  }
})

test('damaged and cut packets: nothing throws, every bit is named', () => {
  const opener = new EspOpener(linuxVectors.map(keysOf), nodeProvider, { unverified: true })
  const printer = new TcpdumpPrinter({ opener, verbose: 2 })
  fc.assert(
    fc.property(
      fc.nat(linuxVectors.length - 1),
      fc.array(fc.tuple(fc.nat(140), fc.nat(255)), { maxLength: 4 }),
      fc.nat(160),
      fc.boolean(),
      (index, changes, length, isRaw) => {
        const packet = packetOf(linuxVectors[index]!).slice(0, length)
        for (const [at, value] of changes) if (at < packet.length) packet[at] = value
        const { layers } = dissectOpened(packet, LinkType.raw, {
          opener,
          originalLength: isRaw ? undefined : packet.length,
        })
        assertCovers(packet, layers)
        assert.equal(typeof printer.line(packet, LinkType.raw), 'string')
      },
    ),
    { numRuns: 1500 },
  )
})

test('without keys the dissection is the same as ever', () => {
  const packet = packetOf(gcm)
  assert.deepEqual(dissectOpened(packet, LinkType.raw, {}).layers, dissect(packet, LinkType.raw))
})
