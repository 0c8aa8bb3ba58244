/**
 * IKEv2 with NATs in between (RFC 7296 section 2.23, RFC 3948): `warren up iked.conf` behind one, strongSwan's charon behind
 * one, one at each end; and a NAT that takes another address and forgets whom it has translated.
 *
 *     netns i                 netns n (NAT)                  netns m (host, or NAT)             netns p
 *     +--------------+       +---------------------------+  +----------------------------+    +--------------+
 *     | 192.168.7.2  | ----- | 192.168.7.1   203.0.113.1 |--| 203.0.113.9    192.168.8.1 | -- | 192.168.8.2  |
 *     | lo 10.1.1.1  |       |    masquerade, any port   |  | lo 10.1.2.1                |    | lo 10.1.2.1  |
 *     +--------------+       +---------------------------+  +----------------------------+    +--------------+
 */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import {
  CLEAR,
  established,
  IkeHosts,
  pings,
  SteadyPing,
  sasOf,
  swanctlConf,
  until,
} from './lib/ike-hosts.js'
import { missing } from './lib/need.js'
import { Netns } from './lib/netns.js'
import type { Charon } from './lib/peers/strongswan.js'
import type { WarrenProcess } from './lib/warren.js'

const SECRET = 'who sees another address than one has'
const SUITES = 'ikesa enc aes-256-gcm prf hmac-sha2-256 group curve25519 childsa enc aes-256-gcm noesn'
const FLOW: readonly [string, string] = ['10.1.1.1', '10.1.2.1']

let hosts: IkeHosts
let net: Netns
let i: string
let n: string
let m: string
let p: string

/** Ports outside are never those inside, and what nobody has asked for does not come in. */
const masquerade = (link: string): string => `table ip translate {
  chain out {
    type nat hook postrouting priority 100
    oifname "${link}" masquerade to :20000-60000 fully-random
  }
}`

function nft(host: string, text: string): void {
  net.run(
    host,
    `nft -f - <<'END'\n${text.replace(/masquerade to/, 'meta l4proto { tcp, udp } masquerade to')}\nEND`,
  )
}

function begin(): void {
  net = new Netns('in')
  hosts = new IkeHosts(net)
  i = net.add('i')
  n = net.add('n')
  m = net.add('m')
  p = net.add('p')
  net.veth(i, 'eth0', n, 'in')
  net.veth(n, 'out', m, 'out')
  net.veth(m, 'in', p, 'eth0')
  net.run(i, 'ip addr add 192.168.7.2/24 dev eth0; ip route add default via 192.168.7.1')
  net.run(n, 'ip addr add 192.168.7.1/24 dev in; ip addr add 203.0.113.1/24 dev out')
  net.run(m, 'ip addr add 203.0.113.9/24 dev out; ip addr add 192.168.8.1/24 dev in')
  net.run(p, 'ip addr add 192.168.8.2/24 dev eth0; ip route add default via 192.168.8.1')
  for (const nat of [n, m]) net.run(nat, 'echo 1 > /proc/sys/net/ipv4/ip_forward')
  net.run(i, 'ip addr add 10.1.1.1/32 dev lo')
  nft(n, masquerade('out'))
}

/** The NAT in front of `p` lets IKE and ESP in UDP through to it. */
function secondNat(): void {
  nft(m, masquerade('out'))
  nft(
    m,
    `table ip inward {
  chain in {
    type nat hook prerouting priority -100
    iifname "out" udp dport { 500, 4500 } dnat to 192.168.8.2
  }
}`,
  )
}

/** What the NAT has translated is forgotten with its address. */
const moveNat = (): void => {
  net.run(n, 'ip addr del 203.0.113.1/24 dev out; ip addr add 203.0.113.5/24 dev out')
}

const policy = (mode: 'active' | 'passive', own: 'i' | 'o', ends: string, flow = FLOW, rest = ''): string => {
  const [from, to] = own === 'i' ? flow : [flow[1], flow[0]]
  const [srcid, dstid] = own === 'i' ? ['i', 'o'] : ['o', 'i']
  return `ikev2 "tunnel" ${mode} ${rest} esp from ${from} to ${to} ${ends} ${SUITES} \\
  srcid ${srcid}.example.com dstid ${dstid}.example.com psk "${SECRET}"`
}

const charon = (host: string, own: 'i' | 'o', local: string, remote: string): Promise<Charon> => {
  const [here, there] = own === 'i' ? FLOW : [FLOW[1], FLOW[0]]
  return hosts.charon(
    host,
    own,
    swanctlConf({
      ...{ local, remote, secret: SECRET },
      localId: `${own}.example.com`,
      remoteId: `${own === 'i' ? 'o' : 'i'}.example.com`,
      localTs: `${here}/32`,
      remoteTs: `${there}/32`,
      connection: 'dpd_delay = 2s',
    }),
  )
}

const atIn = (process: WarrenProcess, remote: RegExp): Promise<unknown> =>
  until(
    `an SA with ${remote}`,
    async () => (await sasOf(process)).some((sa) => sa.state === 'established' && remote.test(sa.remote)),
    () => process.log(),
    40_000,
  )

async function iperf(client: string, server: string, from: string, to: string): Promise<void> {
  const listener = hosts.daemon(server, 'iperf3', '-s', '-1', '-B', to, '--forceflush')
  await listener.until(/listening/i)
  const answer = JSON.parse(net.run(client, `iperf3 -c ${to} -B ${from} -t 1 -J`)) as {
    end: { sum_received: { bits_per_second: number } }
  }
  assert.ok(answer.end.sum_received.bits_per_second > 2_000_000)
}

const NEEDS = missing('ping', 'iperf3', 'tcpdump', 'nft', '/usr/sbin/charon-systemd', 'swanctl', 'unshare')

describe('a NAT on the way', { skip: NEEDS }, () => {
  beforeEach(begin)
  afterEach(async () => {
    await hosts.end()
    net.close()
  })

  test('Warren behind it: goes over to port 4500, keeps its mapping, and survives another address of the NAT', async () => {
    net.run(m, 'ip addr add 10.1.2.1/32 dev lo')
    const peer = await charon(m, 'o', '203.0.113.9', '%any')
    const outside = await hosts.capture(m, 'out', CLEAR)
    const keepalives = await hosts.capture(m, 'out', 'dst 203.0.113.9 and udp dst port 4500 and udp[4:2] = 9')
    const w = await hosts.warren(
      i,
      'i',
      `set dpd_check_interval 1\n${policy('active', 'i', 'peer 203.0.113.9')}`,
    )
    const sa = await established(w)
    assert.deepEqual(
      [sa.behindNat, sa.udp, sa.local, sa.remote],
      [true, true, '192.168.7.2:4500', '203.0.113.9:4500'],
    )
    assert.match(await peer.swanctl('--list-sas'), /203\.0\.113\.1\[[2-6]\d{4}\]/)
    pings(net, [
      [i, FLOW[0]],
      [m, FLOW[1]],
    ])
    await iperf(i, m, ...FLOW)
    await keepalives.until(/203\.0\.113\.1\.\d+ > 203\.0\.113\.9\.4500/, 40_000)
    const ping = await SteadyPing.start(hosts, i, ...FLOW)
    moveNat()
    await until(
      'the peer sees the NAT’s other address',
      async () => /203\.0\.113\.5\[/.test(await peer.swanctl('--list-sas')),
      () => `${w.log()}\n${peer.daemon.log}`,
      40_000,
    )
    await ping.goesOn(() => w.log(), 40_000)
    assert.equal((await established(w)).initiatorSpi, sa.initiatorSpi)
    pings(net, [
      [i, FLOW[0]],
      [m, FLOW[1]],
    ])
    assert.doesNotMatch(outside.log, /10\.1\.[12]\.1/)
  })

  test('charon behind it: Warren answers at the port that the NAT has chosen, and follows to another address', async () => {
    net.run(m, 'ip addr add 10.1.2.1/32 dev lo')
    const w = await hosts.warren(m, 'o', policy('passive', 'o', 'local 203.0.113.9 peer any'))
    const peer = await charon(i, 'i', '%any', '203.0.113.9')
    await peer.swanctl('--initiate', '--child', 'tunnel')
    const sa = await established(w)
    assert.match(sa.remote, /^203\.0\.113\.1:[2-6]\d{4}$/)
    assert.deepEqual([sa.behindNat, sa.udp], [false, true])
    pings(net, [
      [i, FLOW[0]],
      [m, FLOW[1]],
    ])
    await iperf(i, m, ...FLOW)
    moveNat()
    await atIn(w, /^203\.0\.113\.5:/)
    assert.equal((await established(w)).initiatorSpi, sa.initiatorSpi)
    const ping = await SteadyPing.start(hosts, m, FLOW[1], FLOW[0])
    await ping.goesOn(() => w.log())
    pings(net, [
      [i, FLOW[0]],
      [m, FLOW[1]],
    ])
  })

  test('transport mode: TCP and UDP have checksums that hold at the other end', async () => {
    const inside: readonly [string, string] = ['192.168.7.2', '203.0.113.9']
    const outside: readonly [string, string] = ['203.0.113.1', '203.0.113.9']
    const far = await hosts.warren(
      m,
      'o',
      policy('passive', 'o', 'local 203.0.113.9 peer 203.0.113.1', outside, 'transport'),
    )
    const near = await hosts.warren(
      i,
      'i',
      policy('active', 'i', 'local 192.168.7.2 peer 203.0.113.9', inside, 'transport'),
    )
    await established(near)
    assert.deepEqual((await established(far)).children[0]!.remote, ['203.0.113.1'])
    const clear = await hosts.capture(m, 'out', CLEAR)
    pings(
      net,
      [
        [i, inside[0]],
        [m, outside[1]],
      ],
      [inside[1], outside[0]],
    )
    await iperf(i, m, ...inside)
    const udp = hosts.daemon(m, 'iperf3', '-s', '-1', '-B', outside[1], '--forceflush')
    await udp.until(/listening/i)
    const answer = JSON.parse(net.run(i, `iperf3 -u -b 5M -c ${inside[1]} -B ${inside[0]} -t 1 -J`)) as {
      end: { sum: { packets: number; lost_percent: number } }
    }
    assert.ok(answer.end.sum.packets > 100 && answer.end.sum.lost_percent < 10)
    assert.doesNotMatch(clear.log, /203\.0\.113/)
  })

  test('one at each end', async () => {
    secondNat()
    net.run(p, 'ip addr add 10.1.2.1/32 dev lo')
    const far = await hosts.warren(p, 'o', policy('passive', 'o', 'local 192.168.8.2 peer any'))
    const near = await hosts.warren(
      i,
      'i',
      `set dpd_check_interval 1\n${policy('active', 'i', 'peer 203.0.113.9')}`,
    )
    const [one, other] = [await established(near), await established(far)]
    assert.deepEqual([one.behindNat, other.behindNat], [true, true])
    assert.match(other.remote, /^203\.0\.113\.1:[2-6]\d{4}$/)
    pings(net, [
      [i, FLOW[0]],
      [p, FLOW[1]],
    ])
    await iperf(i, p, ...FLOW)
    moveNat()
    await atIn(far, /^203\.0\.113\.5:/)
    const ping = await SteadyPing.start(hosts, p, FLOW[1], FLOW[0])
    await ping.goesOn(() => far.log())
    pings(net, [
      [i, FLOW[0]],
      [p, FLOW[1]],
    ])
  })
})
