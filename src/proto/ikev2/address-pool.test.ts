import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { IpPrefix, instantAt, parseIpAddress, SeededRandom } from '../../base/index.js'
import { AddressPool, type Lease, type LeaseRequest, type Tenant } from './address-pool.js'

const NOW = instantAt(0)
const tenant = (ended: string[] = [], name = ''): Tenant => ({ close: () => void ended.push(name) })
const request = (prefix: string, holder: string, more: Partial<LeaseRequest> = {}): LeaseRequest => ({
  prefix: IpPrefix.parse(prefix)!,
  holder,
  tenant: tenant(),
  sticky: false,
  ...more,
})

test('every address of a pool is given once, but those of the network itself; then it is full', () => {
  for (const [prefix, expected] of [
    ['10.9.0.0/29', ['10.9.0.1', '10.9.0.2', '10.9.0.3', '10.9.0.4', '10.9.0.5', '10.9.0.6']],
    ['10.9.0.8/31', ['10.9.0.8', '10.9.0.9']],
    ['10.9.0.7', ['10.9.0.7']],
    ['fd00::/126', ['fd00::1', 'fd00::2', 'fd00::3']],
  ] as const) {
    const pool = new AddressPool(new SeededRandom(1))
    const given = Array.from({ length: 9 }, (_, i) => pool.lease(request(prefix, `peer ${i}`), NOW))
    const addresses = given.flatMap((lease) => (lease === undefined ? [] : [`${lease.address}`]))
    assert.deepEqual(addresses.sort(), expected)
    pool.release(given[0]!)
    assert.equal(`${pool.lease(request(prefix, 'late'), NOW)!.address}`, `${given[0]!.address}`)
    // What is released twice is not taken from whom has it now.
    pool.release(given[0]!)
    assert.equal(pool.lease(request(prefix, 'later'), NOW), undefined)
  }
})

test('a large pool of IPv6 gives addresses at once', () => {
  const pool = new AddressPool(new SeededRandom(2))
  const given = Array.from(
    { length: 500 },
    (_, i) => `${pool.lease(request('fd00::/64', `${i}`), NOW)!.address}`,
  )
  assert.equal(new Set(given).size, 500)
})

test('what a peer asks for it gets, if it may', () => {
  const pool = new AddressPool(new SeededRandom(3))
  const ask = (wanted: string): string =>
    `${pool.lease(request('10.9.0.0/24', 'x', { wanted: parseIpAddress(wanted) }), NOW)!.address}`
  assert.equal(ask('10.9.0.77'), '10.9.0.77')
  for (const taken of ['10.9.0.77', '10.9.0.0', '10.9.0.255', '10.8.0.1', 'fd00::1'])
    assert.notEqual(ask(taken), taken)
})

test('a sticky address comes again, while the older SA stands and after its end', () => {
  const pool = new AddressPool(new SeededRandom(4))
  const ended: string[] = []
  const first = pool.lease(
    request('10.9.0.0/24', 'a', { sticky: true, tenant: tenant(ended, 'first') }),
    NOW,
  )!
  const second = pool.lease(request('10.9.0.0/24', 'a', { sticky: true }), NOW)!
  assert.equal(`${second.address}`, `${first.address}`)
  assert.deepEqual(ended, ['first'])
  // The end of the older one takes nothing away.
  pool.release(first)
  assert.equal(pool.size, 1)
  pool.release(second)
  const other = pool.lease(request('10.9.0.0/24', 'b', { sticky: true }), NOW)!
  assert.notEqual(`${other.address}`, `${first.address}`)
  assert.equal(
    `${pool.lease(request('10.9.0.0/24', 'a', { sticky: true }), NOW)!.address}`,
    `${first.address}`,
  )
})

test('of a full pool a peer’s older SA gives way to its newer one, and nobody else’s does', () => {
  const pool = new AddressPool(new SeededRandom(5))
  const ended: string[] = []
  const of = (holder: string, name: string): Lease | undefined =>
    pool.lease(request('10.9.0.0/30', holder, { tenant: tenant(ended, name) }), NOW)
  const [a, b] = [of('a', 'a1'), of('b', 'b1')]
  assert.ok(a !== undefined && b !== undefined)
  assert.equal(of('c', 'c1'), undefined)
  assert.equal(`${of('a', 'a2')?.address}`, `${a.address}`)
  assert.deepEqual(ended, ['a1'])
})

test('whatever comes and goes, no two have one address', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ holder: fc.integer({ min: 0, max: 5 }), sticky: fc.boolean(), drop: fc.nat(8) })),
      (steps) => {
        const pool = new AddressPool(new SeededRandom(6))
        const held = new Set<Lease>()
        for (const { holder, sticky, drop } of steps) {
          const box: { lease?: Lease | undefined } = {}
          const end = (): void => {
            if (box.lease !== undefined) held.delete(box.lease)
          }
          const wish = request('10.9.0.0/29', `${holder}`, { sticky, tenant: { close: end } })
          box.lease = pool.lease(wish, NOW)
          if (box.lease !== undefined) held.add(box.lease)
          const one = [...held][drop]
          if (one !== undefined) {
            held.delete(one)
            pool.release(one)
          }
          assert.equal(new Set([...held].map(({ address }) => `${address}`)).size, held.size)
          assert.equal(pool.size, held.size)
        }
      },
    ),
  )
})

test('an address of the gateway itself is nobody’s, whether asked for or found', () => {
  const own = new Set(['10.9.0.1', '10.9.0.3', '10.9.0.4'])
  for (let seed = 1; seed < 50; seed++) {
    const pool = new AddressPool(new SeededRandom(seed), (address) => own.has(`${address}`))
    const given = [1, 2, 3].map(() =>
      pool.lease(
        {
          prefix: IpPrefix.parse('10.9.0.0/29')!,
          holder: `FQDN/${seed}`,
          tenant: { close: () => {} },
          wanted: parseIpAddress('10.9.0.1'),
          sticky: false,
        },
        instantAt(0),
      ),
    )
    assert.deepEqual(given.map((lease) => `${lease?.address}`).sort(), ['10.9.0.2', '10.9.0.5', '10.9.0.6'])
  }
})
