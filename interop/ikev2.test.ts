/**
 * `warren up iked.conf` with strongSwan's charon, and with itself: keys are negotiated, packets go protected both ways,
 * keys are made anew without loss, and what cannot be agreed upon is told with what to do about it.
 *
 *     netns a, Warren                           netns b, charon or Warren
 *     +-----------------------------+   veth    +-----------------------------+
 *     | lo   10.1.1.1   fd01::1     |           | lo   10.1.2.1   fd02::1     |
 *     | eth0 192.168.1.1  fd00::1   | --------- | eth0 192.168.1.2  fd00::2   |
 *     | enc0                        | ========= | ipsec0 or enc0              |
 *     +-----------------------------+           +-----------------------------+
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { IkeSaStatus } from '../src/engine/index.js'
import type { DaemonStatus } from '../src/linux/index.js'
import { Daemon } from './lib/daemon.js'
import { missing } from './lib/need.js'
import { Netns } from './lib/netns.js'
import { Charon } from './lib/peers/strongswan.js'
import { startWarren, WARREN, type WarrenProcess } from './lib/warren.js'

const SECRET = 'keys of two hosts'
/** What must not be seen on the link while it is protected; neighbour discovery may. */
const CLEAR = 'icmp or tcp or (icmp6 and (ip6[40] == 128 or ip6[40] == 129)) or (ip6 and tcp)'

let net: Netns
let a: string
let b: string
const running: (() => Promise<unknown>)[] = []

function hosts(): void {
  net = new Netns('ik')
  a = net.add('a')
  b = net.add('b')
  net.veth(a, 'eth0', b, 'eth0')
  for (const [i, host] of [a, b].entries()) {
    const n = i + 1
    net.run(host, `ip addr add 192.168.1.${n}/24 dev eth0; ip addr add fd00::${n}/64 dev eth0 nodad`)
    net.run(host, `ip addr add 10.1.${n}.1/32 dev lo; ip addr add fd0${n}::1/128 dev lo`)
  }
}

/** The last started ends first. */
async function end(): Promise<void> {
  for (const stop of running.splice(0).reverse()) await stop()
}

/** `/etc/iked.conf` of a host, with its folder of keys. */
function conf(name: string, text: string): string {
  const folder = join(net.folder, name)
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'iked.conf')
  writeFileSync(file, `${text}\n`, { mode: 0o600 })
  return file
}

async function warren(host: string, name: string, text: string): Promise<WarrenProcess> {
  const process = await startWarren(net, host, [conf(name, text)])
  running.push(() => process.stop())
  return process
}

interface CharonWants {
  readonly secret?: string
  readonly proposals?: string
  readonly esp?: string
  readonly connection?: string
  readonly child?: string
  /** How each side proves who it is, in place of a PSK. */
  readonly local?: string
  readonly remote?: string
}

async function charon({
  secret = SECRET,
  proposals = 'aes256gcm16-prfsha256-curve25519',
  esp = 'aes256gcm16-noesn',
  connection = '',
  child = '',
  local = 'auth = psk',
  remote = 'auth = psk',
}: CharonWants = {}): Promise<Charon> {
  const peer = await Charon.start(b, {
    folder: net.folder,
    name: 'b',
    swanctl: `connections {
  tunnel {
    version = 2
    local_addrs = 192.168.1.2
    remote_addrs = 192.168.1.1
    proposals = ${proposals}
    encap = yes
    rekey_time = 0
    ${connection}
    local {
      ${local}
      id = 192.168.1.2
    }
    remote {
      ${remote}
      id = 192.168.1.1
    }
    children {
      tunnel {
        local_ts = 10.1.2.1/32
        remote_ts = 10.1.1.1/32
        esp_proposals = ${esp}
        rekey_time = 0
        ${child}
      }
    }
  }
}
secrets {
  ike-1 {
    secret = "${secret}"
  }
}
`,
  })
  running.push(() => peer.daemon.stop())
  return peer
}

const policy = (
  mode: 'active' | 'passive',
  {
    secret = SECRET,
    ike = 'ikesa enc aes-256-gcm prf hmac-sha2-256 group curve25519',
    child = 'childsa enc aes-256-gcm noesn',
    rest = '',
  } = {},
): string =>
  `ikev2 "tunnel" ${mode} esp from 10.1.1.1 to 10.1.2.1 local 192.168.1.1 peer 192.168.1.2 \\
  ${ike} ${child} srcid 192.168.1.1 dstid 192.168.1.2 ${rest} psk "${secret}"`

const statusOf = async (process: WarrenProcess): Promise<DaemonStatus> =>
  JSON.parse(await process.status('--json')) as DaemonStatus

const sasOf = async (process: WarrenProcess): Promise<readonly IkeSaStatus[]> =>
  (await statusOf(process)).tunnels[0]?.ike?.sas ?? []

async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  log: () => string,
): Promise<T> {
  for (const deadline = Date.now() + 15_000; Date.now() < deadline; await sleep(100)) {
    const found = await look()
    if (found !== undefined && found !== false) return found
  }
  throw new Error(`${what} did not come about\n${log()}`)
}

const established = (process: WarrenProcess): Promise<IkeSaStatus> =>
  until(
    'an IKE SA with a child',
    async () =>
      (await sasOf(process)).find(({ state, children }) => state === 'established' && children.length > 0),
    () => process.log(),
  )

const logged = (process: WarrenProcess, pattern: RegExp): Promise<string> =>
  until(
    `${pattern}`,
    async () => pattern.exec(process.log())?.[0],
    () => process.log(),
  )

const PING_A = 'ping -c 3 -i 0.2 -W 2 -I 10.1.1.1 10.1.2.1'
const PING_B = 'ping -c 3 -i 0.2 -W 2 -I 10.1.2.1 10.1.1.1'

function pings(): void {
  assert.match(net.run(a, PING_A), /3 received/)
  assert.match(net.run(b, PING_B), /3 received/)
}

/** A ping that goes on meanwhile; not one may be lost. */
async function underPing(why: () => string, work: () => Promise<void>): Promise<void> {
  const ping = Daemon.start(a, ['ping', '-i', '0.02', '-I', '10.1.1.1', '10.1.2.1'])
  try {
    await ping.until(/icmp_seq=20 /)
    await work()
    await sleep(500)
    execFileSync('kill', ['-INT', String(ping.pid)])
    await ping.until(/packets transmitted/)
    const seen = new Set([...ping.log.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, number]) => Number(number)))
    const last = Math.max(...seen)
    // Those behind the last answer may still have been on their way.
    const lost = Array.from({ length: last }, (_, i) => i + 1).filter((number) => !seen.has(number))
    assert.deepEqual(lost, [], `of ${last}; ${why()}`)
  } finally {
    await ping.stop()
  }
}

/** What a capture outside shows with the keys of the running one. */
async function openedDump({ socket }: WarrenProcess): Promise<string> {
  const capture = join(net.folder, 'outside.pcap')
  const dump = Daemon.start(a, [
    'tcpdump',
    '--immediate-mode',
    '-Uni',
    'eth0',
    '-w',
    capture,
    'udp port 4500',
  ])
  try {
    await dump.until(/listening on/)
    net.run(a, PING_A)
    await sleep(500)
  } finally {
    await dump.stop()
  }
  return execFileSync(process.execPath, [WARREN, 'dump', '-nr', capture, '--keys', `running:${socket}`], {
    encoding: 'utf8',
  })
}

async function iperf(): Promise<void> {
  const server = Daemon.start(b, ['iperf3', '-s', '-1', '-B', '10.1.2.1', '--forceflush'])
  try {
    await server.until(/listening/i)
    const answer = JSON.parse(net.run(a, 'iperf3 -c 10.1.2.1 -B 10.1.1.1 -t 2 -J')) as {
      end: { sum_received: { bits_per_second: number } }
    }
    assert.ok(answer.end.sum_received.bits_per_second > 5_000_000)
  } finally {
    await server.stop()
  }
}

const NEEDS = missing('ping', 'iperf3', 'tcpdump', 'nft', '/usr/sbin/charon-systemd', 'swanctl', 'unshare')

describe('warren up iked.conf with strongSwan', { skip: NEEDS }, () => {
  before(hosts)
  afterEach(end)
  after(() => net.close())

  test('Warren begins: pings both ways and a stream of TCP', async () => {
    await charon()
    const w = await warren(a, 'a', policy('active'))
    const sa = await established(w)
    assert.equal(sa.initiator, true)
    assert.equal(sa.udp, true)
    assert.equal(sa.remoteId, 'IPV4/192.168.1.2')
    pings()
    await iperf()
    const opened = await openedDump(w)
    assert.match(opened, /10\.1\.1\.1 > 10\.1\.2\.1: icmp: echo request/)
    const text = await w.status()
    assert.match(text, /IKE SA tunnel: established, initiator/)
    assert.match(text, /esp tunnel 10\.1\.1\.1 --> 10\.1\.2\.1/)
    assert.ok(!text.includes(SECRET))
    const [child] = (await sasOf(w))[0]!.children
    assert.ok(child!.packetsIn > 100 && child!.packetsOut > 100)
  })

  test('Warren answers', async () => {
    const w = await warren(a, 'a', policy('passive'))
    const peer = await charon()
    await peer.swanctl('--initiate', '--child', 'tunnel')
    assert.equal((await established(w)).initiator, false)
    pings()
    await iperf()
  })

  test('the peer makes child and IKE SA anew under ping, and nothing is lost', async () => {
    const peer = await charon()
    const w = await warren(a, 'a', policy('active'))
    const before = await established(w)
    await underPing(
      () => w.log(),
      async () => {
        await peer.swanctl('--rekey', '--child', 'tunnel')
        const other = await until(
          'another child',
          async () => {
            const [sa] = await sasOf(w)
            return sa?.children.length === 1 && sa.children[0]!.spiIn !== before.children[0]!.spiIn
          },
          () => w.log(),
        )
        assert.equal(other, true)
        await peer.swanctl('--rekey', '--ike', 'tunnel')
        await until(
          'another IKE SA',
          async () => {
            const sas = await sasOf(w)
            return sas.length === 1 && sas[0]!.initiatorSpi !== before.initiatorSpi
          },
          () => w.log(),
        )
      },
    )
    pings()
  })

  test('Warren makes child and IKE SA anew under ping, and nothing is lost', async () => {
    await charon()
    const w = await warren(a, 'a', policy('active', { rest: 'ikelifetime 6 lifetime 3' }))
    const before = await established(w)
    await underPing(
      () => w.log(),
      async () => {
        await until(
          'another IKE SA with another child',
          async () => {
            const [sa] = await sasOf(w)
            return (
              sa !== undefined &&
              sa.initiatorSpi !== before.initiatorSpi &&
              sa.children[0]?.spiIn !== before.children[0]!.spiIn
            )
          },
          () => w.log(),
        )
      },
    )
    pings()
  })

  test('a peer that dies is asked whether it lives, its flows stay closed, and it may begin anew', async () => {
    const peer = await charon()
    const w = await warren(a, 'a', `set dpd_check_interval 1\n${policy('active')}`)
    const before = await established(w)
    execFileSync('kill', ['-KILL', String(peer.daemon.pid)])
    const clear = Daemon.start(a, ['tcpdump', '-lnpi', 'eth0', CLEAR])
    const questions = Daemon.start(a, ['tcpdump', '-lnpi', 'eth0', 'src 192.168.1.1 and udp port 4500'])
    try {
      await clear.until(/listening on/)
      await questions.until(/listening on/)
      // Asked once more after two seconds (RFC 7296 section 2.4).
      await questions.until(/inf2[\s\S]*\n[\s\S]*inf2/)
      assert.throws(() => net.run(a, 'ping -c 2 -i 0.2 -W 1 -I 10.1.1.1 10.1.2.1'))
      assert.doesNotMatch(clear.log, /10\.1\.2\.1/)
    } finally {
      await clear.stop()
      await questions.stop()
    }
    const next = await charon()
    await next.swanctl('--initiate', '--child', 'tunnel')
    await until(
      'one IKE SA, another one',
      async () => {
        const sas = await sasOf(w)
        return sas.length === 1 && sas[0]!.initiatorSpi !== before.initiatorSpi
      },
      () => w.log(),
    )
    pings()
  })

  test('another secret: the log says what to compare, and no secret', async () => {
    await charon({ secret: 'another one' })
    const w = await warren(a, 'a', policy('active'))
    const line = await logged(w, /enc0: .*AUTHENTICATION_FAILED: .*\(write the same psk on both sides.*\n/)
    assert.ok(!line.includes(SECRET))
  })

  for (const type of ['rsa2048', 'ecdsa256', 'ed25519'])
    test(`raw keys, ${type}`, async () => {
      const peerFolder = join(net.folder, 'charon-b')
      const [ours, theirs] = [join(net.folder, 'a', 'iked'), join(net.folder, `far-${type}`)]
      rmSync(ours, { recursive: true, force: true })
      for (const folder of [ours, theirs])
        execFileSync(process.execPath, [WARREN, 'keygen', '--type', type, '--folder', folder], {
          stdio: 'pipe',
        })
      for (const part of ['private', 'pubkey']) {
        rmSync(join(peerFolder, part), { recursive: true, force: true })
        mkdirSync(join(peerFolder, part), { recursive: true })
      }
      mkdirSync(join(ours, 'pubkeys', 'ipv4'), { recursive: true })
      copyFileSync(join(theirs, 'private', 'local.key'), join(peerFolder, 'private', 'own.key'))
      copyFileSync(join(theirs, 'local.pub'), join(peerFolder, 'pubkey', 'own.pub'))
      copyFileSync(join(ours, 'local.pub'), join(peerFolder, 'pubkey', 'warren.pub'))
      copyFileSync(join(theirs, 'local.pub'), join(ours, 'pubkeys', 'ipv4', '192.168.1.2'))
      await charon({
        local: 'auth = pubkey\n      pubkeys = own.pub',
        remote: 'auth = pubkey\n      pubkeys = warren.pub',
      })
      const w = await warren(a, 'a', policy('active').replace(/psk ".*"/, ''))
      await established(w)
      pings()
    })

  test('no proposal in common', async () => {
    const w = await warren(a, 'a', policy('passive'))
    const peer = await charon({ proposals: 'aes128-sha256-modp2048' })
    await assert.rejects(peer.swanctl('--initiate', '--child', 'tunnel', '--timeout', '5'))
    const line = await logged(w, /enc0: .*proposal.*\n/i)
    assert.match(line, /enc: found aes-128 at the peer, expected aes-256-gcm of our \w+ \(add /)
  })
})

interface Between {
  readonly name: string
  readonly ends: readonly [string, string]
  readonly inside: readonly [string, string]
  readonly mode?: 'transport'
}

const BETWEEN: readonly Between[] = [
  { name: 'IPv4 in IPv4', ends: ['192.168.1.1', '192.168.1.2'], inside: ['10.1.1.1', '10.1.2.1'] },
  { name: 'IPv6 in IPv6', ends: ['fd00::1', 'fd00::2'], inside: ['fd01::1', 'fd02::1'] },
  { name: 'IPv6 in IPv4', ends: ['192.168.1.1', '192.168.1.2'], inside: ['fd01::1', 'fd02::1'] },
  {
    name: 'transport mode, IPv4',
    ends: ['192.168.1.1', '192.168.1.2'],
    inside: ['192.168.1.1', '192.168.1.2'],
    mode: 'transport',
  },
  {
    name: 'transport mode, IPv6',
    ends: ['fd00::1', 'fd00::2'],
    inside: ['fd00::1', 'fd00::2'],
    mode: 'transport',
  },
]

describe('warren up iked.conf at both ends', { skip: missing('ping', 'tcpdump', 'nft') }, () => {
  before(hosts)
  afterEach(end)
  after(() => net.close())

  const rule = (one: Between, i: 0 | 1, auth: string): string => {
    const j = 1 - i
    const { ends, inside, mode = '' } = one
    return `ikev2 "t" ${i === 0 ? 'active' : 'passive'} ${mode} esp from ${inside[i]} to ${inside[j]!} \\
  local ${ends[i]} peer ${ends[j]!} srcid ${'ab'[i]}.example.com dstid ${'ab'[j]}.example.com ${auth}`
  }

  for (const one of BETWEEN)
    test(one.name, async () => {
      const far = await warren(b, 'b', rule(one, 1, `psk "${SECRET}"`))
      const near = await warren(a, 'a', rule(one, 0, `psk "${SECRET}"`))
      await established(near)
      await established(far)
      const dump = Daemon.start(a, ['tcpdump', '-lnpi', 'eth0', CLEAR])
      try {
        await dump.until(/listening on/)
        const [from, to] = one.inside
        assert.match(net.run(a, `ping -c 3 -i 0.2 -W 2 -I ${from} ${to}`), /3 received/)
        assert.match(net.run(b, `ping -c 3 -i 0.2 -W 2 -I ${to} ${from}`), /3 received/)
        await sleep(200)
        assert.doesNotMatch(dump.log, /echo/)
      } finally {
        await dump.stop()
      }
    })

  test('raw keys, as OpenBSD makes them at boot', async () => {
    const names = ['a', 'b'] as const
    for (const name of names) {
      const folder = join(net.folder, name, 'iked')
      for (const part of ['private', 'pubkeys/fqdn']) mkdirSync(join(folder, part), { recursive: true })
      execFileSync(process.execPath, [WARREN, 'keygen', '--folder', folder], { stdio: 'pipe' })
    }
    for (const [i, name] of names.entries())
      execFileSync('cp', [
        join(net.folder, name, 'iked', 'local.pub'),
        join(net.folder, names[1 - i]!, 'iked', 'pubkeys', 'fqdn', `${name}.example.com`),
      ])
    const far = await warren(b, 'b', rule(BETWEEN[0]!, 1, ''))
    const near = await warren(a, 'a', rule(BETWEEN[0]!, 0, ''))
    await established(near)
    await established(far)
    pings()
  })
})
