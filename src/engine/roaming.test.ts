import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type IpAddress, IpPrefix, parseIpAddress } from '../base/index.js'
import type { IkePolicy, Session } from '../proto/ikev2/index.js'
import { noCredentials, policyOf } from '../proto/ikev2/testing.js'
import type { Host, LocalAddress } from './host.js'
import { networkOf, onHostNow, reachable } from './roaming.js'

const ip = (text: string): IpAddress => parseIpAddress(text)!
const ANY = [IpPrefix.parse('0.0.0.0/0')!]
const open = policyOf(1, { locals: ANY, local: ip('192.0.2.1') })
const named = policyOf(1, { local: ip('192.0.2.1') })

/** A host with these addresses; `towards`: where it sends from, if it sends at all. */
function hostOf(addresses: readonly [string, LocalAddress['place']][], towards?: string): Host {
  const own = addresses.map(([text, place]) => ({ address: ip(text), place }))
  const host: Pick<Host, 'isLocal' | 'addresses' | 'sourceFor'> = {
    isLocal: (address) => own.some((one) => one.address.equals(address)),
    addresses: () => own,
    sourceFor: () => (towards === undefined ? undefined : ip(towards)),
  }
  return host as Host
}

const ike = (policy: IkePolicy, ...addresses: string[]): Parameters<typeof onHostNow>[0] => ({
  ...{ policies: [policy], credentials: noCredentials, addresses: addresses.map(ip) },
})
const shown = ({ policies, addresses }: ReturnType<typeof onHostNow>): string[] => [
  `${policies[0]!.local}`,
  ...addresses.map(String),
]

describe('a definition on a host whose addresses change', () => {
  test('nothing is different: it is the same one', () => {
    const before = ike(open, '192.0.2.1', '10.0.0.1')
    const host = hostOf(
      [
        ['192.0.2.1', 'link'],
        ['10.0.0.1', 'loopback'],
        ['127.0.0.1', 'loopback'],
      ],
      '192.0.2.1',
    )
    assert.equal(onHostNow(before, host), before)
  })

  test('an open policy has the address that leads to its peer, and is heard on all', () => {
    const host = hostOf(
      [
        ['192.0.2.1', 'link'],
        ['198.51.100.1', 'link'],
      ],
      '198.51.100.1',
    )
    const next = onHostNow(ike(open, '192.0.2.1'), host)
    assert.deepEqual(shown(next), ['198.51.100.1', '198.51.100.1', '192.0.2.1'])
  })

  test('no way leads there: it keeps the address while that is there, else takes another, else waits', () => {
    assert.deepEqual(shown(onHostNow(ike(open, '192.0.2.1'), hostOf([['192.0.2.1', 'link']]))), [
      '192.0.2.1',
      '192.0.2.1',
    ])
    assert.deepEqual(shown(onHostNow(ike(open, '192.0.2.1'), hostOf([['192.0.2.7', 'link']]))), [
      '192.0.2.7',
      '192.0.2.7',
    ])
    assert.deepEqual(shown(onHostNow(ike(open, '192.0.2.1'), hostOf([]))), ['192.0.2.1', '192.0.2.1'])
  })

  test('a policy that names its address keeps it', () => {
    const before = ike(named, '192.0.2.1')
    assert.equal(onHostNow(before, hostOf([['192.0.2.7', 'link']], '192.0.2.7')), before)
  })

  test('peers hear of addresses of links alone', () => {
    const host = hostOf([
      ['192.0.2.1', 'link'],
      ['10.0.0.1', 'loopback'],
      ['172.16.0.1', 'tunnel'],
      ['fe80::1', 'link'],
      ['2001:db8::1', 'link'],
    ])
    assert.deepEqual(reachable(host).map(String), ['192.0.2.1', '2001:db8::1'])
  })
})

describe('where an SA is to be', () => {
  const session = (policy: IkePolicy, found = false): Session =>
    ({
      local: { address: ip('192.0.2.1'), port: 4500 },
      remote: { address: ip('203.0.113.1'), port: 4500 },
      policy,
      places: { peer: [], told: '', found },
    }) as unknown as Session
  const both: readonly [string, LocalAddress['place']][] = [
    ['192.0.2.1', 'link'],
    ['198.51.100.1', 'link'],
  ]

  test('of a policy that is open: where routes lead from; else where it is', () => {
    const network = networkOf(hostOf(both, '198.51.100.1'))
    assert.equal(`${network.placeFor(session(open))}`, '198.51.100.1')
    assert.equal(network.placeFor(session(named)), undefined)
    // A way that was found when the other was dead.
    assert.equal(network.placeFor(session(open, true)), undefined)
  })

  test('an address that is gone: wherever routes lead from, if they lead anywhere', () => {
    const gone = hostOf([['198.51.100.1', 'link']], '198.51.100.1')
    for (const policy of [open, named])
      assert.equal(`${networkOf(gone).placeFor(session(policy, true))}`, '198.51.100.1')
    assert.equal(networkOf(hostOf([])).placeFor(session(open)), undefined)
  })
})
