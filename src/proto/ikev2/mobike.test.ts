import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Ipv4Address, seconds } from '../../base/index.js'
import { IkeExchange, NotifyType } from '../../wire/ike/index.js'
import { formatEndpoint } from './context.js'
import { findNotify, notify } from './init.js'
import { type Link, pair, spisOf } from './testing.js'
import { RawPeer } from './testing-raw.js'
import { goesOn, scene } from './testing-scene.js'

const OLD = Ipv4Address.parse('192.168.1.2')!
const NEW = Ipv4Address.parse('192.168.1.77')!
const GATEWAY = Ipv4Address.parse('192.168.1.1')!
const mobike = { mobike: true }

function established(
  one: Parameters<typeof pair>[0] = mobike,
  two: Parameters<typeof pair>[1] = mobike,
): Link {
  const link = pair(one, two)
  link.start()
  link.run(2)
  return link
}

function move(link: Link): void {
  const [, b] = link.sides
  b.machine.moved(OLD, NEW, link.now)
  link.flush(b)
}

function stands(link: Link, local: Ipv4Address): void {
  const [a, b] = link.sides
  assert.deepEqual([a.established, b.established], [1, 1], `${a.problems()} ${b.problems()}`)
  assert.deepEqual(spisOf(a), spisOf(b))
  const [[there], [here]] = [[...a.paths.values()], [...b.paths.values()]]
  assert.equal(`${there!.carrier.remote}`, `${local}`)
  assert.equal(`${here!.carrier.local}`, `${local}`)
  assert.deepEqual([a.paths.size, b.paths.size], [1, 1])
}

describe('MOBIKE (RFC 4555)', () => {
  test('an initiator that is elsewhere says so, and its SAs follow with new keys', () => {
    const link = established()
    const before = spisOf(link.sides[0])
    move(link)
    link.run(10)
    stands(link, NEW)
    assert.notDeepEqual(spisOf(link.sides[0]), before)
    const [session] = link.sides[0].machine.sessions()
    assert.equal(formatEndpoint(session!.remote), '192.168.1.77:4500')
    // No NAT was found there: ESP goes as it is.
    assert.equal([...link.sides[0].paths.values()][0]!.carrier.kind, 'ip')
  })

  test('port 4500 from IKE_AUTH on, though no NAT is there, and ESP goes as it is (section 3.3)', () => {
    const ports = (one: Parameters<typeof pair>[0]): string[] => {
      const { sides } = established(one, one)
      const [a, b] = sides
      for (const { paths } of sides) assert.equal([...paths.values()][0]!.carrier.kind, 'ip')
      return [a, b].map(({ machine }) => formatEndpoint(machine.sessions()[0]!.remote))
    }
    assert.deepEqual(ports(mobike), ['192.168.1.2:4500', '192.168.1.1:4500'])
    assert.deepEqual(ports({ mobike: false }), ['192.168.1.2:500', '192.168.1.1:500'])
    assert.deepEqual(ports({ ...mobike, keepsPort: true }), ['192.168.1.2:500', '192.168.1.1:500'])
  })

  test('again after the IKE SA was made anew, by whichever side, and while a request is under way', () => {
    const link = established({ ...mobike, ikeLifetime: seconds(60) })
    link.run(100)
    link.sides[1].machine.sessions()[0]!.onRekeyDue!(link.now)
    move(link)
    link.run(20)
    stands(link, NEW)
  })

  test('packets of the move are lost, and it comes about all the same', () => {
    const link = established()
    let dropped = 0
    link.fault = (datagram) => (dropped++ < 3 ? [] : [{ delayMs: 5, datagram }])
    move(link)
    link.run(60)
    stands(link, NEW)
  })

  test('where one of them does not speak it, nobody moves', () => {
    for (const [one, two] of [
      [mobike, {}],
      [{}, mobike],
    ]) {
      const link = established(one, two)
      const [, b] = link.sides
      b.sent.length = 0
      move(link)
      assert.deepEqual(b.sent, [])
      stands(link, OLD)
    }
  })

  test('the responder does not move (RFC 4555 section 3.5)', () => {
    const link = established()
    const [a] = link.sides
    a.machine.moved(GATEWAY, NEW, link.now)
    assert.deepEqual(a.drain(), [])
  })

  test('a place that is named and not lived at: it is asked there, and the SA does not outlive its silence', () => {
    const stage = scene(mobike)
    const { link, target } = stage
    const raw = new RawPeer(target)
    raw.init(link.now)
    raw.ask(IkeExchange.ikeAuth, [...raw.proof(), notify(NotifyType.mobikeSupported)], link.now)
    assert.equal(target.established, 2)
    const [update] = raw.sealed(
      IkeExchange.informational,
      [notify(NotifyType.updateSaAddresses)],
      raw.messageId,
    )
    const victim = Ipv4Address.parse('198.51.100.9')!
    raw.address = victim
    raw.say(update!, link.now)
    link.run(200)
    const sent = target.sent.filter(({ carrier }) => carrier.kind === 'udp' && carrier.remote.equals(victim))
    assert.ok(sent.length >= 2 && sent.length <= 8, `${sent.length} messages to the victim`)
    assert.ok([...target.paths.values()].every(({ carrier }) => !carrier.remote.equals(victim)))
    assert.equal(target.established, 1)
    goesOn(stage)
  })

  test('a cookie is given back as it is; NO_NATS_ALLOWED is held against where the message comes from', () => {
    const { link, target } = scene(mobike)
    const raw = new RawPeer(target)
    raw.init(link.now)
    raw.ask(IkeExchange.ikeAuth, [...raw.proof(), notify(NotifyType.mobikeSupported)], link.now)
    const cookie = new Uint8Array(8).fill(7)
    const said = raw.ask(IkeExchange.informational, [notify(NotifyType.cookie2, cookie)], link.now)
    assert.deepEqual(findNotify(said!, NotifyType.cookie2)?.data, cookie)
    const wrong = [
      notify(NotifyType.updateSaAddresses),
      notify(NotifyType.noNatsAllowed, Uint8Array.of(10, 0, 0, 1, 192, 168, 1, 1, 1, 244, 1, 244)),
    ]
    const refused = raw.ask(IkeExchange.informational, wrong, link.now)
    assert.ok(findNotify(refused!, NotifyType.unexpectedNatDetected) !== undefined)
  })
})
