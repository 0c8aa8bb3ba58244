import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WarrenError } from '../base/index.js'
import { interfaceOfHostnameIf, parseHostnameIf } from './hostname-if.js'
import { loadTunnels } from './load.js'

/** The ifconfig calls and commands of a file, as netstart would make them. */
const calls = (text: string, file = 'hostname.gif0'): string[] =>
  parseHostnameIf(text, file).lines.map((line) =>
    line.kind === 'command' ? `!${line.command}` : line.args.join(' '),
  )

test('the file name tells the interface', () => {
  assert.equal(interfaceOfHostnameIf('/etc/hostname.gif0'), 'gif0')
  assert.equal(interfaceOfHostnameIf('hostname.eoip12'), 'eoip12')
  for (const file of ['/etc/hosts', 'hostname.gif', 'hostname.gif0.bak', 'myhostname.gif0'])
    assert.equal(interfaceOfHostnameIf(file), undefined, file)
  assert.throws(() => parseHostnameIf('up\n', 'gif.conf'), { code: 'CONFIG_FILE_NAME' })
  assert.equal(parseHostnameIf('up\n', 'gif.conf', 'gif3').interfaceName, 'gif3')
})

const lines: [text: string, calls: string[]][] = [
  ['up', ['up']],
  ['inet 192.168.1.1/24', ['inet 192.168.1.1/24']],
  ['inet 10.0.0.1 255.255.255.0', ['inet 10.0.0.1 netmask 255.255.255.0']],
  ['inet 10.0.0.1 255.255.255.0 10.0.0.255', ['inet 10.0.0.1 netmask 255.255.255.0 broadcast 10.0.0.255']],
  ['inet 10.0.0.1 255.255.255.0 NONE mtu 1400', ['inet 10.0.0.1 netmask 255.255.255.0 mtu 1400']],
  ['inet alias 10.0.0.2 255.255.255.255', ['inet alias 10.0.0.2 netmask 255.255.255.255']],
  ['inet 10.0.0.1 netmask 255.0.0.0', ['inet 10.0.0.1 netmask 255.0.0.0']],
  ['inet6 fd00::1 64', ['inet6 fd00::1 prefixlen 64']],
  ['inet6 alias fd00::2 64', ['inet6 alias fd00::2 prefixlen 64']],
  ['inet6 fd00::1/64', ['inet6 fd00::1/64']],
  [
    'inet 172.16.0.1 255.255.255.255\ndest 172.16.0.2',
    ['inet 172.16.0.1 172.16.0.2 netmask 255.255.255.255'],
  ],
  ['inet alias 172.16.0.1\ndest 172.16.0.2', ['inet alias 172.16.0.1 172.16.0.2']],
  ['tunnel 192.168.1.1 192.168.1.2', ['tunnel 192.168.1.1 192.168.1.2']],
  ['alias 172.16.0.1 172.16.0.2', ['alias 172.16.0.1 172.16.0.2']],
  ['# a comment\n\n   # another\nup # and one behind', ['up']],
  ['description "to bob"', ['description to bob']],
  ["description 'it is'", ['description it is']],
  ['\t tunnelttl \t 64 \r', ['tunnelttl 64']],
  ['!route add 10.0.0.0/8 172.16.0.2', ['!route add 10.0.0.0/8 172.16.0.2']],
  ['! echo $if', ['!echo gif0']],
]
for (const [text, expected] of lines) {
  test(`hostname.if: ${JSON.stringify(text)}`, () => {
    assert.deepEqual(calls(text), expected)
  })
}

const wrong: [text: string, code: string, message: RegExp][] = [
  ['up\nvnetif 5\n', 'CONFIG_UNKNOWN_WORD', /^hostname\.gif0:2:1: .*did you mean vnetid\?$/],
  ['  tunnel 192.168.1.1  bob', 'CONFIG_BAD_VALUE', /^hostname\.gif0:1:23: tunnel: found bob/],
  ['tunnel 192.168.1.1', 'CONFIG_MISSING_VALUE', /^hostname\.gif0:1:19: /],
  [
    'inet 172.16.0.1 172.16.0.2',
    'CONFIG_BAD_VALUE',
    /^hostname\.gif0:1:17: netmask: .*"dest 172\.16\.0\.2" on the next/,
  ],
  ['description "to bob', 'CONFIG_SYNTAX', /^hostname\.gif0:1:13: a quote is not closed/],
  ['dest 172.16.0.2', 'CONFIG_SYNTAX', /^hostname\.gif0:1: dest: /],
  ['up\ndest 172.16.0.2', 'CONFIG_SYNTAX', /^hostname\.gif0:2: dest: /],
  ['inet 172.16.0.1\ndest', 'CONFIG_SYNTAX', /^hostname\.gif0:2: dest: /],
  ['inet', 'CONFIG_MISSING_VALUE', /^hostname\.gif0:1/],
]
for (const [text, code, message] of wrong) {
  test(`refused: ${JSON.stringify(text)}`, () => {
    assert.throws(
      () => parseHostnameIf(text, 'hostname.gif0'),
      (error) => error instanceof WarrenError && error.code === code && message.test(error.message),
      message.source,
    )
  })
}

test("the article's file", () => {
  const [tunnel] = loadTunnels(
    'tunnel 192.168.1.1 192.168.1.2\nalias 172.16.0.1 172.16.0.2\nup\n',
    '/etc/hostname.gif0',
  )
  assert.deepEqual(
    JSON.parse(JSON.stringify(tunnel, (_, value) => (value?.bytes === undefined ? value : `${value}`))),
    {
      kind: 'gif',
      name: 'gif0',
      outer: { local: '192.168.1.1', remote: '192.168.1.2' },
      mtu: 1280,
      addresses: [{ address: '172.16.0.1', prefixLength: 32, peer: '172.16.0.2' }],
      routes: [],
      up: true,
      where: '/etc/hostname.gif0',
    },
  )
})

test('all that a tunnel may say', () => {
  const [tunnel] = loadTunnels(
    `
tunnel 192.168.1.1 192.168.1.2
vnetid 42
vnetflowid
tunnelttl copy
tunneldf
keepalive 10 3
mtu 1400
description "to bob"
inet 10.0.0.1/24
inet 10.0.1.1/24
inet alias 10.0.2.1 255.255.255.0
inet6 fd00::1 64
!route add -inet 10.1.0.0/16 10.0.1.2
!route add default 10.0.1.2
down
`,
    'hostname.gre3',
  )
  assert.equal(tunnel!.key, 42)
  assert.equal(tunnel!.flowInKey, true)
  assert.equal(tunnel!.outer?.ttl, 'copy')
  assert.equal(tunnel!.outer?.dontFragment, true)
  assert.deepEqual(tunnel!.keepalive, { period: 10_000_000, count: 3 })
  assert.equal(tunnel!.mtu, 1400)
  assert.equal(tunnel!.description, 'to bob')
  assert.equal(tunnel!.up, false)
  assert.deepEqual(
    tunnel!.addresses.map(({ address, prefixLength }) => `${address}/${prefixLength}`),
    ['10.0.1.1/24', '10.0.2.1/24', 'fd00::1/64'],
    'the second inet takes the place of the first',
  )
  assert.deepEqual(
    tunnel!.routes.map(({ destination, gateway }) => `${destination} ${gateway}`),
    ['10.1.0.0/16 10.0.1.2', '0.0.0.0/0 10.0.1.2'],
  )
})

test("an eoip's vnetid is its tunnel id, 0 where none is said", () => {
  assert.equal(loadTunnels('tunnel 10.0.0.1 10.0.0.2\nvnetid 7\n', 'hostname.eoip0')[0]?.tunnelId, 7)
  assert.equal(loadTunnels('tunnel 10.0.0.1 10.0.0.2\n', 'hostname.eoip0')[0]?.tunnelId, undefined)
})

test('an address brings the interface up, as on OpenBSD; without one it says up itself', () => {
  const isUp = (text: string): boolean => loadTunnels(text, 'hostname.gif0')[0]!.up
  assert.equal(isUp('inet 10.0.0.1/24'), true)
  assert.equal(isUp('tunnel 10.0.0.1 10.0.0.2'), false)
  assert.equal(isUp('inet 10.0.0.1/24\ndown'), false)
})

const refused: [name: string, file: string, text: string, code: string, message: RegExp][] = [
  [
    'a kind of interface that is no tunnel here',
    'hostname.vio0',
    'up',
    'CONFIG_KIND',
    /found vio, expected gif, gre/,
  ],
  ['a kind nearly known', 'hostname.gri0', 'up', 'CONFIG_KIND', /did you mean (gif|gre)\?/],
  [
    'a key on a gif',
    'hostname.gif0',
    'vnetid 5',
    'CONFIG_NOT_FOR_KIND',
    /^hostname\.gif0:1: vnetid in a gif: found kind gif, expected gre; remove vnetid$/,
  ],
  [
    'a keepalive on an etherip',
    'hostname.etherip0',
    'keepalive 10 3',
    'CONFIG_NOT_FOR_KIND',
    /found kind etherip, expected gre or eoip/,
  ],
  ['a tunnel id too long', 'hostname.eoip0', 'vnetid 65536', 'CONFIG_BAD_VALUE', /0 to 65535/],
  ['vnetid any', 'hostname.gre0', 'vnetid any', 'CONFIG_BAD_VALUE', /vnetid any/],
  [
    'a key too long beside flows',
    'hostname.gre0',
    'vnetflowid\nvnetid 0x1000000',
    'CONFIG_BAD_VALUE',
    /at most 16777215/,
  ],
  [
    'an mtu too large',
    'hostname.gif0',
    'up\nmtu 9000',
    'CONFIG_BAD_VALUE',
    /^hostname\.gif0:2: mtu of a gif: found 9000/,
  ],
  [
    'an mtu too small for IPv6',
    'hostname.gre0',
    'mtu 1000\ninet6 fd00::1/64',
    'CONFIG_BAD_VALUE',
    /^hostname\.gre0:1: .*at least 1280/,
  ],
  ['an mtu too small for a gif', 'hostname.gif0', 'mtu 1279', 'CONFIG_BAD_VALUE', /1280 to 8192/],
  [
    'a TTL to copy from frames',
    'hostname.eoip0',
    'tunnel 10.0.0.1 10.0.0.2\ntunnelttl copy',
    'CONFIG_BAD_VALUE',
    /^hostname\.eoip0:2: .*frames/,
  ],
  [
    'a group as the other end',
    'hostname.gif0',
    'tunnel 10.0.0.1 224.0.0.1',
    'CONFIG_BAD_VALUE',
    /^hostname\.gif0:1: .*unicast/,
  ],
  [
    'an address twice',
    'hostname.gif0',
    'inet alias 10.0.0.1/8\ninet alias 10.0.0.1/24',
    'CONFIG_DUPLICATE',
    /^hostname\.gif0:2: .*gif0:1/,
  ],
  [
    'a shell command',
    'hostname.gif0',
    '!rm -rf /',
    'CONFIG_COMMAND',
    /^hostname\.gif0:1: .*found !rm -rf \/, expected !route add/,
  ],
  ['a route to nowhere', 'hostname.gif0', '!route add 10.0.0.0/8 bob', 'CONFIG_COMMAND', /^hostname\.gif0:1/],
  [
    'a route of two families',
    'hostname.gif0',
    '!route add 10.0.0.0/8 fd00::1',
    'CONFIG_BAD_VALUE',
    /one family/,
  ],
  [
    'a bridge member',
    'hostname.gif0',
    'add vether0',
    'CONFIG_BAD_VALUE',
    /not for a tunnel: found add vether0/,
  ],
  [
    'deleting what is not there',
    'hostname.gif0',
    'inet 10.0.0.1 delete',
    'CONFIG_BAD_VALUE',
    /no such address/,
  ],
  ['a lladdr on a gif', 'hostname.gif0', 'lladdr fe:e1:ba:00:00:01', 'CONFIG_NOT_FOR_KIND', /lladdr/],
  ['a group lladdr', 'hostname.eoip0', 'lladdr ff:ff:ff:ff:ff:ff', 'CONFIG_BAD_VALUE', /not of a group/],
]
for (const [name, file, text, code, message] of refused) {
  test(`no tunnel: ${name}`, () => {
    assert.throws(
      () => loadTunnels(text, file),
      (error) => error instanceof WarrenError && error.code === code && message.test(error.message),
      message.source,
    )
  })
}
