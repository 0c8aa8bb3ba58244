/** INVALID_KE_PAYLOAD where something is made anew (RFC 7296 sections 1.3, 2.18). */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { KeyExchangeName } from '../../crypto/index.js'
import { IkeExchange, NotifyType } from '../../wire/ike/index.js'
import { wantedGroup } from './create-child.js'
import { notify } from './init.js'
import type { Session } from './session.js'
import { CHILD_SUITE, IKE_SUITE, type Link, pair, type Side, spisOf } from './testing.js'

const child = (...keyExchange: KeyExchangeName[]): { childSuites: (typeof CHILD_SUITE)[] } => ({
  childSuites: [{ ...CHILD_SUITE, keyExchange }],
})
const ike = (...keyExchange: KeyExchangeName[]): { ikeSuites: (typeof IKE_SUITE)[] } => ({
  ikeSuites: [{ ...IKE_SUITE, keyExchange }],
})

function up(link: Link): readonly [Side, Side, Session] {
  link.start()
  link.run(2)
  const [a, b] = link.sides
  const [session] = b.machine.sessions()
  assert.ok(session !== undefined && session.state === 'established')
  return [a, b, session]
}

/** Exchanges of CREATE_CHILD_SA that a side has asked. */
const asked = ({ news }: Side): number =>
  news.filter((one) => one.kind === 'sent' && one.exchange === IkeExchange.createChildSa && !one.isResponse)
    .length

describe('the peer wants the value of another group', () => {
  test('for a child: it is made with that one, in a second exchange', () => {
    const link = pair(child('ECP_256'), child('CURVE25519', 'ECP_256'))
    const [a, b, session] = up(link)
    const before = spisOf(b)
    session.onChildSoft!([...session.children.values()][0]!, link.now)
    link.flush(b)
    link.run(2)
    assert.equal(asked(b), 2)
    assert.notDeepEqual(spisOf(b), before)
    assert.deepEqual(spisOf(a), spisOf(b))
    assert.equal([...session.children.values()][0]!.agreed.keyExchange, 'ECP_256')
    assert.deepEqual(b.problems(), [])
  })

  test('for the IKE SA: the same', () => {
    const link = pair(ike('CURVE25519'), ike('CURVE25519', 'ECP_256'))
    const [a, b, session] = up(link)
    // As after a reload there: the group of before is none any more.
    Object.assign(a.machine.sessions()[0]!.policy, ike('ECP_256'))
    session.onRekeyDue!(link.now)
    link.flush(b)
    link.run(2)
    assert.equal(asked(b), 2)
    assert.deepEqual([a.machine.sessions().length, b.machine.sessions().length], [1, 1])
    assert.notEqual(b.machine.sessions()[0], session)
    assert.equal(b.machine.sessions()[0]!.agreed.keyExchange, 'ECP_256')
    assert.deepEqual(spisOf(a), spisOf(b))
  })

  test('again and again: after the second exchange it is over, what stands serves, and it is tried later', () => {
    const both = { ...child('CURVE25519', 'ECP_256'), ...ike('CURVE25519', 'ECP_256') }
    const link = pair(both, both)
    const [a, b, session] = up(link)
    let group = 19
    Object.assign(a.machine.sessions()[0]!.options.requests, {
      [IkeExchange.createChildSa]: () => {
        group = group === 19 ? 31 : 19
        return [notify(NotifyType.invalidKePayload, Uint8Array.of(0, group))]
      },
    })
    const before = spisOf(b)
    session.onChildSoft!([...session.children.values()][0]!, link.now)
    link.flush(b)
    link.run(1)
    assert.equal(asked(b), 2)
    assert.match(b.problems().join(), /no new child: INVALID_KE_PAYLOAD/)
    assert.deepEqual(spisOf(b), before)
    link.run(10)
    // Once or twice more by then, each of two exchanges.
    assert.ok(asked(b) >= 4 && asked(b) <= 6 && asked(b) % 2 === 0, `${asked(b)}`)
    const so = asked(b)
    session.onRekeyDue!(link.now)
    link.flush(b)
    link.run(1)
    assert.ok(asked(b) - so <= 4)
    assert.match(b.problems().join(), /no new IKE SA: INVALID_KE_PAYLOAD/)
    assert.equal(b.established, 1)
  })

  test('one that no suite has, and a notify of another length, ask for nothing', () => {
    const { childSuites } = child('CURVE25519', 'ECP_256')
    const of = (...data: number[]): string | undefined =>
      wantedGroup(notify(NotifyType.invalidKePayload, Uint8Array.from(data)), childSuites)
    assert.equal(of(0, 19), 'ECP_256')
    assert.equal(of(0, 20), undefined)
    assert.equal(of(0, 0), undefined)
    assert.equal(of(19), undefined)
    assert.equal(
      wantedGroup(notify(NotifyType.noProposalChosen, Uint8Array.of(0, 19)), childSuites),
      undefined,
    )
  })
})
