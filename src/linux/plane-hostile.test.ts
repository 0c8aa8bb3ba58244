/** What a stranger, or somebody between the peers, can do to ESP in the data plane: nothing but counts. */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { SeededRandom } from '../base/index.js'
import type { SaSpec } from '../proto/esp/index.js'
import { type SaOptions, saOf } from '../proto/esp/testing.js'
import type { PathSpec } from '../proto/machine.js'
import { LOCAL, packetOf, planeBed, put, REMOTE, Sockets, takeAll } from './testing.js'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const ESP = 50
const ROUNDS = 25
const HOSTILE = 12

const suites: readonly (readonly [name: string, options: SaOptions])[] = [
  ['AES-GCM', {}],
  ['AES-GCM with extended sequence numbers', { esn: true }],
  ['AES-CCM', { suite: { encryption: 'ENCR_AES_CCM_16' } }],
  ['ChaCha20-Poly1305', { suite: { encryption: 'ENCR_CHACHA20_POLY1305' } }],
  ['GMAC', { suite: { encryption: 'ENCR_NULL_AUTH_AES_GMAC' } }],
  ['AES-CBC and SHA-256', { suite: { encryption: 'ENCR_AES_CBC', integrity: 'AUTH_HMAC_SHA2_256_128' } }],
  ['AES-CTR and CMAC', { suite: { encryption: 'ENCR_AES_CTR', integrity: 'AUTH_AES_CMAC_96' } }],
]

function pathOf(outbound: SaSpec, inbound: SaSpec): PathSpec {
  return {
    id: 'sa',
    carrier: { kind: 'ip', protocol: ESP, local: LOCAL, remote: REMOTE },
    takes: [4, 6],
    transform: { protocol: 'esp', outbound, inbound: [inbound] },
  }
}

describe('ESP in the data plane, whatever arrives', { skip }, () => {
  const sockets = new Sockets()
  after(() => sockets.close())

  for (const [name, options] of suites)
    test(name, () => {
      const random = new SeededRandom(7)
      const sa = (spi: number): SaSpec => saOf({ ...options, spi })
      const sender = planeBed(sockets, [pathOf(sa(0x2000), sa(0x1000))])
      const { plane, inside, outside } = planeBed(sockets, [pathOf(sa(0x1000), sa(0x2000))], {
        offload: true,
      })
      let honest = 0
      for (let round = 0; round < ROUNDS; round++) {
        const inner = packetOf('172.16.0.2', '172.16.0.1', random.fill(new Uint8Array(1 + random.below(900))))
        put(sender.inside, inner)
        sender.plane.round(100)
        const esp = takeAll(sender.outside)[0]!.slice(20)
        for (let i = 0; i < HOSTILE; i++) {
          const forged = esp.slice(0, random.below(3) === 0 ? random.below(esp.length) : esp.length)
          const at = random.below(Math.max(1, random.below(2) === 0 ? forged.length : 12))
          if (at < forged.length) forged[at]! ^= 1 << random.below(8)
          put(outside, packetOf('192.168.1.2', '192.168.1.1', forged, ESP))
        }
        // And the honest one, twice.
        for (let i = 0; i < 2; i++) put(outside, packetOf('192.168.1.2', '192.168.1.1', esp, ESP))
        plane.round(100)
        const arrived = takeAll(inside)
        assert.deepEqual(
          arrived.map((bytes) => bytes.subarray(10)),
          [inner],
        )
        honest++
      }
      const { paths, drops } = plane.counts()
      const { packets, drops: refused } = paths[0]!.inbound
      assert.equal(packets, honest)
      assert.equal(refused['esp.replay']! >= honest, true)
      const all = [...Object.values(refused), ...Object.values(drops)].reduce((sum, count) => sum + count, 0)
      assert.equal(all, honest * (HOSTILE + 1), 'each is counted once')
    })
})
