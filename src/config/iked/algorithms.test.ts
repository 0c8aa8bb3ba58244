import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AEADS, CIPHERS, PRFS as CRYPTO_PRFS, KEY_EXCHANGES, MACS } from '../../crypto/index.js'
import { describeTransform } from '../../proto/ikev2/index.js'
import { TransformType } from '../../wire/ike/index.js'
import { ENCRYPTIONS, GROUPS, INTEGRITIES, type Kind, named, type Phase, PRFS } from './algorithms.js'

const read = (text: string, kind: Kind, phase: Phase): string | undefined =>
  named({ text, quoted: false, file: 'f', line: 1, column: 1 }, kind, phase).name

test('a word of the log, which mends name, is the same word in the file', () => {
  const { encr, integ, prf, ke } = TransformType
  for (const { id, keyLengths } of [...Object.values(AEADS), ...Object.values(CIPHERS)])
    for (const length of keyLengths) {
      const keyLength = keyLengths.length > 1 ? { keyLength: 8 * length } : {}
      const word = describeTransform({ type: encr, id, ...keyLength })
      assert.equal(read(word, 'enc', 'childsa'), word)
      assert.equal(ENCRYPTIONS.get(word)?.encryption.keyBits, 8 * length)
    }
  for (const { id, name } of Object.values(MACS)) {
    const word = describeTransform({ type: integ, id })
    assert.equal(read(word, 'auth', 'childsa'), word)
    assert.equal(INTEGRITIES.get(word), name)
  }
  for (const { id, name } of Object.values(CRYPTO_PRFS)) {
    const word = describeTransform({ type: prf, id })
    assert.equal(read(word, 'prf', 'ikesa'), word)
    assert.equal(PRFS.get(word), name)
  }
  for (const { id, name } of Object.values(KEY_EXCHANGES)) {
    const word = describeTransform({ type: ke, id })
    // What iked has no word for is no word of its file.
    if (!GROUPS.has(word)) continue
    assert.equal(read(word, 'group', 'ikesa'), word)
    assert.equal(GROUPS.get(word), name)
  }
})

test('grpN is the group with that number', () => {
  for (const { id } of Object.values(KEY_EXCHANGES)) {
    const word = describeTransform({ type: TransformType.ke, id })
    if (id < 33 && GROUPS.has(word)) assert.equal(read(`grp${id}`, 'group', 'childsa'), word)
  }
})
