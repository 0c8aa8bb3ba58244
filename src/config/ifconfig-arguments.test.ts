import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Ipv4Address, Ipv6Address, MacAddress, WarrenError } from '../base/index.js'
import { defaultPrefixLength, ifconfigWords, parseIfconfigArguments } from './ifconfig-arguments.js'

/** Actions with addresses as text: what the tables below are written in. */
function readable(line: string): unknown[] {
  return parseIfconfigArguments(line.split(' ')).map(({ index, ...action }) =>
    Object.fromEntries(
      Object.entries(action).map(([name, value]) => [
        name,
        value instanceof Ipv4Address || value instanceof Ipv6Address || value instanceof MacAddress
          ? `${value}`
          : value,
      ]),
    ),
  )
}

const good: [line: string, actions: Record<string, unknown>[]][] = [
  // The article's own lines.
  ['create', [{ action: 'create' }]],
  ['create up', [{ action: 'create' }, { action: 'up' }]],
  ['tunnel 192.168.1.1 192.168.1.2', [{ action: 'tunnel', local: '192.168.1.1', remote: '192.168.1.2' }]],
  [
    'create tunnel 192.168.1.1 192.168.1.2',
    [{ action: 'create' }, { action: 'tunnel', local: '192.168.1.1', remote: '192.168.1.2' }],
  ],
  [
    'alias 172.16.0.1 172.16.0.2',
    [{ action: 'address', address: '172.16.0.1', peer: '172.16.0.2', alias: true }],
  ],
  [
    'inet 172.16.0.1 172.16.0.2',
    [{ action: 'address', address: '172.16.0.1', peer: '172.16.0.2', alias: false }],
  ],
  ['inet 192.168.1.1/24', [{ action: 'address', address: '192.168.1.1', prefixLength: 24, alias: false }]],
  [
    'inet6 fd3e:62ee:99db:bb1a::1/64',
    [{ action: 'address', address: 'fd3e:62ee:99db:bb1a::1', prefixLength: 64, alias: false }],
  ],
  ['-tunnel -inet', [{ action: 'removeTunnel' }, { action: 'removeFamily', family: 4 }]],
  ['-inet6', [{ action: 'removeFamily', family: 6 }]],
  // Addresses in their other forms.
  [
    'inet 10.0.0.1 netmask 255.255.255.0 broadcast 10.0.0.255',
    [{ action: 'address', address: '10.0.0.1', prefixLength: 24, broadcast: '10.0.0.255', alias: false }],
  ],
  [
    '10.0.0.1 netmask 0xffff0000',
    [{ action: 'address', address: '10.0.0.1', prefixLength: 16, alias: false }],
  ],
  ['inet alias 10.0.0.1/32', [{ action: 'address', address: '10.0.0.1', prefixLength: 32, alias: true }]],
  ['inet 10.0.0.1 alias', [{ action: 'address', address: '10.0.0.1', alias: true }]],
  ['inet6 fd00::1 prefixlen 48', [{ action: 'address', address: 'fd00::1', prefixLength: 48, alias: false }]],
  ['inet6 fd00::1 fd00::2', [{ action: 'address', address: 'fd00::1', peer: 'fd00::2', alias: false }]],
  [
    '10.0.0.1/24 up mtu 1400',
    [
      { action: 'address', address: '10.0.0.1', prefixLength: 24, alias: false },
      { action: 'up' },
      { action: 'mtu', mtu: 1400 },
    ],
  ],
  ['inet 10.0.0.1 delete', [{ action: 'removeAddress', family: 4, address: '10.0.0.1' }]],
  ['delete fd00::1', [{ action: 'removeAddress', family: 6, address: 'fd00::1' }]],
  ['inet -alias 10.0.0.1', [{ action: 'removeAddress', family: 4, address: '10.0.0.1' }]],
  ['inet6 delete', [{ action: 'removeAddress', family: 6 }]],
  ['inet6 autoconf', [{ action: 'autoconf', family: 6, enabled: true }]],
  // Tunnels' words.
  ['vnetid 0xff', [{ action: 'vnetid', id: 255 }]],
  ['vnetid any -vnetid', [{ action: 'vnetid', id: 'any' }, { action: 'removeVnetid' }]],
  ['vnetflowid -vnetflowid', [true, false].map((enabled) => ({ action: 'vnetflowid', enabled }))],
  ['tunnelttl 64', [{ action: 'tunnelttl', ttl: 64 }]],
  ['tunnelttl copy', [{ action: 'tunnelttl', ttl: 'copy' }]],
  ['tunneldf -tunneldf', [true, false].map((enabled) => ({ action: 'tunneldf', enabled }))],
  ['keepalive 10 3', [{ action: 'keepalive', period: 10, count: 3 }]],
  ['-keepalive', [{ action: 'removeKeepalive' }]],
  // Others'.
  ['description bob', [{ action: 'description', text: 'bob' }]],
  ['lladdr fe:e1:ba:00:00:01', [{ action: 'lladdr', mac: 'fe:e1:ba:00:00:01' }]],
  ['lladdr random', [{ action: 'lladdr', mac: 'random' }]],
  [
    'add vether0 del vio0',
    [
      { action: 'member', interfaceName: 'vether0', member: true },
      { action: 'member', interfaceName: 'vio0', member: false },
    ],
  ],
  [
    'group vpn -group vpn',
    [
      { action: 'group', group: 'vpn', member: true },
      { action: 'group', group: 'vpn', member: false },
    ],
  ],
  [
    'debug link0 -link2 destroy',
    [
      { action: 'debug', enabled: true },
      { action: 'link', link: 0, enabled: true },
      { action: 'link', link: 2, enabled: false },
      { action: 'destroy' },
    ],
  ],
]
for (const [line, actions] of good) {
  test(`ifconfig gif0 ${line}`, () => {
    assert.deepEqual(readable(line), actions)
  })
}

const wrong: [line: string, code: string, message: RegExp][] = [
  ['vnetif 5', 'CONFIG_UNKNOWN_WORD', /^argument 1: unknown word: found vnetif, .*; did you mean vnetid\?$/],
  ['up tunel 1.2.3.4 1.2.3.5', 'CONFIG_UNKNOWN_WORD', /^argument 2: .*did you mean tunnel\?$/],
  ['rdomain 1', 'CONFIG_UNSUPPORTED_WORD', /^argument 1: .*rdomain.*; remove it$/],
  [
    'tunnel 192.168.1.1',
    'CONFIG_MISSING_VALUE',
    /^argument 3: tunnel: found the end, expected the remote address/,
  ],
  [
    'tunnel 192.168.1.1 bob',
    'CONFIG_BAD_VALUE',
    /^argument 3: tunnel: found bob, expected an IPv4 or IPv6 address$/,
  ],
  ['tunnel 192.168.1.1 fd00::1', 'CONFIG_BAD_VALUE', /^argument 3: .*families|^argument 3: .*family.*IPv4/],
  ['inet 192.168.1.300', 'CONFIG_BAD_VALUE', /^argument 2: no address: found 192.168.1.300/],
  [
    'inet fd00::1',
    'CONFIG_BAD_VALUE',
    /^argument 2: inet: found fd00::1, expected an IPv4 address; write inet6 fd00::1$/,
  ],
  [
    'inet 10.0.0.1/33',
    'CONFIG_BAD_VALUE',
    /^argument 2: prefix length: found 33, expected a number from 0 to 32$/,
  ],
  ['inet 10.0.0.1 netmask 255.0.255.0', 'CONFIG_BAD_VALUE', /^argument 4: netmask: found 255.0.255.0/],
  ['inet 10.0.0.1 netmask', 'CONFIG_MISSING_VALUE', /^argument 4: netmask: found the end/],
  ['alias', 'CONFIG_MISSING_VALUE', /^argument 2: alias/],
  ['alias 10.0.0.1 fd00::2', 'CONFIG_BAD_VALUE', /differ in family/],
  ['mtu 10', 'CONFIG_BAD_VALUE', /^argument 2: mtu: found 10, expected a number from 68 to 65535$/],
  ['mtu big', 'CONFIG_BAD_VALUE', /found big/],
  ['tunnelttl 256', 'CONFIG_BAD_VALUE', /expected a number from 1 to 255$/],
  ['keepalive 10', 'CONFIG_MISSING_VALUE', /expected the count; write keepalive PERIOD-IN-SECONDS COUNT$/],
  ['keepalive 0 3', 'CONFIG_BAD_VALUE', /^argument 2: keepalive period: found 0/],
  ['vnetid 4294967296', 'CONFIG_BAD_VALUE', /vnetid: found 4294967296/],
  ['lladdr fe:e1', 'CONFIG_BAD_VALUE', /lladdr: found fe:e1/],
]
for (const [line, code, message] of wrong) {
  test(`refused: ifconfig gif0 ${line}`, () => {
    assert.throws(
      () => parseIfconfigArguments(line.split(' ')),
      (error) => error instanceof WarrenError && error.code === code && message.test(error.message),
      message.source,
    )
  })
}

test('each action knows its argument', () => {
  const actions = parseIfconfigArguments('create inet 10.0.0.1 netmask 255.0.0.0 up mtu 1400'.split(' '))
  assert.deepEqual(
    actions.map(({ action, index }) => [action, index]),
    [
      ['create', 0],
      ['address', 2],
      ['up', 5],
      ['mtu', 6],
    ],
  )
})

test('whatever the words, there are actions or one WarrenError', () => {
  const word = fc.oneof(
    fc.constantFrom(...ifconfigWords, '10.0.0.1', '10.0.0.2/24', 'fd00::1/64', '255.255.0.0', '5', 'copy'),
    fc.string(),
  )
  fc.assert(
    fc.property(fc.array(word, { maxLength: 8 }), (args) => {
      try {
        assert.ok(Array.isArray(parseIfconfigArguments(args)))
      } catch (error) {
        assert.ok(error instanceof WarrenError, `${error}`)
      }
    }),
  )
})

test("OpenBSD's masks where none was said", () => {
  const of = (text: string): number => defaultPrefixLength(Ipv4Address.parse(text)!)
  assert.deepEqual(['10.0.0.1', '172.16.0.1', '192.168.1.1'].map(of), [8, 16, 24])
  const v6 = Ipv6Address.parse('fd00::1')!
  assert.equal(defaultPrefixLength(v6), 64)
  assert.equal(defaultPrefixLength(v6, v6), 128)
})
