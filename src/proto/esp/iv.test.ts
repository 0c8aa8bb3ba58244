/** RFC 3602 section 3, RFC 2451 section 3: an IV of CBC is not to be guessed; RFC 3686, 4106: one of a counter is not to recur. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IPV4, PacketBuffer, toHex } from '../../base/index.js'
import { nodeProvider } from '../../crypto/index.js'
import { PASS } from '../machine.js'
import { EspInbound } from './inbound.js'
import { EspOutbound } from './outbound.js'
import type { SaSpec } from './sa.js'
import { keysOf, saOf } from './testing.js'

const INNER = Uint8Array.from([
  ...[0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2],
  ...[8, 0, 0, 0, 0, 0, 0, 0],
])

/** IVs of `count` packets in a row, all with the same inside. */
function ivsOf(spec: SaSpec, length: number, count: number): string[] {
  const outbound = new EspOutbound(spec, nodeProvider)
  const inbound = new EspInbound([spec], nodeProvider)
  return Array.from({ length: count }, () => {
    const packet = PacketBuffer.copyOf(INNER, IPV4)
    assert.equal(outbound.process(packet), PASS)
    const iv = toHex(packet.view().subarray(8, 8 + length))
    packet.nesting = 0
    assert.equal(inbound.process(packet), PASS)
    return iv
  })
}

const bitsThatDiffer = (a: string, b: string): number => {
  let count = 0
  for (let i = 0; i < a.length; i++) {
    let bits = Number.parseInt(a[i]!, 16) ^ Number.parseInt(b[i]!, 16)
    for (; bits > 0; bits >>= 1) count += bits & 1
  }
  return count
}

for (const [encryption, length] of [
  ['ENCR_AES_CBC', 16],
  ['ENCR_3DES', 8],
] as const) {
  const suite = { encryption, integrity: 'AUTH_HMAC_SHA2_256_128' } as const
  test(`${encryption}: of consecutive numbers no IV tells of another, and without the key nobody makes it`, () => {
    const spec = saOf({ suite })
    const ivs = ivsOf(spec, length, 400)
    assert.equal(new Set(ivs).size, ivs.length)
    // Half of the bits turn over from one to the next, give or take: nothing counts, no difference comes twice.
    let sum = 0
    const differences = new Set<string>()
    for (let i = 1; i < ivs.length; i++) {
      const differing = bitsThatDiffer(ivs[i]!, ivs[i - 1]!)
      assert.ok(differing > length, `${ivs[i - 1]} and ${ivs[i]}`)
      sum += differing
      differences.add((BigInt(`0x${ivs[i]}`) ^ BigInt(`0x${ivs[i - 1]}`)).toString(16))
    }
    const mean = sum / (ivs.length - 1) / (8 * length)
    assert.ok(mean > 0.46 && mean < 0.54, `${mean} of the bits`)
    assert.equal(differences.size, ivs.length - 1)
    const key = keysOf(suite).encryption!.slice()
    key[9]! ^= 0x10
    const others = ivsOf({ ...spec, keys: { ...spec.keys, encryption: key } }, length, 400)
    assert.equal(new Set([...ivs, ...others]).size, 800)
    const seeded = ivsOf({ ...spec, ivSeed: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) }, length, 400)
    assert.equal(new Set([...ivs, ...seeded]).size, 800)
  })
}

for (const suite of [
  { encryption: 'ENCR_AES_GCM_16' },
  { encryption: 'ENCR_CHACHA20_POLY1305' },
  { encryption: 'ENCR_AES_CTR', integrity: 'AUTH_HMAC_SHA2_256_128' },
] as const)
  test(`${suite.encryption}: the IV is the number, with the seed mixed in, and never recurs`, () => {
    const seed = Uint8Array.of(0xa1, 2, 3, 4, 5, 6, 7, 0xf8)
    const ivs = ivsOf(saOf({ suite, ivSeed: seed }), 8, 300)
    assert.equal(new Set(ivs).size, 300)
    const number = BigInt(`0x${ivs[6]}`) ^ BigInt(`0x${toHex(seed)}`)
    assert.equal(number, 7n)
  })
