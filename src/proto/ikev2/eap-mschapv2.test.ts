import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SeededRandom } from '../../base/index.js'
import { md4 } from '../../crypto/index.js'
import type { EapStep } from './eap-method.js'
import { EapMschapv2Client, EapMschapv2Server } from './eap-mschapv2.js'
import { EapCode, emitEap, emitMschap, OpCode, parseEap, parseMschap } from './eap-packet.js'
import {
  authenticatorResponse,
  challengeHash,
  challengeResponse,
  masterSessionKey,
  passwordHash,
} from './mschapv2.js'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex').toUpperCase()
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'))

test('RFC 2759 section 9.2 and RFC 3079 section 3.5.3', () => {
  const [server, peer] = [
    bytes('5B5D7C7D7B3F2F3E3C2C602132262628'),
    bytes('21402324255E262A28295F2B3A337C7E'),
  ]
  const challenge = challengeHash(peer, server, 'User')
  assert.equal(hex(challenge), 'D02E4386BCE91226')
  assert.deepEqual(challengeHash(peer, server, 'DOMAIN\\User'), challenge)
  const hash = passwordHash('clientPass')
  assert.equal(hex(hash), '44EBBA8D5312B8D611474411F56989AE')
  assert.equal(hex(md4(hash)), '41C00C584BD2D91C4017A2A12FA59F3F')
  const response = challengeResponse(challenge, hash)
  assert.equal(hex(response), '82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF')
  assert.equal(authenticatorResponse(hash, response, challenge), 'S=407A5589115FD0D6209F510FE9C04566932CDA56')
  const msk = masterSessionKey(hash, response)
  assert.equal(msk.length, 64)
  assert.equal(hex(msk.subarray(16, 32)), '8B7CDC149B993A1BA118CB153F56DCCB')
  assert.ok(msk.subarray(32).every((byte) => byte === 0))
})

const client = (userName: string, password: string): EapMschapv2Client =>
  new EapMschapv2Client({ userName, password, random: new SeededRandom(1) })
const server = (): EapMschapv2Server =>
  new EapMschapv2Server({
    name: 'gateway',
    password: (name) => ({ alice: 'pass wörd', bob: '' })[name],
    random: new SeededRandom(2),
  })

/** Plays both; the last steps of each. */
function play(
  peer: EapMschapv2Client,
  gateway: EapMschapv2Server,
  identity: boolean,
): [EapStep | undefined, EapStep | undefined] {
  let [mine, theirs]: (EapStep | undefined)[] = []
  let data: Uint8Array | undefined = gateway.start(identity)
  for (let turn = 0; turn < 10 && data !== undefined; turn++) {
    mine = peer.receive(data)
    if (mine.kind === 'done' || !('data' in mine) || mine.data === undefined) break
    theirs = gateway.receive(mine.data)
    if (mine.kind === 'failed') break
    data = theirs.data
  }
  return [mine, theirs]
}

for (const identity of [true, false])
  test(`both prove themselves and have one key${identity ? ', asked who they are' : ''}`, () => {
    const [mine, theirs] = play(client('alice', 'pass wörd'), server(), identity)
    assert.ok(mine?.kind === 'done' && theirs?.kind === 'done', JSON.stringify([mine, theirs]))
    assert.deepEqual(mine.msk, theirs.msk)
    assert.equal(theirs.userName, 'alice')
    assert.equal(parseEap(theirs.data!)?.code, EapCode.success)
  })

test('a wrong password, an unknown user and one that has none look alike to the peer', () => {
  const texts = [
    ['alice', 'wrong'],
    ['nobody', 'nobody'],
    ['mallory', 'x'],
  ].map(([name, password]) => {
    const gateway = server()
    const [mine, theirs] = play(client(name!, password!), gateway, false)
    assert.ok(mine?.kind === 'failed' && theirs?.kind === 'failed')
    assert.match(theirs.reason, new RegExp(`wrong user or password of "${name}"`))
    assert.equal(parseEap(theirs.data!)?.code, EapCode.failure)
    return mine.reason
  })
  assert.equal(new Set(texts).size, 1)
  assert.match(texts[0]!, /E=691 R=0 \(wrong user or password\)/)
  // Neither the challenge for another try.
  assert.doesNotMatch(texts[0]!, /C=/)
})

test('a user of a domain is found without it', () => {
  const [mine, theirs] = play(client('EXAMPLE\\alice', 'pass wörd'), server(), true)
  assert.deepEqual([mine?.kind, theirs?.kind], ['done', 'done'])
})

const success = emitEap({ code: EapCode.success, identifier: 1, data: new Uint8Array(0) })
const mschap = (opCode: number, data: Uint8Array): Uint8Array =>
  emitEap({
    code: EapCode.request,
    identifier: 3,
    type: 26,
    data: emitMschap({ opCode, identifier: 3, data }),
  })

test('CVE-2021-45079: success before the server has proved itself ends it', () => {
  const early = client('alice', 'x').receive(success)
  assert.ok(early.kind === 'failed' && /before the server has proved/.test(early.reason))
  const peer = client('alice', 'pass wörd')
  assert.equal(peer.receive(server().start(false)).kind, 'send')
  assert.equal(peer.receive(success).kind, 'failed')
  // And what is over stays over.
  assert.equal(peer.receive(server().start(false)).kind, 'failed')
  assert.equal(peer.receive(success).kind, 'failed')
})

test('a server that does not know the password is not believed', () => {
  for (const said of [`S=${'0'.repeat(40)} M=ok`, 'S=', '', `S=${'A'.repeat(41)}`]) {
    const peer = client('alice', 'pass wörd')
    assert.equal(peer.receive(server().start(false)).kind, 'send')
    const step = peer.receive(mschap(OpCode.success, new TextEncoder().encode(said)))
    assert.ok(step.kind === 'failed' && /does not know the password/.test(step.reason))
  }
  // Nor one that never asked.
  const step = client('alice', 'x').receive(mschap(OpCode.success, new Uint8Array(42)))
  assert.equal(step.kind, 'failed')
})

test('the server takes nothing out of turn, and nothing twice', () => {
  const early = server()
  early.start(false)
  const ack = emitEap({ code: 2, identifier: 0, type: 26, data: Uint8Array.of(OpCode.success) })
  for (let identifier = 0; identifier < 256; identifier++) {
    const gateway = server()
    gateway.start(false)
    const packet = Uint8Array.from(ack)
    packet[1] = identifier
    assert.equal(gateway.receive(packet).kind, 'failed')
  }
  const gateway = server()
  const [, theirs] = play(client('alice', 'pass wörd'), gateway, false)
  assert.equal(theirs?.kind, 'done')
  assert.equal(gateway.receive(ack).kind, 'failed')
})

test('another method is asked for by Nak, and the server says so', () => {
  const step = client('alice', 'x').receive(
    emitEap({ code: 1, identifier: 9, type: 13, data: Uint8Array.of(0x20) }),
  )
  assert.ok(step.kind === 'send')
  assert.deepEqual(step.data, Uint8Array.of(2, 9, 0, 6, 3, 26))
  const gateway = server()
  const request = gateway.start(false)
  const refused = gateway.receive(Uint8Array.of(2, request[1]!, 0, 6, 3, 13))
  assert.ok(refused.kind === 'failed' && /wants method 13/.test(refused.reason))
})

test('any bytes give a step: cut, changed, made up', () => {
  const challenge = server().start(false)
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 80 }),
      fc.nat(challenge.length),
      fc.nat(255),
      (noise, cut, value) => {
        for (const data of [noise, challenge.subarray(0, cut)]) client('alice', 'x').receive(data)
        const changed = Uint8Array.from(challenge)
        if (cut < changed.length) changed[cut] = value
        const step = client('alice', 'x').receive(changed)
        assert.notEqual(step.kind, 'done')
        const gateway = server()
        gateway.start(true)
        assert.notEqual(gateway.receive(noise).kind, 'done')
        if ('data' in step && step.data !== undefined)
          assert.notEqual(gateway.receive(step.data).kind, 'done')
        parseMschap(noise)
      },
    ),
  )
})
