/**
 * The life of SAs between `warren up iked.conf` and OpenIKED: families, NAT, algorithms, keys made anew by either side, ends.
 * `lib/uml-ike-net.ts` has the picture.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { Daemon } from './lib/daemon.js'
import { missing } from './lib/need.js'
import { INSIDE, iperf, pings, underPing, until } from './lib/uml-ike-case.js'
import { HOME, PEER } from './lib/uml-ike-net.js'
import { certify, IkedPair, ROLES, type Role, type Two } from './lib/uml-iked-pair.js'

const NEEDS = missing('linux.uml', '/usr/sbin/iked', 'ping', 'iperf3', 'nft', 'ethtool', 'tcpdump', 'openssl')
const SECRET = 'psk "keys of two hosts"'

describe('SAs with OpenIKED', { skip: NEEDS, timeout: 300_000 }, () => {
  let pair: IkedPair

  before(async () => {
    pair = await IkedPair.boot('xl')
  })
  afterEach(() => pair.end())
  after(() => pair?.close())

  const outside: readonly (Two & { readonly name: string; readonly mixed?: boolean })[] = [
    { name: 'IPv6 in IPv6', outer: 6, inside: INSIDE[6] },
    { name: 'IPv4 in IPv6', outer: 6, inside: INSIDE[4], mixed: true },
    { name: 'IPv6 in IPv4', outer: 4, inside: INSIDE[6], mixed: true },
  ]
  for (const { name, mixed, ...two } of outside)
    for (const role of mixed ? (['initiator'] as const) : ROLES)
      test(`${name}, Warren is the ${role}`, async () => {
        const w = await pair.both(role, two)
        await w.established()
        if (mixed) await pair.iked.mixFamilies()
        await pings(pair.host, w, two.inside)
      })

  test('transport mode', async () => {
    const w = await pair.both('initiator', {
      mode: 'transport',
      inside: { near: '192.168.1.1', far: '192.168.1.2' },
    })
    await w.established()
    await pings(pair.host, w, { near: '192.168.1.1', far: '192.168.1.2' })
  })

  test('a NAT on the way: ESP in UDP on port 4500', async () => {
    const { host } = pair
    const two: Two = { local: HOME.outer, ids: ['home.example.com', 'gate.example.com'] }
    const w = await pair.both('initiator', two, pair.folders(), host.h)
    const sa = await w.established()
    assert.equal(sa.udp, true)
    assert.equal(sa.behindNat, true)
    await pings(host, w, INSIDE[4], host.h)
  })

  const suites: readonly (readonly [string, string, readonly Role[]])[] = [
    [
      'curve25519, with a key exchange of the child',
      'ikesa enc aes-256-gcm prf hmac-sha2-512 group curve25519 childsa enc aes-256 auth hmac-sha2-512 group curve25519',
      ['initiator'],
    ],
    [
      'sntrup761x25519',
      'ikesa enc aes-256 auth hmac-sha2-256 prf hmac-sha2-256 group sntrup761x25519',
      ROLES,
    ],
    ['ecp521', 'ikesa enc aes-192 auth hmac-sha2-512 prf hmac-sha2-384 group ecp521', ['responder']],
    ['modp4096', 'ikesa enc aes-128-gcm-12 prf hmac-sha1 group modp4096', ['initiator']],
  ]
  for (const [name, suite, roles] of suites)
    for (const role of roles)
      test(`${name}, Warren is the ${role}`, async () => {
        const w = await pair.both(role, { suite: [suite, suite] })
        assert.match((await w.established()).algorithms, /SNTRUP|CURVE|ECP_521|MODP_4096/i)
        await pings(pair.host, w)
      })

  for (const role of ROLES)
    test(`messages in fragments, Warren is the ${role}`, async () => {
      const folders = pair.folders()
      const ids = ['warren.example.com', 'iked.example.com'] as const
      certify('rsa', folders, ids)
      const set = 'set fragmentation'
      const w = await pair.both(role, { ids, rest: ['', ''], set: [set, set] }, folders)
      await w.established()
      assert.match(await pair.iked.log(), /nextpayload SKF|payload SKF/)
      await pings(pair.host, w)
    })

  for (const [who, i] of [
    ['Warren', 0],
    ['iked', 1],
  ] as const) {
    const rest = (times: string): readonly [string, string] =>
      i === 0 ? [`${times} ${SECRET}`, SECRET] : [SECRET, `${times} ${SECRET}`]

    // iked deletes the old one before it has put the new one into its kernel: what comes in between is lost there. As
    // responder it sends by the new one at once: what overtakes the reading of its answer finds no keys here yet.
    const mayBeLost = i === 0 ? 1 : 3
    test(`${who} makes the child anew, and flows go on`, async () => {
      const w = await pair.both('initiator', { rest: rest('lifetime 4') })
      const before = await w.established()
      await underPing(
        pair.host,
        w,
        async () => {
          await w.until('another child', async () => {
            const [sa] = await w.sas()
            return sa?.children.length === 1 && sa.children[0]!.spiIn !== before.children[0]!.spiIn
          })
        },
        mayBeLost,
      )
      assert.equal((await w.sas())[0]!.initiatorSpi, before.initiatorSpi)
      await pings(pair.host, w)
    })

    test(`${who} makes the IKE SA anew, and nothing is lost`, async () => {
      const w = await pair.both('initiator', { rest: rest('ikelifetime 5') })
      const before = await w.established()
      await underPing(pair.host, w, async () => {
        await w.until('another IKE SA', async () => {
          const sas = (await w.sas()).filter(({ state }) => state === 'established')
          return (
            sas.length === 1 &&
            sas[0]!.initiatorSpi !== before.initiatorSpi &&
            sas[0]!.children[0]?.spiIn === before.children[0]!.spiIn
          )
        })
      })
      await pings(pair.host, w)
    })
  }

  test('Warren ends: iked has no SAs any more', async () => {
    const w = await pair.both('initiator', {})
    await w.established()
    await until('SAs of the kernel', async () => (await pair.iked.kernelSas()) >= 2)
    await w.process.stop()
    await until(
      'their end',
      async () => (await pair.iked.kernelSas()) === 0,
      () => pair.iked.log(),
    )
  })

  test('iked ends the SA, and Warren begins anew', async () => {
    const w = await pair.both('initiator', {})
    const before = await w.established()
    await pair.iked.ctl(`reset id IPV4/192.168.1.1`)
    await w.until('another IKE SA', async () =>
      (await w.sas()).some(
        (sa) =>
          sa.state === 'established' && sa.children.length > 0 && sa.initiatorSpi !== before.initiatorSpi,
      ),
    )
    await pings(pair.host, w)
  })

  test('iked is killed: it is asked whether it lives, flows stay closed, and it may begin anew', async () => {
    const { host, iked } = pair
    const set = ['set dpd_check_interval 1', ''] as const
    const w = await pair.both('initiator', { set })
    const before = await w.established()
    await iked.signal('KILL')
    await host.flush()
    const clear = Daemon.start(host.w, ['tcpdump', '-lnpi', 'eth0', 'icmp'])
    const questions = Daemon.start(host.w, ['tcpdump', '-lnpi', 'eth0', 'src 192.168.1.1 and udp port 4500'])
    try {
      await clear.until(/listening on/)
      await questions.until(/listening on/)
      // Asked once more after two seconds (RFC 7296 section 2.4).
      await questions.until(/inf2[\s\S]*\n[\s\S]*inf2/, 20_000)
      assert.throws(() => host.net.run(host.w, `ping -c 2 -i 0.2 -W 1 -I ${INSIDE[4].near} ${INSIDE[4].far}`))
      assert.doesNotMatch(clear.log, /10\.1\.2\.1/)
    } finally {
      await clear.stop()
      await questions.stop()
    }
    await iked.start(
      `ikev2 "t" active esp from ${INSIDE[4].far} to ${INSIDE[4].near} local ${PEER.outer[4]} peer 192.168.1.1 \\
        srcid 192.168.1.2 dstid 192.168.1.1 ${SECRET}`,
    )
    await w.until('another IKE SA', async () =>
      (await w.sas()).some(
        (sa) =>
          sa.state === 'established' && sa.children.length > 0 && sa.initiatorSpi !== before.initiatorSpi,
      ),
    )
    await pings(host, w)
    await iperf(host)
  })

  test('Warren moves to another address (MOBIKE)', async () => {
    const { host } = pair
    const w = await pair.both('initiator', {
      local: 'any',
      set: ['set mobike', 'set mobike'],
      ids: ['warren.example.com', 'iked.example.com'],
    })
    const before = await w.established()
    host.net.run(host.w, 'ip addr add 192.168.1.3/24 dev eth0; ip addr del 192.168.1.1/24 dev eth0')
    // Of its secondary addresses a kernel may take the first one's end for theirs.
    host.net.run(host.w, 'ip addr replace 192.168.1.3/24 dev eth0')
    try {
      await w.until('the SA at another place', async () =>
        (await w.sas()).some(
          (sa) => sa.local.startsWith('192.168.1.3') && sa.initiatorSpi === before.initiatorSpi,
        ),
      )
      await until(
        "the kernel's SAs there",
        async () => (await host.kernel.must('ip xfrm state')).includes('dst 192.168.1.3'),
        () => w.logs(),
      )
      await pings(host, w)
    } finally {
      host.net.run(host.w, 'ip addr add 192.168.1.1/24 dev eth0; ip addr del 192.168.1.3/24 dev eth0')
      host.net.run(host.w, 'ip addr replace 192.168.1.1/24 dev eth0')
    }
  })
})
