import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { WarrenError } from '../base/index.js'
import { checkTogether, formatOf, loadTunnels } from './load.js'
import { parseWarrenToml } from './warren-toml.js'

/** A definition with its addresses as text. */
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_, v) =>
      v?.bytes !== undefined || (v?.length !== undefined && v.address !== undefined) ? `${v}` : v,
    ),
  )

test('the whole schema', () => {
  const tunnels = parseWarrenToml(
    `
[tunnel.gif0]
local = "192.168.1.1"
remote = "192.168.1.2"
addresses = ["172.16.0.1 -> 172.16.0.2"]

[tunnel.office]
kind = "gre"
local = "fd3e::1"
remote = "fd3e::2"
key = 0xff
flow-in-key = true
flow-label = 14
ttl = "copy"
dont-fragment = true
dscp = 46
ecn = "compatibility"
mtu = 1400
addresses = ["10.0.0.1/24", "fd00::1/64"]
routes = ["10.1.0.0/16", "10.2.0.0/16 via 10.0.0.2"]
keepalive = { period = 10, count = 3 }
description = "to the office"
up = false

[tunnel.eoip0]
local = "192.168.1.1"
remote = "192.168.1.2"
tunnel-id = 7
ttl = 32
mac = "fe:e1:ba:00:00:01"
`,
    'warren.toml',
  )
  assert.deepEqual(plain(tunnels), [
    {
      kind: 'gif',
      name: 'gif0',
      outer: { local: '192.168.1.1', remote: '192.168.1.2' },
      mtu: 1280,
      addresses: [{ address: '172.16.0.1', prefixLength: 32, peer: '172.16.0.2' }],
      routes: [],
      up: true,
      where: 'warren.toml:2:9',
    },
    {
      kind: 'gre',
      name: 'office',
      outer: {
        local: 'fd3e::1',
        remote: 'fd3e::2',
        ttl: 'copy',
        dontFragment: true,
        dscp: 46,
        ecn: 'compatibility',
        flowLabel: 14,
      },
      key: 255,
      flowInKey: true,
      keepalive: { period: 10_000_000, count: 3 },
      mtu: 1400,
      addresses: [
        { address: '10.0.0.1', prefixLength: 24 },
        { address: 'fd00::1', prefixLength: 64 },
      ],
      routes: [{ destination: '10.1.0.0/16' }, { destination: '10.2.0.0/16', gateway: '10.0.0.2' }],
      description: 'to the office',
      up: false,
      where: 'warren.toml:7:9',
    },
    {
      kind: 'eoip',
      name: 'eoip0',
      outer: { local: '192.168.1.1', remote: '192.168.1.2', ttl: 32 },
      tunnelId: 7,
      mtu: 1500,
      mac: 'fe:e1:ba:00:00:01',
      addresses: [],
      routes: [],
      up: true,
      where: 'warren.toml:25:9',
    },
  ])
})

test('tables, dotted keys and inline tables are the same', () => {
  const forms = [
    '[tunnel.gif0]\nlocal = "10.0.0.1"\nremote = "10.0.0.2"\n',
    'tunnel.gif0.local = "10.0.0.1"\ntunnel.gif0.remote = "10.0.0.2"\n',
    'tunnel = { gif0 = { local = "10.0.0.1", remote = "10.0.0.2" } }\n',
    '[tunnel]\n"gif0" = { local = "10.0.0.1", remote = "10.0.0.2" }\n',
  ]
  const [first, ...others] = forms.map((text) =>
    plain(parseWarrenToml(text, 'x').map(({ where, ...rest }) => rest)),
  )
  for (const other of others) assert.deepEqual(other, first)
})

const ends = 'local = "10.0.0.1"\nremote = "10.0.0.2"\n'
const wrong: [name: string, text: string, code: string, message: RegExp][] = [
  ['no TOML', '[tunnel.gif0\n', 'CONFIG_SYNTAX', /^w\.toml:1:13: not TOML: /],
  [
    'a value missing',
    '[tunnel.gif0]\nlocal =\n',
    'CONFIG_SYNTAX',
    /^w\.toml:2:8: not TOML: .*: found local =$/,
  ],
  ['a key twice', '[tunnel.gif0]\nmtu = 1\nmtu = 2\n', 'CONFIG_SYNTAX', /^w\.toml:3:1: /],
  ['a table twice', '[tunnel.gif0]\n[tunnel.gif0]\n', 'CONFIG_SYNTAX', /^w\.toml:2:/],
  ['an array of tables', '[[tunnel]]\n', 'CONFIG_SYNTAX', /found \[\[tunnel\]\], expected \[tunnel\.NAME\]/],
  ['an unknown table', '[tunel.gif0]\n', 'CONFIG_UNKNOWN_WORD', /^w\.toml:1:2: .*did you mean tunnel\?$/],
  [
    'tunnel is no table',
    'tunnel = 5\n',
    'CONFIG_BAD_VALUE',
    /^w\.toml:1:10: tunnel: found 5, expected a table$/,
  ],
  ['a tunnel is no table', 'tunnel.gif0 = "x"\n', 'CONFIG_BAD_VALUE', /gif0: found "x", expected a table/],
  [
    'an unknown key',
    '[tunnel.gif0]\nremot = "10.0.0.2"\n',
    'CONFIG_UNKNOWN_WORD',
    /^w\.toml:2:1: .*in tunnel\.gif0: found remot, .*did you mean remote\?$/,
  ],
  [
    'a name too long',
    '[tunnel.interfacename123]\n',
    'CONFIG_BAD_VALUE',
    /^w\.toml:1:9: name of an interface/,
  ],
  ['a name with a slash', '[tunnel."a/b"]\n', 'CONFIG_BAD_VALUE', /name of an interface/],
  ['no kind', '[tunnel.office]\n', 'CONFIG_KIND', /^w\.toml:1:9: kind of tunnel: found office/],
  ['an unknown kind', '[tunnel.x]\nkind = "gree"\n', 'CONFIG_KIND', /^w\.toml:2:8: .*did you mean gre\?$/],
  [
    'one end',
    '[tunnel.gif0]\nlocal = "10.0.0.1"\n',
    'CONFIG_MISSING_VALUE',
    /^w\.toml:2:9: .*add remote = "ADDRESS"$/,
  ],
  [
    'ends of two families',
    '[tunnel.gif0]\nlocal = "10.0.0.1"\nremote = "fd00::1"\n',
    'CONFIG_BAD_VALUE',
    /^w\.toml:3:10: .*10\.0\.0\.1 and fd00::1/,
  ],
  [
    'no address',
    '[tunnel.gif0]\nlocal = "alice"\n',
    'CONFIG_BAD_VALUE',
    /^w\.toml:2:9: local: found "alice", expected an IPv4 or IPv6 address$/,
  ],
  [
    'a number for an address',
    '[tunnel.gif0]\nlocal = 10\n',
    'CONFIG_BAD_VALUE',
    /local: found 10, expected a string$/,
  ],
  [
    'a string for a number',
    `[tunnel.gif0]\n${ends}mtu = "1400"\n`,
    'CONFIG_BAD_VALUE',
    /^w\.toml:4:7: mtu: found "1400", expected a whole/,
  ],
  ['a fraction', `[tunnel.gif0]\n${ends}mtu = 1400.5\n`, 'CONFIG_BAD_VALUE', /found 1400\.5/],
  [
    'an mtu too large for the kind',
    `[tunnel.gif0]\n${ends}mtu = 9000\n`,
    'CONFIG_BAD_VALUE',
    /^w\.toml:4:7: mtu of a gif/,
  ],
  [
    'a ttl of 0',
    `[tunnel.gif0]\n${ends}ttl = 0\n`,
    'CONFIG_BAD_VALUE',
    /ttl: found 0, expected a whole number from 1 to 255/,
  ],
  [
    'a ttl of another word',
    `[tunnel.gif0]\n${ends}ttl = "inherit"\n`,
    'CONFIG_BAD_VALUE',
    /found "inherit", expected 1 to 255, or "copy"/,
  ],
  [
    'a yes',
    `[tunnel.gif0]\n${ends}up = "yes"\n`,
    'CONFIG_BAD_VALUE',
    /up: found "yes", expected true or false/,
  ],
  [
    'an ecn nearly right',
    `[tunnel.gif0]\n${ends}ecn = "norml"\n`,
    'CONFIG_BAD_VALUE',
    /did you mean normal\?$/,
  ],
  [
    'a key on a gif',
    `[tunnel.gif0]\n${ends}key = 5\n`,
    'CONFIG_NOT_FOR_KIND',
    /^w\.toml:4:7: key in a gif: found kind gif, expected gre; remove key$/,
  ],
  ['a key of 33 bits', `[tunnel.gre0]\n${ends}key = 0x100000000\n`, 'CONFIG_BAD_VALUE', /key: found/],
  [
    'addresses that are no array',
    `[tunnel.gif0]\naddresses = "10.0.0.1/8"\n`,
    'CONFIG_BAD_VALUE',
    /an array of strings/,
  ],
  [
    'an address without length',
    `[tunnel.gif0]\naddresses = ["10.0.0.1"]\n`,
    'CONFIG_BAD_VALUE',
    /^w\.toml:2:14: addresses: .*write "10\.0\.0\.1\/32"/,
  ],
  ['a length of 33', `[tunnel.gif0]\naddresses = ["10.0.0.1/33"]\n`, 'CONFIG_BAD_VALUE', /"ADDRESS\/LENGTH"/],
  ['half an arrow', `[tunnel.gif0]\naddresses = ["10.0.0.1 ->"]\n`, 'CONFIG_BAD_VALUE', /OTHER END/],
  [
    'an arrow between families',
    `[tunnel.gif0]\naddresses = ["10.0.0.1 -> fd00::1"]\n`,
    'CONFIG_BAD_VALUE',
    /one family/,
  ],
  [
    'a route with host bits',
    `[tunnel.gif0]\nroutes = ["10.0.0.1/8"]\n`,
    'CONFIG_BAD_VALUE',
    /write "10\.0\.0\.0\/8"$/,
  ],
  [
    'a route by nothing',
    `[tunnel.gif0]\nroutes = ["10.0.0.0/8 via"]\n`,
    'CONFIG_BAD_VALUE',
    /PREFIX via ADDRESS/,
  ],
  [
    'a route by another family',
    `[tunnel.gif0]\nroutes = ["10.0.0.0/8 via fd00::1"]\n`,
    'CONFIG_BAD_VALUE',
    /one family/,
  ],
  [
    'half a keepalive',
    `[tunnel.gre0]\n${ends}keepalive = { period = 10 }\n`,
    'CONFIG_MISSING_VALUE',
    /no count/,
  ],
  [
    'a keepalive with more',
    `[tunnel.gre0]\n${ends}keepalive = { periode = 10, count = 3 }\n`,
    'CONFIG_UNKNOWN_WORD',
    /^w\.toml:4:15: .*did you mean period\?/,
  ],
  [
    'a keepalive that is a number',
    `[tunnel.gre0]\n${ends}keepalive = 10\n`,
    'CONFIG_BAD_VALUE',
    /\{ period = SECONDS, count = N \}/,
  ],
  [
    'two tunnels that no packet tells apart',
    `[tunnel.gre0]\n${ends}[tunnel.gre1]\n${ends}`,
    'CONFIG_DUPLICATE',
    /^w\.toml:4:9: .*gre without key.*w\.toml:1:9.*a key of its own$/,
  ],
  ['no tunnel at all', '# nothing\n', 'CONFIG_EMPTY', /^w\.toml: /],
]
for (const [name, text, code, message] of wrong) {
  test(`refused: ${name}`, () => {
    assert.throws(
      () => loadTunnels(text, 'w.toml'),
      (error) => {
        assert.ok(error instanceof WarrenError, `${error}`)
        assert.match(error.message, message)
        assert.equal(error.code, code)
        return true
      },
    )
  })
}

test('two tunnels between the same ends, told apart by key, id or protocol, are two tunnels', () => {
  const tables = [
    '[tunnel.gif0]',
    '[tunnel.gre0]',
    '[tunnel.gre1]\nkey = 1',
    '[tunnel.eoip0]',
    '[tunnel.eoip1]\ntunnel-id = 1',
  ]
  assert.equal(loadTunnels(tables.map((table) => `${table}\n${ends}`).join(''), 'w.toml').length, 5)
})

test('the tunnels of several files are checked together', () => {
  const gif0 = loadTunnels('tunnel 10.0.0.1 10.0.0.2', 'hostname.gif0')
  const again = loadTunnels(`[tunnel.gif1]\n${ends}`, 'w.toml')
  assert.throws(() => checkTogether([...gif0, ...again]), {
    code: 'CONFIG_DUPLICATE',
    message: /^w\.toml:1:9: .*gif from 10\.0\.0\.1 to 10\.0\.0\.2, expected it once \(hostname\.gif0\)/,
  })
  assert.throws(() => checkTogether([...gif0, ...gif0]), {
    code: 'CONFIG_DUPLICATE',
    message: /the name gif0/,
  })
})

test('formats by name, or as asked', () => {
  assert.equal(formatOf('/etc/hostname.gif0'), 'hostname.if')
  assert.equal(formatOf('any.toml'), 'warren.toml')
  assert.equal(formatOf('tunnels.conf'), undefined)
  assert.throws(() => loadTunnels('', 'tunnels.conf'), { code: 'CONFIG_FILE_NAME' })
  assert.equal(loadTunnels(`[tunnel.gif0]\n${ends}`, 'tunnels.conf', 'warren.toml').length, 1)
})

test('the two formats say the same tunnel', () => {
  const fromHostname = loadTunnels(
    'tunnel 10.0.0.1 10.0.0.2\nalias 172.16.0.1 172.16.0.2\ntunnelttl 9',
    'hostname.gif0',
  )
  const fromToml = loadTunnels(
    `[tunnel.gif0]\n${ends}ttl = 9\naddresses = ["172.16.0.1 -> 172.16.0.2"]`,
    'w.toml',
  )
  const bare = (tunnels: unknown): unknown =>
    JSON.parse(JSON.stringify(plain(tunnels), (key, v) => (key === 'where' ? undefined : v)))
  assert.deepEqual(bare(fromHostname), bare(fromToml))
})

test('whatever the text, there are tunnels or one WarrenError', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '[tunnel.gif0]\n',
      ends,
      'key',
      ' = ',
      '"',
      '{',
      '[',
      ']',
      '\n',
      '.',
      'mtu = 1400\n',
      '0x',
      '#',
      '[[',
      '1e9',
      '1979-05-27',
    ),
    fc.string({ maxLength: 6 }),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
      try {
        assert.ok(loadTunnels(pieces.join(''), 'w.toml').length > 0)
      } catch (error) {
        assert.ok(error instanceof WarrenError, `${(error as Error).stack}`)
      }
    }),
    { numRuns: 500 },
  )
})
