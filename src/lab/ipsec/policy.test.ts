/** What policies of every action do with ESP: use, require, deny and bypass, by network, protocol, port and ICMP type. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseIpAddress, seconds } from '../../base/index.js'
import { HOSTS, INNER, keyPair, load, mirrored, OUTER, ping, type Site, site } from './testing.js'

const [WEST, EAST] = OUTER[4]
const PEER = `local ${WEST} peer ${EAST}`
const KEYS = `auth hmac-sha2-256 enc aes authkey ${keyPair(32, 71)} enckey ${keyPair(16, 72)}`
const SA = `esp tunnel from ${WEST} to ${EAST} spi 0x1000:0x2000 ${KEYS}\n`
const flow = (type: string, more = ''): string =>
  `flow esp ${more} from ${INNER[4][0]} to ${INNER[4][1]} ${type === 'deny' || type === 'bypass' ? '' : PEER} type ${type}\n`

async function joined(text: string): Promise<Site> {
  const one = await site()
  load(one.west, text)
  load(one.east, mirrored(text))
  return one
}

/** Names of what the gateways exchanged, each once. */
const kinds = ({ frames }: Site): string[] => [
  ...new Set(frames.map(({ headers }) => headers).filter((headers) => !/arp|neighbor/.test(headers))),
]

for (const [type, withSa, replies, wire] of [
  ['require', true, 2, ['ethernet ipv4 esp']],
  ['require', false, 0, []],
  ['use', true, 2, ['ethernet ipv4 esp']],
  ['use', false, 2, ['ethernet ipv4 icmp']],
  ['acquire', false, 2, ['ethernet ipv4 icmp']],
  ['dontacq', false, 2, ['ethernet ipv4 icmp']],
  ['deny', true, 0, []],
  ['bypass', true, 2, ['ethernet ipv4 icmp']],
] as const)
  test(`a flow of type ${type} ${withSa ? 'with' : 'without'} an SA`, async () => {
    const one = await joined(flow(type) + (withSa ? SA : ''))
    assert.equal(await ping(one.left, HOSTS[4][1], 2), replies)
    assert.deepEqual(kinds(one), wire)
  })

test('the narrower flow counts: a port in clear and a port closed, within a network that is protected', async () => {
  const one = await joined(flow('require') + flow('bypass', 'proto icmp') + denyPort(7) + SA)
  assert.equal(await ping(one.left, HOSTS[4][1], 2), 2)
  assert.deepEqual(kinds(one), ['ethernet ipv4 icmp'])
  one.frames.length = 0
  const heard: number[] = []
  for (const port of [7, 9]) one.right.stack.udp.bind({ port, onDatagram: () => heard.push(port) })
  const socket = one.left.stack.udp.bind({ port: 5000, onDatagram: () => undefined })
  for (const port of [7, 9]) socket.send(Uint8Array.of(1), parseIpAddress(HOSTS[4][1])!, port, one.left.now())
  await one.clock.advance(seconds(1))
  assert.deepEqual(heard, [9])
  assert.deepEqual(kinds(one), ['ethernet ipv4 esp'])
  assert.equal(one.west.ipsec.counters.get('spd.deny'), 1)
})

const denyPort = (port: number): string =>
  `flow esp proto udp from ${INNER[4][0]} to ${INNER[4][1]} port ${port} type deny\n`

test('a sender on the gateway hears why: deny is EHOSTUNREACH, require without an SA EACCES', async () => {
  const one = await joined(`flow esp from ${WEST} to ${EAST} type deny\n`)
  const send = (): string =>
    one.west.stack.send(
      { protocol: 253, destination: parseIpAddress(EAST)!, payload: new Uint8Array(8) },
      one.west.now(),
    )
  assert.equal(send(), 'unreachable')
  load(one.west, `flow esp from ${WEST} to ${EAST} type require\n`)
  const asked: string[] = []
  one.west.ipsec.listeners.add(({ kind }) => asked.push(kind))
  assert.equal(send(), 'blocked')
  assert.deepEqual(asked, ['acquire'])
})

test('SAs are set up, taken away and changed under traffic: nothing leaves in clear, and the new one is used', async () => {
  const one = await joined(flow('require') + SA)
  assert.equal(await ping(one.left, HOSTS[4][1], 2), 2)
  const next = SA.replace('0x1000:0x2000', '0x3000:0x4000')
  const all = flow('require') + SA + next
  for (const [host, text] of [
    [one.east, mirrored(all)],
    [one.west, all],
  ] as const)
    load(host, text)
  one.frames.length = 0
  assert.equal(await ping(one.left, HOSTS[4][1], 2), 2)
  // The newest of the two goes out.
  const spis = new Set(
    one.frames.filter(({ headers }) => / esp$/.test(headers)).map(({ bytes }) => bytes[36]),
  )
  assert.deepEqual([...spis], [0x30, 0x40])
  for (const host of [one.west, one.east]) {
    host.ipsec.removeSa({ protocol: 'esp', destination: parseIpAddress(EAST)!, spi: 0x3000 })
    host.ipsec.removeSa({ protocol: 'esp', destination: parseIpAddress(WEST)!, spi: 0x4000 })
  }
  assert.equal(await ping(one.left, HOSTS[4][1], 2), 2)
  assert.deepEqual(kinds(one), ['ethernet ipv4 esp'])
})
