import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CE, decapsulatedEcn, ECN_DROP, ECT_0, ECT_1, encapsulatedEcn, NOT_ECT } from './ecn.js'

const all = [NOT_ECT, ECT_0, ECT_1, CE]

test('RFC 6040 figure 3: the field outside, in both modes', () => {
  assert.deepEqual(
    all.map((inner) => encapsulatedEcn('normal', inner)),
    [NOT_ECT, ECT_0, ECT_1, CE],
  )
  assert.deepEqual(
    all.map((inner) => encapsulatedEcn('compatibility', inner)),
    [NOT_ECT, NOT_ECT, NOT_ECT, NOT_ECT],
  )
})

test('RFC 6040 figure 4: the field that leaves, as the figure prints it', () => {
  // Columns as in the figure: arriving outer header Not-ECT, ECT(0), ECT(1), CE.
  const figure: [inner: number, leaves: number[]][] = [
    [NOT_ECT, [NOT_ECT, NOT_ECT, NOT_ECT, ECN_DROP]],
    [ECT_0, [ECT_0, ECT_0, ECT_1, CE]],
    [ECT_1, [ECT_1, ECT_1, ECT_1, CE]],
    [CE, [CE, CE, CE, CE]],
  ]
  for (const [inner, leaves] of figure)
    assert.deepEqual(
      all.map((outer) => decapsulatedEcn(inner, outer)),
      leaves,
      `inner ${inner}`,
    )
})
