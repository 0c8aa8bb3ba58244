import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type IpAddress, parseIpAddress } from '../../base/index.js'
import {
  describeTransform,
  formatIdentity,
  formatSelector,
  type IkePolicy,
  proposalsOf,
  type Suite,
} from '../../proto/ikev2/index.js'
import { type IkedHostView, mendSlips, parseIkedConf, toIkePolicies } from './index.js'

const address = (text: string): IpAddress => parseIpAddress(text)!
const host = (overrides: Partial<IkedHostView> = {}): IkedHostView => ({
  hostname: 'alice.my.domain',
  addresses: ['192.168.1.1', '10.0.0.1', '2001:db8::1'].map(address),
  localFor: (peer) => (peer.family === 4 ? address('192.168.1.1') : address('2001:db8::1')),
  interfaceAddresses: (name) =>
    name === 'vio0' || name === 'egress' ? ['192.168.1.1', '2001:db8::1'].map(address) : undefined,
  ...overrides,
})
const policiesOf = (text: string, overrides: Partial<IkedHostView> = {}): IkePolicy[] =>
  toIkePolicies(parseIkedConf(text, 'iked.conf'), host(overrides))
const only = (text: string, overrides: Partial<IkedHostView> = {}): IkePolicy => {
  const policies = policiesOf(text, overrides)
  assert.equal(policies.length, 1)
  return policies[0]!
}
const flows = ({ flows: list }: IkePolicy): string[] =>
  list.map(
    ({ local, remote, dynamic }) =>
      `${formatSelector(local)} > ${formatSelector(remote)}${dynamic === undefined ? '' : ` dynamic ${dynamic}`}`,
  )
const ends = ({ name, local, locals, peer }: IkePolicy): string =>
  `${name} ${local}${locals === undefined ? '' : ` of ${locals.join(' ')}`} < ${peer}`

const ALICE = `ikev2 passive esp from 192.168.1.0/24 to 192.168.1.0/24 \\
    from 172.16.1.0/24 to 172.16.1.0/24 \\
    local 192.168.1.1 \\
    psk "dont_use_psk_its_a_bad_idea"
`
const BOB = `ikev2 active esp from 192.168.1.0/24 to 192.168.1.0/24 \\
    from 172.16.1.0/24 to 172.16.1.0/24 \\
    local 192.168.1.2 peer 192.168.1.1 \\
    psk "dont_use_psk_its_a_bad_idea"
`

test("the article's two machines", () => {
  const alice = only(ALICE)
  assert.equal(ends(alice), 'policy1 192.168.1.1 < 0.0.0.0/0')
  assert.equal(alice.initiate, false)
  assert.deepEqual(flows(alice), ['192.168.1.0/24 > 192.168.1.0/24', '172.16.1.0/24 > 172.16.1.0/24'])
  assert.equal(formatIdentity(alice.localId), 'FQDN/alice.my.domain')
  assert.equal(alice.remoteId, undefined)
  assert.deepEqual(alice.localAuth, {
    kind: 'psk',
    secret: new TextEncoder().encode('dont_use_psk_its_a_bad_idea'),
  })
  assert.deepEqual(alice.remoteAuth, alice.localAuth)
  assert.deepEqual(alice.childLifetime, { seconds: 10_800, bytes: 2 ** 32 })
  assert.equal(alice.ikeLifetime, undefined)
  assert.equal(alice.deadPeerAfter, 60_000_000)
  assert.deepEqual([alice.mobike, alice.fragmentation, alice.forceUdp], [true, false, false])
  assert.deepEqual([alice.mode, alice.childProtocol], ['tunnel', 'esp'])
  const bob = only(BOB, { hostname: 'bob.my.domain' })
  assert.equal(ends(bob), 'policy1 192.168.1.2 < 192.168.1.1/32')
  assert.equal(bob.initiate, true)
})

test("the article's iked2 is an error that names the mend; the lab takes what is meant, and says so", () => {
  const written = ALICE.replace('ikev2', 'iked2')
  assert.throws(() => policiesOf(written), {
    code: 'CONFIG_SYNTAX',
    message: /^iked\.conf:1:1: syntax error: found "iked2".*did you mean ikev2\?$/,
  })
  const mended = mendSlips(
    `# iked2\n\n${written}  iked2 x\niked2 = "iked2"\nikev1 x\nike esp x`,
    '/etc/iked.conf',
  )
  assert.deepEqual(mended.notes, [
    '/etc/iked.conf: 3: "iked2": "ikev2" is meant',
    '/etc/iked.conf: 7: "iked2": "ikev2" is meant',
  ])
  assert.equal(mended.text, `# iked2\n\n${ALICE}  ikev2 x\niked2 = "iked2"\nikev1 x\nike esp x`)
  assert.deepEqual(mendSlips(ALICE, 'f'), { text: ALICE, notes: [] })
})

test('a peer gets the last one that fits; quick ones before all; the default one at last', () => {
  const text = `
ikev2 "a" quick from 10.1.0.0/16 to 10.2.0.0/16 local 192.168.1.1 peer 192.168.1.34
ikev2 "b" from 10.1.0.0/16 to 10.2.0.0/16 local 192.168.1.1 peer 192.168.1.0/24
ikev2 "c" quick from 10.1.0.0/16 to 10.2.0.0/16 local 192.168.1.1 peer 192.168.1.2
ikev2 "d" default from 10.1.0.0/16 to 10.2.0.0/16 local 192.168.1.1 peer 192.168.1.3
ikev2 "e" skip active from 10.1.0.0/16 to 10.2.0.0/16 local 192.168.1.1 peer 192.168.1.4
ikev2 "f" from 10.1.0.0/16 to 10.2.0.0/16 local 192.168.1.1 peer 192.168.1.5`
  const policies = policiesOf(text)
  assert.deepEqual(policies.map(ends), [
    'a 192.168.1.1 < 192.168.1.34/32',
    'c 192.168.1.1 < 192.168.1.2/32',
    'f 192.168.1.1 < 192.168.1.5/32',
    'd 192.168.1.1 < 192.168.1.3/32',
    'b 192.168.1.1 < 192.168.1.0/24',
    'e 192.168.1.1 < 192.168.1.4/32',
    'd 192.168.1.1 of 0.0.0.0/0 < 0.0.0.0/0',
    'd 2001:db8::1 of ::/0 < ::/0',
  ])
  assert.deepEqual(
    policies.flatMap(({ name, initiate, skipped }) =>
      initiate || skipped ? [[name, initiate, skipped]] : [],
    ),
    [['e', true, true]],
  )
})

test('local ends: by the route, by the interface, by what the host has', () => {
  const A = 'from 10.1.0.0/16 to 10.2.0.0/16'
  assert.deepEqual(policiesOf(`ikev2 active ${A} peer 2001:db8::2`).map(ends), [
    'policy1 2001:db8::1 of ::/0 < 2001:db8::2/128',
  ])
  assert.deepEqual(policiesOf(`ikev2 ${A} local egress`).map(ends), [
    'policy1 192.168.1.1 < 0.0.0.0/0',
    'policy1 2001:db8::1 < ::/0',
  ])
  assert.deepEqual(policiesOf(`ikev2 inet ${A} local egress`).map(ends), ['policy1 192.168.1.1 < 0.0.0.0/0'])
  assert.deepEqual(policiesOf(`ikev2 ${A} local 10.0.0.0/8 peer any`).map(ends), [
    'policy1 10.0.0.1 of 10.0.0.0/8 < 0.0.0.0/0',
  ])
  // Not ours: it may yet become so.
  assert.deepEqual(policiesOf(`ikev2 ${A} local 192.0.2.9 peer any`).map(ends), [
    'policy1 192.0.2.9 < 0.0.0.0/0',
  ])
  const said: string[] = []
  assert.deepEqual(policiesOf(`ikev2 ${A} local 172.16.0.0/12`, { warn: (line) => said.push(line) }), [])
  assert.deepEqual(said, [
    'iked.conf:1:1: no address of this host is among its local ones: nobody can get the policy',
  ])
  assert.throws(
    () => policiesOf(`ikev2 active ${A} peer 192.0.2.2`, { addresses: [], localFor: () => undefined }),
    {
      code: 'CONFIG_MISSING_VALUE',
      message: /^iked\.conf:1:1: no address of this host leads to 192\.0\.2\.2/,
    },
  )
  assert.throws(() => policiesOf(`ikev2 ${A} peer gateway`), {
    code: 'CONFIG_HOST_NAME',
    message: /^iked\.conf:1:\d+: no IP address found for gateway/,
  })
})

test('flows: protocols, ports, dynamic ends, interfaces', () => {
  assert.deepEqual(
    flows(only('ikev2 proto { tcp, udp } from 10.1.0.0/16 port 80 to 10.2.0.0/16 peer 192.0.2.2')),
    ['10.1.0.0/16[6/80] > 10.2.0.0/16[6]', '10.1.0.0/16[17/80] > 10.2.0.0/16[17]'],
  )
  assert.deepEqual(
    flows(only('ikev2 from 10.1.0.0/16 to dynamic peer 192.0.2.2 config address 10.9.0.0/24')),
    ['10.1.0.0/16 > 0.0.0.0/0 dynamic remote'],
  )
  assert.deepEqual(flows(only('ikev2 from dynamic to any peer 192.0.2.2 request address any')), [
    '0.0.0.0/0 > 0.0.0.0/0 dynamic local',
    '::/0 > ::/0 dynamic local',
  ])
  assert.deepEqual(flows(only('ikev2 from vio0 to 10.2.0.0/16 peer 192.0.2.2')), [
    '192.168.1.1 > 10.2.0.0/16',
  ])
  assert.deepEqual(flows(only('ikev2 from vio0 to any peer 192.0.2.2')), [
    '192.168.1.1 > 0.0.0.0/0',
    '2001:db8::1 > ::/0',
  ])
})

test('an interface that has no address, or none of the family', () => {
  const interfaceAddresses = (name: string): IpAddress[] => (name === 'em0' ? [] : [address('fd00::1')])
  for (const [name, code] of [
    ['em0', 'CONFIG_HOST_NAME'],
    ['em1', 'CONFIG_BAD_VALUE'],
  ] as const)
    assert.throws(() => policiesOf(`ikev2 from ${name} to 10.2.0.0/16 peer any`, { interfaceAddresses }), {
      code,
    })
})

test('what iked.conf asks for beside', () => {
  const one = only(
    `set fragmentation\nset nomobike\nset dpd_check_interval 0\nset enforcesingleikesa\nset stickyaddress\nset passive
ikev2 "x" active transport ah from 192.168.1.1 to 192.0.2.2 srcid "/C=DE/CN=a" dstid b@example.com ikelifetime 4h lifetime 0 bytes 0 ecdsa256 config address 10.9.0.0/24 config name-server fd00::53 request address any iface lo1 tag "$name"`,
  )
  assert.equal(one.initiate, false)
  assert.deepEqual(
    [one.mobike, one.fragmentation, one.singleSa, one.stickyAddress],
    [false, true, true, true],
  )
  assert.equal(one.deadPeerAfter, undefined)
  assert.deepEqual([one.mode, one.childProtocol], ['transport', 'ah'])
  assert.equal(formatIdentity(one.localId), 'ASN1_DN//C=DE/CN=a')
  assert.equal(formatIdentity(one.remoteId!), 'UFQDN/b@example.com')
  assert.equal(one.ikeLifetime, 4 * 3600 * 1_000_000)
  assert.deepEqual(one.childLifetime, {})
  assert.deepEqual(one.localAuth, { kind: 'signature', method: 'ecdsa256' })
  assert.deepEqual(one.serves, [
    { option: 'address', family: 4, address: address('10.9.0.0'), prefixLength: 24 },
    { option: 'name-server', family: 6, address: address('fd00::53') },
  ])
  assert.deepEqual(one.requests, [{ option: 'address', family: 4 }])
  assert.deepEqual([one.iface, one.tag], ['lo1', '$name'])
  assert.equal(one.where, 'iked.conf:7:1')
})

test('eap: the gateway signs and knows all users, its client is one of them', () => {
  const users = 'user "test" "password123"\nuser "bob" "secret"\n'
  const A = 'from 10.1.0.0/16 to 10.2.0.0/16 peer 192.0.2.2 local 192.168.1.1'
  const gateway = only(`${users}ikev2 ${A} eap "mschap-v2"`)
  assert.deepEqual(gateway.localAuth, { kind: 'signature' })
  assert.deepEqual(gateway.remoteAuth, {
    kind: 'eap',
    method: 'mschap-v2',
    users: [
      { name: 'test', password: 'password123' },
      { name: 'bob', password: 'secret' },
    ],
  })
  const client = only(`${users}ikev2 active ${A} srcid bob eap "mschap-v2"`)
  assert.deepEqual(client.localAuth, {
    kind: 'eap',
    method: 'mschap-v2',
    users: [{ name: 'bob', password: 'secret' }],
  })
  assert.deepEqual(client.remoteAuth, { kind: 'signature' })
  assert.throws(() => policiesOf(`${users}ikev2 active ${A} srcid bop eap "mschap-v2"`), {
    code: 'CONFIG_MISSING_VALUE',
    message: /did you mean srcid bob\?/,
  })
})

test('what is not offered is refused with its mend', () => {
  assert.throws(() => policiesOf('ikev2 rdomain 1 from 10.1.0.1 to 10.2.0.1'), { code: 'CONFIG_UNSUPPORTED' })
  assert.throws(() => policiesOf('ikev2 from 10.1.0.1 (10.3.0.0/16) to 10.2.0.1'), {
    code: 'CONFIG_UNSUPPORTED',
    message: /a flow with NAT is not offered/,
  })
  assert.throws(() => policiesOf('ikev2 from 10.1.0.1 to 10.2.0.1 srcid "/"'), {
    code: 'IKE_IDENTITY',
    message: /^iked\.conf:1:1: /,
  })
})

test('proposals keep their order, parted where a key exchange may be there or not', () => {
  const words = (suites: readonly Suite[], protocol: 'ike' | 'esp'): string[] =>
    suites.flatMap((suite) =>
      proposalsOf(suite, protocol, new Uint8Array(), 1).map(({ transforms }) =>
        transforms.map(describeTransform).join(' '),
      ),
    )
  const one = only(
    'ikev2 from 10.1.0.1 to 10.2.0.1 ikesa enc aes-256 auth hmac-sha2-512 prf aes-cmac group curve448 ikesa enc aes-128-gcm prf hmac-sha1 group ecp384 group modp1536 childsa enc chacha20-poly1305 group none group ecp256 esn childsa enc null auth aes-xcbc group curve25519 noesn',
  )
  assert.deepEqual(words(one.ikeSuites, 'ike'), [
    'aes-256 hmac-sha2-512 aes-cmac curve448',
    'aes-128-gcm hmac-sha1 ecp384 modp1536',
  ])
  assert.deepEqual(words(one.childSuites, 'esp'), [
    'chacha20-poly1305 esn',
    'chacha20-poly1305 ecp256 esn',
    'null aes-xcbc curve25519 noesn',
  ])
})
