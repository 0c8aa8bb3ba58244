import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { PRFS, type PrfName, prfById, prfPlus } from '../prf.js'
import { nodeHash, nodePrf } from './prf.js'

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'))
const counting = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i)
const names = Object.keys(PRFS) as PrfName[]

describe('pseudorandom functions', () => {
  test('RFC 4434 section 2.1 and RFC 4615 section 4: keys of 10, 16 and 18 bytes', () => {
    const message = counting(20)
    const long = hex('000102030405060708090a0b0c0d0e0fedcb')
    const xcbc = nodePrf('PRF_AES128_XCBC')
    assert.deepEqual(xcbc(counting(16), message), hex('47f51b4564966215b8985c63055ed308'))
    assert.deepEqual(xcbc(counting(10), message), hex('0fa087af7d866e7653434e602fdde835'))
    assert.deepEqual(xcbc(long, message), hex('8cd3c93ae598a9803006ffb67c40e9e4'))
    const cmac = nodePrf('PRF_AES128_CMAC')
    assert.deepEqual(cmac(counting(16), message), hex('980ae87b5f4c9c5214f5b6a8455e4c2d'))
    assert.deepEqual(cmac(counting(10), message), hex('290d9e112edb09ee141fcf64c0b72f3d'))
    assert.deepEqual(cmac(long, message), hex('84a348a4a45d235babfffc0d2b4da09a'))
  })

  test('RFC 4231 section 4.3: HMAC', () => {
    const [key, data] = [Buffer.from('Jefe'), Buffer.from('what do ya want for nothing?')]
    assert.deepEqual(
      nodePrf('PRF_HMAC_SHA2_256')(key, data),
      hex('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'),
    )
  })

  for (const name of names)
    test(`${name}: parts are joined; the output is as long as its table says`, () => {
      const prf = nodePrf(name)
      const bytes = fc.uint8Array({ maxLength: 50 })
      fc.assert(
        fc.property(bytes, fc.array(bytes, { maxLength: 4 }), (key, parts) => {
          const whole = prf(key, Buffer.concat(parts))
          assert.equal(whole.length, PRFS[name].outputLength)
          assert.deepEqual(prf(key, ...parts), whole)
        }),
        { numRuns: 30 },
      )
      assert.equal(prfById(PRFS[name].id)?.name, name)
    })

  test('prf+ is a chain of blocks, each of the one before, the seed and its number', () => {
    const prf = nodePrf('PRF_HMAC_SHA2_256')
    const [key, seed] = [counting(32), counting(40)]
    const first = prf(key, seed, Uint8Array.of(1))
    const second = prf(key, first, seed, Uint8Array.of(2))
    const long = prfPlus(prf, key, seed, 50)
    assert.deepEqual(long.subarray(0, 32), first)
    assert.deepEqual(long.subarray(32), second.subarray(0, 18))
    assert.deepEqual(prfPlus(prf, key, seed, 5), first.subarray(0, 5))
    assert.throws(() => prfPlus(prf, key, seed, 32 * 256), RangeError)
  })

  test('hashes join their parts', () =>
    assert.deepEqual(
      nodeHash('sha1', Buffer.from('a'), Buffer.from('bc')),
      hex('a9993e364706816aba3e25717850c26c9cd0d89d'),
    ))
})
