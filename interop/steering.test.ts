/**
 * What policies cover comes to enc0, and nowhere else, on a real kernel.
 *
 *     netns lan                       netns host                          netns wire
 *     +-------------------+   veth    +-----------------------+   veth    +---------------------+
 *     | eth0 10.0.1.2     | --------- | eth1 10.0.1.1         | --------- | eth0 10.0.0.2       |
 *     |      fd00:1:1::2  |           |      fd00:1:1::1      |           |      fd00::2        |
 *     +-------------------+           | eth0 10.0.0.1 fd00::1 |           | lo   10.0.2.1       |
 *                                     | enc0                  |           |      fd00:1:2::1    |
 *                                     +-----------------------+           +---------------------+
 *
 * `wire` is the whole world outside: it answers for 10.0.2.0/24, and counts what reaches it in clear.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { missing } from './lib/need.js'
import { Netns } from './lib/netns.js'
import { type PolicyText, type SteeringProcess, startSteering } from './lib/steer.js'

const OUT4: PolicyText = {
  direction: 'out',
  action: 'require',
  source: '10.0.1.0/24',
  destination: '10.0.2.0/24',
}
const IN4: PolicyText = {
  direction: 'in',
  action: 'require',
  source: '10.0.2.0/24',
  destination: '10.0.1.0/24',
}
const OUT6: PolicyText = {
  direction: 'out',
  action: 'require',
  source: 'fd00:1:1::/64',
  destination: 'fd00:1:2::/64',
}
const IN6: PolicyText = {
  direction: 'in',
  action: 'require',
  source: 'fd00:1:2::/64',
  destination: 'fd00:1:1::/64',
}
const NETWORKS = [OUT4, IN4, OUT6, IN6]

describe('steering by policies', { skip: missing('ping', 'nft', 'python3') }, () => {
  let net: Netns
  let host: string
  let lan: string
  let wire: string
  const started: SteeringProcess[] = []

  before(async () => {
    net = new Netns('ws')
    host = net.add('h')
    lan = net.add('l')
    wire = net.add('w')
    net.veth(host, 'eth0', wire, 'eth0')
    net.veth(host, 'eth1', lan, 'eth0')
    net.run(
      host,
      `ip addr add 10.0.0.1/24 dev eth0; ip addr add 10.0.1.1/24 dev eth1
       ip addr add fd00::1/64 dev eth0 nodad; ip addr add fd00:1:1::1/64 dev eth1 nodad
       ip route add default via 10.0.0.2; ip route add default via fd00::2
       sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.ipfrag_time=1`,
    )
    net.run(
      lan,
      `ip addr add 10.0.1.2/24 dev eth0; ip addr add fd00:1:1::2/64 dev eth0 nodad
       ip route add default via 10.0.1.1; ip route add default via fd00:1:1::1`,
    )
    net.run(
      wire,
      `ip addr add 10.0.0.2/24 dev eth0; ip addr add fd00::2/64 dev eth0 nodad
       ip addr add 10.0.2.1/32 dev lo; ip addr add fd00:1:2::1/128 dev lo nodad
       ip route add default via 10.0.0.1; ip route add default via fd00::1
       nft add table inet seen
       nft 'add chain inet seen pre { type filter hook prerouting priority -300; }'
       nft add counter inet seen clear
       nft add rule inet seen pre ip daddr '{ 10.0.2.0/24, 10.0.0.2 }' counter name clear
       nft add rule inet seen pre ip6 daddr '{ fd00:1:2::/64, fd00::2 }' icmpv6 type != '{ 133-137 }' counter name clear
       nft add rule inet seen pre ip6 daddr '{ fd00:1:2::/64, fd00::2 }' meta l4proto != icmpv6 counter name clear`,
    )
    for (const namespace of [host, lan, wire])
      for (let i = 0; i < 60 && net.run(namespace, 'ip addr').includes('tentative'); i++) await sleep(50)
  })
  afterEach(async () => {
    for (const one of started.splice(0)) await one.kill()
    for (const namespace of [host, wire]) {
      net.run(
        namespace,
        'for f in -4 -6; do ip $f rule flush protocol 87; ip $f route flush table all proto 87; done',
      )
      net.run(namespace, 'nft delete table inet warren 2>/dev/null || true')
    }
  })
  after(() => net?.close())

  async function steer(
    policies: readonly PolicyText[],
    standing?: readonly string[],
    namespace = host,
  ): Promise<SteeringProcess> {
    const one = await startSteering(namespace)
    started.push(one)
    await one.apply(policies, standing)
    return one
  }

  /** Packets that came to `wire` in clear since this was last asked. */
  function inClear(): number {
    const found = /packets (\d+)/.exec(net.run(wire, 'nft reset counter inet seen clear'))
    return Number(found?.[1])
  }

  /** Sends, whether it is answered or not; what a shell line prints is returned. */
  const send = (namespace: string, command: string): string => net.run(namespace, `${command} 2>&1 || true`)
  const ping = (namespace: string, to: string, options = ''): string =>
    send(namespace, `ping -c 1 -W 0.3 ${options} ${to}`)
  const tcp = (namespace: string, to: string, port: number, from = ''): string =>
    send(
      namespace,
      `python3 -c "
import socket
s = socket.create_connection(('${to}', ${port}), 0.3, ${from === '' ? 'None' : `('${from}', 0)`})"`,
    )
  const udp = (
    namespace: string,
    to: string,
    port: number,
    options: { size?: number; from?: number } = {},
  ): string =>
    send(
      namespace,
      `python3 -c "
import socket
s = socket.socket(socket.AF_INET${to.includes(':') ? '6' : ''}, socket.SOCK_DGRAM)
s.bind(('', ${options.from ?? 0}))
s.sendto(b'x' * ${options.size ?? 10}, ('${to}', ${port}))"`,
    )

  /** What came to enc0, as `source > destination protocol`. */
  async function taken(one: SteeringProcess): Promise<string[]> {
    await one.drops()
    return one.taken().map((hex) => {
      const bytes = Buffer.from(hex, 'hex')
      const v4 = bytes[0]! >> 4 === 4
      const end = (at: number): string =>
        v4
          ? [...bytes.subarray(at, at + 4)].join('.')
          : new URL(
              `http://[${bytes
                .subarray(at, at + 16)
                .toString('hex')
                .replace(/(....)(?=.)/g, '$1:')}]`,
            ).hostname.slice(1, -1)
      return v4 ? `${end(12)} > ${end(16)} ${bytes[9]}` : `${end(8)} > ${end(24)} ${bytes[6]}`
    })
  }
  /** The same, each once. */
  const kinds = async (one: SteeringProcess): Promise<string[]> => [...new Set(await taken(one))]

  test('what an out policy covers comes to enc0, whether its source was chosen or not', async () => {
    const one = await steer(NETWORKS)
    inClear()
    ping(host, '10.0.2.1', '-I 10.0.1.1')
    assert.deepEqual(await kinds(one), ['10.0.1.1 > 10.0.2.1 1'], 'ping -I')
    ping(host, '10.0.2.1')
    assert.deepEqual(await kinds(one), ['10.0.1.1 > 10.0.2.1 1'], 'ping, the source taken from the policy')
    udp(host, '10.0.2.1', 53)
    assert.deepEqual(await kinds(one), ['10.0.1.1 > 10.0.2.1 17'], 'UDP')
    tcp(host, '10.0.2.1', 80)
    assert.deepEqual(await kinds(one), ['10.0.1.1 > 10.0.2.1 6'], 'TCP')
    ping(lan, '10.0.2.1')
    tcp(lan, '10.0.2.1', 80)
    assert.deepEqual(await kinds(one), ['10.0.1.2 > 10.0.2.1 1', '10.0.1.2 > 10.0.2.1 6'], 'forwarded')

    ping(host, 'fd00:1:2::1', '-I fd00:1:1::1')
    ping(host, 'fd00:1:2::1')
    tcp(host, 'fd00:1:2::1', 80)
    assert.deepEqual(
      await kinds(one),
      ['fd00:1:1::1 > fd00:1:2::1 58', 'fd00:1:1::1 > fd00:1:2::1 6'],
      'IPv6',
    )
    ping(lan, 'fd00:1:2::1')
    assert.deepEqual(await kinds(one), ['fd00:1:1::2 > fd00:1:2::1 58'], 'IPv6, forwarded')
    assert.equal(inClear(), 0)

    // What no policy covers goes as ever.
    assert.match(ping(host, '10.0.0.2'), /1 received/)
    assert.match(ping(host, '10.0.2.1', '-I 10.0.0.1'), /1 received/)
    assert.match(ping(lan, '10.0.0.2'), /1 received/)
    assert.match(ping(host, 'fd00:1:2::1', '-I fd00::1'), /1 received/)
    assert.deepEqual(await taken(one), [])
    assert.deepEqual(await one.drops(), {})
  })

  test('protocols and ports: TCP to one port is covered, the rest is not', async () => {
    const web = { protocol: 6, destinationPorts: { first: 80, last: 90 } }
    const one = await steer([
      { ...OUT4, ...web },
      { ...OUT6, ...web },
    ])
    inClear()
    for (const [from, to, at] of [
      [host, '10.0.2.1', '10.0.1.1'],
      [lan, '10.0.2.1', ''],
      [host, 'fd00:1:2::1', 'fd00:1:1::1'],
      [lan, 'fd00:1:2::1', ''],
    ] as const) {
      tcp(from, to, 85, at)
      assert.equal((await kinds(one)).length, 1, `${to} port 85`)
      assert.equal(inClear(), 0)
      assert.match(tcp(from, to, 91, at), /refused/, `${to} port 91`)
      assert.match(ping(from, to), /1 received/)
      assert.ok(inClear() > 0)
      assert.deepEqual(await taken(one), [])
    }
  })

  test('a later fragment shows no ports: it counts as covered', async () => {
    const one = await steer([{ ...OUT4, protocol: 17, destinationPorts: { first: 5000, last: 5000 } }])
    inClear()
    udp(lan, '10.0.2.1', 6000, { size: 4000 })
    assert.deepEqual(await taken(one), [], 'not covered, as the first one says')
    assert.equal(inClear(), 1, 'only the first fragment leaves')
    assert.deepEqual(await one.drops(), { 'guard.out': 2 })
  })

  test('bypass and deny, the narrower before the wider', async () => {
    const one = await steer([
      OUT4,
      { ...OUT4, action: 'bypass', protocol: 6, destinationPorts: { first: 22, last: 22 } },
      { ...OUT4, action: 'deny', destination: '10.0.2.128/25' },
      OUT6,
      { ...OUT6, action: 'bypass', protocol: 6, destinationPorts: { first: 22, last: 22 } },
    ])
    inClear()
    assert.match(tcp(lan, '10.0.2.1', 22), /refused/)
    assert.match(
      tcp(host, '10.0.2.1', 22),
      /refused/,
      'its source is the one that the policy takes, or the first',
    )
    assert.match(tcp(lan, 'fd00:1:2::1', 22), /refused/)
    assert.ok(inClear() > 0)
    assert.deepEqual(await taken(one), [])
    ping(lan, '10.0.2.129')
    ping(host, '10.0.2.129')
    udp(host, '10.0.2.129', 7)
    assert.equal(inClear(), 0)
    assert.deepEqual(await taken(one), [])
    ping(lan, '10.0.2.1')
    assert.equal((await taken(one)).length, 1)
  })

  test('use: steered while a path stands, in clear while none does', async () => {
    const policy: PolicyText = { ...OUT4, action: 'use', paths: ['a', 'b'] }
    const one = await steer([policy])
    assert.match(ping(lan, '10.0.2.1'), /1 received/)
    assert.deepEqual(await taken(one), [])
    await one.apply([policy], ['b'])
    inClear()
    ping(lan, '10.0.2.1')
    ping(host, '10.0.2.1')
    assert.deepEqual(await kinds(one), ['10.0.1.2 > 10.0.2.1 1', '10.0.1.1 > 10.0.2.1 1'])
    assert.equal(inClear(), 0)
    await one.closeTun()
    assert.match(ping(lan, '10.0.2.1'), /1 received/, 'the interface is gone: in clear')
    await one.apply([policy], [])
    assert.match(ping(lan, '10.0.2.1'), /1 received/)
  })

  test('in clear from outside: what an in policy covers is dropped and counted', async () => {
    const one = await steer(NETWORKS)
    ping(wire, '10.0.1.2', '-I 10.0.2.1')
    ping(wire, '10.0.1.1', '-I 10.0.2.1')
    ping(wire, 'fd00:1:1::2', '-I fd00:1:2::1')
    assert.deepEqual(await one.drops(), { 'guard.in': 3 })
    assert.match(ping(wire, '10.0.1.2', '-I 10.0.0.2'), /1 received/, 'another source')
    assert.deepEqual(await one.drops(), { 'guard.in': 3 })
    // A new set counts on from there.
    await one.apply(NETWORKS)
    ping(wire, '10.0.1.2', '-I 10.0.2.1')
    assert.deepEqual(await one.drops(), { 'guard.in': 4 })
  })

  test('in by port: the other ports, and what shows none', async () => {
    const one = await steer([{ ...IN4, protocol: 17, destinationPorts: { first: 5000, last: 5001 } }])
    const send = (size: number, port: number): void => {
      net.run(
        wire,
        `python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('10.0.2.1', 0))
s.sendto(b'x' * ${size}, ('10.0.1.1', ${port}))"`,
      )
    }
    send(10, 5001)
    assert.deepEqual(await one.drops(), { 'guard.in': 1 })
    send(10, 5002)
    assert.deepEqual(await one.drops(), { 'guard.in': 1 })
    send(4000, 5002)
    assert.deepEqual(await one.drops(), { 'guard.in': 3 }, 'two later fragments')
    // What waits for them is given up, and its sender told, before the next test counts.
    await sleep(1500)
  })

  test('what comes out of enc0 passes, and is answered into it', async () => {
    const one = await steer(NETWORKS)
    for (const to of [Uint8Array.of(10, 0, 1, 1), Uint8Array.of(10, 0, 1, 2)]) {
      await one.inject(echoRequest(Uint8Array.of(10, 0, 2, 77), to))
      await sleep(100)
      assert.deepEqual(await taken(one), [`${to.join('.')} > 10.0.2.77 1`])
    }
    assert.deepEqual(await one.drops(), {})
  })

  test('the interface gone: covered traffic does not leave', async () => {
    const one = await steer(NETWORKS)
    await one.closeTun()
    inClear()
    for (const from of [host, lan])
      for (const to of ['10.0.2.1', 'fd00:1:2::1']) {
        ping(from, to)
        tcp(from, to, 80)
      }
    ping(host, '10.0.2.1', '-I 10.0.1.1')
    ping(host, 'fd00:1:2::1', '-I fd00:1:1::1')
    udp(host, '10.0.2.1', 53)
    assert.equal(inClear(), 0)
    assert.match(ping(lan, '10.0.0.2'), /1 received/, 'the rest goes on')
    // Nor where somebody routes past it.
    net.run(host, 'ip -4 rule add priority 10 lookup main; ip -6 rule add priority 10 lookup main')
    inClear()
    ping(lan, '10.0.2.1')
    ping(lan, 'fd00:1:2::1')
    ping(host, '10.0.2.1', '-I 10.0.1.1')
    assert.equal(inClear(), 0, 'the guard')
    assert.ok((await one.drops())['guard.out']! >= 3)
    net.run(host, 'ip -4 rule del priority 10; ip -6 rule del priority 10')
  })

  test('set up while the interface is down, or gone: closed, and said', async () => {
    const policies: PolicyText[] = [OUT4, OUT6, { ...OUT4, action: 'use', destination: '10.0.2.1' }]
    const one = await steer([])
    net.run(host, 'ip link set enc0 down')
    await one.apply(policies, [])
    inClear()
    for (const to of ['10.0.2.2', 'fd00:1:2::1']) {
      ping(lan, to)
      ping(host, to)
    }
    assert.equal(inClear(), 0)
    assert.match(ping(lan, '10.0.2.1'), /1 received/)
    assert.match(one.log.join('\n'), /enc0 takes no packets of IPv4 now .*require is dropped/)
    net.run(host, 'ip link set enc0 up')
    await one.apply(policies, ['path'])
    ping(lan, '10.0.2.1')
    ping(lan, 'fd00:1:2::1')
    assert.equal((await kinds(one)).length, 2)
    await one.closeTun()
    await one.apply(policies, ['path'])
    inClear()
    ping(lan, '10.0.2.2')
    ping(lan, 'fd00:1:2::1')
    assert.equal(inClear(), 0)
    assert.match(ping(lan, '10.0.2.1'), /1 received/)
  })

  test('sockets bound to another interface, and sources translated into the policy: the guard or the rules drop them', async () => {
    const one = await steer(NETWORKS)
    inClear()
    const bound = (to: string, from: string): string =>
      send(
        host,
        `python3 -c "
import socket
s = socket.socket(socket.AF_INET${to.includes(':') ? '6' : ''}, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'eth0')
s.bind(('${from}', 0))
s.sendto(b'x', ('${to}', 9))"`,
      )
    bound('10.0.2.1', '10.0.1.1')
    bound('fd00:1:2::1', 'fd00:1:1::1')
    assert.equal(inClear(), 0)
    // From an address that is not covered to one that is.
    const nat = 'ip saddr 10.0.0.1 ip daddr 10.0.2.0/24 snat to 10.0.1.1'
    net.run(
      host,
      `nft add table ip trick; nft 'add chain ip trick post { type nat hook postrouting priority 100; }'; nft add rule ip trick post ${nat}`,
    )
    ping(host, '10.0.2.1', '-I 10.0.0.1')
    net.run(host, 'nft delete table ip trick')
    assert.equal(inClear(), 0)
    assert.ok((await one.drops())['guard.out']! >= 1)
    assert.deepEqual(await taken(one), [])
  })

  test('two hosts of a link in transport mode: ARP and neighbour discovery go on, our carriers too', async () => {
    const between: PolicyText[] = []
    for (const [us, them] of [
      ['10.0.0.1', '10.0.0.2'],
      ['fd00::1', 'fd00::2'],
    ] as const)
      between.push(
        { direction: 'out', action: 'require', source: us, destination: them },
        { direction: 'in', action: 'require', source: them, destination: us },
      )
    const one = await steer(between)
    await one.apply(between, [], [{ family: 4, localPort: 4500, remotePort: 4500 }])
    net.run(host, 'ip neigh flush dev eth0')
    net.run(wire, 'ip neigh flush dev eth0')
    inClear()
    ping(host, '10.0.0.2')
    ping(host, 'fd00::2')
    assert.deepEqual(await kinds(one), ['10.0.0.1 > 10.0.0.2 1', 'fd00::1 > fd00::2 58'])
    assert.equal(inClear(), 0)
    const marked = (to: string, from: string, protocol: string): string =>
      send(
        host,
        `python3 -c "
import socket
s = socket.socket(socket.AF_INET${to.includes(':') ? '6' : ''}, ${protocol})
s.setsockopt(socket.SOL_SOCKET, 36, 0x57415252)
s.bind(('${from}', ${protocol.includes('RAW') ? 0 : 4500}))
s.sendto(b'x' * 40, ('${to}', ${protocol.includes('RAW') ? 0 : 4500}))
print('sent')"`,
      )
    for (const [to, from] of [
      ['10.0.0.2', '10.0.0.1'],
      ['fd00::2', 'fd00::1'],
    ] as const) {
      assert.equal(marked(to, from, 'socket.SOCK_RAW, 50'), 'sent\n')
      assert.equal(marked(to, from, 'socket.SOCK_DGRAM'), 'sent\n')
    }
    await sleep(100)
    assert.ok(inClear() >= 4, 'what carries the mark goes outside')
    assert.deepEqual(await taken(one), [])
    // From the other side: who asks for our link address is answered; ESP and the carrier's port pass; nothing else.
    const before = (await one.drops())['guard.in'] ?? 0
    net.run(wire, 'ip neigh flush dev eth0')
    ping(wire, '10.0.0.1')
    ping(wire, 'fd00::1')
    assert.match(net.run(wire, 'ip neigh get 10.0.0.1 dev eth0'), /lladdr/)
    assert.match(net.run(wire, 'ip neigh get fd00::1 dev eth0'), /lladdr/)
    assert.deepEqual(await one.drops(), { 'guard.in': before + 2 })
    udp(wire, '10.0.0.1', 4500, { from: 4500 })
    assert.deepEqual(await one.drops(), { 'guard.in': before + 2 })
    udp(wire, '10.0.0.1', 4500, { from: 4501 })
    assert.deepEqual(await one.drops(), { 'guard.in': before + 3 })
  })

  const state = (): string[] => [
    net.run(host, 'ip -4 rule; ip -6 rule'),
    net.run(host, 'ip -4 route show table all; ip -6 route show table all'),
    net.run(host, 'nft list ruleset'),
  ]

  test('nothing of it stays', async () => {
    const clean = state()
    const one = await steer(NETWORKS)
    assert.notDeepEqual(state(), clean)
    for (const policies of [[OUT4], NETWORKS, [{ ...OUT4, action: 'use' } as PolicyText, OUT6]])
      await one.apply(policies, ['path'])
    await one.apply([])
    assert.match(ping(lan, '10.0.2.1'), /1 received/)
    await one.apply(NETWORKS)
    await one.close()
    assert.deepEqual(state(), clean)
  })

  test('a killed process leaves the way closed; the next takes it over, or clears it', async () => {
    const clean = state()
    const killed = await steer(NETWORKS)
    await killed.kill()
    inClear()
    for (const to of ['10.0.2.1', 'fd00:1:2::1']) {
      ping(lan, to)
      ping(host, to)
    }
    ping(wire, '10.0.1.2', '-I 10.0.2.1')
    assert.equal(inClear(), 0)
    // Another one starts with other policies: theirs go.
    const next = await steer([OUT4, IN4])
    ping(lan, '10.0.2.1')
    assert.deepEqual(await taken(next), ['10.0.1.2 > 10.0.2.1 1'])
    assert.match(ping(lan, 'fd00:1:2::1'), /1 received/)
    await next.kill()
    net.run(host, `${process.execPath} --input-type=module -e "${CLEAR}"`)
    assert.deepEqual(state(), clean)
    assert.match(ping(lan, '10.0.2.1'), /1 received/)
  })

  test('who lets go leaves the way closed too', async () => {
    const clean = state()
    const one = await steer(NETWORKS)
    await one.leave()
    inClear()
    ping(lan, '10.0.2.1')
    ping(lan, 'fd00:1:2::1')
    assert.equal(inClear(), 0)
    const next = await steer(NETWORKS)
    ping(lan, '10.0.2.1')
    assert.equal((await taken(next)).length, 1)
    await next.close()
    assert.deepEqual(state(), clean)
  })

  test('a strict check of sources drops what comes from a peer that a policy covers, and is said; a loose one does not', async () => {
    const peer: PolicyText = {
      direction: 'out',
      action: 'require',
      source: '10.0.0.1',
      destination: '10.0.0.2',
    }
    /** What a raw socket of protocol 50 hears while `wire` sends it a packet. */
    const heard = (): string =>
      net
        .run(
          host,
          `python3 -c "
import socket, subprocess
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 50)
s.settimeout(0.4)
subprocess.run(['ip', 'netns', 'exec', '${wire}', 'python3', '-c', '''
import socket
socket.socket(socket.AF_INET, socket.SOCK_RAW, 50).sendto(bytes(40), ('10.0.0.1', 0))'''])
try:
  print(len(s.recv(99)))
except TimeoutError:
  print('nothing')"`,
        )
        .trim()
    const filter = (value: number): string =>
      net.run(host, `sysctl -qw net.ipv4.conf.eth0.rp_filter=${value}`)
    try {
      filter(1)
      const one = await steer([peer])
      assert.deepEqual(
        one.log.map((line) => /net\.ipv4\.conf\.eth0\.rp_filter is 1/.test(line)),
        [true],
      )
      assert.equal(heard(), 'nothing')
      filter(2)
      assert.equal(heard(), '60')
      await one.apply([peer])
      assert.equal(one.log.length, 1)
      assert.equal(net.run(host, 'sysctl -n net.ipv4.conf.enc0.rp_filter'), '0\n')
    } finally {
      filter(0)
    }
  })

  test('source ports over IPv6: a port that the kernel chooses comes too late for routing, not for the guard', async () => {
    const one = await steer([{ ...OUT6, protocol: 6, sourcePorts: { first: 1, last: 65_535 } }])
    inClear()
    send(
      host,
      `python3 -c "
import socket
s = socket.socket(socket.AF_INET6)
s.settimeout(0.3)
s.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
s.bind(('fd00:1:1::1', 0))
s.connect(('fd00:1:2::1', 80))"`,
    )
    assert.equal(inClear(), 0)
    const drops = await one.drops()
    assert.deepEqual(await taken(one), [])
    assert.ok(drops['guard.out']! > 0)
    tcp(host, 'fd00:1:2::1', 80, 'fd00:1:1::1')
    assert.deepEqual(await kinds(one), ['fd00:1:1::1 > fd00:1:2::1 6'], 'a socket that has its port before')
  })

  test('while policies are changed, what old and new cover never goes in clear', async () => {
    const wide = { ...OUT4, destination: '10.0.0.0/8' }
    const pass: PolicyText = { ...OUT4, action: 'bypass', destination: '10.0.0.0/16' }
    const one = await steer([OUT4])
    inClear()
    // Without the guard, so that the rules have to do it alone.
    net.run(lan, 'ping -q -c 400 -i 0.002 -W 0.2 10.0.2.1 > /dev/null 2>&1 & echo')
    for (let i = 0; i < 40; i++) {
      await one.apply(i % 2 === 0 ? [wide, pass, OUT4] : [OUT4, IN4])
      net.run(host, 'nft flush chain inet warren out')
    }
    await sleep(300)
    assert.equal(inClear(), 0)
    assert.ok((await taken(one)).length > 100)
  })
})

const CLEAR = `const { Steering } = await import('${new URL('../src/linux/steering/index.js', import.meta.url).href}'); Steering.clearLeftovers()`

/** An ICMP echo request in IPv4. */
function echoRequest(source: Uint8Array, destination: Uint8Array): Uint8Array {
  const sum = (bytes: Uint8Array): number => {
    let total = 0
    for (let i = 0; i < bytes.length; i += 2) total += (bytes[i]! << 8) | (bytes[i + 1] ?? 0)
    while (total > 0xffff) total = (total & 0xffff) + (total >>> 16)
    return ~total & 0xffff
  }
  const packet = new Uint8Array(36)
  packet.set([0x45, 0, 0, 36, 0, 1, 0, 0, 64, 1, 0, 0, ...source, ...destination])
  packet.set([8, 0, 0, 0, 0, 1, 0, 1], 20)
  new DataView(packet.buffer).setUint16(10, sum(packet.subarray(0, 20)))
  new DataView(packet.buffer).setUint16(22, sum(packet.subarray(20)))
  return packet
}
