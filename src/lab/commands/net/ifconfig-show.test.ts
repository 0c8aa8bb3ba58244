import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type IpAddress, Ipv4Address, MacAddress, parseIpAddress } from '../../../base/index.js'
import { directedBroadcast, type InterfaceView, showInterface } from './ifconfig-show.js'

const ip = (text: string): IpAddress => parseIpAddress(text)!

test('vio0 as the article leaves it', () => {
  const view: InterfaceView = {
    name: 'vio0',
    flags: ['BROADCAST', 'SIMPLEX', 'MULTICAST', 'UP', 'RUNNING'],
    mtu: 1500,
    lladdr: MacAddress.parse('fe:e1:bb:d1:2a:01')!,
    index: 1,
    priority: 0,
    llprio: 3,
    groups: [],
    media: 'Ethernet autoselect',
    status: 'active',
    addresses: [
      { address: ip('192.168.1.1'), prefixLength: 24 },
      { address: ip('fe80::fce1:bbff:fed1:2a01'), prefixLength: 64 },
      { address: ip('fd3e:62ee:99db:bb1a::1'), prefixLength: 64 },
    ],
  }
  assert.equal(
    showInterface(view),
    `vio0: flags=8843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST> mtu 1500
\tlladdr fe:e1:bb:d1:2a:01
\tindex 1 priority 0 llprio 3
\tmedia: Ethernet autoselect
\tstatus: active
\tinet 192.168.1.1 netmask 0xffffff00 broadcast 192.168.1.255
\tinet6 fe80::fce1:bbff:fed1:2a01%vio0 prefixlen 64 scopeid 0x1
\tinet6 fd3e:62ee:99db:bb1a::1 prefixlen 64
`,
  )
  assert.match(showInterface(view, { inet: true }), /inet 192/)
  assert.doesNotMatch(showInterface(view, { inet: true }), /inet6/)
  assert.doesNotMatch(showInterface(view, { inet6: true }), /inet 192/)
})

test('tun0 as the article prints it', () => {
  const text = showInterface({
    name: 'tun0',
    flags: ['POINTOPOINT', 'MULTICAST', 'UP', 'RUNNING'],
    mtu: 1500,
    index: 9,
    priority: 0,
    llprio: 3,
    groups: ['tun'],
    status: 'active',
    addresses: [{ address: ip('172.16.2.1'), prefixLength: 30, peer: ip('172.16.2.2') }],
  })
  assert.equal(
    text,
    `tun0: flags=8051<UP,POINTOPOINT,RUNNING,MULTICAST> mtu 1500
\tindex 9 priority 0 llprio 3
\tgroups: tun
\tstatus: active
\tinet 172.16.2.1 --> 172.16.2.2 netmask 0xfffffffc
`,
  )
})

test('a gre with key, keepalive and description; the same without ends', () => {
  const gre: InterfaceView = {
    name: 'gre0',
    flags: ['POINTOPOINT', 'MULTICAST'],
    mtu: 1476,
    description: 'to bob',
    index: 5,
    priority: 0,
    llprio: 6,
    keepalive: { timeout: 5, count: 6 },
    encapsulation: { vnetid: 7, txprio: 'payload', rxprio: 'packet' },
    groups: ['gre'],
    status: 'no carrier',
    tunnel: { local: ip('192.168.1.1'), remote: ip('192.168.1.2'), ttl: 64, dontFragment: false, ecn: true },
    addresses: [{ address: ip('fe80::1'), prefixLength: 64 }],
  }
  assert.equal(
    showInterface(gre),
    `gre0: flags=8010<POINTOPOINT,MULTICAST> mtu 1476
\tdescription: to bob
\tindex 5 priority 0 llprio 6
\tkeepalive: timeout 5 count 6
\tencap: vnetid 7 txprio payload rxprio packet
\tgroups: gre
\tstatus: no carrier
\ttunnel: inet 192.168.1.1 -> 192.168.1.2 ttl 64 nodf ecn
\tinet6 fe80::1%gre0 ->  prefixlen 64 scopeid 0x5
`,
  )
  assert.match(
    showInterface({ ...gre, tunnel: { ttl: 'copy', dontFragment: true } }),
    /\ttunnel: \(unset\) ttl copy df\n/,
  )
  assert.match(
    showInterface({ ...gre, tunnel: { local: ip('fd00::1'), remote: ip('fd00::2'), ttl: 64 } }),
    /\ttunnel: inet6 fd00::1 -> fd00::2 ttl 64\n/,
  )
})

test('a bridge: no priority, its ports, what it has learned', () => {
  const text = showInterface({
    name: 'bridge1',
    flags: ['UP', 'RUNNING'],
    mtu: 1500,
    index: 4,
    llprio: 3,
    groups: ['bridge'],
    bridge: {
      ports: [{ name: 'tap0', span: false, port: 6 }],
      addresses: [{ mac: MacAddress.parse('fe:e1:bb:d1:2a:01')!, port: 'tap0', age: 1 }],
      maxCache: 100,
      timeout: 240,
    },
    addresses: [],
  })
  assert.equal(
    text,
    `bridge1: flags=41<UP,RUNNING> mtu 1500
\tindex 4 llprio 3
\tgroups: bridge
\tpriority 32768 hellotime 2 fwddelay 15 maxage 20 holdcnt 6 proto rstp
\tdesignated: id 00:00:00:00:00:00 priority 0
\ttap0 flags=3<LEARNING,DISCOVER>
\t\tport 6 ifpriority 0 ifcost 0
\tAddresses (max cache: 100, timeout: 240):
\t\tfe:e1:bb:d1:2a:01 tap0 1 flags=0<>
`,
  )
})

test('the broadcast address of a prefix', () => {
  const of = (text: string, length: number): string =>
    `${directedBroadcast(Ipv4Address.parse(text)!, length)}`
  assert.equal(of('10.1.2.3', 8), '10.255.255.255')
  assert.equal(of('192.168.1.1', 25), '192.168.1.127')
  assert.equal(of('192.168.1.1', 32), '192.168.1.1')
  assert.equal(of('192.168.1.1', 0), '255.255.255.255')
})
