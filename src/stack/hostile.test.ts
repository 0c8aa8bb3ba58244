/** Input that no honest host sends: nothing throws, every refusal is counted, and an honest ping goes on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, fromHex, seconds } from '../base/index.js'
import type { Stack } from './stack.js'
import {
  address,
  configure,
  echoRequest,
  type Probe,
  prefix,
  rawIpv4,
  rawIpv6,
  rawUdp,
  TestNetwork,
} from './testing.js'

interface Target {
  readonly network: TestNetwork
  readonly alice: Stack
  readonly bob: Stack
  /** Where the strangers are. */
  readonly wire: Probe
  readonly tunnel: Probe
}

/** alice with an honest neighbour bob, and two links on which the test is the stranger. */
function target(): Target {
  const network = new TestNetwork()
  const alice = network.stack('alice')
  const bob = network.stack('bob')
  const [a, b] = network.cable(alice, bob)
  configure(a, '192.168.1.1/24', 'fd3e:62ee:99db:bb1a::1/64')
  configure(b, '192.168.1.2/24', 'fd3e:62ee:99db:bb1a::2/64')
  const wire = network.probe(alice, { kind: 'ethernet' })
  configure(wire, '10.0.0.1/24', 'fd00::1/64')
  const tunnel = network.probe(alice)
  configure(tunnel, '172.16.0.1/32 172.16.0.2')
  alice.settings.forwarding4 = true
  alice.settings.forwarding6 = true
  alice.udp.bind({ port: 7, onDatagram: () => {} })
  alice.tcp.listen({ port: 8888, onConnection: () => {} })
  return { network, alice, bob, wire, tunnel }
}

function honest({ network, alice, bob }: Target): void {
  assert.equal(network.ping(alice, '192.168.1.2').replied, true)
  assert.equal(network.ping(bob, 'fd3e:62ee:99db:bb1a::1').replied, true)
  assert.equal(network.ping(bob, '192.168.1.1', { size: 3000 }).replied, true)
}

const frame = (wire: Probe, etherType: string, payload: Uint8Array): Uint8Array =>
  concatBytes(wire.ifc.mac!.bytes, fromHex('020000000001')!, fromHex(etherType)!, payload)

test('garbage of any length changes nothing for the honest', () => {
  const host = target()
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.constantFrom('0800', '86dd', '0806', ''),
      (bytes, etherType) => {
        host.wire.inject(etherType === '' ? bytes : frame(host.wire, etherType, bytes))
        host.tunnel.inject(bytes)
      },
    ),
    { numRuns: 500 },
  )
  host.network.advance(seconds(100))
  honest(host)
})

/** Packets that are nearly right reach deeper than noise. */
const samples = (): Uint8Array[] => {
  const udp4 = rawUdp('10.0.0.2', '10.0.0.1', 9, 7, new Uint8Array(20))
  const udp6 = rawUdp('fd00::2', 'fd00::1', 9, 7, new Uint8Array(20))
  const tcp = fromHex('303922b8000000010000000050020200000000000204ffff')!
  const six = { source: 'fd00::2', destination: 'fd00::1' }
  const four = { source: '10.0.0.2', destination: '10.0.0.1' }
  const quote = rawIpv4({ source: '10.0.0.1', destination: '10.0.0.2' }, udp4)
  return [
    rawIpv4(four, udp4),
    rawIpv4({ ...four, protocol: 6 }, tcp),
    rawIpv4({ ...four, protocol: 1 }, echoRequest(4, 32)),
    rawIpv4({ ...four, protocol: 1 }, concatBytes(Uint8Array.of(3, 4, 0, 0, 0, 0, 2, 0), quote)),
    rawIpv4({ ...four, protocol: 47, offset: 64, moreFragments: true }, new Uint8Array(64)),
    rawIpv4({ ...four, options: [{ kind: 7, data: new Uint8Array(9) }] }, udp4),
    rawIpv4({ ...four, destination: '192.168.1.2', ttl: 1 }, udp4),
    rawIpv6(six, udp6),
    rawIpv6({ ...six, nextHeader: 6 }, tcp),
    rawIpv6({ ...six, nextHeader: 58 }, echoRequest(6, 32)),
    rawIpv6(
      { ...six, nextHeader: 58, hopLimit: 255 },
      concatBytes(
        Uint8Array.of(135, 0, 0, 0, 0, 0, 0, 0),
        address('fd00::1').bytes,
        Uint8Array.of(1, 1, 2, 0, 0, 0, 0, 9),
      ),
    ),
    rawIpv6(
      { ...six, nextHeader: 58, hopLimit: 255 },
      concatBytes(
        Uint8Array.of(136, 0, 0, 0, 0x60, 0, 0, 0),
        address('fd00::2').bytes,
        Uint8Array.of(2, 1, 2, 0, 0, 0, 0, 9),
      ),
    ),
    rawIpv6(
      { ...six, nextHeader: 44 },
      concatBytes(Uint8Array.of(17, 0, 0, 1, 0, 0, 0, 5), udp6, new Uint8Array(12)),
    ),
    rawIpv6(
      { ...six, nextHeader: 0 },
      concatBytes(Uint8Array.of(60, 0, 5, 2, 0, 0, 1, 0), Uint8Array.of(17, 0, 1, 4, 0, 0, 0, 0), udp6),
    ),
    rawIpv6({ ...six, nextHeader: 43 }, concatBytes(Uint8Array.of(17, 0, 4, 0, 0, 0, 0, 0), udp6)),
    fromHex('00010800060400010200000000010a000002000000000000 0a000001')!,
  ]
}

/** The first bytes whose change a checksum does not hide: it is put right again, as a stranger would. */
function mend(bytes: Uint8Array): Uint8Array {
  if (bytes.length >= 20 && bytes[0]! >> 4 === 4 && (bytes[0]! & 15) >= 5) {
    const end = Math.min(bytes.length, 4 * (bytes[0]! & 15))
    let sum = 0
    bytes[10] = 0
    bytes[11] = 0
    for (let i = 0; i + 1 < end; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
    bytes[10] = (~sum >> 8) & 0xff
    bytes[11] = ~sum & 0xff
  }
  return bytes
}

test('packets with bits turned and ends cut off change nothing for the honest', () => {
  const host = target()
  const all = samples()
  fc.assert(
    fc.property(
      fc.nat({ max: all.length - 1 }),
      fc.array(fc.tuple(fc.nat({ max: 120 }), fc.integer({ min: 1, max: 255 })), { maxLength: 4 }),
      fc.nat({ max: 60 }),
      fc.boolean(),
      (which, flips, cutOff, repair) => {
        const bytes = all[which]!.slice()
        for (const [at, mask] of flips) if (at < bytes.length) bytes[at] = bytes[at]! ^ mask
        const cut = bytes.subarray(0, Math.max(0, bytes.length - (cutOff > 40 ? cutOff - 40 : 0)))
        const packet = repair ? mend(cut) : cut
        const etherType = which === all.length - 1 ? '0806' : all[which]![0]! >> 4 === 4 ? '0800' : '86dd'
        host.wire.inject(frame(host.wire, etherType, packet))
        if (etherType !== '0806') host.tunnel.inject(packet)
      },
    ),
    { numRuns: 2000 },
  )
  host.network.advance(seconds(100))
  honest(host)
})

test('martians: addresses that cannot come from a wire are counted by what they are', () => {
  const host = target()
  const { alice, wire } = host
  const payload = rawUdp('10.0.0.2', '10.0.0.1', 9, 7, new Uint8Array(8))
  const four = (source: string, destination: string): void =>
    wire.inject(frame(wire, '0800', rawIpv4({ source, destination }, payload)))
  const six = (source: string, destination: string): void =>
    wire.inject(frame(wire, '86dd', rawIpv6({ source, destination }, payload)))
  four('127.0.0.1', '10.0.0.1')
  four('10.0.0.2', '127.0.0.1')
  four('10.0.0.1', '10.0.0.1') // the "land" attack
  four('192.168.1.1', '10.0.0.1')
  four('224.0.0.1', '10.0.0.1')
  four('10.0.0.255', '10.0.0.1')
  four('255.255.255.255', '10.0.0.1')
  four('240.0.0.1', '10.0.0.1')
  four('0.0.0.0', '10.0.0.1')
  four('10.0.0.2', '0.0.0.0')
  six('::1', 'fd00::1')
  six('fd00::2', '::1')
  six('fd00::1', 'fd00::1')
  six('ff02::1', 'fd00::1')
  six('::ffff:10.0.0.2', 'fd00::1')
  six('fd00::2', '::ffff:10.0.0.1')
  six('::', 'fd00::1')
  six('fd00::2', '::')
  six('fd00::2', 'ff01::1')
  assert.deepEqual(
    Object.fromEntries(
      Object.entries(alice.counters.toJSON()).filter(([name]) =>
        /^ipv\d\.(source|loopback|reserved|destination|mapped|group)/.test(name),
      ),
    ),
    {
      'ipv4.destinationUnspecified': 1,
      'ipv4.loopbackOnWire': 2,
      'ipv4.reservedAddress': 1,
      'ipv4.sourceGroup': 3,
      'ipv4.sourceOurs': 2,
      'ipv4.sourceUnspecified': 1,
      'ipv6.destinationUnspecified': 1,
      'ipv6.groupScope': 1,
      'ipv6.loopbackOnWire': 2,
      'ipv6.mappedOnWire': 2,
      'ipv6.sourceGroup': 1,
      'ipv6.sourceOurs': 1,
      'ipv6.sourceUnspecified': 1,
    },
  )
  honest(host)
})

test('malformed headers are counted by field', () => {
  const host = target()
  const { alice, tunnel } = host
  const good = rawIpv4({ source: '172.16.0.2', destination: '172.16.0.1', protocol: 1 }, echoRequest(4, 8))
  const bad = (reason: string, change: (bytes: Uint8Array) => Uint8Array | undefined): void => {
    const bytes = good.slice()
    tunnel.inject(change(bytes) ?? bytes)
    assert.equal(alice.counters.get(reason), 1, reason)
  }
  bad('ipv4.short', (bytes) => bytes.subarray(0, 19))
  bad('ip.version', (bytes) => {
    bytes[0] = 0x55
    return undefined
  })
  bad('ipv4.ihl', (bytes) => {
    bytes[0] = 0x44
    return undefined
  })
  bad('ipv4.totalLength', (bytes) => {
    bytes[3] = 200
    return mend(bytes)
  })
  bad('ipv4.checksum', (bytes) => {
    bytes[8] = 1
    return undefined
  })
  bad('icmp.checksum', (bytes) => {
    bytes[30] = bytes[30]! ^ 1
    return undefined
  })
  bad('icmp.short', () =>
    rawIpv4({ source: '172.16.0.2', destination: '172.16.0.1', protocol: 1 }, new Uint8Array(7)),
  )
  bad('ipv4.sourceRoute', () =>
    rawIpv4(
      {
        source: '172.16.0.2',
        destination: '172.16.0.1',
        options: [{ kind: 131, data: Uint8Array.of(4, 10, 0, 0, 9) }],
      },
      new Uint8Array(8),
    ),
  )
  bad('udp.short', () => rawIpv4({ source: '172.16.0.2', destination: '172.16.0.1' }, new Uint8Array(7)))
  bad('udp.length', () =>
    rawIpv4({ source: '172.16.0.2', destination: '172.16.0.1' }, Uint8Array.of(0, 9, 0, 7, 0, 99, 0, 0)),
  )
  bad('ipv6.payloadLength', () =>
    rawIpv6({ source: 'fd00::2', destination: 'fd00::1' }, new Uint8Array(8)).subarray(0, 44),
  )
  bad('udp.checksum', () =>
    rawIpv6({ source: 'fd00::2', destination: 'fd00::1' }, Uint8Array.of(0, 9, 0, 7, 0, 8, 0, 0)),
  )
  assert.equal(tunnel.sent.filter((bytes) => bytes[9] === 1 && bytes[20] === 0).length, 0)
  honest(host)
})

test('a forwarding loop ends with the hops', () => {
  const network = new TestNetwork()
  const alice = network.stack('alice')
  const left = network.stack('left')
  const right = network.stack('right')
  const [home, away] = network.cable(alice, left)
  const [a, b] = network.cable(left, right)
  configure(home, '10.1.0.1/24', 'fd01::1/64')
  configure(away, '10.1.0.254/24', 'fd01::254/64')
  configure(a, '10.0.0.1/24', 'fd00::1/64')
  configure(b, '10.0.0.2/24', 'fd00::2/64')
  for (const [stack, four, six] of [
    [alice, '10.1.0.254', 'fd01::254'],
    [left, '10.0.0.2', 'fd00::2'],
    [right, '10.0.0.1', 'fd00::1'],
  ] as const) {
    stack.settings.forwarding4 = true
    stack.settings.forwarding6 = true
    stack.routes.add({ destination: prefix('0.0.0.0/0'), gateway: address(four) })
    stack.routes.add({ destination: prefix('::/0'), gateway: address(six) })
  }
  assert.deepEqual(
    network.ping(alice, '203.0.113.1').messages.map(({ type, code }) => [type, code]),
    [[11, 0]],
  )
  assert.ok(network.ping(alice, '2001:db8::1').messages.some(({ type, code }) => type === 3 && code === 0))
  assert.ok(left.counters.get('ipv4.forwarded') > 30)
})

test('two hosts that echo each other over lo0 do not stop the clock', () => {
  const network = new TestNetwork()
  const stack = network.stack('alice')
  let count = 0
  const one = stack.udp.bind({
    port: 7,
    onDatagram: ({ data }, now) => one.send(data, address('127.0.0.1'), 8, now),
  })
  const two = stack.udp.bind({
    port: 8,
    onDatagram: ({ data }, now) => {
      count++
      two.send(data, address('127.0.0.1'), 7, now)
    },
  })
  one.send(new Uint8Array(1), address('127.0.0.1'), 8, network.now)
  network.advance(seconds(0.1))
  assert.ok(count > 100 && count < 10_000)
})

test('more packets than the loopback queue holds are counted, not kept', () => {
  const network = new TestNetwork()
  const stack = network.stack('alice', { loopbackQueue: 16 })
  for (let i = 0; i < 100; i++)
    stack.send({ protocol: 97, destination: address('127.0.0.1'), payload: new Uint8Array(8) }, network.now)
  assert.equal(stack.counters.get('loopback.queueFull'), 84)
})
