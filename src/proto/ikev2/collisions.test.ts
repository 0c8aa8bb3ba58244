/** What meets at once, by the tables of RFC 7296 sections 2.25.1 and 2.25.2: a request of the peer while we do something. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IkeExchange, type IkePayload, IkeProtocol, NotifyType } from '../../wire/ike/index.js'
import { findError, findPayload, notify } from './init.js'
import type { Session } from './session.js'
import { proposalsOf } from './suites.js'
import { IKE_SUITE } from './testing.js'
import { goesOn, type Scene, scene } from './testing-scene.js'

type Doing = 'nothing' | 'rekeys the child' | 'closes the child' | 'rekeys the IKE SA' | 'closes the IKE SA'
type Asked = 'rekey child' | 'rekey unknown' | 'create child' | 'close child' | 'rekey IKE' | 'close IKE'
type Answer = 'made' | 'deleted' | 'empty' | 'TEMPORARY_FAILURE' | 'CHILD_SA_NOT_FOUND'

const TEMPORARY = 'TEMPORARY_FAILURE'
const ROWS: readonly (readonly [Asked, Readonly<Record<Doing, Answer>>])[] = [
  // Section 2.25.1; beneath an IKE SA that is on its way out, 2.25.2.
  ['rekey child', row('made', 'made', TEMPORARY, TEMPORARY, TEMPORARY)],
  [
    'rekey unknown',
    row('CHILD_SA_NOT_FOUND', 'CHILD_SA_NOT_FOUND', 'CHILD_SA_NOT_FOUND', TEMPORARY, TEMPORARY),
  ],
  ['create child', row('made', 'made', 'made', TEMPORARY, TEMPORARY)],
  // Whoever deletes it, too, leaves it out of the answer.
  ['close child', row('deleted', 'deleted', 'empty', 'deleted', 'deleted')],
  // Section 2.25.2.
  ['rekey IKE', row('made', TEMPORARY, TEMPORARY, 'made', TEMPORARY)],
  ['close IKE', row('empty', 'empty', 'empty', 'empty', 'empty')],
]

function row(nothing: Answer, rekeys: Answer, closes: Answer, rekeysIke: Answer, closesIke: Answer) {
  return {
    nothing,
    'rekeys the child': rekeys,
    'closes the child': closes,
    'rekeys the IKE SA': rekeysIke,
    'closes the IKE SA': closesIke,
  } satisfies Record<Doing, Answer>
}

const SPI = 0x1000
const spi = (last: number): Uint8Array => Uint8Array.of(0, 0, 0x10, last)
const rekeyOf = (last: number): IkePayload => ({
  ...notify(NotifyType.rekeySa),
  protocol: IkeProtocol.esp,
  spi: spi(last),
})

function begin({ target, link }: Scene, session: Session, doing: Doing): void {
  const [child] = session.children.values()
  if (doing === 'rekeys the child') session.onChildSoft!(child!, link.now)
  else if (doing === 'closes the child') session.deleteChild(child!, link.now)
  else if (doing === 'rekeys the IKE SA') session.onRekeyDue!(link.now)
  else if (doing === 'closes the IKE SA') session.delete('over', link.now)
  target.drain()
}

function ask({ raw, link }: Scene, asked: Asked): readonly IkePayload[] {
  const nonce: IkePayload = { kind: 'Nonce', data: new Uint8Array(32).fill(7) }
  const [sa, ...selectors] = raw.child(SPI + 1)
  const create = (...before: IkePayload[]): readonly IkePayload[] =>
    raw.ask(IkeExchange.createChildSa, [...before, sa!, nonce, ...selectors], link.now)!
  if (asked === 'rekey child') return create(rekeyOf(0))
  if (asked === 'rekey unknown') return create(rekeyOf(0x77))
  if (asked === 'create child') return create()
  if (asked === 'close child')
    return raw.ask(IkeExchange.informational, [{ kind: 'D', protocol: 3, spis: [spi(0)] }], link.now)!
  if (asked === 'close IKE')
    return raw.ask(IkeExchange.informational, [{ kind: 'D', protocol: 1, spis: [] }], link.now)!
  const ke = findPayload(raw.opening(), 'KE')!
  const proposals = proposalsOf(IKE_SUITE, 'ike', new Uint8Array(8).fill(9), 1)
  return raw.ask(IkeExchange.createChildSa, [{ kind: 'SA', proposals }, nonce, ke], link.now)!
}

function answerOf(said: readonly IkePayload[]): Answer | string {
  const error = findError(said)
  if (error?.type === NotifyType.temporaryFailure) return TEMPORARY
  if (error?.type === NotifyType.childSaNotFound) return 'CHILD_SA_NOT_FOUND'
  if (error !== undefined) return `error ${error.type}`
  if (findPayload(said, 'SA') !== undefined) return 'made'
  return findPayload(said, 'D') === undefined ? 'empty' : 'deleted'
}

for (const [asked, answers] of ROWS)
  for (const [doing, expected] of Object.entries(answers) as [Doing, Answer][])
    test(`the peer says "${asked}" to one that ${doing === 'nothing' ? 'does nothing' : doing}: ${expected}`, () => {
      const stage = scene()
      const { raw, link, target } = stage
      raw.establish(link.now)
      const session = target.machine.sessions().find(({ remote }) => remote.address.equals(raw.address))
      assert.ok(session !== undefined)
      begin(stage, session, doing)
      assert.equal(answerOf(ask(stage, asked)), expected)
      goesOn(stage)
    })

test('the peer says "rekey IKE" to one that makes a first child: TEMPORARY_FAILURE', () => {
  const stage = scene()
  const { raw, link, target } = stage
  raw.establish(link.now)
  const session = target.machine.sessions().find(({ remote }) => remote.address.equals(raw.address))!
  ask(stage, 'close child')
  session.onChildMissing!(link.now)
  target.drain()
  assert.equal(answerOf(ask(stage, 'rekey IKE')), TEMPORARY)
  goesOn(stage)
})
