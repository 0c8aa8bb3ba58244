import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import fc from 'fast-check'
import { SeededRandom } from '../../base/index.js'
import type { TlsNews } from '../../crypto/index.js'
import { entity, type TestEntity } from '../../crypto/x509/testing.js'
import { CertEncoding, IkeExchange } from '../../wire/ike/index.js'
import type { Credentials } from './context.js'
import type { EapStep } from './eap-method.js'
import { EapCode, EapType, emitEap, parseEap } from './eap-packet.js'
import { TLS_LIMITS } from './eap-tls.js'
import { EapTlsClient } from './eap-tls-client.js'
import { TLS_FRAGMENT, TLS_MESSAGE_MAX, TlsFlag, TlsFrames } from './eap-tls-frames.js'
import { EapTlsServer } from './eap-tls-server.js'
import { formatIdentity, parseIdentity } from './identity.js'
import { type Link, spisOf } from './testing.js'
import { clientOf, eapPair, gatewayOf } from './testing-eap.js'
import { FakeTls, type FakeTlsOptions } from './testing-tls.js'

const { length: LENGTH, more: MORE, start: START } = TlsFlag
const NOTHING = new Uint8Array(0)

let own: TestEntity
before(async () => {
  own = await entity('/CN=anybody')
})

describe('frames of EAP-TLS', () => {
  test('what is loaded comes out at the other end, whatever its length; every piece but the last is full', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: TLS_MESSAGE_MAX }), (length) => {
        const [from, to] = [new TlsFrames(), new TlsFrames()]
        const message = Uint8Array.from({ length }, (_, i) => i * 7)
        from.load(message)
        for (let count = 0; ; count++) {
          const data = from.next()
          assert.ok(data.length <= TLS_FRAGMENT + 5)
          // RFC 9190 section 2.1.9: no length where there is one piece alone.
          if (length <= TLS_FRAGMENT) assert.equal(data[0], 0)
          const frame = to.take(data)
          if (frame.kind === 'message') {
            assert.deepEqual(frame.data, message)
            assert.equal(count, Math.ceil(length / TLS_FRAGMENT) - 1)
            return !from.isSending
          }
          assert.equal(frame.kind, 'more')
        }
      }),
      { numRuns: 40 },
    )
  })

  test('whatever a peer sends: a frame, and never more kept than one message', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 30 }), (packets) => {
        const frames = new TlsFrames()
        for (const packet of packets) if (frames.take(packet).kind === 'refused') return
      }),
    )
  })

  const length = (claim: number): number[] => [
    claim >>> 24,
    (claim >> 16) & 255,
    (claim >> 8) & 255,
    claim & 255,
  ]
  for (const [what, packets, reason] of [
    ['nothing at all', [[]], /without flags/],
    ['a length cut short', [[LENGTH, 0, 0]], /length that is none/],
    ['a claim of 4 GB', [[LENGTH | MORE, ...length(0xffffffff), 1]], /4294967295 bytes/],
    ['no claim before fragments', [[MORE, 1]], /without a length/],
    [
      'two claims',
      [
        [LENGTH | MORE, ...length(9), 1],
        [LENGTH | MORE, ...length(8), 1],
      ],
      /two lengths/,
    ],
    [
      'more than claimed',
      [
        [LENGTH | MORE, ...length(2), 1],
        [0, 1, 2],
      ],
      /more of a TLS message/,
    ],
    [
      'less than claimed',
      [
        [LENGTH | MORE, ...length(9), 1],
        [0, 1],
      ],
      /less of a TLS message/,
    ],
    ['fragments with nothing in them', [[LENGTH | MORE, ...length(9)]], /empty fragment/],
    ['an empty one in between', [[LENGTH | MORE, ...length(9), 1], [MORE]], /empty fragment/],
    ['a start with data', [[START, 1]], /start with more/],
  ] as const)
    test(`${what} is refused`, () => {
      const frames = new TlsFrames()
      const last = packets.map((one) => frames.take(Uint8Array.from(one))).at(-1)!
      assert.equal(last.kind, 'refused')
      assert.match(last.kind === 'refused' ? last.reason : '', reason)
    })

  test('one whole message with a length, and without, is the same', () => {
    for (const packet of [
      [LENGTH, 0, 0, 0, 2, 8, 9],
      [0, 8, 9],
    ])
      assert.deepEqual(new TlsFrames().take(Uint8Array.from(packet)), {
        kind: 'message',
        data: Uint8Array.of(8, 9),
      })
  })
})

const use = (
  fake: FakeTls,
): { engine: FakeTls; own: ConstructorParameters<typeof EapTlsClient>[0]['own']; wake(): void } => ({
  engine: fake,
  own: { key: own.key, certificates: [own.der], authorities: [] },
  wake: () => {},
})
const clientWith = (options: FakeTlsOptions, wrong?: string): EapTlsClient =>
  new EapTlsClient({
    ...use(new FakeTls(options)),
    name: new TextEncoder().encode('carol'),
    check: () => (wrong === undefined ? undefined : { reason: wrong, mend: '' }),
  })
const serverWith = (options: FakeTlsOptions): EapTlsServer =>
  new EapTlsServer({
    ...use(new FakeTls(options)),
    random: new SeededRandom(1),
    identify: () => parseIdentity('carol'),
  })

let identifier = 0
const request = (type: number, data: Uint8Array): Uint8Array =>
  emitEap({ code: EapCode.request, identifier: ++identifier & 255, type, data })
const success = (): Uint8Array => emitEap({ code: EapCode.success, identifier: 1, data: NOTHING })
const said = (word: string): Uint8Array => Uint8Array.of(0, ...new TextEncoder().encode(word), 0)

/** A step, with what was waited for. */
const stepOf = (method: EapTlsClient | EapTlsServer, bytes: Uint8Array): EapStep => {
  const step = method.receive(bytes)
  return step.kind === 'wait' ? (method.resume() ?? step) : step
}
const tls = (client: EapTlsClient, data: Uint8Array): EapStep => stepOf(client, request(EapType.tls, data))
const failure = (step: EapStep): string => (step.kind === 'failed' ? step.reason : step.kind)

describe('a client of EAP-TLS', () => {
  const startedWith = (options: FakeTlsOptions, wrong?: string): EapTlsClient => {
    const client = clientWith(options, wrong)
    assert.equal(tls(client, Uint8Array.of(START)).kind, 'send')
    return client
  }

  test('asks for the key by the label of its version, and only behind the server’s last word', () => {
    for (const [version, words] of [
      ['TLSv1.2', ['server', 'finished']],
      ['TLSv1.3', ['server', 'committed']],
    ] as const)
      for (let heard = 0; heard <= words.length; heard++) {
        const client = startedWith({ version })
        for (const word of words.slice(0, heard)) assert.equal(tls(client, said(word)).kind, 'send')
        const step = client.receive(success())
        assert.equal(step.kind, heard === words.length ? 'done' : 'failed', `${version} ${heard}`)
        if (step.kind === 'failed') assert.match(step.reason, /success (?:before|without)/)
        if (step.kind !== 'done') continue
        const label = version === 'TLSv1.2' ? 'client EAP encryption' : 'EXPORTER_EAP_TLS_Key_Material'
        assert.equal(step.msk.length, 64)
        assert.equal(new TextDecoder().decode(step.msk.subarray(0, label.length)), label)
      }
  })

  test('a server whose certificate is not taken, though TLS is done', () => {
    const client = startedWith({ version: 'TLSv1.3' }, 'not his')
    assert.equal(failure(tls(client, said('server'))), 'not his')
    assert.equal(failure(client.receive(success())), 'EAP: a packet after the end')
  })

  test('what is out of its turn ends it', () => {
    for (const [data, reason] of [
      [Uint8Array.of(START), /second start/],
      [Uint8Array.of(0), /nothing in it/],
      [said('nonsense'), /TLS: what is nonsense/],
    ] as const)
      assert.match(failure(tls(startedWith({}), data)), reason)
    assert.match(failure(tls(clientWith({}), said('server'))), /TLS before its start/)
    // A server that goes on while our flight is still in pieces.
    const busy = startedWith({ length: 3_000 })
    assert.match(failure(tls(busy, said('server'))), /TLS in between/)
  })

  test('application data is the commitment, once, and nothing else', () => {
    const data = (bytes: number[]): FakeTlsOptions => ({
      version: 'TLSv1.3',
      answer: (_role, word): TlsNews[] | undefined =>
        word === 'committed' ? [{ kind: 'data', data: Uint8Array.from(bytes) }] : undefined,
    })
    for (const [bytes, works] of [
      [[0], true],
      [[1], false],
      [[0, 0], false],
      [[], false],
    ] as const) {
      const client = startedWith(data([...bytes]))
      tls(client, said('server'))
      assert.equal(tls(client, said('committed')).kind, works ? 'send' : 'failed', `${bytes}`)
    }
    const twice = startedWith(data([0]))
    tls(twice, said('server'))
    tls(twice, said('committed'))
    assert.match(failure(tls(twice, said('committed'))), /application data/)
  })

  test('another method is answered with the one that it speaks', () => {
    const step = clientWith({}).receive(request(EapType.mschapv2, NOTHING))
    const { type, data } = parseEap(step.data!)!
    assert.deepEqual([type, [...data]], [EapType.nak, [EapType.tls]])
  })
})

describe('a server of EAP-TLS', () => {
  const answer = (server: EapTlsServer, asked: Uint8Array, type: number, data: Uint8Array): EapStep =>
    stepOf(server, emitEap({ code: EapCode.response, identifier: parseEap(asked)!.identifier, type, data }))

  test('an alert of its own goes out before the refusal; one of the client’s is answered with it', () => {
    for (const [alert, kind] of [
      [true, 'send'],
      [false, 'failed'],
    ] as const) {
      const server = serverWith({
        answer: () => [
          ...(alert ? [{ kind: 'bytes', data: Uint8Array.of(21) } as const] : []),
          { kind: 'failed', reason: 'unknown ca' },
        ],
      })
      const started = answer(server, server.start(), EapType.identity, NOTHING)
      const step = answer(server, started.data!, EapType.tls, said('hello'))
      assert.equal(step.kind, kind)
      const end = alert ? answer(server, step.data!, EapType.tls, Uint8Array.of(0)) : step
      assert.match(failure(end), /EAP: TLS: unknown ca/)
      assert.equal(parseEap(end.data!)!.code, EapCode.failure)
    }
  })

  test('a client that breaks off behind the end is not let in', () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
      for (const last of [Uint8Array.of(0), said('alert')]) {
        const server = serverWith({ version })
        let step = answer(server, server.start(), EapType.identity, NOTHING)
        for (const word of ['hello', 'client']) step = answer(server, step.data!, EapType.tls, said(word))
        step = answer(server, step.data!, EapType.tls, last)
        assert.equal(step.kind, last.length === 1 ? 'done' : 'failed')
      }
  })

  test('application data of a client is none', () => {
    const server = serverWith({
      version: 'TLSv1.3',
      answer: (_role, word) =>
        word === 'client'
          ? [
              { kind: 'established', version: 'TLSv1.3', certificates: [] },
              { kind: 'data', data: Uint8Array.of(0) },
            ]
          : undefined,
    })
    let step = answer(server, server.start(), EapType.identity, NOTHING)
    for (const word of ['hello', 'client']) step = answer(server, step.data!, EapType.tls, said(word))
    assert.match(failure(step), /application data/)
  })

  test('another number, another method, a start from a client', () => {
    const server = (): EapTlsServer => serverWith({})
    const one = server()
    assert.match(
      failure(answer(one, request(1, NOTHING), EapType.identity, NOTHING)),
      /an answer that is none/,
    )
    const two = server()
    assert.match(failure(answer(two, two.start(), EapType.nak, Uint8Array.of(26))), /wants method 26/)
    const three = server()
    const step = answer(three, three.start(), EapType.identity, NOTHING)
    assert.match(failure(answer(three, step.data!, EapType.tls, Uint8Array.of(START))), /start from a client/)
  })
})

describe('EAP-TLS in IKE_AUTH, whose answers come late', () => {
  const credentials = (): Credentials => ({
    own: () => ({
      key: own.key,
      certificates: [{ encoding: CertEncoding.x509, data: own.der }],
    }),
    peer: () => own.key.publicKey,
    authorities: () => NOTHING,
  })
  const auth = { kind: 'eap', method: 'tls', users: [] } as const

  function linkWith(options: FakeTlsOptions): { link: Link; tls: readonly [FakeTls, FakeTls] } {
    const shown = { shown: [own.der], ...options }
    const engines = [new FakeTls(shown), new FakeTls(shown)] as const
    const link = eapPair(
      gatewayOf({ remoteAuth: auth }),
      clientOf('', '', { localAuth: auth, localId: parseIdentity('carol') }),
      1,
      [credentials(), credentials()],
      engines,
    )
    link.start()
    return { link, tls: engines }
  }

  const requests = (link: Link): number =>
    link.sides[1].news.filter(
      (one) => one.kind === 'sent' && !one.isResponse && one.exchange === IkeExchange.ikeAuth,
    ).length

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
    for (const length of [100, 5_000])
      test(`both stand: ${version}, flights of ${length} bytes`, () => {
        const { link, tls: engines } = linkWith({ version, length })
        link.run(10)
        const [a, b] = link.sides
        assert.deepEqual([a.established, b.established], [1, 1], `${a.problems()} | ${b.problems()}`)
        assert.deepEqual(spisOf(a), spisOf(b))
        assert.equal(formatIdentity(a.machine.sessions()[0]!.peerId!), 'FQDN/carol')
        assert.ok(engines.every(({ conversations }) => conversations.every(({ closed }) => closed)))
        const label = version === 'TLSv1.2' ? undefined : Uint8Array.of(13)
        for (const { conversations } of engines)
          assert.deepEqual(
            conversations[0]!.exported.map(({ context }) => context),
            [label],
          )
      })

  test('while TLS is at work the request that comes again is not answered; then once', () => {
    const { link, tls: engines } = linkWith({ late: true })
    for (let turn = 0; turn < 12; turn++) {
      // Longer than a retransmission takes.
      link.run(3)
      for (const [i, engine] of engines.entries()) {
        engine.turn()
        link.sides[i]!.machine.timeout(link.now)
        link.flush(link.sides[i]!)
      }
    }
    link.run(2)
    const [a, b] = link.sides
    assert.deepEqual([a.established, b.established], [1, 1], `${a.problems()} | ${b.problems()}`)
    assert.ok(a.machine.counters.get('ike.pending') > 0)
    assert.equal(engines[0].conversations.length, 1)
  })

  test('a TLS that never answers: the client gives up, and so does the gateway; nothing stays', () => {
    const { link, tls: engines } = linkWith({ late: true })
    link.run(15)
    assert.equal(link.sides[1].problems().length, 0)
    link.run(10)
    assert.match(link.sides[1].problems()[0]!, /EAP: TLS has no answer/)
    assert.equal(requests(link) > 0, true)
    link.sides[1].machine.stop(link.now)
    link.run(120)
    assert.equal(link.sides[0].machine.sessions().length, 0)
    assert.ok(engines[1].conversations.every(({ closed }) => closed))
  })

  test('an SA that ends meanwhile takes its conversation with it', () => {
    const { link, tls: engines } = linkWith({ late: true })
    link.run(1)
    engines[1].turn()
    link.run(1)
    assert.equal(engines[0].conversations.length, 1)
    for (const side of link.sides) side.machine.stop(link.now)
    assert.ok([...engines[0].conversations, ...engines[1].conversations].every(({ closed }) => closed))
    // What is still said is heard by nobody.
    for (const engine of engines) engine.turn()
    link.run(1)
    assert.deepEqual([link.sides[0].established, link.sides[1].established], [0, 0])
  })

  test('rounds are limited', () => {
    // Both go on for ever: what is said is answered with more of it.
    const { link } = linkWith({ answer: () => [{ kind: 'bytes', data: Uint8Array.of(1, 0) }] })
    link.run(30, () => link.sides.some((side) => side.problems().length > 0))
    assert.match(
      [...link.sides[0].problems(), ...link.sides[1].problems()].join(),
      /EAP: more than there may be/,
    )
    assert.ok(requests(link) <= TLS_LIMITS.rounds + 4)
  })
})
