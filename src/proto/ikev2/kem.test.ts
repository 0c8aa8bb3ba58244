/** IKE SAs whose key exchange is an encapsulation: the responder's half is another than the initiator's. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seconds } from '../../base/index.js'
import { CHILD_SUITE, IKE_SUITE, pair, spisOf } from './testing.js'

for (const name of ['ML_KEM_768', 'SNTRUP761X25519'] as const)
  test(`${name}: established, a child with a key exchange of its own, and the IKE SA made anew`, () => {
    const both = {
      ikeSuites: [{ ...IKE_SUITE, keyExchange: [name] }],
      childSuites: [{ ...CHILD_SUITE, keyExchange: [name] }],
      childLifetime: { seconds: 20 },
      ikeLifetime: seconds(50),
    }
    const link = pair(both, both)
    link.start()
    link.run(5)
    const [left, right] = link.sides
    assert.deepEqual([left.established, right.established], [1, 1], `${left.problems()} ${right.problems()}`)
    const before = spisOf(left)
    assert.deepEqual(before, spisOf(right))
    const ike = left.machine.sessions()[0]!.spis
    link.run(70)
    assert.deepEqual(spisOf(left), spisOf(right))
    assert.notDeepEqual(spisOf(left), before)
    assert.notDeepEqual(left.machine.sessions()[0]!.spis, ike)
    assert.deepEqual([...left.problems(), ...right.problems()], [])
  })

test('a peer that wants another group is asked again, from Diffie-Hellman to encapsulation', () => {
  const link = pair(
    { ikeSuites: [{ ...IKE_SUITE, keyExchange: ['SNTRUP761X25519'] }] },
    { ikeSuites: [{ ...IKE_SUITE, keyExchange: ['CURVE25519', 'SNTRUP761X25519'] }] },
  )
  link.start()
  link.run(5)
  assert.deepEqual(
    link.sides.map(({ established }) => established),
    [1, 1],
  )
})
