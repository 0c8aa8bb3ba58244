import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IpPrefix, parseIpAddress, SeededRandom } from '../base/index.js'
import type { Policy } from '../stack/spd.js'
import type { ManualSa } from './ipsec/sa.js'
import { type IpsecDefinition, ipsecMtu, manualConfigOf } from './ipsec-tunnel.js'

const address = (text: string): NonNullable<ReturnType<typeof parseIpAddress>> => parseIpAddress(text)!
const OURS = ['192.0.2.1', 'fd00::1', '10.0.0.1']
const isLocal = (one: { toString(): string }): boolean => OURS.includes(`${one}`)
const key = (length: number): Uint8Array => new Uint8Array(length).map((_, i) => i * 7 + 1)

const sa = (from: string, to: string, spi: number, more: Partial<ManualSa> = {}): ManualSa => ({
  protocol: 'esp',
  mode: 'tunnel',
  source: address(from),
  destination: address(to),
  spi,
  encryption: { name: 'aes-256', id: 'ENCR_AES_CBC', key: key(32) },
  authentication: { name: 'hmac-sha2-256', id: 'AUTH_HMAC_SHA2_256_128', key: key(32) },
  unauthenticated: false,
  ...more,
})

const policy = (direction: 'in' | 'out', from: string, to: string, more: Partial<Policy> = {}): Policy => ({
  direction,
  selector: { source: IpPrefix.parse(from)!, destination: IpPrefix.parse(to)! },
  action: 'require',
  protocol: 'esp',
  peer: address('192.0.2.2'),
  ...more,
})

const definition = (policies: Policy[], sas: ManualSa[]): IpsecDefinition => ({
  flows: policies.map((one) => ({ policy: one, text: '' })),
  sas: sas.map((one) => ({ sa: one, text: '' })),
})

const configOf = (policies: Policy[], sas: ManualSa[]): ReturnType<typeof manualConfigOf> =>
  manualConfigOf(definition(policies, sas), isLocal, new SeededRandom(1))

test('an SA there and one back make a path; policies name the paths that serve them', () => {
  const { paths, policies } = configOf(
    [policy('out', '10.0.0.0/24', '10.0.1.0/24'), policy('in', '10.0.1.0/24', '10.0.0.0/24')],
    [sa('192.0.2.1', '192.0.2.2', 0x1001), sa('192.0.2.2', '192.0.2.1', 0x1002)],
  )
  const id = 'esp 192.0.2.1 --> 192.0.2.2 0x00001001:0x00001002'
  assert.deepEqual(
    paths.map((path) => path.id),
    [id],
  )
  assert.deepEqual(
    policies?.map(({ direction, paths: names }) => [direction, names]),
    [
      ['in', [id]],
      ['out', [id]],
    ],
  )
  assert.deepEqual(structuredClone(policies), policies)
})

test('one direction alone protects that direction alone; the newest is asked first, transport mode before tunnels', () => {
  const { paths, policies } = configOf(
    [
      policy('out', '192.0.2.1', '192.0.2.2'),
      policy('in', '192.0.2.2', '192.0.2.1'),
      policy('out', '10.0.0.0/24', '10.0.1.0/24'),
    ],
    [
      sa('192.0.2.1', '192.0.2.2', 0x1001, { mode: 'transport' }),
      sa('192.0.2.1', '192.0.2.2', 0x1003),
      sa('192.0.2.1', '192.0.2.2', 0x1005),
    ],
  )
  const [transport, older, newer] = [0x1001, 0x1003, 0x1005].map(
    (spi) => `esp 192.0.2.1 --> 192.0.2.2 0x0000${spi.toString(16)}:-`,
  )
  assert.deepEqual(
    paths.map((path) => path.id),
    [transport, older, newer],
  )
  const found = new Map(policies?.map((one) => [`${one.direction} ${one.source.length}`, one.paths]))
  assert.deepEqual(found.get('out 32'), [transport, newer, older])
  assert.deepEqual(found.get('in 32'), [])
  assert.deepEqual(found.get('out 24'), [newer, older])
})

test('another protocol, local end or peer does not serve; deny and bypass ask for nothing', () => {
  const { policies } = configOf(
    [
      policy('out', '10.0.0.0/24', '10.0.1.0/24', { protocol: 'ah' }),
      policy('out', '10.0.0.0/24', '10.0.2.0/24', { local: address('192.0.2.9') }),
      policy('out', '10.0.0.0/24', '10.0.3.0/24', { peer: address('192.0.2.3') }),
      policy('out', '10.0.0.0/24', '10.0.4.0/24', { action: 'deny' }),
      policy('out', '10.0.0.0/24', '10.0.5.0/24', { action: 'bypass' }),
    ],
    [sa('192.0.2.1', '192.0.2.2', 0x1001)],
  )
  assert.deepEqual(
    policies?.map(({ paths }) => paths),
    [[], [], [], [], []],
  )
})

test('peer any: transport mode to the far end itself, a tunnel only where the flow has one far end', () => {
  const { peer: _, ...anybody } = policy('out', '192.0.2.1', '192.0.2.0/24')
  const { peer: __, ...oneHost } = policy('out', '10.0.0.0/24', '192.0.2.2')
  const { policies } = configOf(
    [anybody, oneHost],
    [sa('192.0.2.1', '192.0.2.2', 0x1001), sa('192.0.2.1', '192.0.2.2', 0x1003, { mode: 'transport' })],
  )
  assert.deepEqual(
    policies?.map(({ paths }) => paths.map((id) => id.split(' ').at(-1))),
    [['0x00001003:-'], ['0x00001001:-']],
  )
})

test('ipip is a path a family, without keys; ESP in UDP leaves from port 4500', () => {
  const plain = {
    protocol: 'ipip' as const,
    source: address('192.0.2.1'),
    destination: address('192.0.2.2'),
    spi: 0x1001,
    mode: 'tunnel' as const,
    unauthenticated: false,
  }
  const { paths, policies } = configOf(
    [policy('out', 'fd01::/64', 'fd02::/64', { protocol: 'ipip', action: 'use' })],
    [plain, sa('192.0.2.1', '192.0.2.2', 0x1003, { udpPort: 4501 })],
  )
  assert.deepEqual(
    paths.map(({ carrier }) => [
      carrier.protocol,
      carrier.kind === 'udp' ? [carrier.localPort, carrier.remotePort] : [],
    ]),
    [
      [4, []],
      [41, []],
      [17, [4500, 4501]],
    ],
  )
  assert.deepEqual(policies?.[0]?.paths, ['ipip 192.0.2.1 --> 192.0.2.2 0x00001001:- inet6'])
})

test('an SA between others is refused, with its place', () => {
  assert.throws(
    () => configOf([], [sa('192.0.2.7', '192.0.2.8', 0x1001, { where: 'ipsec.conf:3:1' })]),
    (error: Error & { code?: string }) =>
      error.code === 'IPSEC_NOT_OURS' && error.message.includes('ipsec.conf:3:1'),
  )
})

test('MTU: the largest packet whose protected form fits into 1500 bytes, by the greediest SA, never under 1280', () => {
  const between = (more: Partial<ManualSa>): ManualSa => sa('192.0.2.1', '192.0.2.2', 0x1001, more)
  // 20 + 8 + 16 + 16 leave 1440 of ciphertext, two of which are the trailer.
  assert.equal(ipsecMtu([between({})]), 1438)
  // UDP takes 8 more: 1432 are 89 blocks.
  assert.equal(ipsecMtu([between({ udpPort: 4500 })]), 1422)
  assert.equal(ipsecMtu([between({ mode: 'transport' })]), 1458)
  const { encryption: _, ...bare } = between({ protocol: 'ah' })
  // 12 + 16 bytes of AH.
  assert.equal(ipsecMtu([bare]), 1452)
  assert.equal(ipsecMtu([bare, between({ udpPort: 4500 })]), 1422)
  const plain = { ...bare, protocol: 'ipip' as const }
  assert.equal(ipsecMtu([plain]), 1480)
  assert.equal(ipsecMtu([]), 1500)
})
