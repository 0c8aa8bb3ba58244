import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { toHex, WarrenError } from '../base/index.js'
import { hexDump } from './hex.js'
import { parseHexPaste } from './hex-parse.js'
import { articlePackets } from './testing/article.js'

const bytes = fc.uint8Array({ minLength: 1, maxLength: 200 })
/** Bytes whose text column looks like hexadecimal: the hard case. */
const hexLookalikes = fc
  .array(fc.constantFrom(...'0123456789abcdef'), { minLength: 1, maxLength: 100 })
  .map((letters) => Uint8Array.from(letters, (letter) => letter.charCodeAt(0)))

/** A dump as Linux's tcpdump -XX prints it. */
function linuxDump(packet: Uint8Array): string {
  const lines: string[] = []
  for (let at = 0; at < packet.length; at += 16) {
    const row = packet.subarray(at, at + 16)
    const groups = (toHex(row).match(/.{1,4}/g) ?? []).join(' ')
    const text = Array.from(row, (byte) =>
      byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.',
    ).join('')
    lines.push(`\t0x${at.toString(16).padStart(4, '0')}:  ${groups.padEnd(39)}  ${text}`)
  }
  return lines.join('\n')
}

test('what -X prints is read back, with or without indentation, even where the text looks like hexadecimal', () => {
  fc.assert(
    fc.property(fc.oneof(bytes, hexLookalikes), fc.constantFrom('', '  '), (packet, indent) => {
      assert.deepEqual(
        parseHexPaste(hexDump(packet, { indent })).map((found) => found.bytes),
        [packet],
      )
    }),
  )
})

test('what Linux prints is read back', () => {
  fc.assert(
    fc.property(fc.oneof(bytes, hexLookalikes), (packet) => {
      assert.deepEqual(
        parseHexPaste(linuxDump(packet)).map((found) => found.bytes),
        [packet],
      )
    }),
  )
})

test('bare digits: joined, in groups, with colons, over lines, with 0x', () => {
  for (const text of ['4500001c', '45 00 00 1c', '45:00:00:1c', '4500\n001c\n', '0x4500001c'])
    assert.deepEqual(parseHexPaste(text)[0]!.bytes, Uint8Array.of(0x45, 0, 0, 0x1c))
})

test('the article: two packets in one paste, with their lines', () => {
  const [request, reply] = articlePackets as [(typeof articlePackets)[0], (typeof articlePackets)[0]]
  const paste = `${request.verbose.replace(': 172', ': \n  172')}\n${request.dump}\n\n${reply.verbose}\n${reply.dump}\n`
  const found = parseHexPaste(paste)
  assert.equal(found.length, 2)
  assert.equal(found[0]!.bytes.length, 102)
  assert.match(found[1]!.caption, /^17:35:01\.122106 192\.168\.1\.2 > /)
  assert.equal(found[0]!.line, 3)
})

test('packets follow each other without a line between', () => {
  const paste = `${hexDump(Uint8Array.of(1, 2))}\n${hexDump(Uint8Array.of(3))}`
  assert.deepEqual(
    parseHexPaste(paste).map((found) => toHex(found.bytes)),
    ['0102', '03'],
  )
})

test('Wireshark’s form, without colons', () => {
  const found = parseHexPaste('0000   45 00 00 1c 00 01 00 00 40 01 66 e3 c0 a8 01 01   E..\n0010   c0 a8\n')
  assert.equal(toHex(found[0]!.bytes), '4500001c00010000400166e3c0a80101c0a8')
})

test('a line that is missing is said, with its place', () => {
  assert.throws(
    () => parseHexPaste('0000: 4500 0068 3dc1 0000 4004 b97d c0a8 0101  x\n0020: 4500'),
    (error) =>
      error instanceof WarrenError && error.code === 'INSPECT_HEX_GAP' && /line 2/.test(error.message),
  )
})

test('an odd last byte ends the row, even where copying has lost blanks', () => {
  assert.equal(toHex(parseHexPaste('0000: 4500 00 ab')[0]!.bytes), '450000')
})

test('half a byte, and nothing at all, are said', () => {
  assert.throws(() => parseHexPaste('450'), /half a byte/)
  assert.throws(() => parseHexPaste('hello\n'), /no packet in this text/)
})
