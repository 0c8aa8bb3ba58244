/** A tunnel of kind ipsec on a host that remembers what it was asked for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  Counters,
  type Instant,
  type IpAddress,
  IpPrefix,
  instantAt,
  SeededRandom,
  WarrenError,
} from '../base/index.js'
import type { PathSpec, ReachedLifetime } from '../proto/machine.js'
import { ipOf } from '../proto/testing.js'
import type { TunnelEvent } from '../proto/tunnel-machine.js'
import type { TunnelDefinition } from './definition.js'
import type { Host, HostInterface, PathStatus } from './host.js'
import type { ManualSa } from './ipsec/index.js'
import { RecordingHost } from './testing.js'
import { Tunnel } from './tunnel.js'

class PolicyHost implements Host {
  readonly name = 'recording'
  readonly random = new SeededRandom(3)
  readonly counters = new Counters()
  readonly journal: string[] = []
  readonly reached = new Map<string, (lifetime: ReachedLifetime) => void>()
  /** Ids of paths that are refused. */
  readonly refused = new Set<string>()
  clock: Instant = instantAt(0)
  paths: PathStatus[] = []
  #timer: { at: Instant; callback: (now: Instant) => void } | undefined

  now(): Instant {
    return this.clock
  }
  isLocal(address: IpAddress): boolean {
    return `${address}` === '192.0.2.1'
  }
  transmit(): void {}
  schedule(at: Instant, callback: (now: Instant) => void): () => void {
    this.#timer = { at, callback }
    return () => {
      this.#timer = undefined
    }
  }
  /** The next timer's time has come. */
  tick(): void {
    const timer = this.#timer!
    this.clock = timer.at
    timer.callback(timer.at)
  }
  createInterface({ name, mtu }: { name: string; mtu: number }): HostInterface {
    const { journal } = this
    journal.push(`create ${name} mtu ${mtu}`)
    return {
      name,
      install: (path: PathSpec, _onControl, onReached) => {
        if (this.refused.has(spis(path.id)))
          throw new WarrenError('TEST_REFUSED', 'this host takes no such path')
        journal.push(`install ${spis(path.id)}`)
        this.reached.set(spis(path.id), onReached!)
      },
      remove: (id) => journal.push(`remove ${spis(id)}`),
      setPolicies: (policies) =>
        journal.push(
          `policies ${policies.map(({ direction, paths }) => `${direction}:${paths.length}`).join(' ')}`,
        ),
      setMtu: (to) => journal.push(`mtu ${to}`),
      setRunning: () => {},
      deliver: () => {},
      drops: () => ({ 'guard.in': 2 }),
      status: () => this.paths,
      destroy: () => journal.push('destroy'),
    }
  }
  /** What was asked since it was last looked at. */
  get asked(): string[] {
    return this.journal.splice(0)
  }
}

const spis = (id: string): string => id.split(' ').at(-1)!

const sa = (spi: number, back = false, more: Partial<ManualSa> = {}): ManualSa => ({
  protocol: 'esp',
  mode: 'tunnel',
  source: ipOf(back ? '192.0.2.2' : '192.0.2.1'),
  destination: ipOf(back ? '192.0.2.1' : '192.0.2.2'),
  spi,
  encryption: { name: 'aes-128-gcm', id: 'ENCR_AES_GCM_16', key: new Uint8Array(20).fill(spi) },
  unauthenticated: false,
  ...more,
})

function enc0(sas: readonly ManualSa[], mtu = 1446): TunnelDefinition {
  return {
    kind: 'ipsec',
    name: 'enc0',
    ipsec: {
      flows: [
        {
          policy: {
            direction: 'out',
            selector: { source: IpPrefix.parse('10.0.0.0/24')!, destination: IpPrefix.parse('10.0.1.0/24')! },
            action: 'require',
            protocol: 'esp',
            peer: ipOf('192.0.2.2'),
          },
          text: 'flow esp out …',
        },
      ],
      sas: sas.map((one) => ({ sa: one, text: `esp … spi 0x${one.spi.toString(16)}` })),
    },
    mtu,
    addresses: [],
    routes: [],
    up: true,
    where: 'ipsec.conf',
  }
}

const FIRST = '0x00001001:0x00001002'
const first = [sa(0x1001), sa(0x1002, true)]
const second = [sa(0x2001), sa(0x2002, true)]

test('policies come before paths, and stay when they end: closed', () => {
  const host = new PolicyHost()
  const events: TunnelEvent[] = []
  const tunnel = new Tunnel(host, enc0(first), { onEvent: (event) => events.push(event) })
  tunnel.start()
  assert.deepEqual(host.asked, ['create enc0 mtu 1446', 'policies out:1', `install ${FIRST}`])
  assert.equal(tunnel.state, 'up')
  host.reached.get(FIRST)!({ direction: 'outbound', spi: 0x1001, kind: 'hard' })
  assert.deepEqual(host.asked, [`remove ${FIRST}`])
  assert.equal(tunnel.state, 'down')
  assert.equal(tunnel.status().reason, 'the lifetime is over')
  assert.deepEqual(
    events.map(({ name }) => name),
    ['up', 'lifetime', 'down'],
  )
  tunnel.stop()
  assert.deepEqual(host.asked, ['destroy'])
})

test('seconds end an SA, and status says what is left until then', () => {
  const host = new PolicyHost()
  const lifetimes = { hardSeconds: 30, hardPackets: 10, hardBytes: 5000 }
  const tunnel = new Tunnel(host, enc0([sa(0x1001, false, { lifetimes }), sa(0x1002, true)]))
  tunnel.start()
  host.clock = instantAt(10_500_000)
  const nothing = { packets: 0, bytes: 0, drops: {} }
  host.paths = [
    {
      id: `esp 192.0.2.1 --> 192.0.2.2 ${FIRST}`,
      sas: [{ direction: 'outbound', spi: 0x1001, packets: 4, bytes: 336 }],
      inbound: nothing,
      outbound: nothing,
    },
  ]
  const { ipsec, drops, kind } = tunnel.status()
  assert.equal(kind, 'ipsec')
  assert.deepEqual(drops, { 'guard.in': 2 })
  assert.deepEqual(ipsec?.policies, [{ flow: 'flow esp out …', direction: 'out', action: 'require' }])
  assert.deepEqual(ipsec?.sas, [
    {
      sa: 'esp … spi 0x1001',
      path: `esp 192.0.2.1 --> 192.0.2.2 ${FIRST}`,
      direction: 'outbound',
      spi: 0x1001,
      state: 'mature',
      packets: 4,
      bytes: 336,
      left: { seconds: 20, packets: 6, bytes: 4664 },
    },
    {
      sa: 'esp … spi 0x1002',
      path: `esp 192.0.2.1 --> 192.0.2.2 ${FIRST}`,
      direction: 'inbound',
      spi: 0x1002,
      state: 'mature',
      packets: 0,
      bytes: 0,
    },
  ])
  assert.doesNotMatch(JSON.stringify(tunnel.status()), /"key/)
  host.tick()
  assert.equal(host.clock, 30_000_000)
  assert.deepEqual(
    tunnel.status().ipsec?.sas.map(({ state, left }) => [state, left]),
    [
      ['dead', undefined],
      ['dead', undefined],
    ],
  )
})

test('another definition exchanges what differs alone; the MTU follows', () => {
  const host = new PolicyHost()
  const tunnel = new Tunnel(host, enc0(first))
  tunnel.start()
  assert.equal(host.asked.length, 3)
  tunnel.reconfigure(enc0([...first, ...second], 1400))
  assert.deepEqual(host.asked, ['mtu 1400', 'policies out:2', 'install 0x00002001:0x00002002'])
  tunnel.reconfigure(enc0([sa(0x1001), sa(0x1002, true, { udpPort: 4500 })]))
  assert.deepEqual(host.asked, [
    'mtu 1446',
    'policies out:1',
    `remove ${FIRST}`,
    'remove 0x00002001:0x00002002',
    'install 0x00001001:-',
    'install -:0x00001002',
  ])
})

test('what the host refuses in an exchange leaves what was', () => {
  const host = new PolicyHost()
  const tunnel = new Tunnel(host, enc0(first))
  tunnel.start()
  assert.equal(host.asked.length, 3)
  host.refused.add('0x00002001:0x00002002')
  assert.throws(() => tunnel.reconfigure(enc0([...first, ...second], 1400)), { code: 'TEST_REFUSED' })
  assert.deepEqual(host.asked, ['mtu 1400', 'policies out:2', 'mtu 1446', 'policies out:1'])
  assert.equal(tunnel.definition.mtu, 1446)
  assert.equal(tunnel.status().ipsec?.sas.length, 2)
  assert.throws(() => tunnel.reconfigure(enc0([sa(0x3001, false, { source: ipOf('192.0.2.9') })])), {
    code: 'IPSEC_NOT_OURS',
  })
  assert.deepEqual(host.asked, [])
})

test('a host without policies takes no such tunnel, and makes nothing', () => {
  const host = new RecordingHost()
  assert.throws(() => new Tunnel(host, enc0(first)).start(), { code: 'HOST_POLICIES' })
  assert.equal(host.interfaces.size, 0)
})
