import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Counters, concatBytes, instantAt, PacketBuffer } from '../base/index.js'
import { gif4 } from '../proto/article.testdata.js'
import { EoipMachine } from '../proto/eoip/index.js'
import { GreMachine } from '../proto/gre/index.js'
import { DROP, type Machine, PASS, type PathSpec } from '../proto/machine.js'
import { drain, hexBytes, ipOf } from '../proto/testing.js'
import { DataPath, PathTable } from './data-path.js'

const outer = { local: ipOf('192.168.1.1'), remote: ipOf('192.168.1.2') }
const inner = gif4.subarray(20)

function pathOf<E>(machine: Machine<E>): PathSpec {
  machine.start(instantAt(0))
  return drain(machine).flatMap((output) => (output.kind === 'install' ? [output.path] : []))[0]!
}

test('paths of one carrier: each packet finds the one with its key, tunnel id or version', () => {
  const table = new PathTable<string>()
  table.add(new DataPath(pathOf(new GreMachine({ outer }))), 'plain')
  table.add(new DataPath(pathOf(new GreMachine({ outer, key: 1 }))), 'key 1')
  table.add(new DataPath(pathOf(new GreMachine({ outer, key: 2 }))), 'key 2')
  table.add(new DataPath(pathOf(new EoipMachine({ outer, tunnelId: 1 }))), 'eoip 1')
  const ownerOf = (header: string, payload = inner): string | undefined => {
    let owner: string | undefined
    const packet = PacketBuffer.copyOf(concatBytes(hexBytes(header), payload), 0)
    const taken = table.inbound(47, outer.remote, outer.local, packet, (entry) => {
      owner = entry.owner
    })
    assert.equal(taken, owner !== undefined)
    return owner
  }
  assert.equal(ownerOf('0000 0800'), 'plain')
  assert.equal(ownerOf('2000 0800 0000 0001'), 'key 1')
  assert.equal(ownerOf('2000 0800 0000 0002'), 'key 2')
  assert.equal(ownerOf('2000 0800 0000 0003'), undefined)
  assert.equal(ownerOf('2001 6400 0054 0100'), 'eoip 1')
  assert.equal(ownerOf('2001 6400 0054 0200'), undefined)
  assert.equal(table.inbound(4, outer.remote, outer.local, PacketBuffer.copyOf(inner, 0), assert.fail), false)
})

test('paths of UDP: each datagram finds the one of its ports', () => {
  const table = new PathTable<number>()
  for (const remotePort of [4500, 61_000]) {
    const carrier = { ...outer, kind: 'udp', protocol: 17, localPort: 4500, remotePort } as const
    table.add(new DataPath({ ...pathOf(new GreMachine({ outer })), carrier }), remotePort)
  }
  const ownerOf = (source?: number, destination = 4500): number | undefined => {
    let owner: number | undefined
    const packet = PacketBuffer.copyOf(concatBytes(hexBytes('0000 0800'), inner), 0)
    const take = (entry: { owner: number }): void => {
      owner = entry.owner
    }
    const ports = source === undefined ? undefined : { source, destination }
    table.inbound(17, outer.remote, outer.local, packet, take, ports)
    return owner
  }
  assert.deepEqual([ownerOf(4500), ownerOf(61_000), ownerOf(61_001)], [4500, 61_000, undefined])
  assert.deepEqual([ownerOf(4500, 4501), ownerOf()], [undefined, undefined])
})

test('what the host does not admit is dropped and counted, and does not count as carried', () => {
  const path = new DataPath(pathOf(new GreMachine({ outer })), () => false)
  const packet = PacketBuffer.copyOf(concatBytes(hexBytes('0000 0800'), inner), 0)
  assert.equal(path.inbound(packet), DROP)
  assert.deepEqual(path.status().inbound, { packets: 0, bytes: 0, drops: { 'inner.source': 1 } })
})

test("packets and bytes are the inner ones; the host's own drops are counted beside the transform's", () => {
  const path = new DataPath(pathOf(new GreMachine({ outer })))
  assert.equal(path.outbound(PacketBuffer.copyOf(inner, 4)), PASS)
  path.countOutboundDrop('outer.noRoute')
  assert.deepEqual(path.status().outbound, { packets: 1, bytes: 84, drops: { 'outer.noRoute': 1 } })
})

test('a removed path takes nothing', () => {
  const table = new PathTable<Counters | undefined>()
  const path = new DataPath(pathOf(new GreMachine({ outer })))
  table.add(path, undefined)
  assert.equal(table.has(47), true)
  table.remove(path)
  assert.equal(table.has(47), false)
})
