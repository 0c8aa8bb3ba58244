/** What a path does to an SA's packets and they to it: sizes, DF, traffic class, lifetimes, the end of the numbers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseIpAddress, readUint16, seconds } from '../../base/index.js'
import type { ManualSa } from '../../engine/index.js'
import { sealIpv4Checksum } from '../../wire/index.js'
import {
  HOSTS,
  INNER,
  keyPair,
  load,
  mirrored,
  OUTER,
  ping,
  type Site,
  type SiteFrame,
  site,
  transfer,
} from './testing.js'

type Family = 4 | 6
const KEYS = `auth hmac-sha2-256 enc aes authkey ${keyPair(32, 71)} enckey ${keyPair(16, 72)}`
const GATEWAYS = { 4: ['10.1.0.1', '10.2.0.1'], 6: ['fd01::1', 'fd02::1'] } as const

const tunnel = (outer: Family, inner: Family, more = ''): string =>
  `flow esp from ${INNER[inner][0]} to ${INNER[inner][1]} local ${OUTER[outer][0]} peer ${OUTER[outer][1]}
esp tunnel from ${OUTER[outer][0]} to ${OUTER[outer][1]} spi 0x1000:0x2000 ${more} ${KEYS}
`
const transport = (family: Family, more = ''): string =>
  `flow esp from ${OUTER[family][0]} to ${OUTER[family][1]}
esp transport from ${OUTER[family][0]} to ${OUTER[family][1]} spi 0x1000:0x2000 ${more} ${KEYS}
`

async function joined(text: string, change?: (sa: ManualSa) => ManualSa): Promise<Site> {
  const one = await site()
  load(one.west, text, change)
  load(one.east, mirrored(text), change)
  return one
}

const fragments = (frames: readonly SiteFrame[]): SiteFrame[] =>
  frames.filter(({ bytes, headers }) =>
    /^ethernet ipv4/.test(headers) ? (readUint16(bytes, 20) & 0x3fff) !== 0 : / fragment/.test(headers),
  )

for (const outer of [4, 6] as const)
  for (const inner of [4, 6] as const)
    test(`TCP through the tunnel, ${inner} in ${outer}: the host behind hears what fits, and nothing is cut`, async () => {
      const one = await joined(tunnel(outer, inner))
      assert.equal(await transfer(one.left, one.right, HOSTS[inner][1], 300_000), 300_000)
      assert.equal(fragments(one.frames).length, 0)
      const told = one.leftFrames.filter(({ bytes }) =>
        inner === 4
          ? bytes[12] === 8 && bytes[23] === 1 && bytes[34] === 3 && bytes[35] === 4
          : bytes[12] === 0x86 && bytes[20] === 58 && bytes[54] === 2,
      )
      assert.ok(told.length >= 1 && told.length <= 20, `${told.length} reports`)
      const mtu = readUint16(told[0]!.bytes, inner === 4 ? 40 : 60)
      // 1,500 less the header outside, SPI and number, IV, trailer and ICV, in whole blocks.
      const most = outer === 4 ? 1438 : 1422
      assert.ok(mtu <= most && mtu > most - 32, `${mtu}`)
      const largest = Math.max(
        ...one.frames.filter(({ headers }) => / esp$/.test(headers)).map(({ bytes }) => bytes.length),
      )
      assert.ok(largest <= 1514 && largest > 1514 - 48, `${largest}`)
    })

for (const family of [4, 6] as const)
  test(`TCP of the gateways themselves, IPv${family}: transport mode, tunnel mode, in UDP`, async () => {
    for (const udp of ['', 'udpencap']) {
      const direct = await joined(transport(family, udp))
      const [, east] = OUTER[family]
      assert.equal(await transfer(direct.west, direct.east, east, 200_000), 200_000)
      assert.equal(fragments(direct.frames).length, 0)
      const through = await joined(tunnel(family, family, udp))
      const [from, to] = GATEWAYS[family]
      assert.equal(await transfer(through.west, through.east, to, 200_000, from), 200_000)
      assert.equal(fragments(through.frames).length, 0)
    }
  })

test('a host of its own, with packets larger than any path, is served in fragments', async () => {
  for (const outer of [4, 6] as const)
    for (const inner of [4, 6] as const) {
      const one = await joined(tunnel(outer, inner))
      const [from, to] = GATEWAYS[inner]
      assert.equal(await ping(one.west, to, 2, 8_000, from), 2, `${inner} in ${outer}`)
      assert.ok(fragments(one.frames).length > 8)
    }
})

test('DF is copied; DSCP and ECN go outside, and congestion outside comes in', async () => {
  const one = await joined(tunnel(4, 4))
  const { left, frames, right } = one
  const [, to] = HOSTS[4]
  const send = async (dontFragment: boolean, trafficClass: number): Promise<SiteFrame> => {
    frames.length = 0
    left.stack.send(
      {
        protocol: 253,
        destination: parseIpAddress(to)!,
        payload: new Uint8Array(40),
        dontFragment,
        trafficClass,
      },
      left.now(),
    )
    await left.clock.advance(seconds(1))
    return frames.find(({ headers }) => headers === 'ethernet ipv4 esp')!
  }
  assert.equal((await send(true, 0)).bytes[20]! & 0x40, 0x40)
  assert.equal((await send(false, 0)).bytes[20]! & 0x40, 0)
  assert.equal((await send(false, 0xb8)).bytes[15], 0xb8)
  // RFC 6040: ECT goes out as it is, CE outside becomes CE inside.
  assert.equal((await send(false, 0xba)).bytes[15], 0xba)
  let heard = -1
  right.stack.handle(253, () => true)
  right.stack.interfaces.get('em0')!.taps.add((bytes, direction) => {
    if (direction === 'in' && bytes[23] === 253) heard = bytes[15]!
  })
  const marked = (await send(false, 2)).bytes.slice(14)
  assert.equal(heard, 2)
  assert.equal(marked[1], 2)
})

const after = async (one: Site, count: number): Promise<number> => ping(one.left, HOSTS[4][1], count)

test('lifetimes in packets: soft is told once, hard stops the SA, and nothing leaves in clear', async () => {
  const one = await joined(tunnel(4, 4), (sa) =>
    sa.spi === 0x1000 ? { ...sa, lifetimes: { softPackets: 3, hardPackets: 6 } } : sa,
  )
  const events: string[] = []
  for (const host of [one.west, one.east])
    host.ipsec.listeners.add((event) => {
      if ('sa' in event) events.push(`${host.name} ${event.kind} ${event.sa.spi.toString(16)}`)
    })
  assert.equal(await after(one, 2), 2)
  assert.deepEqual(events, [])
  assert.equal(await after(one, 2), 2)
  assert.deepEqual(events, ['west soft 1000', 'east soft 1000'])
  // The packet that reaches the limit is the last to go.
  assert.equal(await after(one, 4), 2)
  assert.deepEqual(events.slice(2), ['west hard 1000', 'east hard 1000'])
  assert.equal(one.west.ipsec.sad.list().length, 1)
  one.frames.length = 0
  assert.equal(await after(one, 3), 0)
  assert.equal(one.frames.filter(({ headers }) => !/arp|neighbor/.test(headers)).length, 0)
  assert.ok(one.west.ipsec.counters.get('spd.require') >= 3)
})

test('lifetimes in bytes and in seconds', async () => {
  const bytes = await joined(tunnel(4, 4), (sa) => ({ ...sa, lifetimes: { softBytes: 100, hardBytes: 150 } }))
  const kinds = new Set<string>()
  bytes.west.ipsec.listeners.add(({ kind }) => kinds.add(kind))
  // 28 bytes of an echo of 8.
  assert.equal(await after(bytes, 3), 3)
  assert.equal(kinds.has('soft'), false)
  assert.equal(await after(bytes, 1), 1)
  assert.equal(kinds.has('soft'), true)
  assert.equal(await after(bytes, 4), 1 + 1)
  assert.equal(kinds.has('hard'), true)
  const times = await joined(tunnel(4, 4), (sa) => ({
    ...sa,
    lifetimes: { softSeconds: 60, hardSeconds: 90 },
  }))
  const at: string[] = []
  const begun = times.west.now()
  times.west.ipsec.listeners.add(({ kind }, now) => at.push(`${kind} ${Math.round((now - begun) / 1e6)}`))
  await times.clock.advance(seconds(59))
  assert.equal(await after(times, 1), 1)
  await times.clock.advance(seconds(35))
  assert.deepEqual(at, ['soft 60', 'soft 60', 'hard 90', 'hard 90'])
  assert.equal(times.west.ipsec.sad.list().length, 0)
  assert.equal(await after(times, 1), 0)
})

test('the sequence numbers come to their end: the last one goes out, and no other', async () => {
  const last = { high: 0, low: 0xfffffffd }
  const one = await joined(tunnel(4, 4), (sa) => (sa.spi === 0x1000 ? { ...sa, sequence: last } : sa))
  const kinds: string[] = []
  one.west.ipsec.listeners.add(({ kind }) => kinds.push(kind))
  assert.equal(await after(one, 5), 2)
  assert.deepEqual(
    kinds.filter((kind) => kind !== 'acquire'),
    ['overflow'],
  )
  const numbers = one.frames
    .filter(({ headers, bytes }) => / esp$/.test(headers) && readUint16(bytes, 36) === 0x1000)
    .map(({ bytes }) => `${readUint16(bytes, 38).toString(16)}${readUint16(bytes, 40).toString(16)}`)
  assert.deepEqual(numbers, ['fffffffe', 'ffffffff'])
})

test('RFC 3948 section 3.1.2: through a NAT, TCP and UDP in transport mode are taken', async () => {
  const one = await site()
  const [, to] = OUTER[4]
  const NAT = '192.0.2.99'
  const rule = (from: string): string =>
    `flow esp from ${from} to ${to}\nesp transport from ${from} to ${to} spi 0x1000:0x2000 udpencap ${KEYS}\n`
  // So that the wire need not be asked for addresses again.
  assert.equal(await ping(one.west, to), 1)
  load(one.west, rule(OUTER[4][0]))
  load(one.east, mirrored(rule(NAT)))
  // The NAT: its own address and another port in the sender's place, the header's checksum made again.
  const translated = (frame: Uint8Array): Uint8Array => {
    const packet = frame.slice(14)
    packet.set(parseIpAddress(NAT)!.bytes, 12)
    packet.set([0x77, 0x77], 20)
    sealIpv4Checksum(packet, 0)
    return packet
  }
  const heard: string[] = []
  one.east.stack.udp.bind({
    port: 9999,
    onDatagram: ({ source, data }) => heard.push(`${source} ${data.join(' ')}`),
  })
  one.east.stack.tcp.listen({ port: 22, onConnection: () => undefined })
  // Past the NAT alone: the wire itself takes nothing there.
  one.link.connected = false
  const sender = one.west.stack.udp.bind({ port: 7, onDatagram: () => undefined })
  sender.send(Uint8Array.of(1, 2, 3), parseIpAddress(to)!, 9999, one.west.now())
  one.west.stack.tcp.connect({ destination: parseIpAddress(to)!, port: 22 }, one.west.now())
  await one.clock.advance(seconds(2))
  one.link.connected = true
  const sent = one.frames.filter(({ headers }) => / udp esp$/.test(headers))
  assert.ok(sent.length >= 2)
  for (const { bytes } of sent) one.inject('east', translated(bytes))
  await one.clock.advance(seconds(1))
  assert.deepEqual(heard, [`${NAT} 1 2 3`])
  assert.equal(one.east.stack.counters.get('tcp.checksum'), 0)
  assert.equal(one.east.stack.counters.get('udp.checksum'), 0)
  assert.equal(
    one.east.stack.tcp.connections().some(({ remoteAddress }) => String(remoteAddress) === NAT),
    true,
  )
})
