import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { explain, explanationToJson, renderExplanation } from './explain.js'
import { parseHexPaste } from './hex-parse.js'
import { guessLinkType, LinkType, parseLinkType } from './link-type.js'
import { articlePackets } from './testing/article.js'
import { frame, samplePackets } from './testing/packets.js'

const bytesOf = (index: number): Uint8Array => parseHexPaste(articlePackets[index]!.dump)[0]!.bytes

describe("the article's second dump, of which it lists the fields itself", () => {
  const text = renderExplanation(explain(bytesOf(1), LinkType.raw))
  /** Each line of the article's list: place, digits, and what it says of them. */
  const listed: readonly RegExp[] = [
    /^ {2}0000 bit 0-3 +45 +Version +4 /m,
    /^ {2}0000 bit 4-7 +45 +Header length +5 +20 bytes/m,
    /^ {2}0001 bit 0-5 +00 +Differentiated services +0 /m,
    /^ {2}0001 bit 6-7 +00 +Congestion notification +0 +Not-ECT/m,
    /^ {2}0002-0003 +0068 +Total length +104 /m,
    /^ {2}0004-0005 +8b0b +Identification +35595 /m,
    /^ {2}0006-0007 bit 3-15 +0000 +Fragment offset +0 /m,
    /^ {2}0008 +40 +Time to live +64 /m,
    /^ {2}0009 +04 +Protocol +4 +IPv4 encapsulation \(IP in IP\)/m,
    /^ {2}000a-000b +6c33 +Header checksum +0x6c33 +correct +RFC 791/m,
    /^ {2}000c-000f +c0a80102 +Source address +192\.168\.1\.2 /m,
    /^ {2}0010-0013 +c0a80101 +Destination address +192\.168\.1\.1 /m,
    /^ {4}0020-0023 +ac100002 +Source address +172\.16\.0\.2 /m,
    /^ {4}0024-0027 +ac100001 +Destination address +172\.16\.0\.1 /m,
  ]
  for (const line of listed) test(String(line), () => assert.match(text, line))

  test('and more than the list: the inner checksum, the echo, the ping’s data, what is missing', () => {
    assert.match(text, /^ {4}001e-001f +5f24 +Header checksum +0x5f24 +correct/m)
    assert.match(text, /^ {4}0028 +00 +Type +0 +echo reply/m)
    assert.match(text, /^ {4}002a-002b +854a +Checksum +0x854a +not checked: 2 of the bytes/m)
    assert.match(text, /^ {4}002c-002d +aa08 +Identifier/m)
    assert.match(text, /^ {4}0030-003f .*Ping time stamp/m)
    assert.match(text, /^ {4}0048-0065 .*Ping data +pattern: each byte is its own place, from 24 on/m)
    assert.match(text, /the rest of the 104 bytes is not in this dump: 2 are missing/)
  })
})

test('JSON has every byte once, with the same facts', () => {
  const bytes = bytesOf(2)
  const json = explanationToJson(explain(bytes, LinkType.raw)) as {
    layers: {
      name: string
      start: number
      end: number
      fields: { field: string; bytes: string; value: string }[]
    }[]
    line: string
    missing: string
    originalLength: number
  }
  assert.equal(json.originalLength, 124)
  assert.match(json.missing, /22 are missing/)
  assert.match(json.line, /^fd3e:62ee:99db:bb1a::1 > /)
  assert.deepEqual(
    json.layers.map(({ name }) => name),
    ['ipv6', 'ipv4', 'icmp', 'payload'],
  )
  assert.equal(
    json.layers.reduce((sum, { start, end }) => sum + end - start, 0),
    bytes.length,
  )
  const flowLabel = json.layers[0]!.fields.find(({ field }) => field === 'flowLabel')!
  assert.deepEqual([flowLabel.bytes, flowLabel.value], ['00000e', '0x0000e'])
})

test('what is wrong is listed, with layer and field', () => {
  const bytes = bytesOf(0).slice()
  bytes[10] = 0
  const explanation = explain(bytes, LinkType.raw)
  assert.deepEqual(explanation.problems, [
    'Internet Protocol version 4, header checksum: found 0x007d, expected 0xb97d',
  ])
  assert.match(
    renderExplanation(explanation),
    /WRONG: found 0x007d, expected 0xb97d[\s\S]*Wrong in this packet:/,
  )
})

describe('the link type is guessed', () => {
  for (const { name, bytes, linkType } of samplePackets().filter(
    (sample) => sample.linkType !== LinkType.linuxSll,
  ))
    test(name, () => {
      const guessed = guessLinkType(bytes)
      // Both loopback forms are one to the eye.
      assert.equal(
        guessed === LinkType.loop ? LinkType.loop : guessed,
        linkType === LinkType.null ? LinkType.loop : linkType,
      )
    })
  test("an Ethernet frame whose first byte looks like IP's", () => {
    const bytes = frame(0x0800, samplePackets().find(({ name }) => name === 'raw IPv4')!.bytes)
    bytes.set([0x45, 0x00, 0x00, 0x54], 0)
    assert.equal(guessLinkType(bytes), LinkType.ethernet)
  })
  test('or not, where nothing is plausible', () => {
    assert.equal(guessLinkType(Uint8Array.of(0x12, 0x34)), undefined)
    assert.equal(guessLinkType(new Uint8Array(0)), undefined)
  })
  test('names', () => {
    assert.equal(parseLinkType('EN10MB'), 1)
    assert.equal(parseLinkType('linux-sll'), 113)
    assert.equal(parseLinkType('12'), 101)
    assert.equal(parseLinkType('constructor'), undefined)
  })
})
