/**
 * What others got wrong: each comes to a machine that also carries an honest peer; it is refused, counted or named, and
 * the honest peer goes on.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../base/index.js'
import { KEY_EXCHANGES, type KeyExchangeName } from '../../crypto/index.js'
import { IkeExchange, type IkePayload, NotifyType } from '../../wire/ike/index.js'
import { findNotify, findPayload } from './init.js'
import { IKE_SUITE, Link, policyOf, Side } from './testing.js'
import { RawPeer } from './testing-raw.js'
import { counted, goesOn, refusedBy, scene } from './testing-scene.js'

/** Values that are none, of a group. */
function badValues(name: KeyExchangeName): [string, Uint8Array][] {
  const { valueLength, kind } = KEY_EXCHANGES[name]
  const one = new Uint8Array(valueLength)
  one[kind === 'modp' || kind === 'ecp' ? valueLength - 1 : 0] = 1
  return [
    ['empty', new Uint8Array(0)],
    ['short', new Uint8Array(valueLength - 1).fill(7)],
    ['long', new Uint8Array(valueLength + 1).fill(7)],
    ['zero', new Uint8Array(valueLength)],
    ['one', one],
    ['all ones: p-1 and above', new Uint8Array(valueLength).fill(0xff)],
  ]
}

for (const name of ['MODP_2048', 'ECP_256', 'CURVE25519', 'CURVE448'] as const)
  test(`CVE-2023-41913, CVE-2015-3240: a key exchange value of ${name} that is none`, () => {
    const stage = scene({ ikeSuites: [{ ...IKE_SUITE, keyExchange: [name] }] })
    for (const [what, data] of badValues(name)) {
      // All ones are a value of these as any other (RFC 7748 section 5).
      if (what.startsWith('all ones') && name.startsWith('CURVE')) continue
      const raw = new RawPeer(stage.target)
      const group = { type: 4, id: KEY_EXCHANGES[name].id }
      const payloads = raw.opening().map((payload): IkePayload => {
        if (payload.kind === 'SA')
          return {
            ...payload,
            proposals: payload.proposals.map((proposal) => ({
              ...proposal,
              transforms: [...proposal.transforms.filter(({ type }) => type !== 4), group],
            })),
          }
        return payload.kind === 'KE' ? { ...payload, method: group.id, data } : payload
      })
      refusedBy(raw.init(stage.link.now, payloads), NotifyType.invalidSyntax)
      assert.equal(stage.target.machine.sessions().length, 1, what)
    }
    assert.match(stage.target.problems().join(), /key exchange value is none/)
    goesOn(stage)
  })

test('CVE-2014-9221: a group number that only some program knows inside', () => {
  const stage = scene()
  for (const method of [0, 1024, 1025, 0xffff]) {
    const raw = new RawPeer(stage.target)
    const payloads = raw
      .opening()
      .map((payload): IkePayload => (payload.kind === 'KE' ? { ...payload, method } : payload))
    refusedBy(raw.init(stage.link.now, payloads), NotifyType.invalidKePayload)
  }
  assert.equal(stage.target.machine.sessions().length, 1)
  goesOn(stage)
})

test('CVE-2015-3991: a message and payloads of the other version', () => {
  const stage = scene()
  const { raw, link, target } = stage
  assert.deepEqual(raw.say(raw.initOf(raw.opening(), 1), link.now), [])
  assert.equal(counted(stage, 'ike.version'), 1)
  // The types of IKEv1's SA, KE, ID, HASH, under the header of IKEv2: unknown, and nothing of it is there.
  const old = [1, 4, 5, 8].map((type): IkePayload => ({ kind: 'unknown', type, data: new Uint8Array(40) }))
  refusedBy(raw.init(link.now, old), NotifyType.invalidSyntax)
  const critical = old.map((payload): IkePayload => ({ ...payload, critical: true }))
  refusedBy(new RawPeer(target, { seed: 7 }).init(link.now, [...critical, ...raw.opening()]), 1)
  assert.equal(target.machine.sessions().length, 1)
  goesOn(stage)
})

test('CVE-2014-2338: the rekeying of an SA that nobody has authenticated', () => {
  const stage = scene()
  const { raw, link, target } = stage
  raw.init(link.now)
  const rekey: IkePayload[] = [
    {
      kind: 'N',
      protocol: 3,
      spi: Uint8Array.of(0, 0, 16, 0),
      type: NotifyType.rekeySa,
      data: new Uint8Array(0),
    },
    { kind: 'Nonce', data: new Uint8Array(32) },
    ...raw.child(0x2000),
  ]
  refusedBy(raw.ask(IkeExchange.createChildSa, rekey, link.now), NotifyType.invalidSyntax)
  assert.equal(counted(stage, 'ike.state'), 1)
  assert.equal(target.paths.size, 1)
  goesOn(stage)
})

test('CVE-2019-12312: an INFORMATIONAL before IKE_AUTH, a delete in it', () => {
  const stage = scene()
  const { raw, link } = stage
  raw.init(link.now)
  refusedBy(
    raw.ask(IkeExchange.informational, [{ kind: 'D', protocol: 1, spis: [] }], link.now),
    NotifyType.invalidSyntax,
  )
  assert.equal(counted(stage, 'ike.state'), 1)
  assert.deepEqual(raw.say(raw.initOf([]).with(18, IkeExchange.informational), link.now), [])
  goesOn(stage)
})

test('CVE-2016-5391, CVE-2024-3652: a proposal without a Diffie-Hellman, a PRF, or anything', () => {
  const stage = scene()
  for (const left of [4, 2, 1, 'all'] as const) {
    const raw = new RawPeer(stage.target)
    const payloads = raw.opening().map(
      (payload): IkePayload =>
        payload.kind !== 'SA'
          ? payload
          : {
              ...payload,
              proposals: payload.proposals.map((proposal) => ({
                ...proposal,
                transforms: left === 'all' ? [] : proposal.transforms.filter(({ type }) => type !== left),
              })),
            },
    )
    refusedBy(raw.init(stage.link.now, payloads), NotifyType.noProposalChosen)
  }
  assert.equal(stage.target.machine.sessions().length, 1)
  goesOn(stage)
})

test('CVE-2023-23009, CVE-2023-38710: traffic selectors that are none; the rekeying of protocol 0 and 1', () => {
  const stage = scene()
  const { raw, link, target } = stage
  assert.ok(findPayload(raw.establish(link.now), 'SA') !== undefined, target.problems().join())
  const nonce: IkePayload = { kind: 'Nonce', data: new Uint8Array(32) }
  const before = target.paths.size
  const rekeyOf = (protocol: number, spi: Uint8Array): IkePayload[] => [
    { kind: 'N', protocol, spi, type: NotifyType.rekeySa, data: new Uint8Array(0) },
    nonce,
    ...raw.child(0x3000),
  ]
  for (const protocol of [0, 1, 4, 255])
    refusedBy(
      raw.ask(IkeExchange.createChildSa, rekeyOf(protocol, Uint8Array.of(0, 0, 16, 0)), link.now),
      NotifyType.invalidSyntax,
    )
  refusedBy(
    raw.ask(IkeExchange.createChildSa, rekeyOf(3, new Uint8Array(0)), link.now),
    NotifyType.invalidSyntax,
  )
  refusedBy(
    raw.ask(IkeExchange.createChildSa, rekeyOf(3, Uint8Array.of(9, 9, 9, 9)), link.now),
    NotifyType.childSaNotFound,
  )
  const [sa, ...selectors] = raw.child(0x4000)
  const turned = selectors.map(
    (payload): IkePayload =>
      payload.kind === 'TSi' || payload.kind === 'TSr'
        ? {
            ...payload,
            selectors: payload.selectors.map((one) => ({
              ...one,
              startAddress: one.endAddress,
              endAddress: one.startAddress,
            })),
          }
        : payload,
  )
  refusedBy(raw.ask(IkeExchange.createChildSa, [sa!, nonce, ...turned], link.now), NotifyType.tsUnacceptable)
  const strange = selectors.map(
    (payload): IkePayload =>
      payload.kind === 'TSi' || payload.kind === 'TSr'
        ? {
            ...payload,
            selectors: [
              {
                type: 99,
                protocol: 0,
                startPort: 0,
                endPort: 0,
                startAddress: new Uint8Array(3),
                endAddress: new Uint8Array(0),
              },
            ],
          }
        : payload,
  )
  refusedBy(raw.ask(IkeExchange.createChildSa, [sa!, nonce, ...strange], link.now), NotifyType.tsUnacceptable)
  assert.equal(target.paths.size, before)
  goesOn(stage)
})

test('CVE-2026-12413: unknown payloads without end, clear and encrypted', () => {
  const stage = scene()
  const { raw, link } = stage
  const many = Array.from(
    { length: 5000 },
    (): IkePayload => ({ kind: 'unknown', type: 200, data: new Uint8Array(0) }),
  )
  assert.deepEqual(raw.say(raw.initOf(many), link.now), [])
  assert.equal(counted(stage, 'ikePayload.nextPayload'), 1)
  raw.init(link.now)
  refusedBy(raw.ask(IkeExchange.ikeAuth, many, link.now), NotifyType.invalidSyntax)
  assert.equal(counted(stage, 'ikePayload.nextPayload'), 2)
  // One that is critical is named, and all else of its message is left alone.
  const strange: IkePayload = { kind: 'unknown', type: 201, critical: true, data: new Uint8Array(0) }
  const said = raw.ask(IkeExchange.ikeAuth, [strange, ...raw.proof()], link.now)
  refusedBy(said, NotifyType.unsupportedCriticalPayload)
  assert.deepEqual(findNotify(said!, NotifyType.unsupportedCriticalPayload)!.data, Uint8Array.of(201))
  assert.equal(counted(stage, 'ike.critical'), 1)
  goesOn(stage)
})

test('CVE-2015-4171: who the peer is comes before anything that we let it have', () => {
  const stage = scene()
  const impostor = new Side({
    policies: [policyOf(1, { localId: policyOf(2).localId })],
    random: new SeededRandom(3),
  })
  const client = new Side({ policies: [policyOf(2)], random: new SeededRandom(4) })
  const link = new Link([impostor, client])
  link.start()
  link.run(1)
  assert.equal(client.established, 0)
  assert.equal(client.paths.size, 0)
  assert.match(client.problems().join(), /AUTHENTICATION_FAILED|the policy wants/)
  goesOn(stage)
})
