import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { IpPrefix, ipAddressFrom } from '../../base/index.js'
import {
  compare,
  covers,
  formatSelector,
  intersect,
  prefixesOf,
  type Selector,
  selectorOf,
  selectorOfPrefix,
  wireSelector,
} from './selectors.js'

const parseIpPrefix = (text: string): IpPrefix => IpPrefix.parse(text)!
const number = (bytes: Uint8Array): number => bytes.reduce((sum, byte) => sum * 256 + byte, 0)
const address = fc.uint8Array({ minLength: 4, maxLength: 4 })
const port = fc.integer({ min: 0, max: 0xffff })
const selector: fc.Arbitrary<Selector> = fc
  .tuple(address, address, fc.constantFrom(0, 6, 17), port, port)
  .map(([a, b, protocol, p, q]) => {
    const [start, end] = compare(a, b) <= 0 ? [a, b] : [b, a]
    const [startPort, endPort] = protocol === 0 ? [0, 0xffff] : [Math.min(p, q), Math.max(p, q)]
    return { family: 4, start, end, protocol, startPort, endPort }
  })

/** Whether a packet falls under a selector: the plain meaning. */
const holds = (s: Selector, at: Uint8Array, protocol: number, to: number): boolean =>
  compare(s.start, at) <= 0 &&
  compare(at, s.end) <= 0 &&
  (s.protocol === 0 || (s.protocol === protocol && s.startPort <= to && to <= s.endPort))

describe('traffic selectors', () => {
  test('the common part holds just the packets of both', () => {
    fc.assert(
      fc.property(selector, selector, address, fc.constantFrom(6, 17), port, (a, b, at, protocol, to) => {
        const common = intersect(a, b)
        const both = holds(a, at, protocol, to) && holds(b, at, protocol, to)
        assert.equal(common !== undefined && holds(common, at, protocol, to), both)
        if (common === undefined) return
        assert.ok(covers(a, common) && covers(b, common))
        assert.deepEqual(intersect(b, a), common)
      }),
    )
  })

  test('a range is cut into the fewest prefixes, which cover it without a gap', () => {
    fc.assert(
      fc.property(address, fc.nat(5000), (start, more) => {
        const last = Math.min(number(start) + more, 0xffffffff)
        const end = Uint8Array.from([24, 16, 8, 0], (shift) => (last >>> shift) & 255)
        const prefixes = prefixesOf({ family: 4, start, end, protocol: 0, startPort: 0, endPort: 0xffff })
        let at = number(start)
        for (const { address: from, length } of prefixes) {
          assert.equal(number(from), at)
          assert.equal(at % 2 ** (32 - length), 0, 'aligned')
          at += 2 ** (32 - length)
        }
        assert.equal(at - 1, last)
        assert.ok(prefixes.length <= 26)
      }),
    )
  })

  test('a prefix is a range, on the wire and back', () => {
    for (const written of ['10.0.0.0/8', '0.0.0.0/0', '192.0.2.1/32', 'fc00::/7', '::/0']) {
      const made = selectorOfPrefix(parseIpPrefix(written))
      assert.deepEqual(selectorOf(wireSelector(made)), made)
      const prefixes = prefixesOf(made)
      assert.equal(prefixes.length, 1)
      assert.equal(`${ipAddressFrom(prefixes[0]!.address)}/${prefixes[0]!.length}`, written)
    }
    const { start, end } = selectorOfPrefix(parseIpPrefix('10.1.16.0/20'))
    assert.equal(`${ipAddressFrom(start)} ${ipAddressFrom(end)}`, '10.1.16.0 10.1.31.255')
  })

  test('CVE-2023-23009, CVE-2023-38710: ends the wrong way round, unknown types and OPAQUE ports are none', () => {
    const good = wireSelector(selectorOfPrefix(parseIpPrefix('10.0.0.0/8')))
    assert.equal(
      selectorOf({ ...good, startAddress: good.endAddress, endAddress: good.startAddress }),
      undefined,
    )
    assert.equal(selectorOf({ ...good, type: 9 }), undefined)
    assert.equal(selectorOf({ ...good, startPort: 0xffff, endPort: 0 }), undefined)
  })

  test('written for people', () => {
    assert.equal(formatSelector(selectorOfPrefix(parseIpPrefix('10.0.0.0/8'))), '10.0.0.0/8')
    assert.equal(
      formatSelector(selectorOfPrefix(parseIpPrefix('192.0.2.1/32'), 6, { first: 22, last: 22 })),
      '192.0.2.1[6/22]',
    )
  })
})
