import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, test } from 'node:test'
import { SeededRandom } from '../../base/index.js'
import { loadPrivateKey } from '../../crypto/index.js'
import { IkeExchange, type IkePayload, NotifyType } from '../../wire/ike/index.js'
import { sharedKeyPayload } from './authenticate.js'
import type { Credentials } from './context.js'
import type { EapStep } from './eap-method.js'
import { EapMschapv2Client, MSCHAP_LIMITS } from './eap-mschapv2.js'
import { EapCode, EapType, emitEap, parseEap } from './eap-packet.js'
import { formatIdentity, parseIdentity } from './identity.js'
import { findPayload, notify } from './init.js'
import type { RequestHandler } from './session.js'
import { type Link, noCredentials, Side, spisOf } from './testing.js'
import { clientOf, eapPair, gatewayOf, USERS } from './testing-eap.js'
import { RawPeer } from './testing-raw.js'

const NOTHING = new Uint8Array(0)
const { rounds: EAP_ROUNDS, length: EAP_LENGTH } = MSCHAP_LIMITS

function stands(link: Link, hint = ''): void {
  const [a, b] = link.sides
  assert.deepEqual([a.established, b.established], [1, 1], `${hint} ${a.problems()} | ${b.problems()}`)
  assert.deepEqual(spisOf(a), spisOf(b), hint)
  assert.ok(a.paths.size >= 1, hint)
}

/** Nothing stands on either side, and both know why. */
function fails(link: Link, ofGateway: RegExp, ofClient: RegExp): void {
  const [a, b] = link.sides
  assert.deepEqual([a.established, b.established, a.paths.size, b.paths.size], [0, 0, 0, 0])
  assert.match(a.problems().join(' | '), ofGateway)
  assert.match(b.problems().join(' | '), ofClient)
}

/** How often a side has sent a request of an exchange. */
const requestsOf = (side: Side, exchange: number): number =>
  side.news.filter((one) => one.kind === 'sent' && !one.isResponse && one.exchange === exchange).length

describe('EAP-MSCHAPv2 in IKE_AUTH', () => {
  test('two machines come to one IKE SA and one child; the gateway knows the user, not what IDi says', () => {
    for (const [name, password, shown] of [
      ['test', 'password123', 'KEY_ID/test'],
      ['DOMAIN\\test', 'password123', 'KEY_ID/test'],
      ['bob@example.com', 'secret', 'UFQDN/bob@example.com'],
    ] as const) {
      const link = eapPair(gatewayOf(), clientOf(name, password))
      link.start()
      link.run(2)
      stands(link)
      assert.equal(formatIdentity(link.sides[0].machine.sessions()[0]!.peerId!), shown)
      assert.equal(formatIdentity(link.sides[1].machine.sessions()[0]!.peerId!), 'FQDN/host1.example')
      // Identity, challenge, success, and AUTH behind the first.
      assert.equal(requestsOf(link.sides[1], IkeExchange.ikeAuth), 5)
    }
  })

  test('a gateway with a certificate or key of its own', () => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const key = loadPrivateKey(pair.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string)
    const knows = (id: string): Credentials => ({
      own: () => ({ key, certificates: [] }),
      peer: (one) =>
        formatIdentity(one) === id ? key.publicKey : { refused: 'unknown', mend: 'put it into pubkeys' },
      authorities: () => NOTHING,
    })
    const signed = { kind: 'signature' } as const
    for (const [id, works] of [
      ['FQDN/host1.example', true],
      ['FQDN/other.example', false],
    ] as const) {
      const link = eapPair(
        gatewayOf({ localAuth: signed }),
        clientOf('test', 'password123', { remoteAuth: signed }),
        1,
        [knows(id), knows(id)],
      )
      link.start()
      link.run(2)
      if (works) stands(link)
      else {
        // CVE-2015-4171: to whom it does not know, it says nothing.
        assert.match(link.sides[1].problems().join(), /unknown/)
        assert.equal(requestsOf(link.sides[1], IkeExchange.ikeAuth), 1)
      }
    }
  })

  test('a wrong password and a user that is none look the same from outside', () => {
    const lengths = [
      ['test', 'wrong'],
      ['tess', 'wrong'],
    ].map(([name, password]) => {
      const link = eapPair(gatewayOf(), clientOf(name!, password!))
      link.start()
      link.run(2)
      fails(
        link,
        new RegExp(`EAP: wrong user or password of "${name}"`),
        /EAP: the server refuses: .*Authentication failed/,
      )
      assert.equal(link.sides[0].machine.counters.get('ike.eap'), 1)
      assert.equal(link.sides[0].machine.sessions().length, 0)
      return link.sides[0].sent.map(({ payload }) => payload.length)
    })
    assert.deepEqual(lengths[0], lengths[1])
  })

  test('a server that is another one is told nothing', () => {
    const other = { kind: 'psk', secret: new TextEncoder().encode('another') } as const
    for (const [gateway, reason] of [
      [{ localAuth: other }, /pre-shared keys differ/],
      [{ localId: parseIdentity('other.example') }, /AUTHENTICATION_FAILED/],
    ] as const) {
      const link = eapPair(gatewayOf(gateway), clientOf('test', 'password123'))
      link.start()
      link.run(2)
      assert.match(link.sides[1].problems().join(), reason)
      assert.equal(requestsOf(link.sides[1], IkeExchange.ikeAuth), 1)
      assert.equal(link.sides[1].paths.size, 0)
    }
  })

  test('a user comes as nobody else: dstid is the user’s name', () => {
    for (const [wanted, works] of [
      ['bob@example.com', true],
      ['alice@example.com', false],
    ] as const) {
      const remoteId = parseIdentity(wanted)
      // It says that it is whom the policy wants.
      const link = eapPair(
        gatewayOf({ remoteId }),
        clientOf('bob@example.com', 'secret', { localId: remoteId }),
      )
      link.start()
      link.run(2)
      if (works) stands(link)
      else
        fails(
          link,
          /the user is "bob@example.com", the policy wants UFQDN\/alice@example.com/,
          /AUTHENTICATION_FAILED/,
        )
    }
  })

  test('psk where EAP is wanted, and EAP where psk is', () => {
    const psk = { kind: 'psk', secret: new TextEncoder().encode('x') } as const
    const one = eapPair(gatewayOf(), clientOf('test', 'password123', { localAuth: psk }))
    const two = eapPair(gatewayOf({ remoteAuth: psk }), clientOf('test', 'password123'))
    for (const [link, reason] of [
      [one, /expected eap of our policy/],
      [two, /found EAP at the peer, expected psk of our policy/],
    ] as const) {
      link.start()
      link.run(2)
      fails(link, reason, /AUTHENTICATION_FAILED/)
    }
  })
})

/** The gateway's answers to IKE_AUTH pass through a test: what is given replaces them. */
function tampered(change: (answer: readonly IkePayload[], round: number) => readonly IkePayload[]): Link {
  const link = eapPair(gatewayOf(), clientOf('test', 'password123'))
  link.start()
  link.run(1, () => link.sides[0].machine.sessions().length > 0)
  const [session] = link.sides[0].machine.sessions()
  const handlers = session!.options.requests as Record<number, RequestHandler>
  const honest = handlers[IkeExchange.ikeAuth]!
  let round = 0
  handlers[IkeExchange.ikeAuth] = (one, payloads, now) => change(honest(one, payloads, now) ?? [], ++round)
  link.run(4)
  return link
}

const SUCCESS: IkePayload = {
  kind: 'EAP',
  data: emitEap({ code: EapCode.success, identifier: 1, data: NOTHING }),
}
const withEap = (answer: readonly IkePayload[], eap: IkePayload): IkePayload[] =>
  answer.map((payload) => (payload.kind === 'EAP' ? eap : payload))

describe('a hostile server', () => {
  const client = (link: Link): string => link.sides[1].problems().join(' | ')

  test('CVE-2021-45079: success before it has proved itself is none, in any round', () => {
    for (const at of [1, 2, 3]) {
      const link = tampered((answer, round) => (round === at ? withEap(answer, SUCCESS) : answer))
      assert.match(client(link), /success before the server has proved/, `round ${at}`)
      assert.equal(link.sides[1].established, 0)
    }
  })

  test('no EAP at all behind its AUTH', () => {
    const link = tampered((answer) => answer.filter(({ kind }) => kind !== 'EAP'))
    assert.match(client(link), /EAP: the server ends it before its time/)
    assert.equal(link.sides[1].paths.size, 0)
  })

  test('EAP before its AUTH: the client says nothing of its own (CVE-2015-4171)', () => {
    const link = tampered((answer) => answer.filter(({ kind }) => kind !== 'AUTH'))
    assert.match(client(link), /an answer without IDr and AUTH/)
    assert.equal(requestsOf(link.sides[1], IkeExchange.ikeAuth), 1)
  })

  test('AUTH at the end that is not of EAP’s key', () => {
    const link = tampered((answer, round) =>
      round === 5
        ? answer.map((payload) =>
            payload.kind === 'AUTH' ? { ...payload, data: payload.data.map((byte) => byte ^ 1) } : payload,
          )
        : answer,
    )
    assert.match(client(link), /EAP: the peer has not made its key/)
    assert.equal(link.sides[1].paths.size, 0)
    assert.equal(link.sides[0].paths.size, 0, 'the server is told that it is over')
  })

  test('it asks for ever, or for much', () => {
    const ask: IkePayload = {
      kind: 'EAP',
      data: emitEap({ code: EapCode.request, identifier: 7, type: EapType.notification, data: NOTHING }),
    }
    let rounds = 0
    // Whatever the client answers, it is asked again.
    const link = eapPair(gatewayOf(), clientOf('test', 'password123'))
    link.start()
    link.run(1, () => link.sides[0].machine.sessions().length > 0)
    const handlers = link.sides[0].machine.sessions()[0]!.options.requests as Record<number, RequestHandler>
    const honest = handlers[IkeExchange.ikeAuth]!
    handlers[IkeExchange.ikeAuth] = (one, payloads, now) =>
      ++rounds === 1 ? withEap(honest(one, payloads, now) ?? [], ask) : [ask]
    link.run(4)
    assert.match(client(link), /EAP: more than there may be of it/)
    assert.equal(rounds, EAP_ROUNDS + 1)

    const huge: IkePayload = {
      kind: 'EAP',
      data: emitEap({
        code: EapCode.request,
        identifier: 7,
        type: EapType.notification,
        data: new Uint8Array(EAP_LENGTH),
      }),
    }
    const large = tampered((answer) => withEap(answer, huge))
    assert.match(client(large), /EAP: more than there may be of it/)
  })
})

describe('a hostile client', () => {
  const gateway = (): Side => new Side({ policies: [gatewayOf()], random: new SeededRandom(5) })

  /** IKE_AUTH without AUTH; gives what the gateway answers. */
  function begin(side: Side): { peer: RawPeer; said: readonly IkePayload[] } {
    const peer = new RawPeer(side)
    side.machine.start(NOW)
    side.drain()
    peer.init(NOW)
    const { type, data } = peer.id
    return {
      peer,
      said: peer.ask(IkeExchange.ikeAuth, [{ kind: 'IDi', type, data }, ...peer.child(0x1000)], NOW)!,
    }
  }
  const NOW = eapPair(gatewayOf(), clientOf('x', 'y')).now
  const error = (said: readonly IkePayload[] | undefined): number | undefined =>
    said === undefined ? undefined : findPayload(said, 'N')?.type

  /** The honest rounds of EAP, as far as its success. */
  function through(peer: RawPeer, first: readonly IkePayload[]): Uint8Array {
    const user = USERS[0]
    const client = new EapMschapv2Client({
      userName: user.name,
      password: user.password,
      random: new SeededRandom(3),
    })
    let said = first
    for (;;) {
      const step: EapStep = client.receive(findPayload(said, 'EAP')!.data)
      assert.notEqual(step.kind, 'failed')
      if (step.kind === 'done') return step.msk
      said = peer.ask(IkeExchange.ikeAuth, [{ kind: 'EAP', data: step.data! }], NOW)!
    }
  }

  test('the honest way, by hand; afterwards EAP is refused and changes nothing', () => {
    const side = gateway()
    const { peer, said } = begin(side)
    assert.deepEqual(
      said.map(({ kind }) => kind),
      ['IDr', 'AUTH', 'EAP'],
    )
    const auth = sharedKeyPayload(peer.agreed!.prf!, through(peer, said), peer.octets())
    const last = peer.ask(IkeExchange.ikeAuth, [auth], NOW)!
    assert.deepEqual(
      last.map(({ kind }) => kind),
      ['AUTH', 'SA', 'TSi', 'TSr'],
    )
    assert.equal(side.established, 1)
    assert.equal(error(peer.ask(IkeExchange.ikeAuth, [SUCCESS], NOW)), NotifyType.invalidSyntax)
    assert.equal(error(peer.ask(IkeExchange.ikeAuth, [auth], NOW)), NotifyType.invalidSyntax)
    assert.equal(side.established, 1)
    assert.equal(side.paths.size, 1)
  })

  test('AUTH before EAP is done, with no key, and behind it with another', () => {
    for (const honest of [false, true]) {
      const side = gateway()
      const { peer, said } = begin(side)
      const msk = honest ? through(peer, said).map((byte) => byte ^ 1) : NOTHING
      const auth = sharedKeyPayload(peer.agreed!.prf!, msk, peer.octets())
      assert.equal(error(peer.ask(IkeExchange.ikeAuth, [auth], NOW)), NotifyType.authenticationFailed)
      // And no second try, not even before the SA is gone.
      assert.equal(error(peer.ask(IkeExchange.ikeAuth, [auth], NOW)), NotifyType.authenticationFailed)
      side.machine.timeout(NOW)
      assert.deepEqual([side.machine.sessions().length, side.paths.size], [0, 0])
    }
  })

  test('other exchanges while EAP runs, nothing in a message, success of its own, much of it', () => {
    const huge: IkePayload = {
      kind: 'EAP',
      data: emitEap({
        code: EapCode.response,
        identifier: 0,
        type: EapType.identity,
        data: new Uint8Array(EAP_LENGTH),
      }),
    }
    for (const [exchange, payloads, expected] of [
      [IkeExchange.informational, [], NotifyType.invalidSyntax],
      [IkeExchange.createChildSa, [], NotifyType.invalidSyntax],
      [IkeExchange.ikeAuth, [], NotifyType.authenticationFailed],
      [IkeExchange.ikeAuth, [SUCCESS], NotifyType.authenticationFailed],
      [IkeExchange.ikeAuth, [huge], NotifyType.authenticationFailed],
      [
        IkeExchange.ikeAuth,
        [{ kind: 'EAP', data: Uint8Array.of(2, 0, 0, 9) }],
        NotifyType.authenticationFailed,
      ],
      [IkeExchange.ikeAuth, [notify(NotifyType.initialContact)], NotifyType.authenticationFailed],
    ] as readonly [number, IkePayload[], number][]) {
      const side = gateway()
      const { peer } = begin(side)
      assert.equal(error(peer.ask(exchange, payloads, NOW)), expected)
      assert.equal(side.established, 0)
    }
  })

  test('one that goes without a word after a wrong password is named all the same', () => {
    const side = gateway()
    const { peer, said } = begin(side)
    const client = new EapMschapv2Client({ userName: 'test', password: 'no', random: new SeededRandom(3) })
    let last = said
    for (let i = 0; i < 2; i++) {
      const step = client.receive(findPayload(last, 'EAP')!.data)
      last = peer.ask(
        IkeExchange.ikeAuth,
        [{ kind: 'EAP', data: 'data' in step ? step.data! : NOTHING }],
        NOW,
      )!
    }
    assert.equal(client.receive(findPayload(last, 'EAP')!.data).kind, 'failed')
    assert.deepEqual(side.problems(), [])
    for (let at = side.machine.nextTimeout()!; at <= NOW + 6_000_000; at = side.machine.nextTimeout()!) {
      side.machine.timeout(at)
      side.drain()
      if (side.machine.nextTimeout() === undefined) break
    }
    assert.match(side.problems().join(), /wrong user or password of "test"/)
    assert.equal(side.problems().length, 1)
    assert.deepEqual([side.machine.sessions().length, side.machine.counters.get('ike.eap')], [0, 1])
  })

  test('it answers the same question again and again', () => {
    const side = gateway()
    const { peer, said } = begin(side)
    let last = said
    for (let i = 0; i < 3; i++) {
      const question = findPayload(last, 'EAP')
      if (question === undefined) break
      const { identifier } = parseEap(question.data)!
      const data = emitEap({
        code: EapCode.response,
        identifier,
        type: EapType.identity,
        data: new TextEncoder().encode('test'),
      })
      last = peer.ask(IkeExchange.ikeAuth, [{ kind: 'EAP', data }], NOW)!
    }
    assert.equal(error(last), NotifyType.authenticationFailed)
    assert.equal(side.established, 0)
  })
})

test('seeds: loss, reordering and duplication; both ends stand, or none does', () => {
  const failures: string[] = []
  for (let seed = 1; seed <= 100; seed++) {
    const link = eapPair(gatewayOf(), clientOf('test', 'password123'), seed)
    link.fault = (datagram, random) =>
      Array.from({ length: random.below(10) === 0 ? 2 : 1 }, () => ({
        delayMs: 1 + random.below(400),
        datagram,
      })).filter(() => random.below(5) !== 0)
    link.start()
    link.run(300)
    link.fault = (datagram) => [{ delayMs: 5, datagram }]
    link.run(600)
    try {
      stands(link)
    } catch (thrown) {
      failures.push(`${seed}: ${thrown instanceof Error ? thrown.message : ''}`)
    }
  }
  assert.deepEqual(failures, [])
})

test('a reload ends the SAs of users who are no more, or have another password, and leaves the others', () => {
  const users = (...list: { name: string; password: string }[]): ReturnType<typeof gatewayOf> =>
    gatewayOf({ remoteAuth: { kind: 'eap', method: 'mschap-v2', users: list } })
  const [one, two] = USERS
  for (const [next, stays] of [
    [users(one, two, { name: 'new', password: 'x' }), true],
    [users(one), true],
    [users(two), false],
    [users({ ...one, password: 'another' }, two), false],
  ] as const) {
    const link = eapPair(gatewayOf(), clientOf(one.name, one.password))
    link.start()
    link.run(2)
    stands(link)
    const [gateway] = link.sides
    gateway.machine.reload([next], noCredentials, link.now)
    link.flush(gateway)
    link.run(1)
    assert.equal(gateway.established, stays ? 1 : 0)
    assert.equal(gateway.paths.size, stays ? 1 : 0)
  }
})
