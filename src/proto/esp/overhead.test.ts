import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IPV4, IPV6, PacketBuffer } from '../../base/index.js'
import { nodeProvider } from '../../crypto/index.js'
import { PASS } from '../machine.js'
import { largestInside } from './overhead.js'
import type { SaSpec } from './sa.js'
import { ENDS, packetOf, SUITES, saOf } from './testing.js'
import { createEspTransforms } from './transforms.js'

/** Length of the outer packet that an inner one of `length` bytes becomes. */
function lengthOutside(sa: SaSpec, length: number): number {
  const family = sa.local.length === 4 ? 4 : 6
  const { outbound } = createEspTransforms({ protocol: 'esp', outbound: sa, inbound: [] }, nodeProvider)
  const header = family === 4 ? 20 : 40
  const inner = packetOf(family, length - header - 8, ENDS[family])
  assert.equal(inner.length, length)
  const packet = PacketBuffer.copyOf(inner, family === 4 ? IPV4 : IPV6)
  assert.equal(outbound.process(packet), PASS)
  return header + (sa.udpEncapsulation === true ? 8 : 0) + packet.length
}

const check = (name: string, sa: SaSpec, mtu: number): void => {
  const largest = largestInside(sa, mtu)
  assert.ok(lengthOutside(sa, largest) <= mtu, `${name}: ${largest} bytes fit into ${mtu}`)
  assert.ok(lengthOutside(sa, largest + 1) > mtu, `${name}: ${largest + 1} bytes do not`)
}

test('the largest packet that fits, and one byte more that does not: every suite, both modes and families, in UDP', () => {
  for (const family of [4, 6] as const)
    for (const mode of ['tunnel', 'transport'] as const)
      for (const udpEncapsulation of [false, true])
        for (const suite of SUITES) {
          const sa = saOf({ family, mode, suite, udpEncapsulation })
          const name = `${suite.encryption} ${suite.integrity ?? ''} ${mode} IPv${family} ${udpEncapsulation ? 'UDP' : ''}`
          check(name, sa, 1500)
          check(name, sa, 1399)
        }
})

test('AH, with both alignments over IPv4', () => {
  for (const family of [4, 6] as const)
    for (const mode of ['tunnel', 'transport'] as const)
      for (const integrity of [
        'AUTH_HMAC_SHA1_96',
        'AUTH_HMAC_SHA2_256_128',
        'AUTH_HMAC_SHA2_384_192',
      ] as const)
        for (const ahAlignment of [4, 8] as const)
          check(
            `AH ${integrity} ${mode} IPv${family} ${ahAlignment}`,
            saOf({ protocol: 'ah', family, mode, suite: { integrity }, ahAlignment }),
            1500,
          )
})
