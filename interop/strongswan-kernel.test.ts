/**
 * `warren up iked.conf` with strongSwan in a Linux kernel of its own: ESP is that kernel's, as protocol 50 and in UDP, in tunnel
 * and in transport mode. `lib/uml-ike-net.ts` has the picture.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { missing } from './lib/need.js'
import { UmlCharon } from './lib/uml-charon.js'
import { INSIDE, type Inside, iperf, pings, underPing, WarrenIke, warrenFolder } from './lib/uml-ike-case.js'
import { HOME, PEER, UmlIkeNet, WARREN } from './lib/uml-ike-net.js'

const NEEDS = missing('linux.uml', '/usr/sbin/charon-systemd', 'swanctl', 'ping', 'iperf3', 'nft', 'ethtool')
const SECRET = 'keys of two hosts'

interface Case {
  readonly name: string
  readonly outer?: 4 | 6
  readonly inside?: Inside
  readonly mode?: 'transport'
  /** strongSwan says that there is a NAT. */
  readonly encap?: boolean
  readonly stream?: boolean
  /** Both unless said. */
  readonly role?: 'initiator' | 'responder'
  /** Algorithms: iked.conf's, and strongSwan's for IKE and ESP. */
  readonly suite?: readonly [string, string, string]
}

const GCM = [
  'ikesa enc aes-256-gcm prf hmac-sha2-256 group curve25519 childsa enc aes-256-gcm noesn',
  'aes256gcm16-prfsha256-curve25519',
  'aes256gcm16-noesn',
] as const
const CBC = [
  'ikesa enc aes-256 auth hmac-sha2-384 prf hmac-sha2-384 group ecp384 childsa enc aes-128 auth hmac-sha2-256 group ecp384 esn',
  'aes256-sha384-ecp384',
  'aes128-sha256-ecp384-esn',
] as const
const ENDS: Inside = { near: WARREN.outer[4], far: PEER.outer[4] }

const CASES: readonly Case[] = [
  { name: 'protocol 50, tunnel mode', stream: true },
  { name: 'protocol 50, tunnel mode, CBC with ESN', suite: CBC },
  { name: 'protocol 50, transport mode', mode: 'transport', inside: ENDS },
  { name: 'in UDP, tunnel mode', encap: true, stream: true },
  { name: 'in UDP, transport mode', encap: true, mode: 'transport', inside: ENDS },
  { name: 'protocol 50, IPv6 in IPv6', outer: 6, inside: INSIDE[6] },
  { name: 'protocol 50, IPv6 in IPv4', inside: INSIDE[6], role: 'initiator' },
  { name: 'protocol 50, IPv4 in IPv6', outer: 6, role: 'responder' },
]

describe('strongSwan with the kernel’s ESP', { skip: NEEDS, timeout: 300_000 }, () => {
  let host: UmlIkeNet
  let charon: UmlCharon
  let warren: WarrenIke | undefined
  let count = 0

  before(async () => {
    host = await UmlIkeNet.boot('xs')
    charon = new UmlCharon(host)
  })
  afterEach(async () => {
    const running = warren
    warren = undefined
    try {
      await running?.process.stop()
    } finally {
      await charon.stop()
    }
  })
  after(() => host?.close())

  const bits = (address: string): string => `${address}/${address.includes(':') ? 128 : 32}`

  async function far(one: Omit<Case, 'name'>, remote?: string): Promise<void> {
    const { outer = 4, inside = INSIDE[4], mode = 'tunnel', encap = false, suite = GCM } = one
    const selectors = `local_ts = ${bits(inside.far)}
        remote_ts = ${bits(inside.near)}`
    await charon.start(`connections {
  t {
    version = 2
    local_addrs = ${PEER.outer[outer]}
    remote_addrs = ${remote ?? WARREN.outer[outer]}
    proposals = ${suite[1]}
    encap = ${encap ? 'yes' : 'no'}
    rekey_time = 0
    local {
      auth = psk
      id = far.example.com
    }
    remote {
      auth = psk
      id = near.example.com
    }
    children {
      t {
        ${mode === 'transport' && encap ? '' : selectors}
        mode = ${mode}
        esp_proposals = ${suite[2]}
        rekey_time = 0
      }
    }
  }
}
secrets {
  ike-1 {
    secret = "${SECRET}"
  }
}
`)
  }

  async function near(
    mode: 'active' | 'passive',
    one: Omit<Case, 'name'>,
    { local, namespace = host.w, rest = '' }: { local?: string; namespace?: string; rest?: string } = {},
  ): Promise<WarrenIke> {
    const { outer = 4, inside = INSIDE[4], suite = GCM } = one
    warren = await WarrenIke.start(host, namespace, {
      text: `ikev2 "t" ${mode} ${one.mode ?? ''} esp from ${inside.near} to ${inside.far} local ${local ?? WARREN.outer[outer]} peer ${PEER.outer[outer]} \\
  ${suite[0]} srcid near.example.com dstid far.example.com ${rest} psk "${SECRET}"`,
      folder: warrenFolder(host, String(++count)),
      peerLog: () => charon.log(),
    })
    return warren
  }

  for (const role of ['initiator', 'responder'] as const)
    for (const one of CASES.filter((each) => (each.role ?? role) === role))
      test(`${one.name}, Warren is the ${role}`, async () => {
        await far(one)
        const w = await near(role === 'initiator' ? 'active' : 'passive', one)
        if (role === 'responder') await charon.swanctl('--initiate --child t')
        const sa = await w.established()
        assert.equal(sa.initiator, role === 'initiator')
        assert.equal(sa.udp, one.encap ?? false)
        assert.equal(sa.children[0]!.mode, one.mode ?? 'tunnel')
        const states = await host.kernel.must('ip xfrm state')
        assert.equal(/encap type espinudp/.test(states), one.encap ?? false)
        await pings(host, w, one.inside)
        if (one.stream && role === 'initiator') await iperf(host)
      })

  test('a NAT on the way', async () => {
    await far({}, '%any')
    const w = await near('active', {}, { local: HOME.outer, namespace: host.h })
    const sa = await w.established()
    assert.deepEqual([sa.udp, sa.behindNat], [true, true])
    await pings(host, w, INSIDE[4], host.h)
  })

  test('keys are made anew by either side under a ping, and nothing is lost', async () => {
    await far({})
    const w = await near('active', {})
    const first = await w.established()
    const another = (than: string): Promise<string> =>
      w.until('another child', async () => {
        const children = (await w.sas()).flatMap(({ children: all }) => all)
        return children.length === 1 && children[0]!.spiIn !== than && children[0]!.spiIn
      })
    await underPing(host, w, async () => {
      const second = await charon.swanctl('--rekey --child t').then(() => another(first.children[0]!.spiIn))
      await charon.swanctl('--rekey --ike t')
      await w.until('another IKE SA', async () => {
        const sas = await w.sas()
        return sas.length === 1 && sas[0]!.initiatorSpi !== first.initiatorSpi
      })
      await charon.swanctl('--rekey --child t').then(() => another(second))
    })
    await pings(host, w)
  })

  test('Warren makes child and IKE SA anew under a ping, and nothing is lost', async () => {
    await far({})
    const w = await near('active', {}, { rest: 'ikelifetime 6 lifetime 3' })
    const first = await w.established()
    await underPing(host, w, () =>
      w
        .until('another IKE SA with another child', async () => {
          const [sa] = await w.sas()
          return (
            sa !== undefined &&
            sa.initiatorSpi !== first.initiatorSpi &&
            sa.children[0]?.spiIn !== first.children[0]!.spiIn
          )
        })
        .then(() => {}),
    )
    await pings(host, w)
  })
})
