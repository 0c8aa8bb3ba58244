/** What strangers and peers may make large has a limit, and costs little until then; the honest peer goes on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ipv4Address, SeededRandom } from '../../base/index.js'
import { IkeExchange, type IkePayload, NotifyType } from '../../wire/ike/index.js'
import { COOKIE_FROM } from './half-open.js'
import { findNotify, findPayload, notify } from './init.js'
import type { IkePolicy } from './policy.js'
import { CHILD_SUITE, Link, policyOf, Side } from './testing.js'
import { datagramOf, LOCAL, RawPeer } from './testing-raw.js'
import { counted, goesOn, refusedBy, scene } from './testing-scene.js'

test('fragments in the worst order, of a message that never ends, fill no more than their limit', () => {
  const stage = scene()
  const { raw, link, target } = stage
  raw.init(link.now)
  const big: IkePayload = { kind: 'unknown', type: 200, data: new Uint8Array(60_000) }
  const packets = raw.sealed(IkeExchange.ikeAuth, [big, ...raw.proof()], 1, 576)
  assert.ok(packets.length < 128)
  for (const packet of packets.toReversed().slice(0, -1)) assert.deepEqual(raw.say(packet, link.now), [])
  for (const packet of packets.slice(1)) raw.say(packet, link.now)
  assert.equal(counted(stage, 'ike.fragment.duplicate'), packets.length - 1)
  const answers = raw.say(packets[0]!, link.now)
  assert.equal(target.established, 2, `${target.problems()}`)
  assert.ok(answers.length > 0)
  const endless = new RawPeer(target, { seed: 9, address: Ipv4Address.parse('192.168.1.67')! })
  endless.init(link.now)
  const huge: IkePayload = { kind: 'unknown', type: 200, data: new Uint8Array(65_000) }
  for (const packet of endless.sealed(IkeExchange.ikeAuth, [huge, huge], 1, 576))
    endless.say(packet, link.now)
  assert.ok(counted(stage, 'ike.fragment.count') > 128)
  goesOn(stage)
})

test('selectors that multiply: what they come to has a limit, and is refused by its name', () => {
  const flows = [{ ...policyOf(1).flows[0]!, ...anyFlow() }]
  const stage = scene({ flows })
  const { raw, link, target } = stage
  raw.establish(link.now)
  const before = target.policies.length
  // Ranges that begin and end one off: 30 prefixes and more each.
  const ranges = Array.from({ length: 255 }, (_, i) => ({
    type: 7,
    protocol: 0,
    startPort: 0,
    endPort: 0xffff,
    startAddress: Uint8Array.of(10, i, 0, 1),
    endAddress: Uint8Array.of(10, i, 255, 254),
  }))
  const [sa] = raw.child(0x5000)
  const said = raw.ask(
    IkeExchange.createChildSa,
    [
      sa!,
      { kind: 'Nonce', data: new Uint8Array(32) },
      { kind: 'TSi', selectors: ranges },
      { kind: 'TSr', selectors: ranges },
    ],
    link.now,
  )
  refusedBy(said, NotifyType.tsUnacceptable)
  assert.match(target.problems().join(), /more than 1024 pairs of prefixes/)
  assert.equal(target.policies.length, before)
  goesOn(stage)
})

test('children without end: no more than their limit, then NO_ADDITIONAL_SAS', () => {
  const stage = scene()
  const { raw, link, target } = stage
  raw.establish(link.now)
  let made = 1
  let last: readonly IkePayload[] | undefined
  for (let i = 0; i < 80; i++) {
    const nonce: IkePayload = { kind: 'Nonce', data: raw.random.fill(new Uint8Array(32)) }
    const [sa, ...selectors] = raw.child(0x6000 + i)
    last = raw.ask(IkeExchange.createChildSa, [sa!, nonce, ...selectors], link.now)
    if (findPayload(last!, 'SA') !== undefined) made++
  }
  assert.equal(made, 64)
  refusedBy(last, NotifyType.noAdditionalSas)
  assert.equal(target.paths.size, 65)
  goesOn(stage)
})

test('a delete of SPIs that nobody has, of another protocol, and of thousands at once', () => {
  const stage = scene()
  const { raw, link, target } = stage
  raw.establish(link.now)
  const spis = Array.from({ length: 10_000 }, (_, i) => Uint8Array.of(9, 0, i >> 8, i & 0xff))
  assert.deepEqual(raw.ask(IkeExchange.informational, [{ kind: 'D', protocol: 3, spis }], link.now), [])
  const mine = [Uint8Array.of(0, 0, 16, 0)]
  assert.deepEqual(
    raw.ask(IkeExchange.informational, [{ kind: 'D', protocol: 2, spis: mine }], link.now),
    [],
    'AH has none of that number',
  )
  assert.equal(target.paths.size, 2)
  const said = raw.ask(IkeExchange.informational, [{ kind: 'D', protocol: 3, spis: mine }], link.now)
  assert.equal(findPayload(said!, 'D')?.spis.length, 1)
  assert.equal(target.paths.size, 1)
  goesOn(stage)
})

test('CVE-2002-20001: 100,000 spoofed beginnings; no key exchange under load, no state, no longer answer, and the honest one gets in', () => {
  const stage = scene()
  const { target, link } = stage
  const raw = new RawPeer(target)
  const template = raw.initOf(raw.opening())
  const random = new SeededRandom(77)
  let answers = 0
  for (let i = 0; i < 100_000; i++) {
    const bytes = Uint8Array.from(template)
    random.fill(bytes.subarray(0, 8))
    bytes[0]! |= 1
    const from = Ipv4Address.parse(`10.${i >> 16}.${(i >> 8) & 0xff}.${i & 0xff}`)!
    target.machine.receive(datagramOf(bytes, from, 1024 + (i % 60_000)), link.now)
    for (const { payload } of target.drain()) {
      answers++
      assert.ok(payload.length <= bytes.length, `${payload.length} bytes for ${bytes.length}`)
    }
    target.news.length = 0
    target.sent.length = 0
  }
  assert.equal(answers, 100_000)
  assert.equal(target.machine.sessions().length, 1 + COOKIE_FROM, 'what stands of them')
  assert.equal(counted(stage, 'ike.cookie.demanded'), 100_000 - COOKIE_FROM)
  // Somebody new comes in by its cookie at once.
  const newcomer = new RawPeer(target, { seed: 5, address: Ipv4Address.parse('192.168.1.90')! })
  const cookie = findNotify(newcomer.init(link.now), NotifyType.cookie)
  assert.ok(cookie !== undefined)
  newcomer.init(link.now, [notify(NotifyType.cookie, cookie.data), ...newcomer.opening()])
  const said = newcomer.ask(IkeExchange.ikeAuth, newcomer.proof(), link.now)
  assert.ok(findPayload(said!, 'AUTH') !== undefined)
  // Another's cookie proves nothing.
  const thief = new RawPeer(target, { seed: 6, address: Ipv4Address.parse('192.168.1.91')! })
  const again = thief.init(link.now, [notify(NotifyType.cookie, cookie.data), ...thief.opening()])
  assert.ok(findNotify(again, NotifyType.cookie) !== undefined)
  assert.equal(counted(stage, 'ike.cookie'), 1)
  goesOn(stage)
  // And half a minute later all of them are forgotten.
  link.run(31)
  assert.equal(target.machine.sessions().length, 2)
})

test('CVE-2016-5361: requests that are shorter than what they ask for are answered by nothing longer', () => {
  const stage = scene()
  const { raw, link } = stage
  const nonce: IkePayload = { kind: 'Nonce', data: new Uint8Array(16) }
  const small = raw.opening().map((payload): IkePayload => {
    if (payload.kind === 'SA')
      return {
        ...payload,
        proposals: payload.proposals.slice(0, 1).map((proposal) => ({
          ...proposal,
          transforms: [
            { type: 1, id: 20, keyLength: 256 },
            { type: 2, id: 5 },
            { type: 4, id: 31 },
          ],
        })),
      }
    return payload.kind === 'Nonce' ? nonce : payload
  })
  for (const payloads of [[], [nonce], small]) {
    const request = raw.initOf(payloads)
    for (const answer of raw.say(request, link.now)) assert.ok(answer.length <= request.length)
  }
  const higher = raw.initOf([], 3)
  for (const answer of raw.say(higher, link.now)) assert.ok(answer.length <= higher.length)
  assert.ok(counted(stage, 'ike.short') >= 2)
  // The answer to the small one would be longer: its address is proved first, before any key exchange.
  assert.equal(counted(stage, 'ike.cookie.demanded'), 1)
  assert.equal(stage.target.machine.sessions().length, 1)
  // A half-open one answers its repetition alone; nothing is sent again by itself.
  raw.init(link.now)
  link.run(20)
  assert.deepEqual(
    stage.target
      .drain()
      .filter(({ carrier }) => carrier.kind === 'udp' && carrier.remote.equals(raw.address)),
    [],
  )
  goesOn(stage)
})

test('an answer of another than the one that was asked opens nothing', () => {
  const client = new Side({ policies: [policyOf(2)], random: new SeededRandom(8) })
  const server = new Side({ policies: [policyOf(1)], random: new SeededRandom(9) })
  const link = new Link([server, client])
  link.fault = (datagram) => {
    const { carrier } = datagram
    if (carrier.kind !== 'udp' || !carrier.local.equals(LOCAL)) return [{ delayMs: 5, datagram }]
    const elsewhere = { ...carrier, local: Ipv4Address.parse('192.168.1.200')! }
    return [{ delayMs: 5, datagram: { ...datagram, carrier: elsewhere } }]
  }
  link.start()
  link.run(1)
  assert.equal(client.machine.counters.get('ike.spi'), 1)
  assert.equal(client.established, 0)
  link.fault = (datagram) => [{ delayMs: 5, datagram }]
  link.run(10)
  assert.equal(client.established, 1)
})

test('rekeyings without end leave nothing behind', () => {
  const stage = scene({ childSuites: [CHILD_SUITE], childLifetime: { seconds: 600 } })
  const { link, target } = stage
  const honest = link.sides[1]
  for (let i = 0; i < 30; i++) {
    const [session] = honest.machine.sessions()
    session!.onRekeyDue!(link.now)
    link.flush(honest)
    link.run(2)
  }
  assert.equal(target.machine.sessions().length, 1)
  assert.equal(target.paths.size, 1)
  goesOn(stage)
})

function anyFlow(): Pick<IkePolicy['flows'][number], 'local' | 'remote'> {
  const all = {
    family: 4,
    start: Uint8Array.of(0, 0, 0, 0),
    end: Uint8Array.of(255, 255, 255, 255),
    protocol: 0,
    startPort: 0,
    endPort: 0xffff,
  } as const
  return { local: all, remote: all }
}
