import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  Counters,
  type Instant,
  type IpAddress,
  instantAt,
  parseIpAddress,
  SeededRandom,
  WarrenError,
} from '../base/index.js'
import type { HostInterface, InterfaceSpec, TunnelDefinition } from '../engine/index.js'
import { Daemon, type DaemonHost } from './daemon.js'

/** A host that only remembers what it was asked to make, and refuses the interfaces named in `refuses`. */
class FakeHost implements DaemonHost {
  readonly name = 'fake'
  readonly random = new SeededRandom(1)
  readonly counters = new Counters()
  readonly interfaces = new Map<string, InterfaceSpec>()
  readonly journal: string[] = []
  refuses: string | undefined
  now(): Instant {
    return instantAt(0)
  }
  schedule(): () => void {
    return () => {}
  }
  transmit(): void {}
  isLocal(address: IpAddress): boolean {
    return `${address}` === '192.168.1.1'
  }
  async refresh(): Promise<void> {}
  drops(): Record<string, number> {
    return {}
  }
  createInterface(spec: InterfaceSpec): HostInterface {
    if (spec.name === this.refuses)
      throw new WarrenError('LINUX_EPERM', `could not make the interface ${spec.name}`, {
        found: 'EPERM',
        mend: 'run it as root',
      })
    assert.equal(this.interfaces.has(spec.name), false)
    this.interfaces.set(spec.name, spec)
    this.journal.push(`+${spec.name}`)
    return {
      name: spec.name,
      install: ({ id }) => {
        if (spec.name === 'enc0') this.journal.push(`+${id.split(' ').at(-1)}`)
      },
      remove: (id) => {
        if (spec.name === 'enc0') this.journal.push(`-${id.split(' ').at(-1)}`)
      },
      setPolicies: (policies) => this.journal.push(`policies ${policies.length}`),
      deliver: () => {},
      status: () => [],
      destroy: () => {
        this.interfaces.delete(spec.name)
        this.journal.push(`-${spec.name}`)
      },
    }
  }
}

function gif(name: string, mtu = 1280): TunnelDefinition {
  return {
    kind: 'gif',
    name,
    outer: { local: parseIpAddress('192.168.1.1')!, remote: parseIpAddress('192.168.1.2')! },
    mtu,
    addresses: [],
    routes: [],
    up: true,
    where: `hostname.${name}`,
  }
}

function enc0(...spis: number[]): TunnelDefinition {
  const sas = spis.map((spi) => ({
    sa: {
      protocol: 'esp' as const,
      mode: 'tunnel' as const,
      source: parseIpAddress('192.168.1.1')!,
      destination: parseIpAddress('192.168.1.2')!,
      spi,
      encryption: { name: 'aes-128-gcm', id: 'ENCR_AES_GCM_16' as const, key: new Uint8Array(20).fill(spi) },
      unauthenticated: false,
    },
    text: `esp … ${spi}`,
  }))
  return {
    kind: 'ipsec',
    name: 'enc0',
    ipsec: { flows: [], sas },
    mtu: 1446,
    addresses: [],
    routes: [],
    up: true,
    where: 'ipsec.conf',
  }
}

function setUp(): { host: FakeHost; daemon: Daemon; files: { now: TunnelDefinition[] }; log: string[] } {
  const host = new FakeHost()
  const files: { now: TunnelDefinition[] } = { now: [] }
  const log: string[] = []
  const daemon = new Daemon(host, { load: () => files.now, log: (line) => log.push(line) })
  return { host, daemon, files, log }
}

test('all tunnels come up, and the last goes first', () => {
  const { host, daemon, log } = setUp()
  daemon.start([gif('gif0'), gif('gif1')])
  assert.equal(log[0], 'gif0: gif 192.168.1.1 --> 192.168.1.2, mtu 1280 (hostname.gif0)')
  daemon.stop()
  assert.deepEqual(host.journal, ['+gif0', '+gif1', '-gif1', '-gif0'])
})

test('where one is refused none stays, and the error says where it was asked for', () => {
  const { host, daemon } = setUp()
  host.refuses = 'gif1'
  assert.throws(() => daemon.start([gif('gif0'), gif('gif1')]), {
    code: 'LINUX_EPERM',
    message: 'hostname.gif1: gif1: could not make the interface gif1: found EPERM; run it as root',
  })
  assert.deepEqual(host.journal, ['+gif0', '-gif0'])
})

test('a reload touches only what changed', () => {
  const { host, daemon, files } = setUp()
  daemon.start([gif('gif0'), gif('gif1'), gif('gif2')])
  host.journal.length = 0
  files.now = [gif('gif0'), gif('gif1', 1400), gif('gif3')]
  assert.deepEqual(daemon.reload(), { kept: ['gif0'], added: ['gif3'], changed: ['gif1'], removed: ['gif2'] })
  assert.deepEqual(host.journal, ['-gif2', '-gif1', '+gif1', '+gif3'])
  assert.equal(host.interfaces.get('gif1')?.mtu, 1400)
})

test('a reload of ipsec.conf exchanges SAs behind the interface that stands', () => {
  const { host, daemon, files, log } = setUp()
  daemon.start([gif('gif0'), enc0(0x1001, 0x1003)])
  assert.match(log.join('\n'), /^enc0: ipsec, 0 flows, 2 SAs, mtu 1446 \(ipsec\.conf\)$/m)
  host.journal.length = 0
  files.now = [gif('gif0'), enc0(0x1001, 0x1005)]
  assert.deepEqual(daemon.reload(), { kept: ['gif0'], added: [], changed: ['enc0'], removed: [] })
  assert.deepEqual(host.journal, ['policies 0', '-0x00001003:-', '+0x00001005:-'])
  host.journal.length = 0
  files.now = [gif('gif0'), enc0(0x1001), gif('gif7')]
  host.refuses = 'gif7'
  assert.throws(() => daemon.reload(), { code: 'LINUX_EPERM' })
  assert.deepEqual(host.journal, ['policies 0', '-0x00001005:-', 'policies 0', '+0x00001005:-'])
})

test('a reload that the machine refuses leaves what ran before', () => {
  const { host, daemon, files } = setUp()
  daemon.start([gif('gif0'), gif('gif1')])
  files.now = [gif('gif1', 1400), gif('gif2')]
  host.refuses = 'gif2'
  assert.throws(() => daemon.reload(), { code: 'LINUX_EPERM' })
  assert.deepEqual([...host.interfaces.keys()].sort(), ['gif0', 'gif1'])
  assert.equal(host.interfaces.get('gif1')?.mtu, 1280)
  assert.deepEqual([...daemon.tunnels].sort(), ['gif0', 'gif1'])
})

test('a reload whose files are wrong changes nothing', () => {
  const host = new FakeHost()
  const daemon = new Daemon(host, {
    load: () => {
      throw new WarrenError('CONFIG_SYNTAX', 'no')
    },
    log: () => {},
  })
  daemon.start([gif('gif0')])
  host.journal.length = 0
  assert.throws(() => daemon.reload(), { code: 'CONFIG_SYNTAX' })
  assert.deepEqual(host.journal, [])
})

test('an interface that somebody else removed is put away; a reload makes it again', async () => {
  const { host, daemon, files, log } = setUp()
  daemon.start([gif('gif0'), gif('gif1')])
  daemon.lose('gif0')
  assert.match(log.join('\n'), /gif0: its interface was removed by somebody else/)
  assert.deepEqual(
    (await daemon.status()).tunnels.map(({ name, state }) => `${name} ${state}`),
    ['gif1 up'],
  )
  files.now = [gif('gif0'), gif('gif1')]
  assert.deepEqual(daemon.reload().added, ['gif0'])
  assert.deepEqual([...host.interfaces.keys()].sort(), ['gif0', 'gif1'])
})
