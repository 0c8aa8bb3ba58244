import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ETHERNET, instantAt, MacAddress, PacketBuffer, seconds } from '../base/index.js'
import { BRIDGE_MAX_NESTING, Bridge, type BridgePort } from './bridge.js'

const mac = (last: number): number[] => [0xfe, 0xe1, 0xba, 0xd0, last >> 8, last & 255]
const BROADCAST = [255, 255, 255, 255, 255, 255]

function frame(destination: number[], source: number[]): PacketBuffer {
  const bytes = new Uint8Array(60)
  bytes.set(destination)
  bytes.set(source, 6)
  return PacketBuffer.copyOf(bytes, ETHERNET)
}

interface Rig {
  readonly bridge: Bridge
  readonly ports: readonly BridgePort[]
  /** Names of the ports that the last frame left by. */
  receive(port: number, destination: number[], source: number[], at?: number): string[]
}

function rig(count: number, options = {}): Rig {
  const bridge = new Bridge(options)
  let out: string[] = []
  const ports: BridgePort[] = Array.from({ length: count }, (_, i) => ({
    name: `p${i}`,
    transmit: () => void out.push(`p${i}`),
  }))
  for (const port of ports) bridge.addPort(port)
  return {
    bridge,
    ports,
    receive: (port, destination, source, at = 0) => {
      out = []
      bridge.receive(ports[port]!, frame(destination, source), instantAt(at))
      return out
    },
  }
}

test('unknown destinations and groups are flooded, never back to where they came from', () => {
  const { receive } = rig(3)
  assert.deepEqual(receive(0, mac(9), mac(1)), ['p1', 'p2'])
  assert.deepEqual(receive(1, BROADCAST, mac(2)), ['p0', 'p2'])
  assert.deepEqual(receive(2, [0x33, 0x33, 0, 0, 0, 1], mac(3)), ['p0', 'p1'])
})

test('what was learned goes to one port; to the port of arrival it goes not at all', () => {
  const { receive, bridge } = rig(3)
  receive(0, BROADCAST, mac(1))
  assert.deepEqual(receive(1, mac(1), mac(2)), ['p0'])
  assert.deepEqual(receive(0, mac(1), mac(7)), [])
  assert.equal(bridge.counters.get('bridge.same-port'), 1)
})

test('an address that moves is found where it was last heard', () => {
  const { receive } = rig(3)
  receive(0, BROADCAST, mac(1))
  receive(2, BROADCAST, mac(1))
  assert.deepEqual(receive(1, mac(1), mac(2)), ['p2'])
})

test('addresses age', () => {
  const { receive, bridge } = rig(3, { timeout: seconds(240) })
  receive(0, BROADCAST, mac(1), 0)
  assert.deepEqual(receive(1, mac(1), mac(2), 239_999_999), ['p0'])
  assert.deepEqual(receive(1, mac(1), mac(2), 240_000_000), ['p0', 'p2'])
  assert.deepEqual(
    bridge.addresses(instantAt(240_000_001)).map(({ address }) => String(address)),
    ['fe:e1:ba:d0:00:02'],
  )
})

test('the table is bounded: a flood of made-up sources does not push out who is known', () => {
  const { receive, bridge } = rig(3, { maxAddresses: 100 })
  receive(0, BROADCAST, mac(1))
  for (let i = 0; i < 1_000; i++) receive(2, BROADCAST, mac(1_000 + i))
  assert.equal(bridge.addresses(instantAt(0)).length, 100)
  assert.equal(bridge.counters.get('bridge.table-full'), 901)
  assert.deepEqual(receive(1, mac(1), mac(2)), ['p0'])
  // What has aged makes room.
  receive(1, BROADCAST, mac(2), 240_000_001)
  assert.deepEqual(receive(0, mac(2), mac(1), 240_000_002), ['p1'])
})

test('static addresses stay where they are', () => {
  const { receive, bridge, ports } = rig(3)
  assert.equal(bridge.setStatic(new MacAddress(Uint8Array.from(mac(1))), ports[0]!), true)
  receive(2, BROADCAST, mac(1))
  assert.deepEqual(receive(1, mac(1), mac(2), 10_000_000_000), ['p0'])
  bridge.flush()
  assert.deepEqual(receive(1, mac(1), mac(2)), ['p0'])
  bridge.flush(true)
  assert.deepEqual(receive(1, mac(1), mac(2)), ['p0', 'p2'])
})

test('a frame in a loop is stopped', () => {
  const bridge = new Bridge()
  let passes = 0
  const a: BridgePort = {
    name: 'a',
    transmit: (packet, now) => {
      passes++
      bridge.receive(b, packet, now)
    },
  }
  const b: BridgePort = {
    name: 'b',
    transmit: (packet, now) => {
      passes++
      bridge.receive(a, packet, now)
    },
  }
  bridge.addPort(a)
  bridge.addPort(b)
  bridge.receive(a, frame(BROADCAST, mac(1)), instantAt(0))
  assert.equal(passes, BRIDGE_MAX_NESTING)
  assert.equal(bridge.counters.get('bridge.loop'), 1)
})

test('each port gets the frame as it came, whatever the one before did with the buffer', () => {
  const bridge = new Bridge()
  const lengths: number[] = []
  const port = (name: string): BridgePort => ({
    name,
    transmit: (packet) => {
      lengths.push(packet.length)
      packet.start -= 20
      packet.kind = 0
    },
  })
  const from = port('from')
  for (const one of [from, port('b'), port('c')]) bridge.addPort(one)
  bridge.receive(from, frame(BROADCAST, mac(1)), instantAt(0))
  assert.deepEqual(lengths, [60, 60])
})

test('short frames, group sources and filtered frames are counted and go nowhere', () => {
  const { bridge, ports, receive } = rig(2)
  bridge.receive(ports[0]!, PacketBuffer.copyOf(new Uint8Array(13), ETHERNET), instantAt(0))
  assert.equal(bridge.counters.get('bridge.short'), 1)
  assert.deepEqual(receive(0, mac(2), [0x01, 0, 0x5e, 0, 0, 1]), [])
  assert.equal(bridge.counters.get('bridge.group-source'), 1)
  bridge.filter = (direction, port) => !(direction === 'out' && port.name === 'p1')
  assert.deepEqual(receive(0, mac(2), mac(1)), [])
  bridge.filter = (direction) => direction !== 'in'
  assert.deepEqual(receive(0, mac(2), mac(1)), [])
  assert.equal(bridge.counters.get('bridge.filtered'), 2)
})

test('a port that is removed takes its addresses with it', () => {
  const { bridge, ports, receive } = rig(3)
  receive(0, BROADCAST, mac(1))
  bridge.removePort(ports[0]!)
  assert.deepEqual(receive(1, mac(1), mac(2)), ['p2'])
  assert.deepEqual(receive(0, mac(2), mac(1)), [])
  assert.equal(bridge.counters.get('bridge.not-a-port'), 1)
})
