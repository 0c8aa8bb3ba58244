/** Files on two hosts, and what comes of them: the policies as the protocol's machine runs them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseIpAddress, SeededRandom } from '../../base/index.js'
import { Link, Side, spisOf } from '../../proto/ikev2/testing.js'
import { parseIkedConf, toIkePolicies } from './index.js'

function side(hostname: string, address: string, text: string): Side {
  const own = parseIpAddress(address)!
  const policies = toIkePolicies(parseIkedConf(text, `${hostname}.conf`), {
    hostname,
    addresses: [own],
    localFor: () => own,
    interfaceAddresses: () => undefined,
  })
  return new Side({
    policies,
    random: new SeededRandom(hostname.length + address.length * 7 + own.bytes.at(-1)!),
  })
}

/** alice answers, bob begins; which policy alice took. */
function play(alice: string, bob: string, from = '192.168.1.2'): { link: Link; policy: string | undefined } {
  const link = new Link([side('alice.my.domain', '192.168.1.1', alice), side('bob.my.domain', from, bob)])
  link.start()
  link.run(5)
  const session = link.sides[0].machine.sessions().find(({ state }) => state === 'established')
  return { link, policy: session?.policy.name }
}
const established = ({ sides: [a, b] }: Link): void => {
  assert.deepEqual([a.established, b.established], [1, 1], `${a.problems()} ${b.problems()}`)
  assert.deepEqual(spisOf(a), spisOf(b))
  assert.equal(a.paths.size, 1)
}

const FLOWS = `from 192.168.1.0/24 to 192.168.1.0/24 \\
    from 172.16.1.0/24 to 172.16.1.0/24 \\
    `
const PSK = 'psk "dont_use_psk_its_a_bad_idea"'
const BOB = `ikev2 active esp ${FLOWS}local 192.168.1.2 peer 192.168.1.1 ${PSK}`

test("the article's two files make its VPN", () => {
  const { link, policy } = play(`ikev2 passive esp ${FLOWS}local 192.168.1.1 ${PSK}`, BOB)
  established(link)
  assert.equal(policy, 'policy1')
})

test("the article's two files with IPv6 inside", () => {
  const inner = 'from fdd0:48b3:1360:ab79::/64 to fdd0:48b3:1360:ab79::/64 \\\n    '
  const { link } = play(
    `ikev2 passive esp ${inner}${FLOWS}local 192.168.1.1 ${PSK}`,
    BOB.replace('from ', `${inner}from `),
  )
  established(link)
  const families = new Set(link.sides[0].policies.map(({ family }) => family))
  assert.deepEqual(families, new Set([4, 6]))
})

test('the last policy that fits is taken, a quick one before it, and the default one where none fits', () => {
  const rule = (name: string, flag: string, peer: string): string =>
    `ikev2 "${name}" ${flag} ${FLOWS}local any peer ${peer} ${PSK}\n`
  const both = rule('first', '', 'any') + rule('last', '', '192.168.1.0/24')
  assert.equal(play(both, BOB).policy, 'last')
  assert.equal(play(rule('first', 'quick', 'any') + rule('last', '', 'any'), BOB).policy, 'first')
  assert.equal(play(both + rule('never', 'skip', 'any'), BOB).policy, 'last')
  assert.equal(
    play(rule('spare', 'default', '10.0.0.1') + rule('other', '', '10.0.0.2'), BOB).policy,
    'spare',
  )
  assert.equal(play(rule('other', '', '10.0.0.2'), BOB).policy, undefined)
})

test('dstid tells two policies of one address apart', () => {
  const rule = (name: string): string => `ikev2 "${name}" ${FLOWS}peer any dstid ${name}.my.domain ${PSK}\n`
  assert.equal(play(rule('bob') + rule('carol'), BOB).policy, 'bob')
})

test('defaults and proposals of both sides meet; what differs is named in the words of the file', () => {
  const alice = (algorithms: string): string => `ikev2 ${FLOWS}peer any ${algorithms} ${PSK}`
  established(play(alice('ikesa enc aes-256 auth hmac-sha2-512 prf hmac-sha1 group modp2048'), BOB).link)
  established(play(alice('childsa enc aes-128 auth hmac-sha1 noesn'), BOB).link)
  const { link } = play(alice('ikesa enc chacha20-poly1305'), BOB)
  assert.equal(link.sides[0].established, 0)
  assert.match(link.sides[0].problems().join(), /enc: found .*, expected chacha20-poly1305 of our ikesa/)
})

test('over IPv6, where the family is the peer’s', () => {
  const alice = side('alice', 'fd00::1', `ikev2 ${FLOWS}peer any ${PSK}`)
  const bob = side('bob', 'fd00::2', `ikev2 active ${FLOWS}peer fd00::1 ${PSK}`)
  const link = new Link([alice, bob])
  link.start()
  link.run(5)
  established(link)
})
