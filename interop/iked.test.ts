/**
 * `warren up iked.conf` with the daemon that the article is about: OpenIKED in a Linux kernel with IPsec of its own, and each
 * way to prove who one is. ESP is that kernel's; `lib/uml-ike-net.ts` has the picture.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { missing } from './lib/need.js'
import { INSIDE, type Inside, iperf, pings } from './lib/uml-ike-case.js'
import { certify, exchangeKeys, IkedPair, ROLES } from './lib/uml-iked-pair.js'

const NEEDS = missing('linux.uml', '/usr/sbin/iked', 'ping', 'iperf3', 'nft', 'ethtool', 'openssl')

/** The article's lines but for its `iked2`; Warren is always 192.168.1.1. */
const article = (mode: 'active' | 'passive', local: string, peer: string, more = ''): string =>
  `ikev2 ${mode} esp from 192.168.1.0/24 to 192.168.1.0/24 \\
${more}    from 172.16.1.0/24 to 172.16.1.0/24 \\
    local ${local} ${mode === 'active' ? `peer ${peer} ` : ''}\\
    psk "dont_use_psk_its_a_bad_idea"`

const ARTICLE_6 = `       from fdd0:48b3:1360:ab79::/64 to fdd0:48b3:1360:ab79::/64 \\\n`
const ARTICLE_INSIDE: readonly [Inside, Inside] = [
  { near: '172.16.1.1', far: '172.16.1.2' },
  { near: 'fdd0:48b3:1360:ab79::1', far: 'fdd0:48b3:1360:ab79::2' },
]
const NAMES = ['warren.example.com', 'iked.example.com'] as const

describe('OpenIKED at the other end', { skip: NEEDS, timeout: 300_000 }, () => {
  let pair: IkedPair

  before(async () => {
    pair = await IkedPair.boot('xi')
    const { host } = pair
    // A bridge without members is as good as a vether(4).
    host.net.run(host.w, 'ip link add vether0 type bridge; ip link set vether0 up')
    await host.kernel.must('ip link add vether0 type dummy; ip link set vether0 up')
    for (const [i, { near, far }] of ARTICLE_INSIDE.entries()) {
      const rest = i === 0 ? '/24 dev vether0' : '/64 dev vether0 nodad'
      host.net.run(host.w, `ip addr add ${near}${rest}`)
      await host.kernel.must(`ip addr add ${far}${rest}`)
    }
  })
  afterEach(() => pair.end())
  after(() => pair?.close())

  for (const role of ROLES)
    test(`the article's pre-shared key, Warren is the ${role}`, async () => {
      const { host, iked } = pair
      const [ours, theirs] =
        role === 'initiator' ? (['active', 'passive'] as const) : (['passive', 'active'] as const)
      if (role === 'initiator') await iked.start(article(theirs, '192.168.1.2', '192.168.1.1'))
      const w = await pair.warren(article(ours, '192.168.1.1', '192.168.1.2'))
      if (role === 'responder') await iked.start(article(theirs, '192.168.1.2', '192.168.1.1'))
      const sa = await w.established()
      assert.equal(sa.initiator, role === 'initiator')
      assert.equal(sa.udp, false)
      await pings(host, w, ARTICLE_INSIDE[0])
      // The addresses on the link are in its flows as well.
      await pings(host, w, { near: '192.168.1.1', far: '192.168.1.2' })
      if (role === 'initiator') await iperf(host, ARTICLE_INSIDE[0])
    })

  for (const role of ROLES)
    test(`the article's IPv6 network inside, Warren is the ${role}`, async () => {
      const { host, iked } = pair
      const [ours, theirs] =
        role === 'initiator' ? (['active', 'passive'] as const) : (['passive', 'active'] as const)
      if (role === 'initiator') await iked.start(article(theirs, '192.168.1.2', '192.168.1.1', ARTICLE_6))
      const w = await pair.warren(article(ours, '192.168.1.1', '192.168.1.2', ARTICLE_6))
      if (role === 'responder') await iked.start(article(theirs, '192.168.1.2', '192.168.1.1', ARTICLE_6))
      await w.established()
      await iked.mixFamilies()
      for (const inside of ARTICLE_INSIDE) await pings(host, w, inside)
    })

  for (const role of ROLES)
    test(`the article's public keys: local.pub in the other one's pubkeys/ipv4, Warren is the ${role}`, async () => {
      const folders = pair.folders()
      exchangeKeys('rsa2048', folders, ['ipv4/192.168.1.1', 'ipv4/192.168.1.2'])
      const w = await pair.both(role, { rest: ['', ''] }, folders)
      assert.equal((await w.established()).remoteId, 'IPV4/192.168.1.2')
      await pings(pair.host, w)
    })

  for (const [type, roles] of [
    ['ecdsa256', ROLES],
    ['ecdsa384', ['initiator']],
    ['ecdsa521', ['responder']],
  ] as const)
    for (const role of roles)
      test(`public keys, ${type}, known by name, Warren is the ${role}`, async () => {
        const folders = pair.folders()
        exchangeKeys(type, folders, [`fqdn/${NAMES[0]}`, `fqdn/${NAMES[1]}`])
        const w = await pair.both(role, { ids: NAMES, rest: [type, type] }, folders)
        assert.equal((await w.established()).remoteId, `FQDN/${NAMES[1]}`)
        await pings(pair.host, w)
      })

  for (const type of ['rsa', 'ec'] as const)
    for (const role of ROLES)
      test(`certificates, ${type}, Warren is the ${role}`, async () => {
        const folders = pair.folders()
        certify(type, folders, NAMES)
        const w = await pair.both(role, { ids: NAMES, rest: ['', ''] }, folders)
        assert.equal((await w.established()).remoteId, `FQDN/${NAMES[1]}`)
        await pings(pair.host, w)
      })

  test('a user with a password (EAP-MSCHAPv2) at its gateway', async () => {
    const folders = pair.folders()
    certify('rsa', folders, NAMES)
    const user = 'user "alice@example.com" "password123"'
    const two = {
      ids: ['alice@example.com', NAMES[1]],
      set: [user, user],
      rest: ['eap "mschap-v2"', 'eap "mschap-v2"'],
    } as const
    const w = await pair.both('initiator', two, folders)
    await w.established()
    await pings(pair.host, w)
  })

  test('an address that it assigns', async () => {
    const { host } = pair
    const far = INSIDE[4].far
    const w = await pair.both('initiator', {
      flows: [`from dynamic to ${far}`, `from ${far} to dynamic`],
      rest: [
        'psk "keys of two hosts" request address any request name-server any',
        'psk "keys of two hosts" config address 10.5.0.0/24 config name-server 10.5.0.53',
      ],
    })
    const { assigned } = await w.established()
    const [near] = assigned!.addresses
    assert.match(near!, /^10\.5\.0\.\d+$/)
    assert.deepEqual(assigned!.nameServers, ['10.5.0.53'])
    await pings(host, w, { near: near!, far })
  })

  test('another secret: both are told', async () => {
    const w = await pair.both('initiator', { rest: ['psk "one"', 'psk "other"'] })
    await w.logged(/AUTHENTICATION_FAILED.*psk/)
    await pair.iked.until(/ikev2_msg_auth|auth.* failed|AUTHENTICATION_FAILED/i)
    assert.equal(await pair.iked.kernelSas(), 0)
    assert.deepEqual(
      (await w.sas()).filter(({ state }) => state === 'established'),
      [],
    )
  })

  for (const role of ROLES)
    test(`no proposal in common, Warren is the ${role}`, async () => {
      const w = await pair.both(role, {
        suite: [
          'ikesa enc aes-256-gcm prf hmac-sha2-256 group curve25519',
          'ikesa enc aes-128-gcm prf hmac-sha2-256 group curve25519',
        ],
      })
      await w.logged(
        role === 'initiator' ? /NO_PROPOSAL_CHOSEN/ : /no proposal chosen: enc: found aes-128-gcm/,
      )
      assert.equal(await pair.iked.kernelSas(), 0)
    })
})
