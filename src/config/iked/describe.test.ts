/** What is printed is read again as the same. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { IpPrefix, ipAddressFrom, WarrenError } from '../../base/index.js'
import { ENCRYPTIONS, GROUPS, type IkedProposal, INTEGRITIES, PRFS } from './algorithms.js'
import {
  DEFAULT_OPTIONS,
  describeIked,
  type IkedConf,
  type IkedHost,
  type IkedOptions,
  type IkedPolicy,
  parseIkedConf,
} from './index.js'

const reread = (conf: Pick<IkedConf, 'policies'> & Partial<IkedConf>): IkedConf =>
  parseIkedConf(describeIked(conf, { secrets: true, settings: true }).join('\n'), 'again')

const withoutPlaces = ({ policies, users, options }: IkedConf): unknown =>
  JSON.parse(
    JSON.stringify({ policies, users, options }, (name, value: unknown) =>
      name === 'where'
        ? undefined
        : value instanceof Uint8Array
          ? [...value]
          : value instanceof IpPrefix
            ? `${value}`
            : value,
    ),
  )

test('secrets are shown to whoever asks for them alone', () => {
  const conf = parseIkedConf(
    'user "test" "password123"\nikev2 from 192.0.2.1 to 192.0.2.2 psk "foobar"',
    'iked.conf',
  )
  const closed = describeIked(conf).join('\n')
  assert.match(closed, /user "test" \(11 characters\)/)
  assert.match(closed, / psk \(6 bytes\)$/)
  const open = describeIked(conf, { secrets: true }).join('\n')
  assert.match(open, /user "test" "password123"/)
  assert.match(open, / psk 0x666f6f626172$/)
})

/** The examples of iked.conf(5). */
const examples: readonly string[] = [
  'ikev2 esp proto { tcp, udp } \\\n\tfrom 192.168.1.1 to 10.0.0.18 \\\n\tpeer 192.168.10.1\n',
  'remote_gw = "192.168.3.12"\nikev2 esp from 192.168.7.0/24 to 192.168.8.0/24 peer $remote_gw\n',
  'ikev2 esp from 192.168.3.1 to 192.168.3.2\nikev2 esp from 10.1.1.0/24 to 10.1.2.0/24 peer 192.168.3.2\n',
  'ikev2 esp from 10.1.1.0/24 to 10.1.2.0/24 peer 192.168.3.2 \\\n\ttag "ipsec-$domain" tap "enc1"\n',
  'ikev2 esp from 10.10.10.1 (192.168.1.0/24) to 192.168.2.0/24 \\\n\tpeer 10.10.20.1\n',
  'user "test" "password123"\n\nikev2 "win7" esp \\\n\tfrom dynamic to 172.16.2.0/24 \\\n\tpeer 10.0.0.0/8 local 192.168.56.0/24 \\\n\teap "mschap-v2" \\\n\tconfig address 172.16.2.1 \\\n\ttag "$name-$id"\n',
  'ikev2 "big test" \\\n\tesp proto tcp \\\n\tfrom 10.0.0.0/8 port 23 to 20.0.0.0/8 port 40 \\\n\tfrom 192.168.1.1 to 192.168.2.2 \\\n\tpeer any local any \\\n\tikesa \\\n\t\tenc aes-128-gcm \\\n\t\tgroup ecp256 group curve25519 \\\n\tikesa \\\n\t\tenc aes-128 auth hmac-sha2-256 \\\n\t\tgroup ecp256 group curve25519 \\\n\tchildsa enc aes-128-gcm \\\n\tchildsa enc aes-128 auth hmac-sha2-256  \\\n\tsrcid host.example.com \\\n\tdstid 192.168.0.254 \\\n\tpsk "foobar"\n',
  'ikev2 transport \\\n\tproto gre \\\n\tfrom 2001:db8::aa:1 to 2001:db8::dd:4 \\\n\tpeer 2001:db8::dd:4\n',
  'ikev2 quick esp from 10.10.10.0/24 to 10.20.20.0/24 \\\n\tpeer 192.168.1.34\nikev2 "catch all" esp from 10.0.1.0/24 to 10.0.2.0/24 \\\n\tpeer any\nikev2 "subnet" esp from 10.0.3.0/24 to 10.0.4.0/24 \\\n\tpeer 192.168.1.0/24\nikev2 esp from 10.0.5.0/30 to 10.0.5.4/30 peer 192.168.1.2\nikev2 esp from 10.0.5.8/30 to 10.0.5.12/30 peer 192.168.1.3\n',
]

for (const text of examples)
  test(`an example of the manual page: ${text.split('\n')[0]}`, () => {
    const conf = parseIkedConf(text, 'iked.conf')
    assert.deepEqual(conf.warnings, [])
    assert.deepEqual(withoutPlaces(reread(conf)), withoutPlaces(conf))
  })

test("iked's wording of a whole policy", () => {
  assert.deepEqual(describeIked(parseIkedConf(examples[6]!, 'iked.conf'), { secrets: true }), [
    'ikev2 "big test" passive tunnel esp proto { tcp } from 10.0.0.0/8 port 23 to 20.0.0.0/8 port 40' +
      ' from 192.168.1.1 to 192.168.2.2 local any peer any' +
      ' ikesa enc aes-128-gcm prf hmac-sha2-256 prf hmac-sha2-384 prf hmac-sha2-512 prf hmac-sha1 group ecp256 group curve25519' +
      ' ikesa enc aes-128 prf hmac-sha2-256 prf hmac-sha2-384 prf hmac-sha2-512 prf hmac-sha1 auth hmac-sha2-256 group ecp256 group curve25519' +
      ' childsa enc aes-128-gcm group none esn noesn' +
      ' childsa enc aes-128 auth hmac-sha2-256 group none esn noesn' +
      ' srcid host.example.com dstid 192.168.0.254 lifetime 10800 bytes 4294967296 psk 0x666f6f626172',
  ])
})

// What the properties draw from.
const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 })
const ipv6 = fc.uint8Array({ minLength: 16, maxLength: 16 })
const prefixOf = (bytes: fc.Arbitrary<Uint8Array>, bits: number): fc.Arbitrary<IkedHost> =>
  fc.tuple(bytes, fc.integer({ min: 0, max: bits })).map(
    ([address, length]): IkedHost => ({
      kind: 'prefix',
      prefix: IpPrefix.parse(`${ipAddressFrom(address)}/${length}`)!,
    }),
  )
const hostOf = (bytes: fc.Arbitrary<Uint8Array>, bits: number): fc.Arbitrary<IkedHost> =>
  bytes.map(
    (address): IkedHost => ({ kind: 'prefix', prefix: IpPrefix.parse(`${ipAddressFrom(address)}/${bits}`)! }),
  )
const text = (limit: number): fc.Arbitrary<string> =>
  fc
    .string({
      minLength: 1,
      maxLength: limit,
      unit: fc.constantFrom(...'ab01_-./\\"\'# $,{}=<>:@äß\t'.split('')),
    })
    .filter((one) => new TextEncoder().encode(one).length <= limit)
const some = <T>(values: readonly T[]): fc.Arbitrary<T[]> =>
  fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 4 })
const maybe = <T extends object>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | object> =>
  fc.oneof(fc.constant({}), arbitrary)

const namesOf = (phase: 'ikesa' | 'childsa', combined: boolean): string[] =>
  [...ENCRYPTIONS].flatMap(([name, one]) =>
    one.phases.includes(phase) && one.combined === combined ? [name] : [],
  )
const groups = [...GROUPS.keys()].filter((name) => name !== 'none')
const ikeProposal: fc.Arbitrary<IkedProposal> = fc.boolean().chain((combined) =>
  fc.record({
    enc: some(namesOf('ikesa', combined)),
    prf: some([...PRFS.keys()]),
    auth: combined ? fc.constant([]) : some([...INTEGRITIES.keys()]),
    group: some(groups),
    esn: fc.constant([]),
  }),
)
const childProposal = (ah: boolean): fc.Arbitrary<IkedProposal> =>
  fc.boolean().chain((combined) =>
    fc.record({
      enc: ah ? fc.constant([]) : some(namesOf('childsa', combined)),
      prf: fc.constant([]),
      auth: combined && !ah ? fc.constant([]) : some([...INTEGRITIES.keys()]),
      group: some([...GROUPS.keys()]),
      esn: some([true, false]),
    }),
  )

const policy = (number: number): fc.Arbitrary<IkedPolicy> =>
  fc
    .tuple(fc.constantFrom<4 | 6>(4, 6), fc.constantFrom<'esp' | 'ah'>('esp', 'ah'), fc.boolean())
    .chain(([family, protocol, withPorts]) => {
      const bytes = family === 4 ? ipv4 : ipv6
      const bits = family === 4 ? 32 : 128
      const port = fc.integer({ min: 0, max: 65_535 })
      const flow = fc
        .tuple(
          fc.record({ from: prefixOf(bytes, bits), to: prefixOf(bytes, bits) }),
          withPorts ? maybe(fc.record({ fromPort: port })) : fc.constant({}),
          withPorts ? maybe(fc.record({ toPort: port })) : fc.constant({}),
          maybe(
            prefixOf(bytes, bits).map((nat) => ({
              sourceNat: nat.kind === 'prefix' ? nat.prefix : undefined,
            })),
          ),
        )
        .map((parts): IkedPolicy['flows'][number] => Object.assign({}, ...parts))
      return fc
        .tuple(
          fc.record({
            name: text(20).map((name) => `${number} ${name}`),
            active: fc.boolean(),
            ipcomp: fc.boolean(),
            mode: fc.constantFrom('tunnel', 'transport'),
            protocols: withPorts
              ? some([6, 17])
              : fc.uniqueArray(fc.integer({ min: 0, max: 255 }), { maxLength: 16 }),
            flows: fc.uniqueArray(flow, {
              minLength: 1,
              maxLength: 3,
              selector: ({ from, to, fromPort, toPort }) => JSON.stringify([from, to, fromPort, toPort]),
            }),
            local: hostOf(bytes, bits),
            peer: hostOf(bytes, bits),
            ikesa: fc.array(ikeProposal, { minLength: 1, maxLength: 2 }),
            childsa: fc.array(childProposal(protocol === 'ah'), { minLength: 1, maxLength: 2 }),
            ikeLifetime: fc.integer({ min: 0, max: 2 ** 31 }),
            lifetime: fc.record({
              seconds: fc.integer({ min: 0, max: 2 ** 31 }),
              bytes: fc.integer({ min: 0, max: 2 ** 48 }),
            }),
            auth: fc.oneof(
              fc
                .uint8Array({ minLength: 1, maxLength: 40 })
                .map((secret) => ({ kind: 'psk' as const, secret })),
              fc.constant({ kind: 'eap' as const, method: 'mschap-v2' as const }),
              fc
                .constantFrom('rsa', 'ecdsa256', 'ecdsa384', 'ecdsa521', 'rfc7427', 'signature')
                .map((method) => ({ kind: 'signature' as const, method })),
            ),
            configuration: fc.constant([]),
          }),
          maybe(fc.record({ evaluation: fc.constantFrom('quick', 'skip') })),
          maybe(fc.record({ rdomain: fc.integer({ min: 0, max: 255 }) })),
          maybe(fc.record({ srcid: text(30) })),
          maybe(fc.record({ dstid: text(30) })),
          maybe(fc.record({ iface: fc.constantFrom('lo1', 'em0') })),
          maybe(fc.record({ tag: text(30) })),
          maybe(fc.record({ tap: fc.integer({ min: 0, max: 99 }) })),
        )
        .map((parts): IkedPolicy => Object.assign({ number, family, protocol, where: '' }, ...parts))
    })

const options: fc.Arbitrary<IkedOptions> = fc
  .tuple(
    fc.record({
      passive: fc.boolean(),
      decouple: fc.boolean(),
      fragmentation: fc.boolean(),
      mobike: fc.boolean(),
      vendorId: fc.boolean(),
      enforceSingleIkeSa: fc.boolean(),
      stickyAddress: fc.boolean(),
      certPartialChain: fc.boolean(),
      dpdCheckInterval: fc.integer({ min: 0, max: 2 ** 31 }),
    }),
    maybe(
      fc.record({
        ocsp: fc.record({
          url: fc.constant('http://10.0.0.1/'),
          tolerate: fc.integer({ min: 0, max: 9999 }),
        }),
      }),
    ),
  )
  .map((parts): IkedOptions => Object.assign({}, DEFAULT_OPTIONS, ...parts))

test('what is printed is read again as the same', () => {
  const users = fc.uniqueArray(fc.record({ name: text(20), password: text(30) }), {
    selector: ({ name }) => name,
    maxLength: 3,
  })
  const conf = fc.record({ policies: fc.tuple(policy(1), policy(2)), users, options })
  fc.assert(
    fc.property(conf, (one) => {
      const again = reread({ ...one, warnings: [] })
      assert.deepEqual(withoutPlaces(again), withoutPlaces({ ...one, warnings: [] }))
    }),
    { numRuns: 300 },
  )
})

test('whatever bytes a file has, it is read or refused, never more', () => {
  const words =
    `ikev2 iked2 set user include ike "a" 'b' "c \\ passive active quick esp ah proto tcp { } , = from to any dynamic 10.0.0.0/8 192.0.2.1 fd00::1 port 80 ( ) local peer
    ikesa childsa enc auth prf group aes-256 hmac-sha2-256 curve25519 none esn srcid dstid lifetime 3h bytes 4G ikelifetime psk 0x00 file eap "mschap-v2" config request address iface tag tap "enc0" \\\n \n # $a a = 1`.split(
      / +/,
    )
  const anything = fc.oneof(
    fc.array(fc.constantFrom(...words, '\n'), { maxLength: 40 }).map((list) => list.join(' ')),
    fc
      .array(fc.constantFrom(...words), { maxLength: 30 })
      .map((list) => `ikev2 from 192.0.2.1 to 192.0.2.2 ${list.join(' ')}`),
    fc.string({ unit: 'binary', maxLength: 60 }),
  )
  fc.assert(
    fc.property(anything, (content) => {
      try {
        const conf = parseIkedConf(content, 'f')
        assert.deepEqual(withoutPlaces(reread(conf)), withoutPlaces(conf))
      } catch (error) {
        if (!(error instanceof WarrenError)) throw error
        assert.match(error.code, /^CONFIG_/)
      }
    }),
    { numRuns: 2000 },
  )
})
