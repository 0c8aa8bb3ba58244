/** The packets that the article shows, byte by byte, against the lines that it shows with them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { instantAt } from '../../base/index.js'
import { hexDump } from '../hex.js'
import { type PastedPacket, parseHexPaste } from '../hex-parse.js'
import { LinkType } from '../link-type.js'
import { articlePackets } from '../testing/article.js'
import { tcpdumpLine } from './line.js'

for (const { name, time, originalLength, verbose, short, dump } of articlePackets) {
  const [{ bytes }] = parseHexPaste(dump) as [PastedPacket]
  test(`${name}: the verbose line is the article's`, () => {
    const line = tcpdumpLine(bytes, LinkType.raw, { verbose: 3, time: instantAt(time), originalLength })
    assert.equal(line, verbose)
  })
  test(`${name}: the short line says what is inside`, () => {
    assert.equal(tcpdumpLine(bytes, LinkType.raw, { numeric: true, originalLength }), short)
  })
  test(`${name}: the dump is the article's, column for column`, () => {
    assert.equal(hexDump(bytes, { indent: '' }), dump)
  })
}
