import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IpPrefix, parseIpAddress } from '../../../base/index.js'
import { type RouteView, showDestination, showRouteGet, showRoutes } from './routes-show.js'

const prefix = (text: string): IpPrefix => IpPrefix.parse(text)!

const route = (destination: string, rest: Partial<RouteView>): RouteView => ({
  destination: prefix(destination),
  gateway: 'vio0',
  flags: 'U',
  references: 0,
  use: 0,
  mtu: 0,
  priority: 8,
  interface: 'vio0',
  ...rest,
})

test('netstat -rn: columns, order and both families', () => {
  const text = showRoutes([
    route('fd3e:62ee:99db:bb1a::/64', { gateway: 'fd3e:62ee:99db:bb1a::1', flags: 'UCn', priority: 4 }),
    route('192.168.1.1/32', { gateway: 'fe:e1:bb:d1:2a:01', flags: 'UHLl', priority: 1 }),
    route('127.0.0.1/32', {
      gateway: '127.0.0.1',
      flags: 'lUHh',
      references: 1,
      use: 2,
      mtu: 32768,
      priority: 1,
      interface: 'lo0',
    }),
    route('0.0.0.0/0', { gateway: '192.168.1.254', flags: 'UGS', references: 4, use: 1243 }),
    route('192.168.1.0/24', { gateway: '192.168.1.1', flags: 'UCn', priority: 4 }),
  ])
  assert.equal(
    text.replaceAll(/ +$/gm, ''),
    `Routing tables

Internet:
Destination        Gateway            Flags   Refs      Use   Mtu  Prio Iface
default            192.168.1.254      UGS        4     1243     -     8 vio0
127.0.0.1          127.0.0.1          UHhl       1        2 32768     1 lo0
192.168.1/24       192.168.1.1        UCn        0        0     -     4 vio0
192.168.1.1        fe:e1:bb:d1:2a:01  UHLl       0        0     -     1 vio0

Internet6:
Destination                        Gateway                        Flags   Refs      Use   Mtu  Prio Iface
fd3e:62ee:99db:bb1a::/64           fd3e:62ee:99db:bb1a::1         UCn        0        0     -     4 vio0
`,
  )
  assert.equal(showRoutes([], [4]), 'Routing tables\n')
})

test('destinations: zero octets on the right are left out', () => {
  assert.equal(showDestination(prefix('10.0.0.0/8')), '10/8')
  assert.equal(showDestination(prefix('172.16.0.0/12')), '172.16/12')
  assert.equal(showDestination(prefix('224.0.0.0/4')), '224/4')
  assert.equal(showDestination(prefix('192.168.1.128/25')), '192.168.1.128/25')
  assert.equal(showDestination(prefix('10.0.0.1/32')), '10.0.0.1')
  assert.equal(showDestination(prefix('::/0')), 'default')
  assert.equal(showDestination(prefix('fd00::/8')), 'fd00::/8')
})

test('route get', () => {
  const text = showRouteGet({
    asked: '10.1.2.3',
    destination: prefix('10.0.0.0/8'),
    gateway: parseIpAddress('172.16.0.2')!,
    interface: 'gif0',
    interfaceAddress: parseIpAddress('172.16.0.1')!,
    priority: 8,
    flags: 'UGS',
    use: 12,
    mtu: 0,
  })
  assert.equal(
    text,
    `   route to: 10.1.2.3
destination: 10.0.0.0
       mask: 255.0.0.0
    gateway: 172.16.0.2
  interface: gif0
 if address: 172.16.0.1
   priority: 8 (static)
      flags: <UP,GATEWAY,DONE,STATIC>
     use       mtu    expire
      12         0         0 
`,
  )
})
