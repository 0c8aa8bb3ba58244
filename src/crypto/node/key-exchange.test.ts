import assert from 'node:assert/strict'
import { createDiffieHellmanGroup, createECDH, getDiffieHellman } from 'node:crypto'
import { describe, test } from 'node:test'
import { type Random, SeededRandom } from '../../base/index.js'
import { KEY_EXCHANGES, type KeyExchangeName, keyExchangeById } from '../key-exchange.js'
import { nodeKeyExchange, nodeKeyExchangeAnswer } from './kem-exchange.js'

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'))
const all = Object.keys(KEY_EXCHANGES) as KeyExchangeName[]
const names = all.filter((name) => KEY_EXCHANGES[name].kind !== 'kem')

/** Gives these bytes, whatever is asked for. */
const giving = (bytes: Uint8Array): Random => ({
  fill(target) {
    target.set(bytes)
    return target
  },
  below: () => 0,
  uint32: () => 0,
})

for (const name of names)
  describe(name, () => {
    const algorithm = KEY_EXCHANGES[name]
    test('both ends come to one secret, and the same seed to the same values', () => {
      const [a, b] = [new SeededRandom(1), new SeededRandom(2)].map((random) => nodeKeyExchange(name, random))
      assert.equal(a!.value.length, algorithm.valueLength)
      assert.equal(b!.value.length, algorithm.valueLength)
      assert.notDeepEqual(a!.value, b!.value)
      const [ours, theirs] = [a!.finish(b!.value), b!.finish(a!.value)]
      assert.equal(ours!.length, algorithm.secretLength)
      assert.deepEqual(ours, theirs)
      assert.deepEqual(nodeKeyExchange(name, new SeededRandom(1)).value, a!.value)
    })

    test('a value that is none is refused, and the private key is gone after', () => {
      const wrong: Uint8Array[] = [
        new Uint8Array(0),
        new Uint8Array(algorithm.valueLength - 1).fill(2),
        new Uint8Array(algorithm.valueLength + 1).fill(2),
        new Uint8Array(algorithm.valueLength),
      ]
      if (algorithm.kind === 'ecp') wrong.push(new Uint8Array(algorithm.valueLength).fill(5))
      if (algorithm.kind === 'modp') {
        const prime = getDiffieHellman(`modp${algorithm.id}`).getPrime()
        const one = new Uint8Array(prime.length)
        one[one.length - 1] = 1
        const less = Uint8Array.from(prime)
        less[less.length - 1]! -= 1
        wrong.push(one, less, Uint8Array.from(prime), new Uint8Array(prime.length).fill(255))
      }
      for (const value of wrong) {
        const exchange = nodeKeyExchange(name, new SeededRandom(3))
        assert.equal(exchange.finish(value), undefined, Buffer.from(value).toString('hex').slice(0, 40))
      }
      const over = nodeKeyExchange(name, new SeededRandom(3))
      over.destroy()
      assert.throws(() => over.finish(new Uint8Array(algorithm.valueLength).fill(2)), {
        code: 'CRYPTO_DESTROYED',
      })
    })

    test('is found by its number', () => assert.equal(keyExchangeById(algorithm.id), algorithm))
  })

test('the peer may be any other implementation: MODP by Node’s own groups, ECP by its curves', () => {
  for (const id of [2, 14, 16]) {
    const { name } = keyExchangeById(id)!
    const theirs = createDiffieHellmanGroup(`modp${id}`)
    const value = theirs.generateKeys()
    const ours = nodeKeyExchange(name, new SeededRandom(7))
    const sent = Uint8Array.from(ours.value)
    const padded = new Uint8Array(ours.algorithm.valueLength)
    padded.set(value, padded.length - value.length)
    const secret = ours.finish(padded)!
    assert.deepEqual(
      Buffer.from(secret).subarray(-theirs.computeSecret(sent).length),
      theirs.computeSecret(sent),
    )
  }
  const curve = createECDH('secp384r1')
  const point = curve.generateKeys()
  const ours = nodeKeyExchange('ECP_384', new SeededRandom(8))
  const secret = ours.finish(Uint8Array.from(point.subarray(1)))!
  assert.deepEqual(Buffer.from(secret), curve.computeSecret(Buffer.concat([Buffer.from([4]), ours.value])))
})

test('RFC 7748 section 6.1', () => {
  const alice = nodeKeyExchange(
    'CURVE25519',
    giving(hex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a')),
  )
  assert.deepEqual(alice.value, hex('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a'))
  assert.deepEqual(
    alice.finish(hex('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f')),
    hex('4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742'),
  )
})

test('RFC 5903 section 8.1', () => {
  const initiator = nodeKeyExchange(
    'ECP_256',
    giving(hex('c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433')),
  )
  assert.deepEqual(
    initiator.value,
    hex(
      'dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c37725811805271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3',
    ),
  )
  assert.deepEqual(
    initiator.finish(
      hex(
        'd12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf6356fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab',
      ),
    ),
    hex('d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de'),
  )
})

for (const name of all)
  test(`${name}: the responder's half is made of the initiator's`, () => {
    const algorithm = KEY_EXCHANGES[name]
    const ours = nodeKeyExchange(name, new SeededRandom(1))
    assert.equal(ours.value.length, algorithm.valueLength)
    const answer = nodeKeyExchangeAnswer(name, ours.value, new SeededRandom(2))!
    assert.equal(answer.value.length, algorithm.answerLength)
    assert.equal(answer.secret.length, algorithm.secretLength)
    assert.deepEqual(ours.finish(answer.value), answer.secret)
    assert.throws(() => ours.finish(answer.value), { code: 'CRYPTO_DESTROYED' })
    const short = nodeKeyExchange(name, new SeededRandom(3))
    assert.equal(nodeKeyExchangeAnswer(name, short.value.subarray(1), new SeededRandom(4)), undefined)
    assert.equal(nodeKeyExchangeAnswer(name, new Uint8Array(0), new SeededRandom(4)), undefined)
    assert.equal(short.finish(answer.value.subarray(1)), undefined)
    const other = nodeKeyExchange(name, new SeededRandom(5))
    const changed = Uint8Array.from(answer.value)
    changed[algorithm.answerLength - 1]! ^= 1
    assert.notDeepEqual(other.finish(changed), answer.secret)
  })

test('the X25519 half of sntrup761x25519 is checked as any other', () => {
  const { value } = nodeKeyExchange('SNTRUP761X25519', new SeededRandom(1))
  const zeros = Uint8Array.from(value).fill(0, value.length - 32)
  assert.equal(nodeKeyExchangeAnswer('SNTRUP761X25519', zeros, new SeededRandom(2)), undefined)
})
