import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseIpAddress } from '../base/index.js'
import { SOURCE_CACHE_MS, SOURCE_LOOKUPS_PER_SECOND, SourceFilter } from './source-filter.js'

/** An IP packet's header from this source, which is all that the filter reads. */
function packetFrom(source: string, next = 17, hopLimit = 64): Uint8Array {
  const { bytes, family } = parseIpAddress(source)!
  const packet = new Uint8Array(40)
  packet.set(bytes, family === 4 ? 12 : 8)
  if (family === 6) packet.set([next, hopLimit], 6)
  return packet
}

const TUNNEL = 7
const routes: Record<string, { interfaceIndex: number; type: number }> = {
  '172.16.0.2': { interfaceIndex: TUNNEL, type: 1 },
  '172.16.0.1': { interfaceIndex: 1, type: 2 },
  '192.168.1.2': { interfaceIndex: 2, type: 1 },
  '224.0.0.1': { interfaceIndex: TUNNEL, type: 5 },
  'fdd0::2': { interfaceIndex: TUNNEL, type: 1 },
  'fdd0::3': { interfaceIndex: 2, type: 1 },
}

test('only what the route back would send into the tunnel leaves it (CVE-2020-10136, CVE-2024-7595)', () => {
  const filter = new SourceFilter(TUNNEL, (address) => routes[`${address}`])
  const refusal = (source: string): string | undefined =>
    filter.refuses(packetFrom(source), 0, source.includes(':') ? 6 : 4, 1000)
  assert.equal(refusal('172.16.0.2'), undefined)
  assert.equal(refusal('192.168.1.2'), 'inner.source', 'another interface')
  assert.equal(refusal('172.16.0.1'), 'inner.source', 'our own address')
  assert.equal(refusal('224.0.0.1'), 'inner.source', 'multicast')
  assert.equal(refusal('8.8.8.8'), 'inner.source', 'no route')
  assert.equal(refusal('fdd0::2'), undefined)
  assert.equal(refusal('fdd0::3'), 'inner.source')
  assert.equal(refusal('fe80::2'), undefined, 'the link itself')
  assert.equal(refusal('::'), 'inner.source')
})

test('duplicate address detection comes from :: (RFC 4862 section 5.4.2)', () => {
  const filter = new SourceFilter(TUNNEL, () => undefined)
  assert.equal(filter.refuses(packetFrom('::', 58, 255), 0, 6, 0), undefined)
  assert.equal(filter.refuses(packetFrom('::', 58, 64), 0, 6, 0), 'inner.source')
})

test('an answer is remembered for a second, and no longer', () => {
  let asked = 0
  let there = true
  const filter = new SourceFilter(TUNNEL, () => {
    asked++
    return there ? { interfaceIndex: TUNNEL, type: 1 } : undefined
  })
  const packet = packetFrom('172.16.0.2')
  for (let i = 0; i < 100; i++) assert.equal(filter.refuses(packet, 0, 4, 5000), undefined)
  assert.equal(asked, 1)
  there = false
  assert.equal(filter.refuses(packet, 0, 4, 5000 + SOURCE_CACHE_MS - 1), undefined)
  assert.equal(filter.refuses(packet, 0, 4, 5000 + SOURCE_CACHE_MS), 'inner.source')
  assert.equal(asked, 2)
})

test('invented sources cost a bounded number of questions, and an honest one is still let through', () => {
  let asked = 0
  const filter = new SourceFilter(TUNNEL, (address) => {
    asked++
    return routes[`${address}`]
  })
  const honest = packetFrom('172.16.0.2')
  assert.equal(filter.refuses(honest, 0, 4, 9000), undefined)
  const packet = packetFrom('10.0.0.0')
  let limited = 0
  for (let i = 0; i < 3 * SOURCE_LOOKUPS_PER_SECOND; i++) {
    packet.set([10, i >>> 16, i >>> 8, i], 12)
    if (filter.refuses(packet, 0, 4, 9000) === 'inner.source.limit') limited++
  }
  assert.equal(asked, SOURCE_LOOKUPS_PER_SECOND)
  assert.equal(limited, 2 * SOURCE_LOOKUPS_PER_SECOND + 1)
  assert.equal(filter.refuses(honest, 0, 4, 9000 + SOURCE_CACHE_MS), undefined, 'in the next second')
})
