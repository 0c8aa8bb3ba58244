/** Post-quantum pre-shared keys between two machines (RFC 8784): who has one, who must, and what is said where they differ. */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { seconds } from '../../base/index.js'
import { NotifyType, notifyNames } from '../../wire/ike/index.js'
import type { IkeKeys } from './keys.js'
import type { Ppk } from './policy.js'
import { mixPpk } from './ppk.js'
import { type Link, pair, spisOf } from './testing.js'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const ppk = (
  optional: boolean,
  secret = 'a secret that no key exchange carries',
  id = 'ppk of two',
): Ppk => ({
  id: bytes(id),
  secret: bytes(secret),
  optional,
})

/** The second side begins. */
function run(one: readonly Ppk[], two: readonly Ppk[]): Link {
  const link = pair({ ppks: one }, { ppks: two })
  link.start()
  link.run(4)
  return link
}
const established = ({ sides }: Link): number[] => sides.map((side) => side.established)
const mixed = ({ sides }: Link): boolean[] =>
  sides.map(({ machine }) => machine.sessions()[0]?.ppk !== undefined)
const agree = ({ sides }: Link): void => {
  assert.equal(sides[0].paths.size, 1)
  assert.deepEqual(spisOf(sides[0]), spisOf(sides[1]))
  const keys = (i: 0 | 1, way: 'inbound' | 'outbound'): string =>
    Buffer.from([...sides[i].machine.sessions()[0]!.children.values()][0]!.keys[way].encryption).toString(
      'hex',
    )
  assert.equal(keys(0, 'inbound'), keys(1, 'outbound'))
  assert.equal(keys(1, 'inbound'), keys(0, 'outbound'))
}

test('SK_d, SK_pi and SK_pr are prf+ of the secret over what they were; all other keys stay', () => {
  const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)
  const keys: IkeKeys = { d: key(1), ai: key(2), ar: key(3), ei: key(4), er: key(5), pi: key(6), pr: key(7) }
  const secret = bytes('secret')
  const next = mixPpk('PRF_HMAC_SHA2_256', secret, keys)
  // RFC 7296 section 2.13, by hand: one block is as long as the key.
  const first = (old: Uint8Array): Uint8Array =>
    Uint8Array.from(createHmac('sha256', secret).update(old).update(Uint8Array.of(1)).digest())
  assert.deepEqual(
    [next.d, next.pi, next.pr],
    [keys.d, keys.pi, keys.pr].map((old) => first(old)),
  )
  assert.deepEqual([next.ai, next.ar, next.ei, next.er], [keys.ai, keys.ar, keys.ei, keys.er])
})

for (const [name, one, two] of [
  ['both require it', false, false],
  ['for both it is optional', true, true],
  ['the responder requires it', false, true],
  ['the initiator requires it', true, false],
] as const)
  test(`${name}: it is mixed in, and what comes after is made of it`, () => {
    const link = pair(
      { ppks: [ppk(one)], ikeLifetime: seconds(30), childLifetime: { seconds: 12 } },
      { ppks: [ppk(two)] },
    )
    link.start()
    link.run(4)
    assert.deepEqual(established(link), [1, 1], `${link.sides.map((side) => side.problems())}`)
    assert.deepEqual(mixed(link), [true, true])
    agree(link)
    const before = spisOf(link.sides[0])
    link.run(60)
    agree(link)
    assert.notDeepEqual(spisOf(link.sides[0]), before)
    assert.deepEqual(
      link.sides.flatMap((side) => side.problems()),
      [],
    )
  })

test('a responder knows several by their names', () => {
  const others = [ppk(false, 'one', 'of another'), ppk(false), ppk(false, 'three', 'of a third')]
  const link = run(others, [ppk(false)])
  assert.deepEqual(mixed(link), [true, true])
  agree(link)
})

for (const [name, one, two] of [
  ['only the initiator has it', [], [ppk(true)]],
  ['only the responder has it', [ppk(true)], []],
  ['they have others', [ppk(true, 'one', 'one')], [ppk(true, 'two', 'two')]],
] as const)
  test(`optional, and ${name}: established without`, () => {
    const link = run(one, two)
    assert.deepEqual(established(link), [1, 1], `${link.sides.map((side) => side.problems())}`)
    assert.deepEqual(mixed(link), [false, false])
    agree(link)
  })

for (const [name, one, two, here, there] of [
  [
    'the initiator requires it, and the responder has none',
    [],
    [ppk(false)],
    undefined,
    /expected "ppk of two", which the policy requires/,
  ],
  [
    'the responder requires it, and the initiator has none',
    [ppk(false)],
    [],
    /expected "ppk of two", which the policy requires/,
    /AUTHENTICATION_FAILED/,
  ],
  [
    'the responder has another',
    [ppk(false, 'one', 'one')],
    [ppk(false)],
    /ppk: found "ppk of two" at the peer, expected "one"/,
    /we said ppk "ppk of two"/,
  ],
  [
    'the responder has another, though not always',
    [ppk(true, 'one', 'one')],
    [ppk(false)],
    /found "ppk of two" at the peer/,
    /we said ppk/,
  ],
  [
    'the keys differ',
    [ppk(false, 'x')],
    [ppk(false, 'y')],
    /pre-shared keys differ, or the keys of ppk "ppk of two" do/,
    /we said ppk "ppk of two"/,
  ],
  // RFC 8784 section 3: what NO_PPK_AUTH proves is not asked for where the name is known.
  [
    'the keys differ, though they are optional',
    [ppk(true, 'x')],
    [ppk(true, 'y')],
    /or the keys of ppk "ppk of two" do/,
    /we said ppk/,
  ],
] as const)
  test(`refused: ${name}`, () => {
    const link = run(one, two)
    assert.deepEqual(established(link), [0, 0])
    assert.deepEqual(
      link.sides.map(({ paths }) => paths.size),
      [0, 0],
    )
    const [left, right] = link.sides.map((side) => side.problems().join('\n'))
    if (here === undefined) assert.equal(left, '')
    else assert.match(left!, here)
    assert.match(right!, there)
    // What is secret is in nobody's log.
    const mends = link.sides.flatMap(({ news }) => news.map((one) => JSON.stringify(one, ['text', 'mend'])))
    assert.doesNotMatch(mends.join('\n'), /a secret that/)
  })

test('the notifies are those of RFC 8784', () => {
  assert.deepEqual(
    [NotifyType.usePpk, NotifyType.ppkIdentity, NotifyType.noPpkAuth].map((type) => notifyNames[type]),
    ['USE_PPK', 'PPK_IDENTITY', 'NO_PPK_AUTH'],
  )
})
