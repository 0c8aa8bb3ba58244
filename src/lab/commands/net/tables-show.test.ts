import assert from 'node:assert/strict'
import { test } from 'node:test'
import { instantAt, MacAddress, parseIpAddress } from '../../../base/index.js'
import { type NeighbourView, showArp, showNdp } from './neighbours-show.js'
import { showSockets } from './netstat-show.js'
import { showSections } from './statistics-show.js'
import { findVariables } from './sysctl-tree.js'

const mac = MacAddress.parse('fe:e1:bb:d1:2a:02')!
const now = instantAt(0)

test('arp -an', () => {
  const entries: NeighbourView[] = [
    {
      address: parseIpAddress('192.168.1.1')!,
      mac,
      interface: 'vio0',
      state: 'permanent',
      local: true,
      router: false,
    },
    {
      address: parseIpAddress('192.168.1.2')!,
      mac,
      interface: 'vio0',
      state: 'reachable',
      expires: instantAt(1119e6),
      local: false,
      router: false,
    },
    {
      address: parseIpAddress('192.168.1.3')!,
      interface: 'vio0',
      state: 'incomplete',
      expires: now,
      local: false,
      router: false,
    },
  ]
  assert.equal(
    showArp(entries, now),
    `Host                                 Ethernet Address    Netif Expire    Flags
192.168.1.1                          fe:e1:bb:d1:2a:02    vio0 permanent l
192.168.1.2                          fe:e1:bb:d1:2a:02    vio0 18m39s
192.168.1.3                          (incomplete)         vio0 expired
`,
  )
})

test('ndp -an', () => {
  const text = showNdp(
    [
      {
        address: parseIpAddress('fe80::2')!,
        mac,
        interface: 'vio0',
        state: 'stale',
        expires: instantAt(86_400e6),
        local: false,
        router: true,
      },
    ],
    now,
  )
  assert.equal(
    text,
    `Neighbor                             Linklayer Address   Netif Expire    S Flags
fe80::2%vio0                         fe:e1:bb:d1:2a:02    vio0 1d        S R
`,
  )
})

test('netstat -an: one table for both families; without -a no listeners', () => {
  const sockets = [
    {
      protocol: 'tcp' as const,
      family: 4 as const,
      local: parseIpAddress('192.168.1.1')!,
      localPort: 8888,
      remote: parseIpAddress('192.168.1.2')!,
      remotePort: 49152,
      state: 'ESTABLISHED',
      receiveQueue: 0,
      sendQueue: 12,
    },
    {
      protocol: 'tcp' as const,
      family: 6 as const,
      localPort: 22,
      state: 'LISTEN',
      receiveQueue: 0,
      sendQueue: 0,
    },
  ]
  assert.equal(
    showSockets(sockets),
    `Active Internet connections (including servers)
Proto   Recv-Q Send-Q  Local Address          Foreign Address        (state)
tcp          0     12  192.168.1.1.8888       192.168.1.2.49152      ESTABLISHED
tcp6         0      0  *.22                   *.*                    LISTEN
`,
  )
  assert.doesNotMatch(showSockets(sockets, [4, 6], false), /LISTEN/)
  assert.equal(showSockets(sockets, [6], false), '')
})

test('netstat -s leaves out what is zero', () => {
  const sections = [
    {
      name: 'ip',
      lines: [
        [3, 'packets forwarded'],
        [0, 'bad header checksums'],
      ] as const,
    },
    { name: 'tcp', lines: [[0, 'retransmit timeouts']] as const },
  ]
  assert.equal(showSections(sections), 'ip:\n\t3 packets forwarded\n')
})

test('sysctl names: leaf, node, and at which level a name goes wrong', () => {
  const tree = ['kern.ostype', 'net.inet.ip.forwarding', 'net.inet.ip.ttl', 'net.inet6.ip6.forwarding'].map(
    (name) => ({ name }),
  )
  const error = (name: string): string | undefined => {
    const found = findVariables(tree, name)
    return 'error' in found ? found.error : undefined
  }
  assert.deepEqual(findVariables(tree, 'net.inet.ip.ttl'), { variables: [{ name: 'net.inet.ip.ttl' }] })
  const node = findVariables(tree, 'net.inet')
  assert.deepEqual('variables' in node && node.variables.map(({ name }) => name), [
    'net.inet.ip.forwarding',
    'net.inet.ip.ttl',
  ])
  assert.equal(error('nett.inet'), 'top level name nett in nett.inet is invalid')
  assert.equal(error('net.x'), 'second level name x in net.x is invalid')
  assert.equal(error('net.inet.foo'), 'third level name foo in net.inet.foo is invalid')
  assert.equal(
    error('net.inet.ip.forwading'),
    'fourth level name forwading in net.inet.ip.forwading is invalid',
  )
})
