import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, WarrenError } from '../../base/index.js'
import { arp, ethernet, ipv4, ipv6 } from '../../wire/index.js'
import { LinkType } from '../link-type.js'
import {
  alice,
  alice6,
  aliceMac,
  arpFrame,
  bob,
  bobMac,
  counting,
  echo,
  frame,
  greOf,
  icmp6Message,
  inner,
  ip,
  ip4Packet,
  ip6Packet,
  outer,
  outer6,
  type Pair,
  samplePackets,
  tagged,
  tcpSegment,
  udpDatagram,
} from '../testing/packets.js'
import { compileFilter } from './compile.js'

const samples = samplePackets()
const matching = (text: string): string[] => {
  const filter = compileFilter(text)
  return samples.filter(({ bytes, linkType }) => filter(bytes, linkType)).map(({ name }) => name)
}

/** What a packet is, read with the parsers of src/wire and not with the filter's own offsets. */
interface Facts {
  readonly etherType: number
  readonly family?: 4 | 6
  readonly protocol?: number
  readonly source?: string
  readonly destination?: string
  readonly ports?: Pair<number>
  readonly macs?: Pair<string>
  readonly length: number
}

function factsOf(bytes: Uint8Array): Facts {
  const { etherType, source, destination } = ethernet.parse(bytes)
  const macs: Pair<string> = [String(source), String(destination)]
  const common = { etherType, macs, length: bytes.length }
  if (etherType === 0x0806) {
    const packet = arp.parse(bytes, 14)
    return { ...common, source: String(packet.senderProtocol), destination: String(packet.targetProtocol) }
  }
  const portsAt = (at: number, protocol: number): { ports?: Pair<number> } =>
    protocol === 6 || protocol === 17
      ? { ports: [bytes[at]! * 256 + bytes[at + 1]!, bytes[at + 2]! * 256 + bytes[at + 3]!] }
      : {}
  if (etherType === 0x0800) {
    const header = ipv4.parse(bytes, 14)
    const addresses = { source: String(header.source), destination: String(header.destination) }
    const ports = header.fragmentOffset === 0 ? portsAt(34, header.protocol) : {}
    return { ...common, family: 4, protocol: header.protocol, ...addresses, ...ports }
  }
  if (etherType === 0x86dd) {
    const header = ipv6.parse(bytes, 14)
    const addresses = { source: String(header.source), destination: String(header.destination) }
    return {
      ...common,
      family: 6,
      protocol: header.nextHeader,
      ...addresses,
      ...portsAt(54, header.nextHeader),
    }
  }
  return common
}

type Expression = { readonly text: string; readonly holds: (facts: Facts) => boolean }

const addresses = ['192.168.1.1', '192.168.1.2', '172.16.0.1', 'fd3e:62ee:99db:bb1a::1']
const ports = [22, 53, 80, 40_000]
const inDirection = (direction: string, source: boolean, destination: boolean): boolean =>
  direction === 'src ' ? source : direction === 'dst ' ? destination : source || destination

const primitives = fc.oneof(
  fc
    .tuple(fc.constantFrom('', 'src ', 'dst '), fc.constantFrom(...addresses))
    .map(([direction, address]) => ({
      text: `${direction}host ${address}`,
      holds: ({ source, destination }: Facts) =>
        inDirection(direction, source === address, destination === address),
    })),
  fc
    .tuple(
      fc.constantFrom('', 'tcp ', 'udp '),
      fc.constantFrom('', 'src ', 'dst '),
      fc.constantFrom(...ports),
    )
    .map(([transport, direction, port]) => ({
      text: `${transport}${direction}port ${port}`,
      holds: ({ protocol, ports: found }: Facts) =>
        found !== undefined &&
        (transport === '' || protocol === (transport === 'tcp ' ? 6 : 17)) &&
        inDirection(direction, found[0] === port, found[1] === port),
    })),
  fc.constantFrom(
    ...(
      [
        ['ip', ({ family }) => family === 4],
        ['ip6', ({ family }) => family === 6],
        ['arp', ({ etherType }) => etherType === 0x0806],
        ['tcp', ({ protocol }) => protocol === 6],
        ['udp', ({ protocol }) => protocol === 17],
        ['icmp', ({ protocol, family }) => protocol === 1 && family === 4],
        ['icmp6', ({ protocol, family }) => protocol === 58 && family === 6],
        ['gre', ({ protocol }) => protocol === 47],
        ['proto 4', ({ protocol }) => protocol === 4],
        ['ip proto 17', ({ protocol, family }) => protocol === 17 && family === 4],
        ['ip6 proto tcp', ({ protocol, family }) => protocol === 6 && family === 6],
        [
          'net 192.168.1.0/24',
          ({ source, destination }) =>
            [source, destination].some((a) => a?.startsWith('192.168.1.') === true),
        ],
        [
          'net 172.16',
          ({ source, destination }) => [source, destination].some((a) => a?.startsWith('172.16.') === true),
        ],
        ['src net fd00::/8', ({ source }) => source?.startsWith('fd') === true],
        ['portrange 50-100', ({ ports: found }) => found?.some((port) => port >= 50 && port <= 100) === true],
        ['ether src fe:e1:ba:d0:00:01', ({ macs }) => macs?.[0] === 'fe:e1:ba:d0:00:01'],
        ['greater 100', ({ length }) => length >= 100],
        ['less 60', ({ length }) => length <= 60],
        ['len > 80', ({ length }) => length > 80],
        ['ip[9] = 6', ({ family, protocol }) => family === 4 && protocol === 6],
        ['ether[12:2] == 0x806', ({ etherType }) => etherType === 0x0806],
      ] as readonly (readonly [string, Expression['holds']])[]
    ).map(([text, holds]): Expression => ({ text, holds })),
  ),
)

const { expression } = fc.letrec<{ expression: Expression }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    primitives,
    tie('expression').map(({ text, holds }) => ({
      text: `not (${text})`,
      holds: (facts: Facts) => !holds(facts),
    })),
    fc
      .tuple(tie('expression'), fc.constantFrom('and', 'or', '&&', '||'), tie('expression'))
      .map(([a, operator, b]) => ({
        text: `(${a.text}) ${operator} (${b.text})`,
        holds: (facts: Facts) =>
          operator === 'and' || operator === '&&'
            ? a.holds(facts) && b.holds(facts)
            : a.holds(facts) || b.holds(facts),
      })),
  ),
}))

const packets = fc.oneof(
  fc
    .record({
      pair: fc.constantFrom(outer, inner, [bob, alice] as const),
      protocol: fc.constantFrom('tcp', 'udp', 'icmp', 'gre', 'ipip'),
      ports: fc.tuple(fc.constantFrom(...ports), fc.constantFrom(...ports)),
      data: fc.nat(60),
      later: fc.boolean(),
    })
    .map(({ pair, protocol, ports: chosen, data, later }) => {
      const more = later ? { fragmentOffset: 3 } : {}
      const payload = {
        tcp: () => tcpSegment(pair, chosen, { ack: true }, counting(data)),
        udp: () => udpDatagram(pair, chosen, counting(data)),
        icmp: () => echo(8, data),
        gre: () => greOf({ protocol: 0x0800 }, ip4Packet(inner, 1, echo(8, data))),
        ipip: () => ip4Packet(inner, 1, echo(8, data)),
      }[protocol]()
      const number = { tcp: 6, udp: 17, icmp: 1, gre: 47, ipip: 4 }[protocol]
      return frame(0x0800, ip4Packet(pair, number, payload, more))
    }),
  fc
    .record({
      protocol: fc.constantFrom('tcp', 'udp', 'icmp6'),
      ports: fc.tuple(fc.constantFrom(...ports), fc.constantFrom(...ports)),
    })
    .map(({ protocol, ports: chosen }) => {
      const payload = {
        tcp: () => tcpSegment(outer6, chosen, { ack: true }),
        udp: () => udpDatagram(outer6, chosen, counting(9)),
        icmp6: () => icmp6Message(outer6, { type: 128, code: 0 }, counting(9)),
      }[protocol]()
      return frame(0x86dd, ip6Packet(outer6, { tcp: 6, udp: 17, icmp6: 58 }[protocol], payload), [
        bobMac,
        aliceMac,
      ])
    }),
  fc.constantFrom(arpFrame(1), arpFrame(2), frame(0x88cc, counting(40))),
)

test('any expression over any packet says what the parsed packet says', () => {
  fc.assert(
    fc.property(expression, fc.array(packets, { minLength: 1, maxLength: 5 }), ({ text, holds }, frames) => {
      const filter = compileFilter(text)
      for (const bytes of frames) {
        const shifted = concatBytes(new Uint8Array(7), bytes, new Uint8Array(9))
        assert.equal(filter(bytes, LinkType.ethernet), holds(factsOf(bytes)), text)
        // The same in the middle of a larger buffer.
        assert.equal(
          filter.within(shifted, 7, 7 + bytes.length, LinkType.ethernet, bytes.length),
          holds(factsOf(bytes)),
          text,
        )
      }
    }),
    { numRuns: 500 },
  )
})

describe('what each form means', () => {
  test('and and or have equal precedence, from the left', () => {
    const bytes = frame(0x0800, ip4Packet(outer, 1, echo()))
    // (tcp and udp) or icmp; with C's precedence the same. (icmp or tcp) and udp: here they differ.
    assert.equal(compileFilter('tcp and udp or icmp')(bytes, 1), true)
    assert.equal(compileFilter('icmp or tcp and udp')(bytes, 1), false)
  })
  test('an identifier alone takes the keywords before it', () => {
    const bytes = frame(0x0800, ip4Packet(outer, 6, tcpSegment(outer, [40_000, 443], {})))
    assert.equal(compileFilter('tcp dst port 80 or 443')(bytes, 1), true)
    assert.equal(compileFilter('tcp src port 80 or 443')(bytes, 1), false)
    assert.equal(compileFilter('src host 10.0.0.1 or 192.168.1.1')(bytes, 1), true)
    assert.equal(compileFilter('src host 10.0.0.1 or 192.168.1.2')(bytes, 1), false)
  })
  test('src or dst, src and dst', () => {
    const back = frame(0x0800, ip4Packet([alice, alice], 1, echo()))
    assert.equal(compileFilter('src and dst host 192.168.1.1')(back, 1), true)
    assert.equal(
      compileFilter('src or dst host 192.168.1.1')(frame(0x0800, ip4Packet(outer, 1, echo())), 1),
      true,
    )
    assert.equal(
      compileFilter('src and dst host 192.168.1.1')(frame(0x0800, ip4Packet(outer, 1, echo())), 1),
      false,
    )
  })
  test('tunnels by their protocol', () => {
    assert.deepEqual(matching('etherip'), ['etherip', 'etherip over IPv6'])
    assert.deepEqual(matching('proto 97'), matching('etherip'))
    assert.deepEqual(matching('ip6 proto 47'), ['gre over IPv6'])
    assert.deepEqual(matching('gre and gre[2:2] = 0x6400'), ['eoip', 'eoip keepalive'])
    assert.deepEqual(matching('ip proto 4 or ip proto 41'), ['4 in 4', '6 in 4'])
  })
  test('what is inside a tunnel is not looked at', () => {
    assert.ok(!matching('host 172.16.0.1').includes('4 in 4'))
  })
  test('icmp types and tcp flags by name', () => {
    assert.deepEqual(matching('icmp[icmptype] = icmp-unreach'), ['unreachable'])
    const syn = frame(0x0800, ip4Packet(outer, 6, tcpSegment(outer, [1, 2], { syn: true })))
    const ack = frame(0x0800, ip4Packet(outer, 6, tcpSegment(outer, [1, 2], { ack: true })))
    for (const text of [
      'tcp[tcpflags] & tcp-syn != 0',
      'tcp[13] & (tcp-syn|tcp-fin) != 0',
      'tcp[13:1] = 2',
    ]) {
      assert.equal(compileFilter(text)(syn, 1), true, text)
      assert.equal(compileFilter(text)(ack, 1), false, text)
    }
  })
  test('tagged frames only behind vlan, and everything after it behind the tag', () => {
    const bytes = tagged(frame(0x0800, ip4Packet(outer, 1, echo())), 10)
    assert.equal(compileFilter('icmp')(bytes, 1), false)
    assert.equal(compileFilter('host 192.168.1.1')(bytes, 1), false)
    assert.equal(compileFilter('vlan')(bytes, 1), true)
    assert.equal(compileFilter('vlan 10 and icmp and host 192.168.1.1')(bytes, 1), true)
    assert.equal(compileFilter('vlan 11')(bytes, 1), false)
    assert.equal(compileFilter('vlan and vlan')(bytes, 1), false)
    const twice = tagged(bytes, 20)
    assert.equal(compileFilter('vlan 20 and vlan 10 and icmp')(twice, 1), true)
  })
  test('other link types', () => {
    const icmp = matching('icmp and not ether src host fe:e1:ba:d0:00:01')
    assert.deepEqual(icmp, ['raw IPv4', 'loopback', 'cooked'])
  })
  test('a protocol behind an IPv6 fragment header', () => {
    const header = Uint8Array.of(17, 0, 0, 1, 0, 0, 0, 7)
    const bytes = frame(0x86dd, ip6Packet(outer6, 44, concatBytes(header, counting(16))))
    assert.equal(compileFilter('udp')(bytes, 1), true)
    assert.equal(compileFilter('ip6 proto 6')(bytes, 1), false)
    // Ports are not looked for there, as BPF does not.
    assert.equal(compileFilter('udp port 1')(bytes, 1), false)
  })
  test('there are no tags where there is no Ethernet', () => {
    const bytes = ip4Packet([alice, ip('8.0.0.1')], 1, echo())
    assert.equal(compileFilter('vlan or ip')(bytes, LinkType.raw), false)
    assert.equal(compileFilter('ip or vlan')(bytes, LinkType.raw), true)
  })
  test('ports by name, in the transports that have it', () => {
    const dns = frame(0x0800, ip4Packet(outer, 17, udpDatagram(outer, [9999, 53], counting(3))))
    assert.equal(compileFilter('port domain')(dns, 1), true)
    assert.equal(compileFilter('udp port dns')(dns, 1), true)
    assert.equal(compileFilter('tcp port domain')(dns, 1), false)
    assert.equal(compileFilter('port www')(dns, 1), false)
  })
  test('a load beyond the packet rejects it, even under not; division by zero too', () => {
    const bytes = frame(0x0800, ip4Packet(outer, 1, echo()))
    assert.equal(compileFilter('not icmp[1000] = 1')(bytes, 1), false)
    assert.equal(compileFilter('icmp or icmp[1000] = 1')(bytes, 1), true)
    assert.equal(compileFilter('not 1 / (ip[1] - ip[1]) = 0')(bytes, 1), false)
    assert.equal(compileFilter('not tcp[0] = 1')(bytes, 1), true)
  })
  test('arithmetic is of 32 bits, unsigned, with C’s precedence', () => {
    const bytes = frame(0x0800, ip4Packet(outer, 1, echo()))
    for (const text of [
      '1 + 2 * 3 = 7',
      '(1 + 2) * 3 = 9',
      '1 - 2 = 0xffffffff',
      '1 << 31 > 5',
      '6 & 3 = 2',
      '7 % 4 = 3',
      '-1 > 1',
      '4 | 1 = 5',
      'ip[0] & 0xf = 5',
      '(ip[0] & 0xf) << 2 = 20',
      'ip[2:2] = len - 14',
    ])
      assert.equal(compileFilter(text)(bytes, 1), true, text)
  })
  test('host names, where somebody resolves them', () => {
    const filter = compileFilter('host alice', {
      resolve: (name) => (name === 'alice' ? [alice, alice6] : undefined),
    })
    assert.equal(filter(frame(0x0800, ip4Packet(outer, 1, echo())), 1), true)
    assert.equal(filter(frame(0x0800, ip4Packet(inner, 1, echo())), 1), false)
  })
  test('an empty filter wants all', () => {
    assert.equal(matching('  ').length, samples.length)
  })
  test('multicast and broadcast', () => {
    assert.deepEqual(matching('ether broadcast'), ['arp request'])
    assert.ok(matching('broadcast').includes('arp request'))
    assert.deepEqual(matching('ip multicast'), [])
  })
})

describe('what is wrong is said with its column and what was meant', () => {
  const faults: readonly (readonly [string, number, RegExp])[] = [
    ['hsot 10.0.0.1', 1, /did you mean host\?/],
    ['10.0.0.1', 1, /write "host 10\.0\.0\.1"/],
    ['host', 5, /found the end, expected an address/],
    ['host alicee', 6, /names are not looked up/],
    ['host 10.0.0.0/8', 6, /write "net 10\.0\.0\.0\/8"/],
    ['net 10.0.0.1/8', 5, /bits behind the network part are set.*expected 10\.0\.0\.0\/8/],
    ['port 70000', 6, /0 to 65535/],
    ['port nosuch', 6, /a service/],
    ['icmp port 3', 11, /icmp has no ports/],
    ['tcp host 10.0.0.1', 10, /write "tcp and host 10\.0\.0\.1"/],
    ['ip6 host 10.0.0.1', 10, /IPv4 address behind "ip6"/],
    ['host fe:e1:ba:d0:00:01', 6, /write "ether host/],
    ['ether host 10.0.0.1', 12, /a MAC address/],
    ['(tcp or udp', 12, /expected "\)"/],
    ['tcp udp', 5, /"and", "or" or the end/],
    ['tcp and', 8, /found the end/],
    ['tcp[13', 7, /"\]"/],
    ['tcp[13:3] = 1', 8, /1, 2 or 4 bytes/],
    ['tcp[13]', 8, /one of = !=/],
    ['tcp[13] =', 10, /a number is missing/],
    ['host[3] = 1', 1, /has no bytes/],
    ['proto nosuch', 7, /an IP protocol/],
    ['proto constructor', 7, /an IP protocol/],
    ['constructor[0] = 1', 1, /has no bytes/],
    ['port constructor', 6, /a service/],
    ['vlan and tcp #', 14, /a character that filters do not use/],
    [`${'('.repeat(300)}tcp${')'.repeat(300)}`, 102, /nested too deep/],
    ['not '.repeat(300), 405, /nested too deep/],
  ]
  for (const [text, column, pattern] of faults)
    test(text.slice(0, 40), () => {
      assert.throws(
        () => compileFilter(text),
        (error) => {
          assert.ok(error instanceof WarrenError)
          assert.equal(error.code, 'INSPECT_FILTER')
          assert.match(error.message, pattern)
          assert.match(error.details.where!, new RegExp(`column ${column}$`))
          return true
        },
      )
    })

  test('any words at all: compiled, or refused with a WarrenError', () => {
    const words = fc.constantFrom(
      ...'host net port proto src dst and or not ( ) tcp ip ip6 [ ] : 13 = & 10.0.0.1 fd00::/8 vlan len - < ether mask'.split(
        ' ',
      ),
    )
    fc.assert(
      fc.property(fc.array(words, { maxLength: 12 }), (parts) => {
        try {
          const filter = compileFilter(parts.join(' '))
          for (const { bytes, linkType } of samples) filter(bytes, linkType)
        } catch (error) {
          assert.ok(error instanceof WarrenError, String(error))
        }
      }),
      { numRuns: 2000 },
    )
  })
})
