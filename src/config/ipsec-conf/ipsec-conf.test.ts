import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WarrenError } from '../../base/index.js'
import { encryptionAlgorithm, macAlgorithm } from '../../crypto/names.js'
import {
  checkSecretMode,
  type IpsecConf,
  type IpsecConfOptions,
  loadIpsecConf,
  parseIpsecConf,
} from './index.js'
import { ENCRYPTIONS, INTEGRITIES } from './transforms.js'

const hex = (bytes: number, first = 7): string =>
  Array.from({ length: bytes }, (_, i) => ((first + i * i * 3) & 255).toString(16).padStart(2, '0')).join('')
const A32 = `0x${hex(32)}:0x${hex(32, 9)}`
const E16 = `0x${hex(16, 3)}:0x${hex(16, 5)}`
const KEYS = `auth hmac-sha2-256 enc aes-128 authkey ${A32} enckey ${E16}`
const SA = `esp from 192.168.1.1 to 192.168.1.2 spi 0x1000:0x1001 ${KEYS}`

const parse = (text: string, options: IpsecConfOptions = {}): IpsecConf =>
  parseIpsecConf(text, 'ipsec.conf', options)

/** Flows and SAs as short lines. */
function lines(conf: IpsecConf): string[] {
  return conf.rules.map((rule) => {
    if (rule.kind === 'macro') return `${rule.name}=${rule.value}`
    if (rule.kind === 'sa') {
      const { protocol, mode, source, destination, spi, encryption, authentication, udpPort } = rule.sa
      const bits = (key?: Uint8Array): string => (key === undefined ? '-' : `${8 * key.length}`)
      return `${protocol} ${mode} ${source}>${destination} ${spi.toString(16)} ${encryption?.id ?? '-'}/${bits(encryption?.key)} ${authentication?.id ?? '-'}/${bits(authentication?.key)}${udpPort === undefined ? '' : ` udp ${udpPort}`}`
    }
    const { policy, type } = rule.flow
    const { source, destination, protocol, sourcePorts, destinationPorts, icmpType } = policy.selector
    const ports = (range?: { first: number; last: number }): string =>
      range === undefined ? '' : `:${range.first}-${range.last}`
    return [
      `${policy.protocol} ${policy.direction} ${type}/${policy.action}`,
      `${source}${ports(sourcePorts)}>${destination}${ports(destinationPorts)}`,
      ...(protocol === undefined ? [] : [`proto ${protocol}`]),
      ...(icmpType === undefined ? [] : [`type ${icmpType}`]),
      ...(policy.local === undefined ? [] : [`local ${policy.local}`]),
      ...(policy.peer === undefined ? [] : [`peer ${policy.peer}`]),
    ].join(' ')
  })
}

const good: readonly (readonly [string, string, readonly string[]])[] = [
  ['nothing but comments', '# one\n\n  # two', []],
  [
    'an SA is two where SPIs and keys are',
    SA,
    [
      'esp tunnel 192.168.1.1>192.168.1.2 1000 ENCR_AES_CBC/128 AUTH_HMAC_SHA2_256_128/256',
      'esp tunnel 192.168.1.2>192.168.1.1 1001 ENCR_AES_CBC/128 AUTH_HMAC_SHA2_256_128/256',
    ],
  ],
  [
    'one SPI is one direction; to may stand first; esp, tunnel and algorithms are what is meant without a word',
    `to fd00::2 from fd00::1 spi 4096 authkey ${hex(32)} enckey ${hex(24)}`,
    ['esp tunnel fd00::1>fd00::2 1000 ENCR_AES_CBC/192 AUTH_HMAC_SHA2_256_128/256'],
  ],
  [
    'transport, AH',
    `ah transport from 10.0.0.1 to 10.0.0.2 spi 0xffffffff auth hmac-sha1 authkey 0x${hex(20)}`,
    ['ah transport 10.0.0.1>10.0.0.2 ffffffff -/- AUTH_HMAC_SHA1_96/160'],
  ],
  [
    'ipip has no keys',
    'ipip from 10.0.0.1 to 10.0.0.2 spi 0x1000',
    ['ipip tunnel 10.0.0.1>10.0.0.2 1000 -/- -/-'],
  ],
  [
    'counter modes have their salt in the key; in UDP',
    `esp from 10.0.0.1 to 10.0.0.2 spi 0x1000 udpencap enc aes-256-gcm enckey 0x${hex(36)}`,
    ['esp tunnel 10.0.0.1>10.0.0.2 1000 ENCR_AES_GCM_16/288 -/- udp 4500'],
  ],
  [
    'another port of UDP',
    `esp from 10.0.0.1 to 10.0.0.2 spi 0x1000 udpencap port 4501 enc chacha20-poly1305 enckey ${hex(36)}`,
    ['esp tunnel 10.0.0.1>10.0.0.2 1000 ENCR_CHACHA20_POLY1305/288 -/- udp 4501'],
  ],
  [
    'null encryption, no integrity by name',
    `esp from 10.0.0.1 to 10.0.0.2 spi 0x1000 enc null authkey ${hex(32)}\nesp from 10.0.0.1 to 10.0.0.2 spi 0x1001 auth none enckey ${hex(16)}`,
    [
      'esp tunnel 10.0.0.1>10.0.0.2 1000 ENCR_NULL/0 AUTH_HMAC_SHA2_256_128/256',
      'esp tunnel 10.0.0.1>10.0.0.2 1001 ENCR_AES_CBC/128 -/-',
    ],
  ],
  [
    'a flow is two; the peer is the far end where it is a host',
    'flow from 10.0.0.1 to 10.0.0.2',
    [
      'esp out require/require 10.0.0.1/32>10.0.0.2/32 peer 10.0.0.2',
      'esp in require/require 10.0.0.2/32>10.0.0.1/32 peer 10.0.0.2',
    ],
  ],
  [
    'one direction, protocol, ports, local, peer, type',
    'flow ah in proto tcp from 10.1.0.0/16 port ssh to 10.2.0.0/16 port 1024:2048 local 1.1.1.1 peer 2.2.2.2 type dontacq',
    ['ah in dontacq/use 10.1.0.0/16:22-22>10.2.0.0/16:1024-2048 proto 6 local 1.1.1.1 peer 2.2.2.2'],
  ],
  [
    'deny needs no peer; any is both families',
    'flow out from any to any type deny',
    ['esp out deny/deny 0.0.0.0/0>0.0.0.0/0', 'esp out deny/deny ::/0>::/0'],
  ],
  [
    'a peer of any',
    'flow esp out from 10.0.0.0/8 to 11.0.0.0/8 peer any srcid a@b dstid "c d" type acquire',
    ['esp out acquire/use 10.0.0.0/8>11.0.0.0/8'],
  ],
  [
    'lists, with and without commas, nested; families do not mix',
    'flow out from { 10.0.0.1, fd00::1 } to { 10.1.0.0/16 { 10.2.0.0/16 }, fd01::/64 } peer any',
    [
      'esp out require/require 10.0.0.1/32>10.1.0.0/16',
      'esp out require/require 10.0.0.1/32>10.2.0.0/16',
      'esp out require/require fd00::1/128>fd01::/64',
    ],
  ],
  [
    'macros, quoted and not; a line goes on',
    'net="10.1.0.0/16, 10.2.0.0/16"\ngw = 192.168.1.2\nflow out from \\\n  10.0.0.1 to { $net } \\\n\tpeer $gw',
    [
      'net=10.1.0.0/16 , 10.2.0.0/16',
      'gw=192.168.1.2',
      'esp out require/require 10.0.0.1/32>10.1.0.0/16 peer 192.168.1.2',
      'esp out require/require 10.0.0.1/32>10.2.0.0/16 peer 192.168.1.2',
    ],
  ],
  [
    'ICMP types',
    'flow out proto icmp from 10.0.0.1 to 10.0.0.2 icmp-type 8 code 0 type bypass',
    ['esp out bypass/bypass 10.0.0.1/32>10.0.0.2/32 proto 1 type 8'],
  ],
  [
    'ipip flows are use',
    'flow ipip out from 10.0.0.1 to 10.0.0.2',
    ['ipip out use/use 10.0.0.1/32>10.0.0.2/32 peer 10.0.0.2'],
  ],
]
for (const [what, text, expected] of good)
  test(`read: ${what}`, () => assert.deepEqual(lines(parse(text)), expected))

const bad: readonly (readonly [string, string, string, RegExp])[] = [
  [
    'a word that is none',
    'flwo from 10.0.0.1 to 10.0.0.2',
    'CONFIG_SYNTAX',
    /^ipsec\.conf:1:1: .*"flwo".*did you mean flow\?/,
  ],
  ['a rest', 'flow from 10.0.0.1 to 10.0.0.2 }', 'CONFIG_SYNTAX', /^ipsec\.conf:1:32: /],
  [
    'no to',
    '\nflow from 10.0.0.1\n',
    'CONFIG_SYNTAX',
    /^ipsec\.conf:2:19: .*the end of the line.*expected to/,
  ],
  ['from twice', 'flow from 10.0.0.1 from 10.0.0.2', 'CONFIG_SYNTAX', /:1:20: .*expected to/],
  [
    'a host name',
    'flow from 10.0.0.1 to bob.example.org',
    'CONFIG_HOST_NAME',
    /:1:23: .*look the address of bob\.example\.org up/,
  ],
  [
    'an address that is none',
    'flow from 10.0.0.256 to 10.0.0.2',
    'CONFIG_BAD_VALUE',
    /"10\.0\.0\.256".*ADDRESS/,
  ],
  ['host bits', 'flow from 10.0.0.1/24 to 10.0.0.2', 'CONFIG_BAD_VALUE', /write 10\.0\.0\.0\/24/],
  ['two families', 'flow from 10.0.0.1 to fd00::1', 'CONFIG_BAD_VALUE', /families do not match/],
  [
    'local and peer',
    'flow from 10.0.0.1 to 10.0.0.2 local fd00::1 peer 10.0.0.2',
    'CONFIG_BAD_VALUE',
    /local and peer differ/,
  ],
  [
    'no peer of a network',
    'flow from 10.0.0.0/24 to 10.1.0.0/24',
    'CONFIG_MISSING_VALUE',
    /no peer specified for destination 10\.1\.0\.0\/24/,
  ],
  [
    'ports without a protocol',
    'flow from 10.0.0.1 port 80 to 10.0.0.2',
    'CONFIG_SYNTAX',
    /no protocol supplied/,
  ],
  [
    'ports of icmp',
    'flow proto icmp from 10.0.0.1 port 80 to 10.0.0.2',
    'CONFIG_SYNTAX',
    /no protocol supplied/,
  ],
  ['a protocol', 'flow proto tpc from 10.0.0.1 to 10.0.0.2', 'CONFIG_BAD_VALUE', /did you mean tcp\?/],
  [
    'a port',
    'flow proto tcp from 10.0.0.1 port 65536 to 10.0.0.2',
    'CONFIG_BAD_VALUE',
    /unknown port: 65536/,
  ],
  [
    'ports the wrong way round',
    'flow proto tcp from 10.0.0.1 port 9:8 to 10.0.0.2',
    'CONFIG_BAD_VALUE',
    /FIRST:LAST/,
  ],
  ['a type', 'flow from 10.0.0.1 to 10.0.0.2 type requre', 'CONFIG_BAD_VALUE', /did you mean require\?/],
  [
    'keys in a flow',
    'flow from 10.0.0.1 to 10.0.0.2 spi 0x1000',
    'CONFIG_SYNTAX',
    /esp or ah rule of their own/,
  ],
  [
    'a peer in an SA',
    'esp from 10.0.0.1 to 10.0.0.2 peer 10.0.0.2',
    'CONFIG_SYNTAX',
    /from and to of an SA are its ends/,
  ],
  [
    'an SA between networks',
    `esp from 10.0.0.0/24 to 10.0.0.2 spi 0x1000 ${KEYS}`,
    'CONFIG_BAD_VALUE',
    /the gateways/,
  ],
  ['an open list', 'flow from { 10.0.0.1\n } to 10.0.0.2', 'CONFIG_SYNTAX', /:1:21: .*backslash/],
  ['an empty list', 'flow from { } to 10.0.0.2', 'CONFIG_SYNTAX', /empty/],
  ['an open quote', 'net = "10.0.0.1\n', 'CONFIG_SYNTAX', /^ipsec\.conf:1:7: a quote is not closed/],
  [
    'a macro that is none',
    'flow from $net to 10.0.0.2',
    'CONFIG_UNKNOWN_MACRO',
    /:1:11: macro 'net' not defined/,
  ],
  ['a macro of itself', 'a = $a\n', 'CONFIG_UNKNOWN_MACRO', /macro 'a'/],
  ['a macro without a value', 'a =\n', 'CONFIG_SYNTAX', /the macro a is empty/],
  ['NAT', 'flow from 10.0.0.1 (10.0.0.9) to 10.0.0.2', 'CONFIG_UNSUPPORTED', /NAT/],
  ['ipcomp', 'ipcomp from 10.0.0.1 to 10.0.0.2 spi 0x1000', 'CONFIG_UNSUPPORTED', /ipcomp is not offered/],
  ['tcpmd5', 'tcpmd5 from 10.0.0.1 to 10.0.0.2 spi 0x1000', 'CONFIG_UNSUPPORTED', /tcpmd5/],
  [
    'ike',
    'ike esp from 10.0.0.0/24 to 10.1.0.0/24 peer 1.2.3.4',
    'CONFIG_NOT_YET',
    /:1:1: ike rules are not played yet/,
  ],
  ['no SPI', `esp from 10.0.0.1 to 10.0.0.2 ${KEYS}`, 'CONFIG_MISSING_VALUE', /no SPI specified/],
  [
    'no SPI back',
    `esp from 10.0.0.1 to 10.0.0.2 spi 0x1000 ${KEYS}`,
    'CONFIG_MISSING_VALUE',
    /no SPI specified for the way back/,
  ],
  [
    'no key back',
    `esp from 10.0.0.1 to 10.0.0.2 spi 0x1000:0x1001 authkey ${A32} enckey ${hex(16)}`,
    'CONFIG_MISSING_VALUE',
    /no encryption key specified from 10\.0\.0\.2 to 10\.0\.0\.1/,
  ],
  [
    'a reserved SPI',
    'esp from 10.0.0.1 to 10.0.0.2 spi 255',
    'CONFIG_BAD_VALUE',
    /255 within reserved spi range/,
  ],
  [
    'an SPI of 33 bits',
    'esp from 10.0.0.1 to 10.0.0.2 spi 0x100000000',
    'CONFIG_BAD_VALUE',
    /not a valid spi/,
  ],
  ['an SPI twice', `${SA}\n${SA}`, 'CONFIG_DUPLICATE', /^ipsec\.conf:2:1: .*0x00001000.*ipsec\.conf:1:1/],
  [
    'a short enckey',
    SA.replace(E16, hex(12)),
    'CONFIG_KEY_LENGTH',
    /enckey of aes-128 has the wrong length: found 96 bits, expected 128 bits/,
  ],
  [
    'a long enckey: what it would do for',
    SA.replace(E16, hex(32)),
    'CONFIG_KEY_LENGTH',
    /found 256 bits, expected 128 bits; a key of this length is for enc aes-256/,
  ],
  [
    'a short authkey',
    SA.replace(A32, hex(20)),
    'CONFIG_KEY_LENGTH',
    /authkey of hmac-sha2-256 .*found 160 bits, expected 256 bits/,
  ],
  [
    'a GCM key without salt',
    `esp from 10.0.0.1 to 10.0.0.2 spi 0x1000 enc aes-256-gcm enckey ${hex(32)}`,
    'CONFIG_KEY_LENGTH',
    /found 256 bits, expected 288 bits, the salt/,
  ],
  ['digits', SA.replace(A32, '0xabc'), 'CONFIG_KEY', /odd number of digits/],
  ['letters', SA.replace(A32, '0xzz'), 'CONFIG_KEY', /no hexadecimal digits/],
  [
    'auth beside GCM',
    `esp from 10.0.0.1 to 10.0.0.2 spi 0x1000 auth hmac-sha1 enc aes-128-gcm enckey ${hex(20)}`,
    'CONFIG_BAD_VALUE',
    /authentication is implicit for aes-128-gcm/,
  ],
  [
    'AH encrypts',
    `ah from 10.0.0.1 to 10.0.0.2 spi 0x1000 enc aes authkey ${hex(32)}`,
    'CONFIG_BAD_VALUE',
    /ah does not provide encryption/,
  ],
  [
    'AH without',
    'ah from 10.0.0.1 to 10.0.0.2 spi 0x1000 auth none',
    'CONFIG_BAD_VALUE',
    /ah without authentication/,
  ],
  [
    'neither',
    'esp from 10.0.0.1 to 10.0.0.2 spi 0x1000 enc null auth none',
    'CONFIG_BAD_VALUE',
    /without authentication/,
  ],
  [
    'CTR alone',
    `esp from 10.0.0.1 to 10.0.0.2 spi 0x1000 enc aesctr auth none enckey ${hex(20)}`,
    'CONFIG_BAD_VALUE',
    /without authentication/,
  ],
  [
    'AH in UDP',
    `ah from 10.0.0.1 to 10.0.0.2 spi 0x1000 udpencap authkey ${hex(32)}`,
    'CONFIG_BAD_VALUE',
    /udpencap/,
  ],
  ['md5', SA.replace('hmac-sha2-256', 'hmac-md5'), 'CONFIG_UNSUPPORTED', /use auth hmac-sha2-256/],
  [
    'a cipher',
    SA.replace('aes-128', 'aes128'),
    'CONFIG_BAD_VALUE',
    /aes128 not a valid transform.*did you mean aes-128\?/,
  ],
  ['enc twice', `${SA} enc aes`, 'CONFIG_SYNTAX', /enc already set/],
  ['an include of itself without a reader', 'include "x"', 'CONFIG_UNSUPPORTED', /nothing can be included/],
  ['too many', `flow from { ${'10.0.0.1 '.repeat(5000)} } to 10.0.0.2`, 'CONFIG_LIMIT', /too long/],
]
for (const [what, text, code, message] of bad)
  test(`refused: ${what}`, () =>
    assert.throws(
      () => parse(text),
      (error) => {
        assert.ok(error instanceof WarrenError, String(error))
        assert.equal(error.code, code, error.message)
        assert.match(error.message, message)
        return true
      },
    ))

test('no error and no warning has a key in it', () => {
  const secret = 'c0ffee'.repeat(6)
  for (const text of [
    SA.replace(A32, `0x${secret}`),
    SA.replace(E16, `0x${secret}zz`),
    `${SA} 0x${secret}`,
    `esp from 10.0.0.1 to 10.0.0.2 spi 0x1000 authkey 0x${secret}:0x${secret}:0x${secret}`,
  ])
    try {
      parse(text)
      assert.fail('read')
    } catch (error) {
      assert.ok(error instanceof WarrenError)
      assert.doesNotMatch(error.message, /c0ffee/)
      assert.doesNotMatch(JSON.stringify(error.details), /c0ffee/)
    }
  const { warnings } = parse(SA.replaceAll(/0x[0-9a-f]{64}/g, `0x${'c0ffee00'.repeat(8)}`))
  assert.ok(warnings.length > 0)
  assert.doesNotMatch(warnings.join(), /c0ffee/)
})

test('what is allowed and not wise is said once a rule, with its place', () => {
  const warned = (text: string): string[] => [...parse(text).warnings]
  assert.deepEqual(warned(SA), [])
  assert.match(
    warned(`\n${SA.replace('enc aes-128', 'enc null').replace(/ enckey \S+/, '')}`).join(),
    /^ipsec\.conf:2:1: warning: enc null: it does not encrypt/,
  )
  assert.match(
    warned(
      `esp from 10.0.0.1 to 10.0.0.2 spi 0x1000 enc 3des-cbc authkey ${hex(32)} enckey ${hex(24)}`,
    ).join(),
    /64 bits/,
  )
  assert.match(
    warned(`esp from 10.0.0.1 to 10.0.0.2 spi 0x1000 enc aes-128-gcm enckey ${hex(20)}`).join(),
    /OpenBSD refuses this/,
  )
  assert.match(
    warned(`esp from 10.0.0.1 to 10.0.0.2 spi 0x1000 auth none enckey ${hex(16)}`).join(),
    /CVE-2005-0039/,
  )
  for (const key of [
    '00'.repeat(32),
    'ab'.repeat(32),
    Array.from({ length: 32 }, (_, i) => i.toString(16).padStart(2, '0')).join(''),
    'deadbeef'.repeat(8),
  ])
    assert.match(warned(SA.replace(A32, `0x${key}:0x${hex(32)}`)).join(), /authkey follows a pattern/)
  assert.match(warned(SA.replace(A32, `${hex(32)}:${hex(32)}`)).join(), /the same in both directions/)
  assert.equal(warned('ipip from 10.0.0.1 to 10.0.0.2 spi 0x1000:0x1001').length, 1)
})

test("counter modes with static keys are refused where they are OpenBSD's", () => {
  assert.throws(
    () =>
      parse(`esp from 10.0.0.1 to 10.0.0.2 spi 0x1000 enc aes-128-gcm enckey ${hex(20)}`, {
        staticCounters: 'refuse',
      }),
    /aes-128-gcm is disallowed with static keys/,
  )
})

test('algorithms are those of the registry, with the same key lengths', () => {
  for (const { id, keyLengths } of ENCRYPTIONS.values()) {
    const { keyLengths: known, saltLength } = encryptionAlgorithm(id)
    for (const length of keyLengths) assert.ok(known.includes(length - saltLength), `${id} ${length}`)
  }
  for (const { id, keyLengths } of INTEGRITIES.values())
    assert.deepEqual(keyLengths, macAlgorithm(id).keyLengths)
})

test('a file with secrets must not be readable by others', () => {
  for (const mode of [0o600, 0o400, 0o640, 0o100600]) checkSecretMode('f', mode)
  for (const mode of [0o644, 0o604, 0o620, 0o660, 0o610, 0o602, 0o100644])
    assert.throws(
      () => checkSecretMode('f', mode),
      /^WarrenError: f: group\/world readable\/writeable: .*chmod 600 f/,
    )
  assert.throws(() => checkSecretMode('f', 0o644, 'g:1'), /^WarrenError: g:1: f: group\/world/)
  assert.throws(() => parse(SA, { mode: 0o644 }), { code: 'CONFIG_PERMISSIONS' })
  assert.equal(parse(SA, { mode: 0o600 }).sas.length, 2)
})

const files: Record<string, { text: string; mode: number }> = {
  '/etc/auth.out': { text: `0x${hex(32)}\n`, mode: 0o600 },
  '/etc/auth.in': { text: hex(32, 9), mode: 0o600 },
  '/etc/open': { text: hex(16), mode: 0o644 },
  '/etc/long': { text: '00'.repeat(600), mode: 0o600 },
  '/etc/more.conf': { text: 'flow out from $me to 10.0.0.2', mode: 0o644 },
  '/etc/bad.conf': { text: '\nflow nonsense', mode: 0o644 },
  '/etc/loop.conf': { text: 'include "/etc/loop.conf"', mode: 0o644 },
}
const read = async (name: string): Promise<{ text: string; mode: number }> => {
  const found = files[name]
  if (found === undefined) throw new Error('No such file or directory')
  return found
}
const withKeys = (auth: string): string =>
  `esp from 10.0.0.1 to 10.0.0.2 spi 0x1000:0x1001 authkey file ${auth} enckey ${E16}`

test('key files, and files within files', async () => {
  for (const names of [
    '"/etc/auth.out:/etc/auth.in"',
    '"/etc/auth.out":"/etc/auth.in"',
    '/etc/auth.out:/etc/auth.in',
  ]) {
    const { sas } = await loadIpsecConf(withKeys(names), 'f', read)
    assert.deepEqual(
      sas.map(({ authentication }) => Buffer.from(authentication!.key).toString('hex')),
      [hex(32), hex(32, 9)],
    )
  }
  assert.deepEqual(
    lines(
      await loadIpsecConf('me=10.0.0.1\ninclude "/etc/more.conf"\nflow out from $me to 10.0.0.3', 'f', read),
    ),
    [
      'me=10.0.0.1',
      'esp out require/require 10.0.0.1/32>10.0.0.2/32 peer 10.0.0.2',
      'esp out require/require 10.0.0.1/32>10.0.0.3/32 peer 10.0.0.3',
    ],
  )
  await assert.rejects(
    loadIpsecConf(withKeys('"/etc/open"'), 'f', read),
    /f:1:\d+: \/etc\/open: group\/world readable/,
  )
  await assert.rejects(loadIpsecConf(withKeys('"/etc/long"'), 'f', read), { code: 'CONFIG_KEY' })
  await assert.rejects(
    loadIpsecConf(withKeys('"/etc/none"'), 'f', read),
    /f:1:\d+: cannot read \/etc\/none: found No such file/,
  )
  await assert.rejects(
    loadIpsecConf('include "/etc/bad.conf"', 'f', read),
    /^WarrenError: \/etc\/bad\.conf:2:6: /,
  )
  await assert.rejects(loadIpsecConf('include "/etc/loop.conf"', 'f', read), /too many includes/)
})

test('macros of the caller win over those of the file', () => {
  const conf = parse('gw=1.1.1.1\nflow out from 10.0.0.1 to 10.1.0.0/16 peer $gw', {
    macros: new Map([['gw', '2.2.2.2']]),
  })
  assert.equal(String(conf.flows[0]?.policy.peer), '2.2.2.2')
})

test('whatever bytes a file has, it is read or refused, never more', () => {
  const words = [
    'flow',
    'esp',
    'from',
    'to',
    '{',
    '}',
    ',',
    '=',
    '"',
    "'",
    '\\\n',
    '\n',
    '$a',
    'a',
    '10.0.0.1',
    'any',
    'spi',
    '0x1000:',
    ':',
    'file',
    'peer',
    '#',
    'include',
    '(',
    '\0',
    'é',
  ]
  let state = 12345
  const next = (below: number): number => {
    state = (state * 1103515245 + 12345) & 0x7fffffff
    return (state >> 8) % below
  }
  for (let run = 0; run < 3000; run++) {
    const text = Array.from({ length: next(14) }, () => words[next(words.length)]).join(
      next(2) === 0 ? ' ' : '',
    )
    try {
      parse(text)
    } catch (error) {
      assert.ok(error instanceof WarrenError, `${JSON.stringify(text)}: ${error}`)
      assert.match(error.details.where ?? '', /^ipsec\.conf:\d+:\d+$/)
    }
  }
})
