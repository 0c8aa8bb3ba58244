import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Counters, instantAt, SeededRandom, TimerQueue } from '../../base/index.js'
import { nodeProvider } from '../../crypto/index.js'
import { IkeExchange, type IkePayload, parseIkeHeader } from '../../wire/ike/index.js'
import { Channel } from './channel.js'
import { EncryptedPayloads } from './encrypted.js'
import type { Agreed } from './suites.js'

const AGREED: Agreed = {
  protocol: 'ike',
  encryption: { name: 'ENCR_AES_GCM_16', keyBits: 128 },
  prf: 'PRF_HMAC_SHA2_256',
  esn: false,
}
const NOW = instantAt(0)

/** Two channels of one SA whose numbers begin at `first`. */
function both(first: number): { ask(): string[]; heard: number[]; counters: Counters } {
  const counters = new Counters()
  const heard: number[] = []
  const flying: { to: 0 | 1; bytes: Uint8Array }[] = []
  const make = (side: 0 | 1): Channel => {
    const channel = new Channel(
      {
        isInitiator: side === 0,
        initiatorSpi: Uint8Array.of(1, 1, 1, 1, 1, 1, 1, 1),
        responderSpi: Uint8Array.of(2, 2, 2, 2, 2, 2, 2, 2),
        random: new SeededRandom(side),
        timers: new TimerQueue(),
        counters,
        transmit: (bytes) => flying.push({ to: side === 0 ? 1 : 0, bytes }),
        request: () => [],
        alive: () => undefined,
      },
      { ours: first, theirs: first },
    )
    const keyOf = (from: 0 | 1): EncryptedPayloads =>
      new EncryptedPayloads(nodeProvider, AGREED, new Uint8Array(20).fill(from + 1), new Uint8Array(0))
    channel.install(keyOf(side), keyOf(side === 0 ? 1 : 0))
    return channel
  }
  const channels = [make(0), make(1)] as const
  return {
    heard,
    counters,
    ask: () => {
      const outcome: string[] = []
      channels[0].send(
        {
          exchange: IkeExchange.informational,
          payloads: (): IkePayload[] => [],
          answered: () => outcome.push('answered'),
          lost: () => outcome.push('lost'),
        },
        NOW,
      )
      for (let next = flying.shift(); next !== undefined; next = flying.shift()) {
        const header = parseIkeHeader(next.bytes)
        heard.push(header.messageId)
        channels[next.to].receive(header, Uint8Array.from(next.bytes), NOW)
      }
      return outcome
    },
  }
}

test('message ids go to their last and never begin again (RFC 7296 section 2.2)', () => {
  const pair = both(0xfffffffe)
  assert.deepEqual(pair.ask(), ['answered'])
  assert.deepEqual(pair.ask(), ['answered'])
  assert.deepEqual(pair.heard, [0xfffffffe, 0xfffffffe, 0xffffffff, 0xffffffff])
  assert.deepEqual(pair.ask(), ['lost'], 'there is no number left')
  assert.equal(pair.heard.length, 4)
})
