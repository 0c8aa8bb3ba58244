/** Every tunnel of this lab over both families, with what the article's scenarios leave out. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Player } from './player.js'
import { testbedLab } from './run.js'
import { onTheWire } from './scenarios/scenario.js'

const V4 = ['192.168.1.1', '192.168.1.2'] as const
const V6 = ['fd3e:62ee:99db:bb1a::1', 'fd3e:62ee:99db:bb1a::2'] as const

interface Case {
  readonly name: string
  readonly device: string
  readonly outer: readonly [string, string]
  /** Behind `ifconfig DEVICE create`. */
  readonly words?: string
  /** ifconfig's words for the address of alice (1) and bob (2). */
  readonly address: (own: number, other: number) => string
  readonly ping: string
  /** Headers of a packet on the bridge, from the outside in. */
  readonly headers: string
}

const cases: readonly Case[] = [
  {
    name: '4 in 4',
    device: 'gif0',
    outer: V4,
    address: (own, other) => `inet 10.1.0.${own} 10.1.0.${other}`,
    ping: 'ping -c2 10.1.0.2',
    headers: 'ethernet ipv4 ipv4 icmp',
  },
  {
    name: '6 in 4',
    device: 'gif0',
    outer: V4,
    address: (own) => `inet6 fd00:1::${own}/64`,
    ping: 'ping6 -c2 fd00:1::2',
    headers: 'ethernet ipv4 ipv6 icmpv6',
  },
  {
    name: '4 in 6',
    device: 'gif0',
    outer: V6,
    address: (own, other) => `inet 10.1.0.${own} 10.1.0.${other}`,
    ping: 'ping -c2 10.1.0.2',
    headers: 'ethernet ipv6 ipv4 icmp',
  },
  {
    name: '6 in 6',
    device: 'gif0',
    outer: V6,
    address: (own, other) => `inet6 fd00:1::${own} fd00:1::${other} prefixlen 128`,
    ping: 'ping6 -c2 fd00:1::2',
    headers: 'ethernet ipv6 ipv6 icmpv6',
  },
  {
    name: 'gre with a key, over IPv6',
    device: 'gre0',
    outer: V6,
    words: 'vnetid 77',
    address: (own, other) => `inet 10.1.0.${own} 10.1.0.${other}`,
    ping: 'ping -c2 10.1.0.2',
    headers: 'ethernet ipv6 gre ipv4 icmp',
  },
  {
    name: 'gre with IPv6 inside',
    device: 'gre0',
    outer: V4,
    address: (own) => `inet6 fd00:1::${own}/64`,
    ping: 'ping6 -c2 fd00:1::2',
    headers: 'ethernet ipv4 gre ipv6 icmpv6',
  },
  {
    name: 'eoip with a tunnel id and addresses of its own',
    device: 'eoip0',
    outer: V4,
    words: 'vnetid 9',
    address: (own) => `inet 10.1.0.${own}/24`,
    ping: 'ping -c2 10.1.0.2',
    headers: 'ethernet ipv4 eoip ethernet ipv4 icmp',
  },
  {
    name: 'etherip over IPv6',
    device: 'etherip0',
    outer: V6,
    address: (own) => `inet 10.1.0.${own}/24`,
    ping: 'ping -c2 10.1.0.2',
    headers: 'ethernet ipv6 etherip ethernet ipv4 icmp',
  },
]

for (const { name, device, outer, words = '', address, ping, headers } of cases)
  test(`${name}: small packets, and 8,000 bytes in fragments`, async () => {
    const lab = await testbedLab()
    const make = (
      own: number,
      other: number,
    ): string => `ifconfig ${device} create ${words} tunnel ${outer[own - 1]} ${outer[other - 1]} up
ifconfig ${device} ${address(own, other)}`
    const played = await new Player(lab).play(`# on both
sysctl net.inet.gre.allow=1 net.inet.etherip.allow=1
# on alice
${make(1, 2)}
# on bob
${make(2, 1)}
# on alice
${ping}
${ping.replace('-c2', '-c1 -s 8000')}
`)
    assert.deepEqual(
      played.filter(({ exit }) => exit !== 0),
      [],
    )
    const [small, large] = played.slice(-2)
    assert.match(small!.stdout, / 2 packets received/)
    assert.match(large!.stdout, / 1 packets received/)
    assert.match(large!.stdout, /^8008 bytes from/m)
    const carried = onTheWire(lab.frames).filter((packet) => packet.headers === headers)
    assert.ok(carried.filter(({ icmpType }) => icmpType === 8 || icmpType === 128).length >= 2)
    assert.ok(carried.filter(({ icmpType }) => icmpType === 0 || icmpType === 129).length >= 2)
  })

test('a destroyed tunnel carries nothing more, and its name is free', async () => {
  const lab = await testbedLab()
  const played = await new Player(lab, { keepGoing: true }).play(`# on alice
ifconfig gif0 create tunnel 192.168.1.1 192.168.1.2 up
ifconfig gif0 inet 10.1.0.1 10.1.0.2
ifconfig gif0 destroy
ping -c1 -w1 10.1.0.2
ifconfig gif0
ifconfig gif0 create
ifconfig gif0 create
`)
  assert.deepEqual(
    played.slice(3).map(({ exit }) => exit),
    [1, 1, 0, 1],
  )
})
