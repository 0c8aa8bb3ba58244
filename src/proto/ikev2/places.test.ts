import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type IpAddress, IpPrefix, Ipv4Address, SeededRandom, seconds } from '../../base/index.js'
import { IkeExchange, NotifyType } from '../../wire/ike/index.js'
import { formatEndpoint } from './context.js'
import { findNotify, notify } from './init.js'
import { type Fault, Link, policyOf, Side, spisOf } from './testing.js'
import { RawPeer } from './testing-raw.js'
import { scene } from './testing-scene.js'

const at = (text: string): Ipv4Address => Ipv4Address.parse(text)!
const [A, A_ALSO, B, B_ALSO] = ['192.168.1.1', '192.168.2.1', '192.168.1.2', '192.168.2.2'].map(at) as [
  Ipv4Address,
  Ipv4Address,
  Ipv4Address,
  Ipv4Address,
]
const anywhere = { locals: [IpPrefix.parse('0.0.0.0/0')!], mobike: true }

interface Homes {
  readonly link: Link
  /** What each host has, to be changed. */
  readonly addresses: [readonly IpAddress[], readonly IpAddress[]]
}

/** Two hosts with an address in each of two networks; b begins. */
function homes(locals: boolean = true): Homes {
  const addresses: Homes['addresses'] = [
    [A, A_ALSO],
    [B, B_ALSO],
  ]
  const side = (own: 1 | 2): Side =>
    new Side({
      policies: [
        policyOf(own, {
          mobike: true,
          deadPeerAfter: seconds(10),
          ...(locals ? anywhere : {}),
          ...(own === 1 ? { peer: IpPrefix.parse('0.0.0.0/0')! } : {}),
        }),
      ],
      random: new SeededRandom(own),
      addresses: () => addresses[own - 1]!,
    })
  const link = new Link([side(1), side(2)])
  link.start()
  link.run(2)
  assert.deepEqual([link.sides[0].established, link.sides[1].established], [1, 1])
  return { link, addresses }
}

const peersOf = (side: Side): string =>
  side.machine
    .sessions()
    .map(({ places }) => places.peer.join(' '))
    .join()

/** What goes to or from one of these is lost. */
const without =
  (...dead: readonly Ipv4Address[]): Fault =>
  (datagram) => {
    const { local, remote } = datagram.carrier
    return dead.some((one) => one.equals(local) || one.equals(remote)) ? [] : [{ delayMs: 5, datagram }]
  }

describe('other addresses of the two ends (RFC 4555 sections 3.4 and 3.6)', () => {
  test('each tells the other of its own', () => {
    const { link } = homes()
    assert.equal(peersOf(link.sides[0]), '192.168.2.2')
    assert.equal(peersOf(link.sides[1]), '192.168.2.1')
  })

  test('a policy that names its address tells of no other', () => {
    const { link } = homes(false)
    assert.equal(peersOf(link.sides[0]), '')
    assert.equal(peersOf(link.sides[1]), '')
  })

  test('a list that has changed takes the place of the old one, of whichever side, and empty is said too', () => {
    const { link, addresses } = homes()
    const stay = { isOurs: () => true, placeFor: () => undefined }
    addresses[0] = [A, at('192.168.3.1'), A_ALSO]
    addresses[1] = [B]
    for (const side of link.sides) {
      side.machine.roam(stay, undefined, link.now)
      link.flush(side)
    }
    link.run(2)
    assert.equal(peersOf(link.sides[1]), '192.168.3.1 192.168.2.1')
    assert.equal(peersOf(link.sides[0]), '')
    // Nothing new: nothing is said.
    const before = link.sides.map(({ sent }) => sent.length)
    for (const side of link.sides) {
      side.machine.roam(stay, undefined, link.now)
      link.flush(side)
    }
    assert.deepEqual(
      link.sides.map(({ sent }) => sent.length),
      before,
    )
  })

  test('what is no address of a host is not remembered, and no more than there may be', () => {
    const { link, target } = scene({ mobike: true })
    const raw = new RawPeer(target)
    raw.init(link.now)
    raw.ask(IkeExchange.ikeAuth, [...raw.proof(), notify(NotifyType.mobikeSupported)], link.now)
    const told = (...bytes: number[]): ReturnType<typeof notify> =>
      notify(NotifyType.additionalIp4Address, Uint8Array.from(bytes))
    const many = Array.from({ length: 40 }, (_, i) => told(10, 0, 0, i))
    const list = [told(127, 0, 0, 1), told(224, 0, 0, 1), told(0, 0, 0, 0), told(1, 2, 3), told(10, 0, 0, 1)]
    const said = raw.ask(IkeExchange.informational, [...list, ...many], link.now)
    assert.equal(findNotify(said!, NotifyType.invalidSyntax), undefined)
    const session = target.machine.sessions().find(({ remote }) => remote.address.equals(raw.address))
    assert.equal(session!.places.peer.length, 16)
    assert.equal(`${session!.places.peer[0]}`, '10.0.0.1')
  })
})

describe('a way that is dead (RFC 4555 section 3.10)', () => {
  test('the peer is looked for at its other address, and the SAs go there with new keys', () => {
    const { link } = homes()
    const [a, b] = link.sides
    const before = spisOf(b)
    link.fault = without(A, B)
    link.run(60)
    assert.deepEqual([a.established, b.established], [1, 1], `${b.problems().join('; ')}`)
    const [session] = b.machine.sessions()
    assert.deepEqual(
      [formatEndpoint(session!.local), formatEndpoint(session!.remote)],
      ['192.168.2.2:4500', '192.168.2.1:4500'],
    )
    assert.deepEqual(spisOf(a), spisOf(b))
    assert.notDeepEqual(spisOf(b), before)
    assert.equal(`${[...a.paths.values()][0]!.carrier.remote}`, '192.168.2.2')
  })

  test('a moment’s silence moves nobody', () => {
    const { link } = homes()
    const [a, b] = link.sides
    const before = spisOf(b)
    link.fault = () => []
    link.run(13)
    link.fault = (datagram) => [{ delayMs: 5, datagram }]
    link.run(30)
    assert.equal(formatEndpoint(b.machine.sessions()[0]!.remote), '192.168.1.1:4500')
    assert.deepEqual([spisOf(a), spisOf(b)], [before, before])
  })

  test('a peer that is nowhere is given up, and not looked for for ever', () => {
    const { link } = homes()
    const b = link.sides[1]
    const { sent } = b
    link.fault = () => []
    link.run(10)
    sent.length = 0
    link.run(240)
    assert.equal(b.established, 0)
    const old = sent.filter(({ payload, carrier }) => carrier.kind === 'udp' && payload[18] === 37)
    assert.ok(old.length < 20)
  })

  test('without another place nothing is looked for', () => {
    const { link } = homes(false)
    link.fault = () => []
    link.run(100)
    assert.ok(!link.sides[1].problems().some((text) => text.startsWith('no answer')))
  })
})

describe('a host whose addresses change', () => {
  const gone = (old: IpAddress, next: IpAddress | undefined) => ({
    isOurs: (address: IpAddress): boolean => !address.equals(old),
    placeFor: (): IpAddress | undefined => next,
  })

  test('MOBIKE: what it began goes on from the new address; one that is gone before it is heard goes on as well', () => {
    const { link } = homes()
    const [a, b] = link.sides
    const policies = [policyOf(2, { deadPeerAfter: seconds(10), ...anywhere, local: B_ALSO })]
    const before = b.machine.sessions()[0]!.spi
    link.fault = without(B)
    b.machine.roam(gone(B, B_ALSO), policies, link.now)
    link.flush(b)
    link.run(5)
    assert.deepEqual(b.machine.sessions()[0]!.spi, before)
    assert.equal(formatEndpoint(a.machine.sessions()[0]!.remote), '192.168.2.2:4500')
    assert.deepEqual(spisOf(a), spisOf(b))
  })

  test('without MOBIKE: begun again from the new address at once, and the peer forgets the old SA', () => {
    const side = (own: 1 | 2): Side =>
      new Side({
        policies: [
          policyOf(own, {
            ...anywhere,
            mobike: false,
            ...(own === 1 ? { peer: IpPrefix.parse('0.0.0.0/0')! } : {}),
          }),
        ],
        random: new SeededRandom(own),
      })
    const link = new Link([side(1), side(2)])
    const [a, b] = link.sides
    link.start()
    link.run(2)
    b.machine.roam(gone(B, B_ALSO), [policyOf(2, { ...anywhere, mobike: false, local: B_ALSO })], link.now)
    link.flush(b)
    link.run(1)
    assert.deepEqual([a.established, b.established], [1, 1])
    assert.equal(formatEndpoint(a.machine.sessions()[0]!.remote), '192.168.2.2:500')
    assert.deepEqual(spisOf(a), spisOf(b))
  })

  test('nobody has been reached yet: the next try begins at once, from the new address', () => {
    const b = new Side({ policies: [policyOf(2, anywhere)], random: new SeededRandom(2) })
    const a = new Side({
      policies: [policyOf(1, { peer: IpPrefix.parse('0.0.0.0/0')! })],
      random: new SeededRandom(1),
    })
    const link = new Link([a, b])
    link.fault = without(B)
    link.start()
    link.run(20)
    b.machine.roam(gone(B, B_ALSO), [policyOf(2, { ...anywhere, local: B_ALSO })], link.now)
    link.flush(b)
    link.run(1)
    assert.deepEqual([a.established, b.established], [1, 1])
  })

  test('an address that alone the policy has is waited for', () => {
    const { link } = homes(false)
    const [a, b] = link.sides
    b.machine.roam(gone(B, undefined), undefined, link.now)
    link.flush(b)
    link.run(5)
    assert.deepEqual([a.established, b.established], [1, 1])
  })
})
