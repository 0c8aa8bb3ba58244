import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WarrenError } from '../../base/index.js'
import {
  DEFAULT_OPTIONS,
  describePolicy,
  type IkedConf,
  type IkedConfOptions,
  type IkedPolicy,
  loadIkedConf,
  parseIkedConf,
} from './index.js'

const parse = (text: string, options: IkedConfOptions = {}): IkedConf =>
  parseIkedConf(text, 'iked.conf', options)
const only = (text: string): IkedPolicy => {
  const { policies } = parse(text)
  assert.equal(policies.length, 1)
  return policies[0]!
}
/** A policy without its proposals and what else is the same in all. */
const short = (policy: IkedPolicy): string =>
  describePolicy(policy, true)
    .replace(/ (?:ikesa|childsa) .*?(?= (?:srcid|dstid|ikelifetime|lifetime) )/, '')
    .replace(' lifetime 10800 bytes 4294967296', '')
    .replace(/ signature(?= |$)/, '')
const proposals = (policy: IkedPolicy): string =>
  / (ikesa .*?)(?: srcid| dstid| ikelifetime| lifetime) /.exec(describePolicy(policy))![1]!

const A = 'from 192.0.2.1 to 192.0.2.2'
const ENDS = 'local 192.0.2.1 peer 192.0.2.2'

/** What stands behind `ikev2`, and the policy as iked would print it, without its proposals. */
const productions: readonly (readonly [name: string, text: string, printed: string])[] = [
  ['two hosts alone', A, `"policy1" passive tunnel esp inet ${A} ${ENDS}`],
  ['a name', `"big test" esp ${A}`, `"big test" passive tunnel esp inet ${A} ${ENDS}`],
  ['a name without quotes', `office esp ${A}`, `"office" passive tunnel esp inet ${A} ${ENDS}`],
  [
    'every flag',
    `"q" quick active transport ah inet ${A}`,
    `"q" quick active transport ah inet ${A} ${ENDS}`,
  ],
  ['skip passive tunnel', `skip passive tunnel ${A}`, `"policy1" skip passive tunnel esp inet ${A} ${ENDS}`],
  ['default ipcomp', `default ipcomp ${A}`, `"policy1" default passive ipcomp tunnel esp inet ${A} ${ENDS}`],
  [
    'inet6 alone restricts the ends',
    'inet6 from any to any peer any',
    '"policy1" passive tunnel esp inet6 from 0.0.0.0/0 to 0.0.0.0/0 from ::/0 to ::/0 local any peer any',
  ],
  ['a protocol by name', `proto gre ${A}`, `"policy1" passive tunnel esp inet proto { gre } ${A} ${ENDS}`],
  [
    'protocols with commas, blanks and numbers, each once',
    `proto { tcp, udp 47, tcp } ${A}`,
    `"policy1" passive tunnel esp inet proto { tcp, udp, gre } ${A} ${ENDS}`,
  ],
  ['rdomain', `rdomain 7 ${A}`, `"policy1" passive tunnel esp inet rdomain 7 ${A} ${ENDS}`],
  [
    'several flows, with a comma and without, one the other way round',
    'from 10.0.0.0/8 to 10.1.0.0/16, from fd00::/64 to fd01::/64 to 10.2.0.0/16 from 10.3.0.1 local 192.0.2.1',
    '"policy1" passive tunnel esp inet from 10.0.0.0/8 to 10.1.0.0/16 from fd00::/64 to fd01::/64 from 10.3.0.1 to 10.2.0.0/16 local 192.0.2.1 peer any',
  ],
  [
    'ports by number and name',
    'proto tcp from 10.0.0.0/8 port 23 to 20.0.0.0/8 port https peer 192.0.2.2',
    '"policy1" passive tunnel esp inet proto { tcp } from 10.0.0.0/8 port 23 to 20.0.0.0/8 port 443 local any peer 192.0.2.2',
  ],
  [
    'any takes the family of the other side',
    'from any to fd00::/8 peer fd00::1',
    '"policy1" passive tunnel esp inet6 from ::/0 to fd00::/8 local any peer fd00::1',
  ],
  [
    'dynamic is 0.0.0.0, as iked prints it',
    'from dynamic to 172.16.2.0/24 peer 10.0.0.0/8 local 192.168.56.0/24',
    '"policy1" passive tunnel esp inet from 0.0.0.0 to 172.16.2.0/24 local 192.168.56.0/24 peer 10.0.0.0/8',
  ],
  [
    'flow NAT, where the grammar has it and where the page has it',
    'proto udp from 10.10.10.1 (192.168.1.0/24) port 53 to 192.168.2.0/24 from 10.10.10.2 port 53 (192.168.3.0/24) to 192.168.2.0/24 peer 10.10.20.1',
    '"policy1" passive tunnel esp inet proto { udp } from 10.10.10.1 port 53 (192.168.1.0/24) to 192.168.2.0/24 from 10.10.10.2 port 53 (192.168.3.0/24) to 192.168.2.0/24 local any peer 10.10.20.1',
  ],
  [
    'peer before local; an interface as an end',
    'active from em1 to 10.1.0.0/16 peer 192.0.2.2 local egress',
    '"policy1" active tunnel esp inet from em1 to 10.1.0.0/16 local egress peer 192.0.2.2',
  ],
  [
    'networks at the ends come from the flow',
    'from 10.0.0.0/24 to 10.1.0.0/24',
    '"policy1" passive tunnel esp inet from 10.0.0.0/24 to 10.1.0.0/24 local 10.0.0.0/24 peer 10.1.0.0/24',
  ],
  [
    'identities, in either order',
    `${A} dstid "/C=DE/CN=10.0.0.1/emailAddress=user@example.com" srcid user@example.com`,
    `"policy1" passive tunnel esp inet ${A} ${ENDS} srcid user@example.com dstid "/C=DE/CN=10.0.0.1/emailAddress=user@example.com"`,
  ],
  [
    'lifetimes with units, ignoring case',
    `${A} ikelifetime 4H lifetime 90m bytes 512m`,
    `"policy1" passive tunnel esp inet ${A} ${ENDS} ikelifetime 14400 lifetime 5400 bytes 536870912`,
  ],
  [
    'a lifetime in seconds alone keeps the bytes',
    `${A} lifetime 0`,
    `"policy1" passive tunnel esp inet ${A} ${ENDS} lifetime 0 bytes 4294967296`,
  ],
  ['psk', `${A} psk "ab\\"c d"`, `"policy1" passive tunnel esp inet ${A} ${ENDS} psk 0x616222632064`],
  [
    'ppk',
    `${A} psk 0x00ff10 ppk "a b" 0x01 ppk optional "c" "d"`,
    `"policy1" passive tunnel esp inet ${A} ${ENDS} psk 0x00ff10 ppk "a b" 0x01 ppk optional "c" 0x64`,
  ],
  [
    'ppk beside a signature',
    `${A} ppk "${'n'.repeat(255)}" 0x01`,
    `"policy1" passive tunnel esp inet ${A} ${ENDS} ppk "${'n'.repeat(255)}" 0x01`,
  ],
  ['psk in hex', `${A} psk 0x00ff10`, `"policy1" passive tunnel esp inet ${A} ${ENDS} psk 0x00ff10`],
  ['psk as a word', `${A} psk foobar`, `"policy1" passive tunnel esp inet ${A} ${ENDS} psk 0x666f6f626172`],
  ...['rsa', 'ecdsa256', 'ecdsa384', 'ecdsa521', 'rfc7427'].map(
    (method): readonly [string, string, string] => [
      method,
      `${A} ${method}`,
      `"policy1" passive tunnel esp inet ${A} ${ENDS} ${method}`,
    ],
  ),
  ['eap', `${A} eap "MSCHAP-v2"`, `"policy1" passive tunnel esp inet ${A} ${ENDS} eap "MSCHAP_V2"`],
  [
    'configuration',
    `${A} config address 172.16.2.9/24 config netmask 255.255.255.0 config name-server fd00::53 config protected-subnet 10.0.0.0/8 request address any request dhcp-server 10.0.0.1 request netbios-server any request access-server any`,
    `"policy1" passive tunnel esp inet ${A} ${ENDS} config address 172.16.2.9/24 config netmask 255.255.255.0 config name-server fd00::53 config protected-subnet 10.0.0.0/8 request address any request dhcp-server 10.0.0.1 request netbios-server any request access-server any`,
  ],
  [
    'iface, tag and tap',
    `${A} iface lo1 tap "enc2" tag "ipsec-$domain"`,
    `"policy1" passive tunnel esp inet ${A} ${ENDS} iface lo1 tag "ipsec-$domain" tap "enc2"`,
  ],
  [
    'a host with all bits of its length is one host',
    'active from any to any local 192.0.2.1/32 peer 192.0.2.2',
    '"policy1" active tunnel esp inet from 0.0.0.0/0 to 0.0.0.0/0 from ::/0 to ::/0 local 192.0.2.1 peer 192.0.2.2',
  ],
]

for (const [name, text, printed] of productions)
  test(`ikev2: ${name}`, () => assert.equal(short(only(`ikev2 ${text}`)), `ikev2 ${printed}`))

const HASHES = 'hmac-sha2-256 hmac-sha2-384 hmac-sha2-512 hmac-sha1'
const listed = (kind: string, names: string): string =>
  names
    .split(' ')
    .map((name) => ` ${kind} ${name}`)
    .join('')
const GROUPS = listed('group', 'curve25519 ecp521 ecp384 ecp256 modp4096 modp3072 modp2048')
const AUTH = listed('auth', HASHES)
const PRF = listed('prf', HASHES)
const IKE_DEFAULT = `ikesa${listed('enc', 'aes-128-gcm aes-256-gcm')}${PRF}${GROUPS} ikesa${listed('enc', 'aes-256 aes-192 aes-128 3des')}${PRF}${AUTH}${GROUPS}`
const CHILD_DEFAULT = `childsa${listed('enc', 'aes-128-gcm aes-256-gcm')} group none esn noesn childsa${listed('enc', 'aes-256 aes-192 aes-128')}${AUTH} group none esn noesn`

/** What stands behind the ends, and what is offered. */
const offers: readonly (readonly [name: string, text: string, printed: string])[] = [
  ["iked's defaults without its weak groups", '', `${IKE_DEFAULT} ${CHILD_DEFAULT}`],
  [
    'what is left out is filled in',
    'ikesa enc aes-256 childsa enc aes-256-gcm',
    `ikesa enc aes-256${PRF}${AUTH}${GROUPS} childsa enc aes-256-gcm group none esn noesn`,
  ],
  [
    'neither enc nor auth: both defaults',
    'ikesa prf hmac-sha2-512 group grp14 childsa noesn',
    `ikesa${listed('enc', 'aes-128-gcm aes-256-gcm')} prf hmac-sha2-512 group modp2048 ikesa${listed('enc', 'aes-256 aes-192 aes-128 3des')} prf hmac-sha2-512${AUTH} group modp2048 childsa${listed('enc', 'aes-128-gcm aes-256-gcm')} group none noesn childsa${listed('enc', 'aes-256 aes-192 aes-128')}${AUTH} group none noesn`,
  ],
  [
    'several blocks, several of a kind, aliases',
    'ikesa enc aes-128-gcm group ecp256 group curve25519 prf hmac-sha2-256 ikesa enc 3des-cbc enc aes-128 auth hmac-sha2-256 prf hmac-sha1 group grp19 childsa enc chacha20-poly1305 group grp31 esn childsa auth hmac-sha2-512',
    'ikesa enc aes-128-gcm prf hmac-sha2-256 group ecp256 group curve25519 ' +
      'ikesa enc 3des enc aes-128 prf hmac-sha1 auth hmac-sha2-256 group ecp256 ' +
      'childsa enc chacha20-poly1305 group curve25519 esn ' +
      `childsa${listed('enc', 'aes-256 aes-192 aes-128')} auth hmac-sha2-512 group none esn noesn`,
  ],
  [
    'null has integrity beside it, gmac has not',
    'ikesa enc aes-128-gcm-12 group modp8192 prf hmac-sha1 childsa enc null childsa enc aes-192-gmac esn',
    `ikesa enc aes-128-gcm-12 prf hmac-sha1 group modp8192 childsa enc null${AUTH} group none esn noesn childsa enc aes-192-gmac group none esn`,
  ],
  [
    'an abbreviation is the first that it fits, as in iked',
    'ikesa enc aes auth hmac-sha2 prf hmac-sha2 group ecp',
    `ikesa enc aes-128 prf hmac-sha2-256 auth hmac-sha2-256 group ecp256 ${CHILD_DEFAULT}`,
  ],
  [
    'what Warren has not is left out where something of its kind is left',
    'ikesa enc aes-256 auth hmac-md5 auth hmac-sha1 prf hmac-sha1 group brainpool256 group sntrup761x25519 group curve25519',
    `ikesa enc aes-256 prf hmac-sha1 auth hmac-sha1 group sntrup761x25519 group curve25519 ${CHILD_DEFAULT}`,
  ],
]

for (const [name, text, printed] of offers)
  test(`proposals: ${name}`, () => assert.equal(proposals(only(`ikev2 ${A} ${text}`)), printed))

test('ah has no encryption', () => {
  assert.equal(
    proposals(only(`ikev2 ah ${A} ikesa enc aes-256-gcm prf hmac-sha1 group ecp256`)),
    `ikesa enc aes-256-gcm prf hmac-sha1 group ecp256 childsa${AUTH} group none esn noesn`,
  )
  assert.equal(
    proposals(
      only(`ikev2 ah ${A} ikesa enc aes-256-gcm prf hmac-sha1 group ecp256 childsa auth hmac-sha2-256 noesn`),
    ),
    'ikesa enc aes-256-gcm prf hmac-sha1 group ecp256 childsa auth hmac-sha2-256 group none noesn',
  )
})

const settings: readonly (readonly [string, Partial<typeof DEFAULT_OPTIONS>])[] = [
  ['set active', {}],
  ['set passive', { passive: true }],
  ['set passive\nset active', {}],
  ['set couple', {}],
  ['set decouple', { decouple: true }],
  ['set enforcesingleikesa', { enforceSingleIkeSa: true }],
  ['set enforcesingleikesa\nset noenforcesingleikesa', {}],
  ['set fragmentation', { fragmentation: true }],
  ['set fragmentation\nset nofragmentation', {}],
  ['set mobike', {}],
  ['set nomobike', { mobike: false }],
  ['set cert_partial_chain', { certPartialChain: true }],
  ['set vendorid', {}],
  ['set novendorid', { vendorId: false }],
  ['set stickyaddress', { stickyAddress: true }],
  ['set stickyaddress\nset nostickyaddress', {}],
  ['set dpd_check_interval 0', { dpdCheckInterval: 0 }],
  ['set ocsp "http://10.0.0.10:8888/"', { ocsp: { url: 'http://10.0.0.10:8888/', tolerate: 0 } }],
  [
    'set ocsp "http://10.0.0.10:8888/" tolerate 10m maxage 1h',
    { ocsp: { url: 'http://10.0.0.10:8888/', tolerate: 600, maxAge: 3600 } },
  ],
]

for (const [text, options] of settings)
  test(text.replaceAll('\n', '; '), () =>
    assert.deepEqual(parse(text).options, { ...DEFAULT_OPTIONS, ...options }),
  )

test('macros, comments, lines that go on, rules of ipsec.conf', () => {
  const conf = parse(
    [
      '# a comment that goes on \\',
      'ikev2 nothing of a rule',
      'gw = "192.0.2.2"',
      'net = "from 10.0.0.0/8"',
      'both = $net "to 10.1.0.0/16"',
      'ikev2 "one" esp $both \\',
      '\tpeer $gw psk "it\'s" # another',
      '',
      'ike esp from 1.1.1.1 to 2.2.2.2 psk "x" {',
      'flow esp from 10.0.0.0/8 to 10.1.0.0/16',
      `ikev2 ${A}`,
    ].join('\n'),
  )
  assert.deepEqual(
    conf.policies.map((policy) => short(policy).replace(/ psk.*/, '')),
    [
      'ikev2 "one" passive tunnel esp inet from 10.0.0.0/8 to 10.1.0.0/16 local any peer 192.0.2.2',
      `ikev2 "policy2" passive tunnel esp inet ${A} ${ENDS}`,
    ],
  )
  assert.deepEqual(conf.policies[0]!.auth, { kind: 'psk', secret: new TextEncoder().encode("it's") })
  assert.equal(conf.policies[0]!.where, 'iked.conf:6:1')
  assert.deepEqual(conf.warnings, [
    'iked.conf:9: ike is a rule of ipsec.conf(5): read over, as iked does',
    'iked.conf:10: flow is a rule of ipsec.conf(5): read over, as iked does',
  ])
  assert.equal(
    short(
      parse(`ikev2 ${A.replace('192.0.2.2', '$gw')}`, { macros: new Map([['gw', '192.0.2.2']]) })
        .policies[0]!,
    ),
    `ikev2 "policy1" passive tunnel esp inet ${A} ${ENDS}`,
  )
})

test('users; the last password of a name is taken', () => {
  const { users, warnings } = parse(
    'user "test" "password123"\nuser bob secret\nuser "test" "p2"\nuser "=" "="',
  )
  assert.deepEqual(users, [
    { name: 'test', password: 'p2' },
    { name: 'bob', password: 'secret' },
    { name: '=', password: '=' },
  ])
  assert.deepEqual(warnings, ['iked.conf:3: user test is there twice: this password is taken'])
})

test('files within files, and files of keys, as closed to others as the first', async () => {
  const files: Record<string, { text: string; mode: number }> = {
    '/etc/macros.conf': {
      text: 'gw = "192.0.2.2"\nikev2 "inner" from any to any peer $gw psk file "/etc/psk"',
      mode: 0o600,
    },
    '/etc/psk': { text: '00112233\n', mode: 0o600 },
    '/etc/open': { text: '', mode: 0o644 },
  }
  const read = async (name: string): Promise<{ text: string; mode: number }> => files[name]!
  const conf = await loadIkedConf(`include "/etc/macros.conf"\nikev2 ${A}`, 'iked.conf', read, {
    mode: 0o600,
  })
  assert.deepEqual(
    conf.policies.map(({ name, where }) => `${name} ${where}`),
    ['inner /etc/macros.conf:2:1', 'policy2 iked.conf:2:1'],
  )
  assert.deepEqual(conf.policies[0]!.auth, { kind: 'psk', secret: Uint8Array.of(0, 0x11, 0x22, 0x33) })
  await assert.rejects(loadIkedConf('include "/etc/open"', 'iked.conf', read), {
    code: 'CONFIG_PERMISSIONS',
    message:
      'iked.conf:1:9: /etc/open: group/world readable/writeable: found mode 0644, expected 0600; chmod 600 /etc/open',
  })
  await assert.rejects(loadIkedConf(`ikev2 ${A} psk file "/etc/open"`, 'iked.conf', read), {
    code: 'CONFIG_PERMISSIONS',
  })
  assert.throws(() => parse('', { mode: 0o640 | 0o020 }), { code: 'CONFIG_PERMISSIONS' })
})

/** Text, code, place, and what the message has to say. */
const refused: readonly (readonly [text: string, code: string, message: string])[] = [
  [
    'iked2 passive esp from 192.168.1.0/24 to 192.168.1.0/24',
    'CONFIG_SYNTAX',
    '1:1: syntax error: found "iked2", expected ikev2, set, user, include, or NAME = "VALUE"; did you mean ikev2?',
  ],
  ['"ikev2" esp', 'CONFIG_SYNTAX', '1:1: syntax error: found a string of 5 characters'],
  ['set mobik', 'CONFIG_SYNTAX', '1:5: syntax error: found "mobik"'],
  ['set mobile', 'CONFIG_SYNTAX', 'did you mean mobike?'],
  ['set dpd_check_interval 1m', 'CONFIG_BAD_VALUE', '1:24: timeout outside range: found "1m"'],
  ['set ocsp "10.0.0.1"', 'CONFIG_BAD_VALUE', '1:10: no URL of an OCSP responder'],
  ['set ocsp "http://x/" maxage 1h', 'CONFIG_SYNTAX', '1:22: syntax error: found "maxage"'],
  ['set active now', 'CONFIG_SYNTAX', '1:12: syntax error: found "now", expected the end of the line'],
  ['user "bob"', 'CONFIG_SYNTAX', '1:11: syntax error: found the end of the line, expected invalid password'],
  ['user bob 1234', 'CONFIG_SYNTAX', 'put the password in quotes'],
  ['user "" "x"', 'CONFIG_BAD_VALUE', '1:6: invalid user name is empty'],
  [`user "bob" "${'x'.repeat(256)}"`, 'CONFIG_BAD_VALUE', '1:12: invalid password is too long'],
  [
    'ikev2 esp psk "x" from any to any',
    'CONFIG_SYNTAX',
    '1:11: syntax error: found "psk", expected inet, inet6, proto, rdomain, from, to; write from … to … before psk',
  ],
  [
    `ikev2 esp passive ${A}`,
    'CONFIG_SYNTAX',
    'write passive before esp: the parts of a policy have one order',
  ],
  [`ikev2 ${A} psk "a" srcid b`, 'CONFIG_SYNTAX', 'write srcid before psk'],
  [`ikev2 ${A} lifetime 1h lifetime 2h`, 'CONFIG_SYNTAX', 'write lifetime once'],
  [`ikev2 ${A} psk foo bar`, 'CONFIG_SYNTAX', 'a key with blanks in it has to stand in quotes'],
  [`ikev2 ${A} lifetim 1h`, 'CONFIG_SYNTAX', 'did you mean lifetime?'],
  [`ikev2 ${A} psk 12345`, 'CONFIG_SYNTAX', 'put the key in quotes'],
  [`ikev2 ${A} psk 0x123`, 'CONFIG_KEY', 'found an odd number of digits (3)'],
  [`ikev2 ${A} psk ""`, 'CONFIG_KEY', 'the pre-shared key is empty'],
  [`ikev2 ${A} psk "${'x'.repeat(1025)}"`, 'CONFIG_KEY', 'psk too long'],
  [`ikev2 ${A} psk "a" ppk "one"`, 'CONFIG_SYNTAX', 'expected a pre-shared key in quotes'],
  [`ikev2 ${A} psk "a" ppk "one" 0x12 ppk "one" 0x34`, 'CONFIG_DUPLICATE', 'two ppks of one name'],
  [`ikev2 ${A} ppk "one" 0x12 psk "a"`, 'CONFIG_SYNTAX', 'write psk before ppk'],
  [`ikev2 ${A} ppk "one" two three`, 'CONFIG_SYNTAX', 'found another word'],
  [`ikev2 ${A} ppk "one" 0x123`, 'CONFIG_KEY', 'found an odd number of digits (3)'],
  [`ikev2 ${A} eap "mschap-v2" ppk "one" 0x12`, 'CONFIG_UNSUPPORTED', 'remove ppk from this policy'],
  [`ikev2 ${A} psk file "x"`, 'CONFIG_UNSUPPORTED', 'no file can be read here'],
  [`ikev2 ${A} eap "md5"`, 'CONFIG_UNSUPPORTED', 'unsupported EAP method: md5'],
  [`ikev2 ${A} config adress 10.0.0.1`, 'CONFIG_BAD_VALUE', 'did you mean address?'],
  [`ikev2 ${A} config netmask fd00::1`, 'CONFIG_BAD_VALUE', 'an IPv4 netmask'],
  [`ikev2 ${A} config address any`, 'CONFIG_HOST_NAME', 'found "any"'],
  [`ikev2 ${A} tap "em0"`, 'CONFIG_BAD_VALUE', 'invalid tap interface name: em0'],
  [`ikev2 ${A} tag "${'x'.repeat(64)}"`, 'CONFIG_BAD_VALUE', 'a tag is too long'],
  [
    'ikev2 from { 10.0.0.1, 10.0.0.2 } to 10.1.0.0/16',
    'CONFIG_SYNTAX',
    '1:12: no list may stand here: found "{"',
  ],
  [
    'ikev2 from 10.0.0.1 too 10.1.0.0/16',
    'CONFIG_SYNTAX',
    '1:21: syntax error: found "too", expected to; did you mean to?',
  ],
  ['ikev2 from 10.0.0.1 to fd00::1', 'CONFIG_BAD_VALUE', '1:7: cannot mix different address families'],
  ['ikev2 from 10.0.0.1 to 10.0.0.2, peer 10.0.0.2', 'CONFIG_SYNTAX', 'from or to behind a comma'],
  [
    'ikev2 from 10.0.0.1 to 10.0.0.2 (10.0.0.0/8)',
    'CONFIG_BAD_VALUE',
    'no flow NAT support for destination network',
  ],
  ['ikev2 from 10.0.0.1 (fd00::/8) to 10.0.0.2', 'CONFIG_BAD_VALUE', 'Flow NAT address family mismatch'],
  [
    'ikev2 from 10.0.0.1 port 80 to 10.0.0.2',
    'CONFIG_SYNTAX',
    'no protocol supplied with source/destination ports',
  ],
  ['ikev2 proto tcp from 10.0.0.1 port 80:90 to 10.0.0.2', 'CONFIG_BAD_VALUE', 'write a flow for each port'],
  ['ikev2 proto tcpp from 10.0.0.1 to 10.0.0.2', 'CONFIG_BAD_VALUE', 'unknown protocol: tcpp'],
  ['ikev2 proto { tcp from 10.0.0.1', 'CONFIG_BAD_VALUE', 'unknown protocol: from'],
  [
    `ikev2 proto { ${Array.from({ length: 17 }, (_, i) => i + 100).join(' ')} } ${A}`,
    'CONFIG_LIMIT',
    'too many protocols',
  ],
  [`ikev2 rdomain 256 ${A}`, 'CONFIG_BAD_VALUE', 'a number from 0 to 255'],
  [
    'ikev2 transport from 2001:db8::1 to 2001:db8::2 peer D.example.com',
    'CONFIG_HOST_NAME',
    'look the address of D.example.com up',
  ],
  [
    'ikev2 active from 10.0.0.0/8 to 10.1.0.0/16 local 192.0.2.1',
    'CONFIG_MISSING_VALUE',
    'active mode requires local/peer address',
  ],
  [
    'ikev2 active from 10.0.0.0/8 to 192.0.2.2',
    'CONFIG_MISSING_VALUE',
    'found local 10.0.0.0/8 peer 192.0.2.2',
  ],
  [
    'ikev2 from 10.0.0.1 to 10.1.0.1 from 10.0.0.2 to 10.1.0.2',
    'CONFIG_MISSING_VALUE',
    'could not get local/peer specification',
  ],
  ['ikev2 from any to any local fd00::1 peer 192.0.2.2', 'CONFIG_BAD_VALUE', 'peer address family mismatch'],
  [`ikev2 inet6 ${A}`, 'CONFIG_BAD_VALUE', 'peer address family mismatch'],
  [`ikev2 ${A} ikesa enc aes-512`, 'CONFIG_BAD_VALUE', 'aes-512 not a valid transform'],
  [`ikev2 ${A} ikesa enc null`, 'CONFIG_BAD_VALUE', 'null is for childsa alone'],
  [`ikev2 ${A} ikesa enc aes-256 esn`, 'CONFIG_BAD_VALUE', 'write esn behind childsa'],
  [`ikev2 ${A} ikesa group none`, 'CONFIG_BAD_VALUE', 'IKE group can not be "none"'],
  [`ikev2 ${A} ikesa group modp768`, 'CONFIG_UNSUPPORTED', 'use group curve25519 on both sides'],
  [`ikev2 ${A} childsa enc blowfish`, 'CONFIG_UNSUPPORTED', 'use enc aes-256-gcm on both sides'],
  [
    `ikev2 ${A} ikesa enc aes-256 enc aes-256-gcm`,
    'CONFIG_BAD_VALUE',
    'write two blocks: ikesa enc aes-256-gcm ikesa enc aes-256',
  ],
  [`ikev2 ${A} childsa enc aes-256-gcm auth hmac-sha1`, 'CONFIG_BAD_VALUE', 'authentication is implicit'],
  [`ikev2 ah ${A} childsa enc aes-256`, 'CONFIG_BAD_VALUE', 'remove enc, or write esp for ah'],
  [`ikev2 ${A} lifetime 3d`, 'CONFIG_BAD_VALUE', 'invalid time unit'],
  [`ikev2 ${A} lifetime 3h bytes 4T`, 'CONFIG_BAD_VALUE', 'invalid byte unit'],
  [`ikev2 ${A} ikelifetime soon`, 'CONFIG_BAD_VALUE', 'invalid time specification: soon'],
  [`ikev2 ${A} srcid default`, 'CONFIG_SYNTAX', 'quote it if it is meant: "default"'],
  [
    `ikev2 "a" ${A}\nikev2 "a" ${A}`,
    'CONFIG_DUPLICATE',
    'iked.conf:2:1: two policies of one name: found "a", expected it once (iked.conf:1:1)',
  ],
  [`ikev2 ${A} peer $gw`, 'CONFIG_UNKNOWN_MACRO', "macro 'gw' not defined"],
  ['include "x"', 'CONFIG_UNSUPPORTED', 'nothing can be included here'],
  [`ikev2 ${A} psk "open`, 'CONFIG_SYNTAX', 'a quote is not closed'],
]

for (const [text, code, message] of refused)
  test(`refused: ${text.length > 80 ? `${text.slice(0, 80)}…` : text.replaceAll('\n', '; ')}`, () =>
    assert.throws(
      () => parse(text),
      (error) => {
        assert.ok(error instanceof WarrenError)
        assert.equal(error.code, code, error.message)
        assert.ok(error.message.includes(message), error.message)
        assert.match(error.message, /^iked\.conf:\d+:\d+: /)
        return true
      },
    ))

test('no error shows a key', () => {
  const secret = 'correct horse battery staple'
  for (const text of [
    `ikev2 ${A} psk "${secret}" "${secret}"`,
    `ikev2 ${A} "${secret}"`,
    `set "${secret}"`,
    `user "a" "b" "${secret}"`,
    `user a correct horse`,
    `ikev2 ${A} psk correct horse`,
  ])
    assert.throws(
      () => parse(text),
      (error) => error instanceof WarrenError && !error.message.includes('horse'),
    )
})

test('what is allowed and not wise is said', () => {
  const { warnings } = parse(
    [
      `ikev2 actve esp ${A}`,
      `ikev2 ipcomp ${A} ikesa enc 3des group modp1024 prf hmac-sha1 childsa enc null prf hmac-sha1`,
      'ikev2 from 10.0.0.9/8 to 10.1.0.0/16 from 10.0.0.0/8 to 10.1.0.0/16 peer any eap "mschap-v2"',
      `ikev2 "d" default ${A}`,
      `ikev2 "e" default ${A}`,
      'set ocsp "http://10.0.0.1/"',
    ].join('\n'),
  )
  assert.deepEqual(
    warnings.map((line) => line.replace(/^iked\.conf:/, '')),
    [
      '1: the policy is called actve: did you mean active? Else quote it: "actve"',
      '2: enc 3des: its blocks of 64 bits give plaintext away after some gigabytes; use aes-256-gcm',
      '2: group modp1024: the group is weak (RFC 8247 section 2.4); use curve25519 or modp2048',
      '2: enc null: it does not encrypt: everybody on the way can read the packets',
      '2: prf is for ikesa alone (left out)',
      '2: ipcomp is not offered to peers: packets are not compressed',
      '3: 10.0.0.9/8 is read as 10.0.0.0/8',
      '3: duplicate flow (left out)',
      '6: ocsp is not asked: certificates are checked against /etc/iked/crls/ alone',
      '5:1: a second default policy: iked.conf:4:1 is none any more',
      '3:1: eap, and no user in the file: nobody can log in',
    ],
  )
})

test('a short ppk is told, one in a file has its permissions checked, and none is shown', async () => {
  const long = `0x${'5a'.repeat(32)}`
  const short = parse(`ikev2 ${A} psk "x" ppk "one" "quite short" ppk "two" ${long}`)
  assert.deepEqual(short.warnings, [
    'iked.conf:1: ppk one has 11 bytes: at least 32 are needed (RFC 8784 section 5.1); make one with: openssl rand -hex 32',
  ])
  assert.match(
    describePolicy(short.policies[0]!),
    / psk \(1 bytes\) ppk "one" \(11 bytes\) ppk "two" \(32 bytes\)$/,
  )
  const read = (name: string) =>
    Promise.resolve({ text: `${'00'.repeat(32)}\n`, mode: name === '/etc/open' ? 0o644 : 0o600 })
  const conf = await loadIkedConf(`ikev2 ${A} ppk "one" file "/etc/ppk"`, 'iked.conf', read)
  assert.deepEqual(conf.policies[0]!.ppks, [{ name: 'one', secret: new Uint8Array(32), optional: false }])
  await assert.rejects(loadIkedConf(`ikev2 ${A} ppk "one" file "/etc/open"`, 'iked.conf', read), {
    code: 'CONFIG_PERMISSIONS',
  })
})

test('additional key exchanges: by slot, alternatives, none; and what cannot be', () => {
  const ike = (text: string): unknown => only(`ikev2 ${A} ikesa ${text}`).ikesa[0]!.additional
  assert.deepEqual(ike('group curve25519 addke1 mlkem768'), [['mlkem768']])
  assert.deepEqual(ike('group curve25519 addke1 grp36 addke1 none addke3 ecp256'), [
    ['mlkem768', 'none'],
    [],
    ['ecp256'],
  ])
  assert.equal(ike('group curve25519'), undefined)
  const child = only(`ikev2 ${A} childsa enc aes-256-gcm group curve25519 addke1 mlkem768`)
  assert.match(proposals(child), /childsa enc aes-256-gcm group curve25519 addke1 mlkem768 esn noesn$/)
  const again = only(describePolicy(child, true))
  assert.deepEqual(again.childsa, child.childsa)
  for (const [text, code, message] of [
    [
      'childsa enc aes-256-gcm addke1 mlkem768',
      'CONFIG_MISSING_VALUE',
      /write group curve25519 before addke1/,
    ],
    ['childsa group none addke1 mlkem768', 'CONFIG_MISSING_VALUE', /group none/],
    ['ikesa addke1 mlkem769', 'CONFIG_BAD_VALUE', /did you mean mlkem768/],
    ['ikesa addke1 brainpool256', 'CONFIG_UNSUPPORTED', /no such curve/],
    ['ikesa addke8 mlkem768', 'CONFIG_SYNTAX', /found "addke8"/],
  ] as const)
    assert.throws(() => parse(`ikev2 ${A} ${text}`), { code, message })
})
