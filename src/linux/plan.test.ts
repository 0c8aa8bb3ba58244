import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type IpAddress, IpPrefix, parseIpAddress } from '../base/index.js'
import type { TunnelDefinition } from '../engine/index.js'
import { definitionKey, planReload } from './plan.js'

const ip = (address: string): IpAddress => parseIpAddress(address)!

function gif(name: string, remote = '192.168.1.2', more: Partial<TunnelDefinition> = {}): TunnelDefinition {
  return {
    kind: 'gif',
    name,
    outer: { local: ip('192.168.1.1'), remote: ip(remote) },
    mtu: 1280,
    addresses: [{ address: ip('172.16.0.1'), prefixLength: 32, peer: ip('172.16.0.2') }],
    routes: [{ destination: IpPrefix.parse('10.0.0.0/8')! }],
    up: true,
    ...more,
  }
}

test('a tunnel is the same wherever and in whatever order it was written', () => {
  const a = gif('gif0', '192.168.1.2', { where: 'hostname.gif0' })
  const { name, kind, ...rest } = gif('gif0')
  assert.equal(definitionKey(a), definitionKey({ ...rest, where: 'warren.toml:7', kind, name }))
})

test('an ipsec tunnel: where a rule stands does not count, a key does', () => {
  const ipsec = (where: string, last: number): TunnelDefinition => ({
    kind: 'ipsec',
    name: 'enc0',
    ipsec: {
      flows: [],
      sas: [
        {
          sa: {
            protocol: 'esp',
            mode: 'tunnel',
            source: ip('192.168.1.1'),
            destination: ip('192.168.1.2'),
            spi: 0x1001,
            encryption: { name: 'aes', id: 'ENCR_AES_CBC', key: new Uint8Array(16).fill(last, 15) },
            unauthenticated: true,
            where,
          },
          text: 'esp tunnel from 192.168.1.1 to 192.168.1.2 spi 0x00001001 enc aes',
        },
      ],
    },
    mtu: 1438,
    addresses: [],
    routes: [],
    up: true,
  })
  assert.equal(definitionKey(ipsec('ipsec.conf:1:1', 1)), definitionKey(ipsec('ipsec.conf:2:1', 1)))
  assert.notEqual(definitionKey(ipsec('ipsec.conf:1:1', 1)), definitionKey(ipsec('ipsec.conf:1:1', 2)))
})

test('every member that differs makes another tunnel', () => {
  const same = definitionKey(gif('gif0'))
  const others: TunnelDefinition[] = [
    gif('gif1'),
    gif('gif0', '192.168.1.3'),
    gif('gif0', '192.168.1.2', { kind: 'gre' }),
    gif('gif0', '192.168.1.2', { mtu: 1400 }),
    gif('gif0', '192.168.1.2', { key: 0 }),
    gif('gif0', '192.168.1.2', { addresses: [] }),
    gif('gif0', '192.168.1.2', {
      addresses: [{ address: ip('172.16.0.1'), prefixLength: 32, peer: ip('172.16.0.3') }],
    }),
    gif('gif0', '192.168.1.2', { routes: [{ destination: IpPrefix.parse('10.0.0.0/9')! }] }),
    gif('gif0', '192.168.1.2', { up: false }),
    gif('gif0', '192.168.1.2', {
      outer: { local: ip('192.168.1.1'), remote: ip('192.168.1.2'), dontFragment: true },
    }),
  ]
  for (const other of others) assert.notEqual(definitionKey(other), same, JSON.stringify(other))
})

test('a reload keeps what did not change, and names the rest', () => {
  const running = [gif('gif0'), gif('gif1', '192.168.1.3'), gif('gif2', '192.168.1.4')]
  const wanted = [gif('gif3', '192.168.1.5'), gif('gif1', '192.168.1.30'), gif('gif0')]
  const plan = planReload(running, wanted)
  assert.deepEqual(plan.keep, ['gif0'])
  assert.deepEqual(plan.remove, ['gif2'])
  assert.deepEqual(
    plan.change.map(({ name, outer }) => `${name} ${outer?.remote}`),
    ['gif1 192.168.1.30'],
  )
  assert.deepEqual(
    plan.add.map(({ name }) => name),
    ['gif3'],
  )
})
