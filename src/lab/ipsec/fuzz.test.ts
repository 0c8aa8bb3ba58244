/** Whatever bytes come by ESP, AH or port 4500: nothing throws, nobody is answered, the honest tunnel goes on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { milliseconds, SeededRandom, writeUint16, writeUint32 } from '../../base/index.js'
import { ipPacket } from '../testing.js'
import { HOSTS, INNER, keyPair, load, mirrored, OUTER, ping, site } from './testing.js'

const ROUNDS = 2_000

const keys: Readonly<Record<string, string>> = {
  esp: `auth hmac-sha2-256 enc aes authkey ${keyPair(32, 71)} enckey ${keyPair(16, 72)}`,
  gcm: `enc aes-256-gcm enckey ${keyPair(36, 73)}`,
  none: `auth none enc aes enckey ${keyPair(16, 74)}`,
  ah: `auth hmac-sha2-512 authkey ${keyPair(64, 75)}`,
}

for (const [name, protocol, family, mode, words, udp] of [
  ['ESP, AES-CBC with HMAC', 'esp', 4, 'tunnel', keys.esp, ''],
  ['ESP, AES-GCM over IPv6', 'esp', 6, 'tunnel', keys.gcm, ''],
  ['ESP in UDP', 'esp', 4, 'tunnel', keys.esp, 'udpencap'],
  ['ESP in UDP, transport mode', 'esp', 4, 'transport', keys.esp, 'udpencap'],
  ['ESP without integrity', 'esp', 4, 'tunnel', keys.none, ''],
  ['AH', 'ah', 4, 'tunnel', keys.ah, ''],
  ['AH, transport mode over IPv6', 'ah', 6, 'transport', keys.ah, ''],
] as const)
  test(`${name}: ${ROUNDS} packets, made up, or real ones changed`, async () => {
    const [west, east] = OUTER[family]
    const flow =
      mode === 'tunnel'
        ? `flow ${protocol} from ${INNER[4][0]} to ${INNER[4][1]} local ${west} peer ${east}`
        : `flow ${protocol} from ${west} to ${east}`
    const text = `${flow}\n${protocol} ${mode} from ${west} to ${east} spi 0x1000:0x2000 ${udp} ${words}\n`
    const one = await site()
    load(one.west, text)
    load(one.east, mirrored(text))
    const honest = (): Promise<number> =>
      mode === 'tunnel' ? ping(one.left, HOSTS[4][1], 2) : ping(one.west, east, 2)
    assert.equal(await honest(), 2)
    const headers = family === 4 ? 34 : 54
    const real = one.frames
      .filter(({ headers: found }) => /\b(esp|ah)\b/.test(found))
      .map(({ bytes }) => bytes.subarray(headers))
    assert.ok(real.length >= 4)
    const random = new SeededRandom(20_260 + name.length)
    const ipProtocol = udp !== '' ? 17 : protocol === 'ah' ? 51 : 50
    const madeUp = (): Uint8Array => {
      const bytes = random.fill(new Uint8Array(random.below(120)))
      const at = (udp !== '' ? 8 : 0) + (protocol === 'ah' ? 4 : 0)
      // Most of them name the SA, so that they come as far as they can.
      if (random.below(4) > 0 && bytes.length >= at + 4) writeUint32(bytes, at, 0x1000)
      return bytes
    }
    const changed = (): Uint8Array => {
      const bytes = real[random.below(real.length)]!.slice()
      const least = udp !== '' ? 8 : 0
      for (let i = 0; i <= random.below(3); i++)
        bytes[least + random.below(bytes.length - least)]! ^= 1 + random.below(255)
      return random.below(3) === 0 ? bytes.subarray(0, random.below(bytes.length + 1)) : bytes
    }
    one.frames.length = 0
    const answers: string[] = []
    for (let i = 0; i < ROUNDS; i++) {
      const payload = random.below(2) === 0 ? madeUp() : changed()
      if (udp !== '' && payload.length >= 8) {
        writeUint16(payload, 0, 4500)
        writeUint16(payload, 2, 4500)
        writeUint16(payload, 4, payload.length)
        writeUint16(payload, 6, 0)
      }
      one.inject('east', ipPacket(west, east, ipProtocol, payload))
      if (i % 100 === 99) {
        await one.clock.advance(milliseconds(20))
        // Without integrity a packet may by chance be one: what it asks goes back protected, as the policy says.
        answers.push(
          ...one.frames.map(({ headers: found }) => found).filter((found) => !/arp|neighbor/.test(found)),
        )
        one.frames.length = 0
      }
    }
    await one.clock.advance(milliseconds(500))
    if (words !== keys.none) assert.deepEqual(answers, [])
    else assert.ok(answers.every((found) => / esp$/.test(found)))
    const counted = Object.values(one.east.ipsec.counters.toJSON()).reduce((sum, count) => sum + count, 0)
    assert.ok(counted >= ROUNDS / 2)
    assert.ok(one.east.ipsec.audit.records.length <= 20)
    if (words !== keys.none) assert.equal(await honest(), 2)
  })
