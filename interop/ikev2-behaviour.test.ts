/**
 * What `warren up iked.conf` does in the course of time, with strongSwan's charon and with itself: either end gets another
 * address, a way dies, the interface goes down, files are read again, a daemon stops or is killed. Traffic goes on, or stays
 * closed; in no case does it go in clear.
 *
 *     netns a, Warren                           netns b, charon or Warren
 *     +-----------------------------+   veth    +-----------------------------+
 *     | lo   10.1.1.1 …             |           | lo   10.1.2.1 …             |
 *     | eth0 192.168.1.1            | --------- | eth0 192.168.1.2            |
 *     | eth1 192.168.2.1            | --------- | eth1 192.168.2.2            |
 *     | enc0                        | ========= | ipsec0 or enc0              |
 *     +-----------------------------+           +-----------------------------+
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { runIn } from './lib/daemon.js'
import {
  CLEAR,
  established,
  IkeHosts,
  pings,
  SteadyPing,
  sasOf,
  statusOf,
  swanctlConf,
  until,
} from './lib/ike-hosts.js'
import { missing } from './lib/need.js'
import { Netns } from './lib/netns.js'
import type { Charon } from './lib/peers/strongswan.js'
import { WARREN, type WarrenProcess } from './lib/warren.js'

const SECRET = 'what two hosts do in the course of time'
const SUITES = 'ikesa enc aes-256-gcm prf hmac-sha2-256 group curve25519 childsa enc aes-256-gcm noesn'

let hosts: IkeHosts
let net: Netns
let a: string
let b: string

function begin(): void {
  net = new Netns('ib')
  hosts = new IkeHosts(net)
  a = net.add('a')
  b = net.add('b')
  for (const link of [0, 1]) {
    net.veth(a, `eth${link}`, b, `eth${link}`)
    for (const [i, host] of [a, b].entries())
      net.run(host, `ip addr add 192.168.${link + 1}.${i + 1}/24 dev eth${link}`)
  }
  for (const [i, host] of [a, b].entries())
    net.run(host, [1, 2, 3, 4].map((n) => `ip addr add 10.${n}.${i + 1}.1/32 dev lo`).join('; '))
}

async function end(): Promise<void> {
  await hosts.end()
  net.close()
}

const charon = (local: string, remote: string, connection = ''): Promise<Charon> =>
  hosts.charon(
    b,
    'b',
    swanctlConf({
      local,
      remote,
      localId: 'b.example.com',
      remoteId: 'a.example.com',
      localTs: '10.1.2.1/32',
      remoteTs: '10.1.1.1/32',
      secret: SECRET,
      connection,
    }),
  )

/** `ends`: `local` and `peer` as the file is to say them. */
const policy = (mode: 'active' | 'passive', ends: string): string =>
  `ikev2 "tunnel" ${mode} esp from 10.1.1.1 to 10.1.2.1 ${ends} ${SUITES} \\
  srcid a.example.com dstid b.example.com psk "${SECRET}"`

const ENDS: readonly [string, string][] = [
  ['a', '10.1.1.1'],
  ['b', '10.1.2.1'],
]
const bothPing = (): void =>
  pings(net, [
    [a, ENDS[0]![1]],
    [b, ENDS[1]![1]],
  ])

/** The peer's address with which the one SA of the daemon goes on. */
const remoteIs = (process: WarrenProcess, remote: RegExp, limitMs?: number): Promise<unknown> =>
  until(
    `an SA whose peer is at ${remote}`,
    async () => {
      const sas = await sasOf(process)
      return sas.length === 1 && sas[0]!.state === 'established' && remote.test(sas[0]!.remote)
    },
    () => process.log(),
    limitMs,
  )

const NEEDS = missing('ping', 'tcpdump', 'nft', '/usr/sbin/charon-systemd', 'swanctl', 'unshare')

describe('an end is somewhere else (MOBIKE, RFC 4555)', { skip: NEEDS }, () => {
  beforeEach(begin)
  afterEach(end)

  test('Warren gets another address: the SA goes with it, and so does the traffic', async () => {
    await charon('192.168.1.2', '%any')
    const w = await hosts.warren(a, 'a', policy('active', 'peer 192.168.1.2'))
    const before = await established(w)
    assert.match(before.local, /^192\.168\.1\.1:/)
    const clear = await hosts.capture(a, 'eth0', CLEAR)
    const ping = await SteadyPing.start(hosts, a, '10.1.1.1', '10.1.2.1')
    net.run(a, 'ip addr del 192.168.1.1/24 dev eth0; ip addr add 192.168.1.11/24 dev eth0')
    await until(
      'an SA that is at 192.168.1.11',
      async () => (await sasOf(w)).some(({ local }) => local === '192.168.1.11:4500'),
      () => w.log(),
    )
    await ping.goesOn(() => w.log())
    const now = await established(w)
    assert.equal(now.initiatorSpi, before.initiatorSpi)
    bothPing()
    assert.doesNotMatch(clear.log, /10\.1\.[12]\.1/)
  })

  test('an address that is alone in the file: it is waited for, or moved from', async () => {
    await charon('192.168.1.2', '%any')
    const w = await hosts.warren(a, 'a', policy('active', 'local 192.168.1.1 peer 192.168.1.2'))
    const before = await established(w)
    const ping = await SteadyPing.start(hosts, a, '10.1.1.1', '10.1.2.1')
    net.run(a, 'ip addr del 192.168.1.1/24 dev eth0')
    net.run(a, 'ip addr add 192.168.1.11/24 dev eth0')
    await ping.goesOn(() => w.log())
    assert.equal((await established(w)).initiatorSpi, before.initiatorSpi)
    bothPing()
  })

  test('charon gets another address, and Warren follows', async () => {
    const peer = await charon('%any', '192.168.1.1')
    const w = await hosts.warren(a, 'a', policy('passive', 'local 192.168.1.1 peer any'))
    await peer.swanctl('--initiate', '--child', 'tunnel')
    const before = await established(w)
    bothPing()
    net.run(b, 'ip addr del 192.168.1.2/24 dev eth0; ip addr add 192.168.1.22/24 dev eth0')
    await remoteIs(w, /^192\.168\.1\.22:/)
    assert.equal((await established(w)).initiatorSpi, before.initiatorSpi)
    const ping = await SteadyPing.start(hosts, a, '10.1.1.1', '10.1.2.1')
    await ping.goesOn(() => w.log())
    bothPing()
  })

  test('a way that dies without a word: the peer is found at its other address', async () => {
    const peer = await charon('%any', '%any')
    const w = await hosts.warren(
      a,
      'a',
      `set dpd_check_interval 1\n${policy('active', 'local any peer 192.168.1.2')}`,
    )
    const before = await established(w)
    assert.match(before.local, /^192\.168\.1\.1:/)
    // Neither end is told: the cable only takes nothing any more.
    for (const host of [a, b])
      net.run(
        host,
        'nft add table netdev dead; nft add chain netdev dead eth0 "{ type filter hook ingress device eth0 priority 0; policy drop; }"',
      )
    await remoteIs(w, /^192\.168\.2\.2:/, 50_000)
    assert.equal((await established(w)).initiatorSpi, before.initiatorSpi)
    assert.match(
      w.log(),
      /no answer from 192\.168\.1\.1:4500 to 192\.168\.1\.2:4500: trying from 192\.168\.2\.1/,
    )
    const ping = await SteadyPing.start(hosts, a, '10.1.1.1', '10.1.2.1')
    await ping.goesOn(() => w.log())
    assert.match(await peer.swanctl('--list-sas'), /192\.168\.2\.1/)
  })

  test('no MOBIKE: begun again from the new address, and the old SA is forgotten at the peer', async () => {
    const peer = await charon('192.168.1.2', '%any', 'mobike = no')
    const w = await hosts.warren(a, 'a', policy('active', 'peer 192.168.1.2'))
    const before = await established(w)
    net.run(a, 'ip addr del 192.168.1.1/24 dev eth0; ip addr add 192.168.1.11/24 dev eth0')
    await until(
      'another SA',
      async () =>
        (await sasOf(w)).some(
          ({ state, initiatorSpi }) => state === 'established' && initiatorSpi !== before.initiatorSpi,
        ),
      () => w.log(),
    )
    await established(w)
    bothPing()
    const sas = await peer.swanctl('--list-sas')
    assert.equal(sas.match(/^tunnel: /gm)?.length, 1, sas)
  })
})

describe('the interface and its addresses', { skip: NEEDS }, () => {
  beforeEach(begin)
  afterEach(end)

  test('enc0 down and up, and an address that comes back: steered again by itself, and closed meanwhile', async () => {
    await charon('192.168.1.2', '192.168.1.1')
    const w = await hosts.warren(a, 'a', policy('active', 'local 192.168.1.1 peer 192.168.1.2'))
    await established(w)
    bothPing()
    const clear = await hosts.capture(a, 'eth0', CLEAR)
    net.run(a, 'ip link set enc0 down')
    assert.throws(() => net.run(a, 'ping -c 2 -i 0.2 -W 1 -I 10.1.1.1 10.1.2.1'))
    net.run(a, 'ip link set enc0 up')
    const answered = (command: string): Promise<unknown> =>
      until(
        command,
        () =>
          runIn(a, ['sh', '-c', command]).then(
            () => true,
            () => false,
          ),
        () => w.log(),
      )
    await answered('ping -c 1 -W 1 -I 10.1.1.1 10.1.2.1')
    bothPing()
    // Without -I the source is the one that routes prefer: it went with the address, and comes back with it.
    await answered('ping -c 1 -W 1 10.1.2.1')
    net.run(a, 'ip addr del 10.1.1.1/32 dev lo')
    await until(
      'a route without that source',
      () => !net.run(a, 'ip route show table all').includes('src 10.1.1.1'),
      () => w.log(),
    )
    net.run(a, 'ip addr add 10.1.1.1/32 dev lo')
    await answered('ping -c 1 -W 1 10.1.2.1')
    assert.doesNotMatch(clear.log, /10\.1\.2\.1/)
  })
})

describe('files are read again, daemons stop and are killed', { skip: NEEDS }, () => {
  beforeEach(begin)
  afterEach(end)

  const side = (i: 1 | 2, numbers: readonly number[], lifetime = 3600): string =>
    numbers
      .map((n) => {
        const [own, other] = i === 1 ? ['a', 'b'] : ['b', 'a']
        return `ikev2 "p${n}" ${i === 1 ? 'active' : 'passive'} esp from 10.${n}.${i}.1 to 10.${n}.${3 - i}.1 \\
  local 192.168.1.${i} peer 192.168.1.${3 - i} srcid ${own}${n}.example.com dstid ${other}${n}.example.com \\
  ${n === 2 ? `lifetime ${lifetime} ` : ''}psk "${SECRET}${n}"`
      })
      .join('\n')

  const reload = (w: WarrenProcess): string =>
    execFileSync(process.execPath, [WARREN, 'reload', '--socket', w.socket], {
      encoding: 'utf8',
      stdio: 'pipe',
    })

  const spis = async (w: WarrenProcess): Promise<Record<string, string>> =>
    Object.fromEntries(
      (await sasOf(w)).map((sa) => [sa.policy, `${sa.initiatorSpi} ${sa.children[0]?.spiIn}`]),
    )

  test('reload: what did not change loses nothing, what changed is another, what is gone is deleted', async () => {
    const far = await hosts.warren(b, 'b', side(2, [1, 2, 3, 4]))
    const near = await hosts.warren(a, 'a', side(1, [1, 2, 3]))
    for (const name of ['p1', 'p2', 'p3']) await established(near, name)
    const before = await spis(near)
    const ping = await SteadyPing.start(hosts, a, '10.1.1.1', '10.1.2.1')
    const clear = await hosts.capture(a, 'eth0', CLEAR)
    hosts.conf('a', side(1, [1, 2, 4], 1800))
    reload(near)
    await established(near, 'p4')
    await until(
      'another p2',
      async () => (await spis(near)).p2?.startsWith('0x') && (await spis(near)).p2 !== before.p2,
      () => near.log(),
    )
    await established(near, 'p2')
    const after = await spis(near)
    assert.deepEqual(Object.keys(after).sort(), ['p1', 'p2', 'p4'])
    assert.equal(after.p1, before.p1)
    await until(
      'the peer has no p3',
      async () => !('p3' in (await spis(far))),
      () => far.log(),
    )
    assert.match(near.log(), /p3|reload/)
    pings(net, [
      [a, '10.2.1.1'],
      [b, '10.2.2.1'],
    ])
    pings(net, [
      [a, '10.4.1.1'],
      [b, '10.4.2.1'],
    ])
    assert.deepEqual(await ping.end(), [], near.log())
    assert.doesNotMatch(clear.log, /10\.[124]\.2\.1/)
  })

  test('reload of a file with a mistake: all goes on, and it says where', async () => {
    await hosts.warren(b, 'b', side(2, [1]))
    const near = await hosts.warren(a, 'a', side(1, [1]))
    await established(near)
    const before = await spis(near)
    const ping = await SteadyPing.start(hosts, a, '10.1.1.1', '10.1.2.1')
    writeFileSync(hosts.conf('a', ''), 'ikev2 "p1" active esp from 10.1.1.1 to nowhere.invalid peer\n', {
      mode: 0o600,
    })
    assert.throws(() => reload(near), /iked\.conf:1/)
    execFileSync('kill', ['-HUP', String(near.pid)])
    await until(
      'a word in the log',
      () => /not reloaded: .*iked\.conf:1/.test(near.log()),
      () => near.log(),
    )
    assert.deepEqual(await spis(near), before)
    assert.deepEqual(await ping.end(), [])
  })

  test('stopped: the peer is told; killed: closed, and the next up is there at once', async () => {
    const peer = await charon('192.168.1.2', '192.168.1.1')
    const text = policy('active', 'local 192.168.1.1 peer 192.168.1.2')
    const first = await hosts.warren(a, 'a', text)
    await established(first)
    await first.stop()
    await until(
      'no SA at the peer',
      async () => !/tunnel/.test(await peer.swanctl('--list-sas')),
      () => peer.daemon.log,
    )
    const second = await hosts.warren(a, 'a', text)
    await established(second)
    bothPing()
    const clear = await hosts.capture(a, 'eth0', CLEAR)
    await second.kill()
    assert.throws(() => net.run(a, 'ping -c 2 -i 0.2 -W 1 -I 10.1.1.1 10.1.2.1'))
    const third = await hosts.warren(a, 'a', text)
    await established(third)
    bothPing()
    const sas = await peer.swanctl('--list-sas')
    assert.equal(sas.match(/^tunnel: /gm)?.length, 1, sas)
    assert.doesNotMatch(clear.log, /10\.1\.2\.1/)
  })

  test('the peer is killed: closed; it begins anew and has its traffic at once, the old SA is forgotten', async () => {
    const peer = await charon('192.168.1.2', '192.168.1.1')
    const w = await hosts.warren(a, 'a', policy('active', 'local 192.168.1.1 peer 192.168.1.2'))
    const before = await established(w)
    const clear = await hosts.capture(a, 'eth0', CLEAR)
    execFileSync('kill', ['-KILL', ...peer.daemon.processes().map(String)])
    assert.throws(() => net.run(a, 'ping -c 2 -i 0.2 -W 1 -I 10.1.1.1 10.1.2.1'))
    const next = await charon('192.168.1.2', '192.168.1.1')
    await next.swanctl('--initiate', '--child', 'tunnel')
    await until(
      'one SA, another one',
      async () => {
        const sas = await sasOf(w)
        return (
          sas.length === 1 && sas[0]!.initiatorSpi !== before.initiatorSpi && sas[0]!.children.length === 1
        )
      },
      () => w.log(),
    )
    bothPing()
    assert.equal((await statusOf(w)).tunnels[0]!.state, 'up')
    assert.doesNotMatch(clear.log, /10\.1\.2\.1/)
  })
})
