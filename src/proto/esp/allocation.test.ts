/** The rule of the data path: a packet allocates nothing. With ciphers that do nothing, so that only our own is seen. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { IPV4, PacketBuffer } from '../../base/index.js'
import { AEADS, CIPHERS, type CryptoProvider, MACS } from '../../crypto/index.js'
import { PASS } from '../machine.js'
import type { SaSpec } from './sa.js'
import { ENDS, packetOf, saOf } from './testing.js'
import { createEspTransforms } from './transforms.js'

const idle: CryptoProvider = {
  name: 'idle',
  aead: (name) => ({ algorithm: AEADS[name], seal: () => {}, open: () => true, destroy: () => {} }),
  cipher: (name) => ({ algorithm: CIPHERS[name], encrypt: () => {}, decrypt: () => {}, destroy: () => {} }),
  mac: (name) => ({ algorithm: MACS[name], compute: () => {}, verify: () => true, destroy: () => {} }),
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const cases: [name: string, spec: Partial<SaSpec>][] = [
  ['GCM', {}],
  ['GCM, extended, in UDP', { esn: true, udpEncapsulation: true }],
  ['GMAC', { suite: { encryption: 'ENCR_NULL_AUTH_AES_GMAC' } }],
  [
    'CBC with HMAC, extended',
    { esn: true, suite: { encryption: 'ENCR_AES_CBC', integrity: 'AUTH_HMAC_SHA2_256_128' } },
  ],
  ['CTR', { suite: { encryption: 'ENCR_AES_CTR', integrity: 'AUTH_HMAC_SHA1_96' } }],
  ['transport', { mode: 'transport' }],
]
const inner = packetOf(4, 1000, ENDS[4])

for (const [name, change] of cases)
  test(`no allocation a packet: ${name}`, () => {
    const outbound = saOf(change)
    const { outbound: out, inbound } = createEspTransforms(
      { protocol: 'esp', outbound, inbound: saOf({ ...change, reverse: true }) },
      idle,
    )
    const packet = new PacketBuffer(new Uint8Array(2048))
    const run = (count: number): void => {
      for (let i = 0; i < count; i++) {
        packet.load(inner, IPV4)
        if (out.process(packet) !== PASS) assert.fail(JSON.stringify(out.drops))
        const { start, end } = packet
        packet.reset(start, end, 0)
        if (inbound.process(packet) !== PASS) assert.fail(JSON.stringify(inbound.drops))
      }
    }
    run(50_000)
    // The compiler allocates too, but not in every round; a packet's allocation would be in each.
    let least = Number.POSITIVE_INFINITY
    for (let round = 0; round < 8; round++) {
      collect()
      const before = process.memoryUsage().heapUsed
      run(20_000)
      least = Math.min(least, process.memoryUsage().heapUsed - before)
    }
    assert.ok(least < 20_000 * 2, `${least} bytes for 20000 packets`)
  })
