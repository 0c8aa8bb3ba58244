import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ipv4Address, instantAt, SeededRandom, seconds, writeUint16 } from '../../base/index.js'
import { type NetworkInterface, Stack } from '../../stack/index.js'
import { ipv4 } from '../../wire/index.js'
import { PacketFilter } from './filter.js'
import { Matcher } from './match.js'
import { readPacket } from './packet.js'
import { parsePfConf } from './parse.js'
import { showStatement } from './rules.js'
import { showState } from './states.js'

const show = (text: string): string[] => parsePfConf(text, 'pf.conf').statements.map(showStatement)

test('rules are shown as pfctl -sr shows them', () => {
  assert.deepEqual(show('block return\npass\nanchor vmd\nanchor "a/*" in on tap0'), [
    'block return all',
    'pass all flags S/SA',
    'anchor "vmd" all',
    'anchor "a/*" in on tap0 all',
  ])
  assert.deepEqual(show('block return in on ! lo0 proto tcp to port 6000:6010'), [
    'block return in on ! lo0 proto tcp from any to any port 6000:6010',
  ])
  assert.deepEqual(
    show(
      'pass in quick on vio0 inet proto icmp from 10/8 icmp-type echoreq no state'.replace(
        '10/8',
        '10.0.0.0/8',
      ),
    ),
    ['pass in quick on vio0 inet proto icmp from 10.0.0.0/8 to any icmp-type echoreq no state'],
  )
  assert.deepEqual(show('block drop out log from (vio0) to ! 192.168.1.0/24'), [
    'block drop out log inet from (vio0) to ! 192.168.1.0/24',
  ])
})

test('a rule for tagged packets is none for all others', () => {
  assert.deepEqual(show('pass in tagged vpn'), ['pass in all flags S/SA tagged vpn'])
  const { statements } = parsePfConf('block\npass tagged vpn', 'pf.conf')
  const matcher = new Matcher({ interfaces: new Map(), hasRoute: () => false })
  const bytes = new Uint8Array(20)
  bytes[0] = 0x45
  const packet = readPacket(bytes, 0, 20)!
  const ifc = { name: 'vio0', groups: [] } as unknown as NetworkInterface
  assert.deepEqual(
    statements.map((one) => matcher.matches(one, 'in', ifc, packet)),
    [true, false],
  )
})

test('lists and macros are expanded', () => {
  assert.deepEqual(show('ports = "{ 22, 80 }"\npass proto { tcp udp } to port $ports'), [
    'pass proto tcp from any to any port = 22 flags S/SA',
    'pass proto tcp from any to any port = 80 flags S/SA',
    'pass proto udp from any to any port = 22 flags S/SA',
    'pass proto udp from any to any port = 80 flags S/SA',
  ])
  // Addresses of two families do not make a rule together.
  assert.deepEqual(show('block from { 10.0.0.1 2001:db8::1 } to { 10.0.0.2 2001:db8::2 }'), [
    'block inet from 10.0.0.1 to 10.0.0.2',
    'block inet6 from 2001:db8::1 to 2001:db8::2',
  ])
})

for (const [text, message] of [
  ['blok in', /^f:1: syntax error: found "blok", expected block, pass, match/],
  ['pass\nblock in from 192.168.1', /^f:2: syntax error: found "192.168.1"/],
  ['pass proto tcp to port 70000', /^f:1: .*found "70000", expected a port, 0 to 65535/],
  ['pass to port 22', /port only applies to tcp\/udp; name the protocol/],
  ['pass in on', /found the end of the line, expected an interface/],
  ['pass from $nobody', /macro 'nobody' not defined/],
  ['anchor "x" {\npass\n', /expected "\}"/],
  ['block "in', /expected "a closing/],
  ['set skipp on lo', /found "skipp", expected skip/],
  ['nat on em0', /"nat" has no part to play in the lab/],
  ['a = $a\npass from $a', /macro/],
] as const)
  test(`pf.conf refuses ${JSON.stringify(text)}`, () => {
    assert.throws(
      () => parsePfConf(text, 'f'),
      (error: Error) => {
        if (text.startsWith('block "in')) assert.match(error.message, /^f:1: syntax error/)
        else assert.match(error.message, message)
        return true
      },
    )
  })

interface Packet {
  readonly from: string
  readonly to: string
  readonly protocol: number
  readonly ports?: readonly [number, number]
  readonly flags?: number
  readonly icmp?: number
  readonly fragmentOffset?: number
  readonly moreFragments?: boolean
}

function bytesOf(packet: Packet): Uint8Array {
  const payload = new Uint8Array(20)
  if (packet.ports !== undefined) {
    writeUint16(payload, 0, packet.ports[0])
    writeUint16(payload, 2, packet.ports[1])
    payload[13] = packet.flags ?? 2
  }
  if (packet.icmp !== undefined) {
    payload[0] = packet.icmp
    payload[5] = 9
  }
  const bytes = new Uint8Array(40)
  const at = ipv4.emit(
    {
      totalLength: 40,
      identification: 7,
      dontFragment: false,
      moreFragments: packet.moreFragments ?? false,
      fragmentOffset: packet.fragmentOffset ?? 0,
      ttl: 64,
      protocol: packet.protocol,
      source: Ipv4Address.parse(packet.from)!,
      destination: Ipv4Address.parse(packet.to)!,
    },
    bytes,
  )
  bytes.set(payload, at)
  return bytes
}

function filterOf(rules: string, anchors: Record<string, string> = {}) {
  const stack = new Stack({ name: 'test', random: new SeededRandom(1) })
  const driver = { transmit: (): void => {} }
  const ifc = stack.addInterface({ name: 'tap0', kind: 'point-to-point', mtu: 1500, driver }, instantAt(0))
  ifc.groups = ['tap']
  const filter = new PacketFilter({ interfaces: stack.interfaces, hasRoute: () => true }, instantAt(0))
  filter.load(parsePfConf(rules, 'pf.conf'))
  for (const [name, text] of Object.entries(anchors)) filter.load(parsePfConf(text, name), name)
  const passes = (
    packet: Packet,
    direction: 'in' | 'out' = 'in',
    at = 0,
    on: NetworkInterface = ifc,
  ): boolean => {
    const bytes = bytesOf(packet)
    return filter.passesBytes(direction, on, bytes, 0, bytes.length, instantAt(at))
  }
  return { filter, passes, stack }
}

const ECHO: Packet = { from: '10.0.0.1', to: '10.0.0.2', protocol: 1, icmp: 8 }
const ECHO_REPLY: Packet = { from: '10.0.0.2', to: '10.0.0.1', protocol: 1, icmp: 0 }
const SYN: Packet = { from: '10.0.0.1', to: '10.0.0.2', protocol: 6, ports: [1024, 22] }

test('the last rule that matches decides, unless one is quick; without a match it passes', () => {
  assert.equal(filterOf('').passes(ECHO), true)
  assert.equal(filterOf('block\npass').passes(ECHO), true)
  assert.equal(filterOf('pass\nblock').passes(ECHO), false)
  assert.equal(filterOf('block quick proto icmp\npass').passes(ECHO), false)
  assert.equal(filterOf('block quick proto icmp\npass').passes(SYN), true)
  assert.equal(filterOf('block in on tap\npass out').passes(ECHO), false)
  assert.equal(filterOf('block in on ! tap0').passes(ECHO), true)
  assert.equal(filterOf('block\nset skip on tap').passes(ECHO), true)
})

test('addresses, ports, types and tables', () => {
  assert.equal(filterOf('block from 10.0.0.0/24 to any').passes(ECHO), false)
  assert.equal(filterOf('block from ! 10.0.0.0/24').passes(ECHO), true)
  assert.equal(filterOf('block from 10.0.0.1 - 10.0.0.9').passes(ECHO), false)
  assert.equal(filterOf('table <bad> { 10.0.0.0/8, !10.0.0.1 }\nblock from <bad>').passes(ECHO), true)
  assert.equal(filterOf('table <bad> { 10.0.0.0/8 }\nblock from <bad>').passes(ECHO), false)
  assert.equal(filterOf('block proto tcp to port ssh').passes(SYN), false)
  assert.equal(filterOf('block proto tcp to port != 22').passes(SYN), true)
  assert.equal(filterOf('block proto tcp to port > 1000').passes(SYN), true)
  assert.equal(filterOf('block proto tcp from port 1000 >< 1030').passes(SYN), false)
  assert.equal(filterOf('block inet proto icmp icmp-type echorep').passes(ECHO), true)
})

test("an anchor's rules filter where the anchor stands", () => {
  const { filter, passes } = filterOf('pass\nanchor vmd', { vmd: 'block proto icmp' })
  assert.equal(passes(ECHO), false)
  assert.equal(passes(SYN), true)
  filter.load(parsePfConf('pass', 'x'), 'vmd')
  assert.equal(passes(ECHO), true)
  // Loaded, but named by nobody.
  assert.equal(filterOf('pass', { vmd: 'block' }).passes(ECHO), true)
  assert.equal(filterOf('anchor "vm/*"\npass out', { 'vm/a': 'block in' }).passes(ECHO), false)
  assert.equal(filterOf('anchor vmd quick\npass', { vmd: 'block' }).passes(ECHO), false)
  assert.equal(filterOf('anchor "in" { block proto icmp }').passes(ECHO), false)
})

test('a pass rule keeps state: answers pass, strangers do not', () => {
  const { filter, passes } = filterOf('block\npass out proto icmp')
  assert.equal(passes(ECHO_REPLY, 'in'), false)
  assert.equal(passes(ECHO, 'out'), true)
  assert.equal(passes(ECHO_REPLY, 'in'), true)
  assert.equal(passes({ ...ECHO_REPLY, from: '10.0.0.3' }, 'in'), false)
  assert.deepEqual(filter.states(instantAt(0)).map(showState), [
    'all icmp 10.0.0.1:9 -> 10.0.0.2:9       0:0',
  ])
  // 20 seconds without a packet end an ICMP state.
  assert.equal(passes(ECHO_REPLY, 'in', seconds(21)), false)
  assert.equal(filterOf('block\npass out proto icmp no state').passes(ECHO_REPLY, 'in'), false)
})

test('a TCP state begins with a SYN', () => {
  const { passes } = filterOf('block\npass in proto tcp to port 22')
  assert.equal(passes({ ...SYN, flags: 0x10 }), false)
  assert.equal(passes(SYN), true)
  assert.equal(passes({ ...SYN, flags: 0x10 }), true)
  assert.equal(
    passes({ from: '10.0.0.2', to: '10.0.0.1', protocol: 6, ports: [22, 1024], flags: 0x12 }, 'out'),
    true,
  )
})

test('later fragments go the way of the first', () => {
  const { passes } = filterOf('block\npass proto udp to port 53')
  const first: Packet = {
    from: '10.0.0.1',
    to: '10.0.0.2',
    protocol: 17,
    ports: [9, 53],
    moreFragments: true,
  }
  const later: Packet = { ...first, moreFragments: false, fragmentOffset: 3 }
  assert.equal(passes(later), false)
  assert.equal(passes(first), true)
  assert.equal(passes(later), true)
})

test('a packet too short to be one is dropped and counted', () => {
  const { filter, stack } = filterOf('pass')
  const ifc = stack.interfaces.get('tap0')!
  for (const bytes of [
    new Uint8Array(3),
    Uint8Array.from({ length: 20 }, () => 0x4f),
    new Uint8Array(20).fill(0x60),
  ])
    assert.equal(filter.passesBytes('in', ifc, bytes, 0, bytes.length, instantAt(0)), false)
  assert.equal(filter.counters.get('short'), 3)
})
