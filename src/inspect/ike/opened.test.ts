/** IKE with its keys: every suite, fragments, what is wrong, what stays closed. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { seconds } from '../../base/index.js'
import { nodeProvider } from '../../crypto/index.js'
import { dissect, dissectOpened } from '../dissect/dissect.js'
import type { Layer } from '../dissect/layer.js'
import { explain, explanationToJson } from '../explain.js'
import { IkeOpener } from '../keys/ike-opener.js'
import { LinkType } from '../link-type.js'
import { TcpdumpPrinter, tcpdumpLine } from '../print/line.js'
import {
  assertCovers,
  fieldsOf,
  IKE_SUITES,
  type IkeCapture,
  ikeCapture,
  signedCapture,
  testCertificate,
  titles,
  wholeLife,
} from './testing.js'

/** All packets of a capture, opened in order. */
function opened({ packets, keys }: IkeCapture): { layers: Layer[]; line: string }[] {
  const opener = new IkeOpener(keys, nodeProvider)
  const printer = new TcpdumpPrinter({ opener, verbose: 1, numeric: true })
  return packets.map((packet) => {
    const before = packet.slice()
    const { layers } = dissectOpened(packet, LinkType.raw, { originalLength: packet.length, opener })
    assertCovers(packet, layers)
    assert.deepEqual(explain(packet, LinkType.raw, packet.length, opener).problems, [])
    const line = printer.line(packet, LinkType.raw)
    assert.deepEqual(packet, before)
    return { layers, line }
  })
}

describe('with keys', () => {
  for (const suite of IKE_SUITES)
    test(`${suite.encryption[0]!.name} ${suite.encryption[0]!.keyBits} ${suite.integrity.join()}`, () => {
      const capture = ikeCapture({ policy: { ikeSuites: [suite] } })
      assert.equal(capture.packets.length, 4)
      const [, , request, response] = opened(capture)
      assert.deepEqual(titles(request!.layers).slice(1, 3), ['Identification, initiator (IDi)', 'Notify (N)'])
      assert.match(request!.line, /payload: E len: \d+ \[icv ok\]\n\t {4}payload: IDi .*"host2\.example"/)
      assert.ok(fieldsOf(response!.layers).includes('Integrity check value (ICV): correct'))
    })

  test('through the whole life of an SA: both kinds of rekeying, a question whether it lives, the end', () => {
    const capture = ikeCapture(wholeLife)
    assert.equal(capture.keys.length, 2)
    const lines = opened(capture).map(({ line }) => line)
    for (const part of [
      /notification: REKEY_SA proto: ESP/,
      /exchange CREATE_CHILD_SA/,
      /payload: D len: 8 proto: IKE/,
    ])
      assert.ok(
        lines.some((line) => part.test(line)),
        String(part),
      )
    assert.ok(lines.slice(2).every((line) => line.includes('[icv ok]')))
  })

  test('on port 4500, behind the marker', () => {
    const [, , request] = opened(ikeCapture({ policy: { forceUdp: true } }))
    assert.match(request!.line, /\.4500 > .* udpencap: isakmp v2\.0 exchange IKE_AUTH/)
    assert.match(request!.line, /\[icv ok\]\n\t {4}payload: IDi/)
  })

  test('fragments: a payload over their borders, the list of all with the last one', () => {
    const certificate = testCertificate()
    const seen = opened(signedCapture(certificate))
    const all = seen.flatMap(({ layers }) => titles(layers)).filter((title) => !title.startsWith('Encrypted'))
    assert.ok(all.includes('Certificate (CERT)'))
    assert.ok(all.includes('Certificate (CERT), continued'))
    const last = seen.filter(({ line }) => /payload: EF .* \[icv ok\]\n/.test(line))
    assert.equal(last.length, 2)
    for (const { line } of last)
      assert.match(
        line,
        /payload: CERT len: \d+ encoding: X\.509 certificate, signature subject: \/CN=alice\.example/,
      )
    assert.match(last[0]!.line, /method: digital signature, ECDSA with SHA-256/)
  })

  test('a fragment whose first was not seen is not followed; in another order the list still comes', () => {
    const capture = signedCapture(testCertificate())
    const fragments = capture.packets.slice(2, 2 + 3)
    const alone = opened({ ...capture, packets: [fragments[1]!] })
    assert.ok(alone[0]!.layers.some(({ note }) => note?.includes('an earlier fragment was not seen')))
    const turned = opened({ ...capture, packets: capture.packets.slice(2).reverse() })
    assert.equal(turned.filter(({ line }) => /payload: AUTH/.test(line)).length, 2)
  })

  test('of one datagram in IP fragments, or cut off, nothing is opened', () => {
    const capture = ikeCapture()
    const opener = new IkeOpener(capture.keys, nodeProvider)
    const packet = capture.packets[2]!
    const cut = dissectOpened(packet.subarray(0, -5), LinkType.raw, { originalLength: packet.length, opener })
    assert.match(cut.layers.at(-1)!.note!, /^not opened: 5 of its bytes are not here/)
  })

  test('one bit wrong is never shown; --unverified shows it, marked', () => {
    const capture = ikeCapture()
    const packet = capture.packets[2]!
    packet[100]! ^= 1
    const closed = dissectOpened(packet, LinkType.raw, { opener: new IkeOpener(capture.keys, nodeProvider) })
    assertCovers(packet, closed.layers)
    assert.match(closed.layers.at(-1)!.note!, /^not opened: .*ICV wrong/)
    assert.deepEqual(closed.bytes, packet)
    const open = dissectOpened(packet, LinkType.raw, {
      opener: new IkeOpener(capture.keys, nodeProvider, { unverified: true }),
    })
    assertCovers(packet, open.layers)
    assert.match(
      open.layers.map(({ note }) => note ?? '').join(),
      /decrypted: .*ICV wrong; what follows is not to be trusted/,
    )
  })

  test('without them: what is encrypted is bytes, and no line says more', () => {
    const packet = ikeCapture().packets[2]!
    assert.equal(dissect(packet, LinkType.raw).at(-1)!.note, 'its content needs the key')
    assert.doesNotMatch(tcpdumpLine(packet, LinkType.raw, { verbose: 2 }), /IDi|icv/)
  })

  test('no keys in JSON', () => {
    const { packets, keys } = ikeCapture()
    const opener = new IkeOpener(keys, nodeProvider)
    const json = packets.map((packet) =>
      JSON.stringify(explanationToJson(explain(packet, LinkType.raw, undefined, opener))),
    )
    const secrets = keys.flatMap(({ encryptionKeys }) =>
      encryptionKeys.map((key) => Buffer.from(key).toString('hex')),
    )
    assert.ok(json[2]!.includes('"ikePayload"'))
    for (const secret of secrets) assert.ok(!json.join().includes(secret))
  })

  test('bytes changed anywhere, with the right keys: nothing throws', () => {
    const { packets, keys } = signedCapture(testCertificate(), { ikeLifetime: seconds(1000) })
    const opener = new IkeOpener(keys, nodeProvider, { unverified: true })
    const changes = fc.array(fc.tuple(fc.nat(600), fc.nat(255)), { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(fc.nat(packets.length - 1), changes, (index, list) => {
        const packet = packets[index]!.slice()
        for (const [offset, value] of list) packet[28 + (offset % (packet.length - 28))] = value
        assertCovers(packet, dissectOpened(packet, LinkType.raw, { opener }).layers)
        tcpdumpLine(packet, LinkType.raw, { opener, verbose: 2 })
      }),
      { numRuns: 500 },
    )
  })
})
