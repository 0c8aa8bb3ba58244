/** SECURITY, rows 5 and 6: hostile ESP and AH to a gateway that also carries an honest tunnel. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IPV4, PacketBuffer, seconds, writeUint32 } from '../../base/index.js'
import { parseIpsecConf } from '../../config/index.js'
import { nodeProvider } from '../../crypto/index.js'
import { auditLine, type ManualSa, saSpecOf } from '../../engine/index.js'
import { EspOutbound } from '../../proto/esp/index.js'
import { echoRequest, ipPacket, join } from '../testing.js'
import { HOSTS, INNER, keyPair, load, mirrored, OUTER, ping, type Site, site } from './testing.js'

const [WEST, EAST] = OUTER[4]
const FLOW = `flow esp from ${INNER[4][0]} to ${INNER[4][1]} local ${WEST} peer ${EAST}\n`
const KEYS = `auth hmac-sha2-256 enc aes authkey ${keyPair(32, 71)} enckey ${keyPair(16, 72)}`
const SA = `esp tunnel from ${WEST} to ${EAST} spi 0x1000:0x2000 ${KEYS}\n`

interface Attack {
  readonly site: Site
  /** The SA by which west sends, at a number far ahead of its own, or at `sequence`. */
  sealer(change?: Partial<ManualSa>): EspOutbound
  /** Sends to east, and holds that nothing but a count, and perhaps a record, comes of it. Gives what was counted. */
  send(...packets: Uint8Array[]): Promise<Record<string, number>>
}

async function attacked(text: string = FLOW + SA): Promise<Attack> {
  const one = await site()
  const { sas } = parseIpsecConf(text, 'ipsec.conf')
  load(one.west, text)
  load(one.east, mirrored(text))
  const { east, frames, clock } = one
  assert.equal(await ping(one.left, HOSTS[4][1], 2), 2)
  const snapshot = (): string =>
    JSON.stringify([east.ipsec.sad.list().map(({ sa }) => sa.spi), east.ipsec.spd.size])
  return {
    site: one,
    sealer: (change = {}) =>
      new EspOutbound(
        saSpecOf({ ...sas[0]!, sequence: { high: 0, low: 20 }, ...change }, true, new Uint8Array(8)),
        nodeProvider,
      ),
    send: async (...packets) => {
      const before = east.ipsec.counters.toJSON()
      const state = snapshot()
      let delivered = 0
      const tap = (_bytes: Uint8Array, direction: string): void => {
        if (direction === 'in') delivered++
      }
      one.right.stack.interfaces.get('em0')!.taps.add(tap)
      frames.length = 0
      for (const packet of packets) one.inject('east', packet)
      await clock.advance(seconds(5))
      one.right.stack.interfaces.get('em0')!.taps.delete(tap)
      // No answer of any kind left east, nothing reached the network behind, and the databases are the same.
      assert.deepEqual(
        frames.map(({ headers }) => headers),
        [],
      )
      assert.equal(delivered, 0)
      assert.equal(snapshot(), state)
      assert.equal(await ping(one.left, HOSTS[4][1], 2), 2, 'the honest tunnel')
      const counted = Object.entries(east.ipsec.counters.toJSON())
        .map(([name, count]) => [name, count - (before[name] ?? 0)] as const)
        .filter(([name, count]) => count !== 0 && !/\.(udp)?(in|out)put$/i.test(name))
      return Object.fromEntries(counted)
    },
  }
}

const esp = (payload: Uint8Array, source = WEST): Uint8Array => ipPacket(source, EAST, 50, payload)
const INSIDE = ipPacket('10.1.0.2', '10.2.0.2', 1, echoRequest(0x666))

function sealed(sealer: EspOutbound, packet: Uint8Array = INSIDE): Uint8Array {
  const buffer = PacketBuffer.copyOf(packet, IPV4)
  assert.equal(sealer.process(buffer), 0)
  return buffer.copy()
}

const flipped = (bytes: Uint8Array, at: number): Uint8Array => {
  const copy = bytes.slice()
  copy[at < 0 ? copy.length + at : at]! ^= 1
  return copy
}

test('a wrong ICV: whatever was changed, dropped under one reason, and the window stays', async () => {
  const { site: one, sealer, send } = await attacked()
  const good = sealed(sealer())
  const forged = Array.from({ length: good.length }, (_, at) => flipped(good, at)).slice(8)
  // A number far ahead would push out the window, if it were believed.
  const ahead = good.slice()
  writeUint32(ahead, 4, 0xfffffff0)
  const counted = await send(...forged.map((bytes) => esp(bytes)), esp(ahead))
  assert.deepEqual(counted, { 'esp.icv': forged.length + 1 })
  const { records } = one.east.ipsec.audit
  assert.equal(records.length, 10)
  assert.match(auditLine(records[0]!), /^esp\.icv: 192\.0\.2\.1 > 192\.0\.2\.2 spi 0x00001000 seq 21$/)
})

test('CVE-2019-5613: what the honest peer sent is not taken again, from the window or behind it', async () => {
  const { site: one, send } = await attacked()
  const heard: Uint8Array[] = []
  one.east.stack.interfaces.get('em0')!.taps.add((bytes, direction) => {
    if (direction === 'in' && bytes[23] === 50) heard.push(bytes.slice(14))
  })
  assert.equal(await ping(one.left, HOSTS[4][1], 100), 100)
  const recorded = heard.slice(0, 100)
  assert.equal(recorded.length, 100)
  assert.deepEqual(await send(...recorded), { 'esp.replay': 100 })
  const [record] = one.east.ipsec.audit.records
  assert.equal(record?.reason, 'esp.replay')
  assert.equal(record?.sequence, 3)
})

test('CVE-2019-5613: a forged packet first does not keep the honest one out', async () => {
  const { site: one, sealer, send } = await attacked()
  const good = sealed(sealer())
  assert.deepEqual(await send(esp(flipped(good, -1))), { 'esp.icv': 1 })
  let arrived = 0
  one.right.stack.onIcmp(() => arrived++)
  one.inject('east', esp(good))
  await one.clock.advance(seconds(1))
  assert.equal(arrived, 1)
})

test('a huge jump of the sequence moves the window if it is authentic, and only then', async () => {
  const { site: one, sealer, send } = await attacked()
  const jump = sealed(sealer({ sequence: { high: 0, low: 0x7fffffff } }))
  assert.deepEqual(await send(esp(flipped(jump, 40))), { 'esp.icv': 1 })
  one.inject('east', esp(jump))
  await one.clock.advance(seconds(1))
  one.frames.length = 0
  const before = one.east.ipsec.counters.get('esp.replay')
  assert.equal(await ping(one.left, HOSTS[4][1], 2), 0)
  assert.equal(one.east.ipsec.counters.get('esp.replay') - before, 2)
})

test('an unknown SPI, the SPI of the other direction, another source, protocol 51 for 50', async () => {
  const { site: one, sealer, send } = await attacked()
  const good = sealed(sealer())
  const other = good.slice()
  writeUint32(other, 0, 0x2000)
  const nobody = good.slice()
  writeUint32(nobody, 0, 0xdeadbeef)
  const zero = good.slice()
  writeUint32(zero, 0, 0)
  assert.deepEqual(
    await send(
      esp(nobody),
      esp(other),
      esp(zero),
      esp(good, '192.0.2.66'),
      ipPacket(WEST, EAST, 51, join(Uint8Array.of(50, 4, 0, 0, 0, 0, 16, 0), new Uint8Array(32))),
    ),
    { 'esp.spi': 3, 'esp.source': 1, 'ah.spi': 1 },
  )
  assert.deepEqual(
    one.east.ipsec.audit.records.map(({ spi }) => spi),
    [0xdeadbeef, 0x2000, 0, 0x1000, 0x1000],
  )
})

test('short packets of every length, and lengths that are no whole blocks', async () => {
  const { sealer, send } = await attacked()
  const good = sealed(sealer())
  const cut = Array.from({ length: good.length }, (_, length) => esp(good.subarray(0, length)))
  const counted = await send(...cut)
  assert.deepEqual(Object.keys(counted).sort(), ['esp.icv', 'esp.length', 'esp.short'])
  assert.equal(
    Object.values(counted).reduce((sum, count) => sum + count, 0),
    good.length,
  )
})

test('bad padding, a next header that is none, an inner packet that is none: authentic, and dropped', async () => {
  const { site: one, sealer, send } = await attacked()
  const transport = sealer({ mode: 'transport' })
  const asTransport = (protocol: number, payload: Uint8Array): Uint8Array =>
    sealed(transport, ipPacket(WEST, EAST, protocol, payload))
  // By the same SA in the other mode, which puts any protocol inside.
  const counted = await send(
    esp(asTransport(6, new Uint8Array(24))),
    esp(asTransport(4, new Uint8Array(24))),
    esp(asTransport(4, INSIDE.subarray(0, 12))),
    esp(asTransport(41, INSIDE)),
  )
  assert.deepEqual(counted, {
    'esp.nextheader': 1,
    'inner.ipv4.version': 1,
    'inner.ipv4.length': 1,
    'inner.ipv6.length': 1,
  })
  assert.equal(one.east.ipsec.audit.records.length, 4)
})

test('bad padding under a right ICV: its bytes, its length beyond the packet', async () => {
  const text = `${FLOW}esp tunnel from ${WEST} to ${EAST} spi 0x1000:0x2000 auth hmac-sha2-256 enc null authkey ${keyPair(32, 71)}\n`
  const { send } = await attacked(text)
  const { sas } = parseIpsecConf(text, 'ipsec.conf')
  const mac = nodeProvider.mac('AUTH_HMAC_SHA2_256_128', sas[0]!.authentication!.key)
  let sequence = 30
  const made = (...trailer: number[]): Uint8Array => {
    const packet = join(new Uint8Array(8), INSIDE, Uint8Array.from(trailer), new Uint8Array(16))
    writeUint32(packet, 0, 0x1000)
    writeUint32(packet, 4, sequence++)
    mac.compute(packet, 0, packet.length - 16, undefined, packet, packet.length - 16)
    return esp(packet)
  }
  // RFC 4303 section 2.4: 1, 2, 3 and so on, up to a whole of 4 bytes.
  assert.deepEqual(await send(made(1, 1, 2, 4), made(0, 2, 2, 4), made(9, 9, 250, 4)), { 'esp.padding': 3 })
})

test('an inner packet outside the policy of its SA', async () => {
  const { sealer, send } = await attacked()
  const sealer1 = sealer()
  const inside = (source: string, destination: string): Uint8Array =>
    esp(sealed(sealer1, ipPacket(source, destination, 1, echoRequest(1))))
  const counted = await send(
    inside('10.9.0.1', '10.2.0.2'),
    inside('10.1.0.2', '10.9.0.1'),
    inside('10.1.0.2', EAST),
    inside(WEST, EAST),
    inside('127.0.0.1', '10.2.0.2'),
    inside('10.2.0.2', '10.1.0.2'),
  )
  assert.deepEqual(counted, { 'ipsec.policy': 6 })
})

test('dummy packets and keepalives are no refusals: counted, and no record', async () => {
  const { site: one, sealer, send } = await attacked()
  const buffer = new PacketBuffer(new Uint8Array(1000), 200, 200)
  const dummies = sealer()
  assert.equal(dummies.dummy(buffer, 100), 0)
  assert.deepEqual(await send(esp(buffer.copy())), { 'esp.dummy': 1 })
  assert.equal(one.east.ipsec.audit.records.length, 0)
})

test('port 4500: keepalives, the marker of IKE, short ones, plain ESP for an SA in UDP', async () => {
  const { site: one, sealer, send } = await attacked(FLOW + SA.replace(KEYS, `udpencap ${KEYS}`))
  const udp = (payload: Uint8Array): Uint8Array =>
    ipPacket(
      WEST,
      EAST,
      17,
      join(Uint8Array.of(0x11, 0x94, 0x11, 0x94, 0, 8 + payload.length, 0, 0), payload),
    )
  const counted = await send(
    udp(Uint8Array.of(0xff)),
    udp(new Uint8Array(40)),
    udp(Uint8Array.of(1, 2, 3)),
    udp(new Uint8Array(0)),
    esp(sealed(sealer())),
    udp(flipped(sealed(sealer()), -1)),
  )
  assert.deepEqual(counted, { 'esp.keepalive': 1, 'udpencap.noEsp': 3, 'esp.encapsulation': 1, 'esp.icv': 1 })
  assert.deepEqual(
    one.east.ipsec.audit.records.map(({ reason }) => reason),
    ['esp.encapsulation', 'esp.icv'],
  )
})

test('CVE-2005-0039: encryption without integrity is refused unless the file says so by name', () => {
  const enc = `enc aes enckey ${keyPair(16, 72)}`
  assert.throws(
    () => parseIpsecConf(`esp from ${WEST} to ${EAST} spi 0x1000:0x2000 ${enc}\n`, 'ipsec.conf'),
    /no authentication key/,
  )
  const { sas, warnings } = parseIpsecConf(
    `esp from ${WEST} to ${EAST} spi 0x1000:0x2000 auth none ${enc}\n`,
    'ipsec.conf',
  )
  assert.equal(sas[0]?.unauthenticated, true)
  assert.match(warnings.join('\n'), /CVE-2005-0039/)
  // The transform refuses what did not come with the name.
  assert.throws(
    () =>
      new EspOutbound(
        saSpecOf({ ...sas[0]!, unauthenticated: false }, true, new Uint8Array(8)),
        nodeProvider,
      ),
    { code: 'SA_SUITE' },
  )
})

test('CVE-2005-0039: of plaintext that nobody vouches for, no ICMP error is made', async () => {
  const enc = `enc aes enckey ${keyPair(16, 72)}`
  const bare = SA.replace(KEYS, `auth none ${enc}`)
  const one = await site()
  const errors = async (text: string): Promise<number> => {
    const { sas } = parseIpsecConf(text, 'ipsec.conf')
    load(one.west, text)
    load(one.east, mirrored(text))
    const sealer = new EspOutbound(
      saSpecOf({ ...sas[0]!, sequence: { high: 0, low: 20 } }, true, new Uint8Array(8)),
      nodeProvider,
    )
    const inside = (change: (packet: Uint8Array) => void): void => {
      const packet = ipPacket('10.1.0.2', '10.2.0.2', 17, Uint8Array.of(0, 7, 0x30, 0x39, 0, 8, 0, 0))
      change(packet)
      packet[10] = packet[11] = 0
      let sum = 0
      for (let i = 0; i < 20; i += 2) sum += packet[i]! * 256 + packet[i + 1]!
      while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
      packet[10] = (~sum >>> 8) & 255
      packet[11] = ~sum & 255
      one.inject('east', esp(sealed(sealer, packet)))
    }
    one.frames.length = 0
    let told = 0
    const stop = one.left.stack.onIcmp(({ type }) => {
      if (type === 3 || type === 11 || type === 12) told++
    })
    // The gateway itself: the hop limit is over; a host behind that is not there; a first fragment whose rest never comes.
    inside((packet) => {
      packet[8] = 1
    })
    inside((packet) => {
      packet[19] = 77
    })
    inside((packet) => {
      packet[19] = 1
      packet[6] = 0x20
    })
    inside((packet) => {
      packet[19] = 1
    })
    await one.clock.advance(seconds(90))
    stop()
    return told
  }
  assert.equal(await errors(FLOW + SA), 4)
  assert.equal(await errors(FLOW + bare), 0)
  assert.ok(one.east.stack.counters.get('icmp.unauthenticated') >= 3)
  assert.equal(await ping(one.left, HOSTS[4][1], 2), 2)
})

test('AH: a wrong ICV, a replay, another header, an unknown SPI', async () => {
  const flow = `flow ah from ${INNER[4][0]} to ${INNER[4][1]} local ${WEST} peer ${EAST}\n`
  const text = `${flow}ah tunnel from ${WEST} to ${EAST} spi 0x1000:0x2000 auth hmac-sha2-256 authkey ${keyPair(32, 4)}\n`
  const { site: one, send } = await attacked(text)
  const heard: Uint8Array[] = []
  one.east.stack.interfaces.get('em0')!.taps.add((bytes, direction) => {
    if (direction === 'in' && bytes[23] === 51) heard.push(bytes.slice(14))
  })
  assert.equal(await ping(one.left, HOSTS[4][1], 1), 1)
  const good = heard[0]!
  const resealed = (change: (packet: Uint8Array) => void): Uint8Array => {
    const copy = good.slice()
    change(copy)
    return ipPacket(WEST, EAST, 51, copy.subarray(20))
  }
  const next = (packet: Uint8Array): void => writeUint32(packet, 28, 500)
  const counted = await send(
    good,
    resealed((packet) => {
      next(packet)
      packet[packet.length - 1]! ^= 1
    }),
    // The right bytes under another identification, which is covered.
    resealed(next),
    resealed((packet) => writeUint32(packet, 24, 0x7777)),
    resealed((packet) => {
      packet[21] = 200
    }),
  )
  assert.deepEqual(counted, { 'ah.replay': 1, 'ah.icv': 2, 'ah.spi': 1, 'ah.length': 1 })
})

test('a flood of bad packets: each is counted, few are written down, and it says how many were not', async () => {
  const { site: one, sealer } = await attacked()
  const bad = esp(flipped(sealed(sealer()), -1))
  for (let i = 0; i < 1_000; i++) one.inject('east', bad)
  await one.clock.advance(seconds(1))
  const { counters, audit } = one.east.ipsec
  assert.equal(counters.get('esp.icv'), 1_000)
  assert.equal(audit.records.length, 10)
  await one.clock.advance(seconds(30))
  one.inject('east', bad)
  await one.clock.advance(seconds(1))
  assert.equal(audit.records.at(-1)?.suppressed, 990)
  assert.equal(await ping(one.left, HOSTS[4][1], 2), 2)
})
