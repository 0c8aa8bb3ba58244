/**
 * What a packet costs in the transforms alone, and what they allocate: a million packets a direction through buffers
 * that are used again, as the data paths of the hosts do. No peer: a kernel does not show its transforms apart.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import {
  ETHERNET,
  IPV4,
  instantAt,
  PacketBuffer,
  type PacketKind,
  parseIpAddress,
} from '../src/base/index.js'
import {
  createTransforms,
  EoipMachine,
  EtheripMachine,
  GifMachine,
  GreMachine,
  type Machine,
  PASS,
  type PathSpec,
  type Transform,
  type TunnelEvent,
} from '../src/proto/index.js'

const PACKETS = 1_000_000
const WARM_UP = 50_000

const outer = { local: parseIpAddress('192.168.1.1')!, remote: parseIpAddress('192.168.1.2')! }

/** An IPv4 packet 172.16.0.1 > 172.16.0.2 of 1,400 bytes. */
function ipPacket(): Uint8Array {
  const bytes = new Uint8Array(1400)
  bytes.set([
    0x45,
    0,
    bytes.length >>> 8,
    bytes.length & 0xff,
    0,
    0,
    0,
    0,
    64,
    17,
    0,
    0,
    172,
    16,
    0,
    1,
    172,
    16,
    0,
    2,
  ])
  return bytes
}

/** The same as a frame. */
function frame(): Uint8Array {
  const packet = ipPacket()
  const bytes = new Uint8Array(14 + packet.length)
  bytes.set([0xfe, 0xe1, 0xba, 0, 0, 2, 0xfe, 0xe1, 0xba, 0, 0, 1, 0x08, 0x00])
  bytes.set(packet, 14)
  return bytes
}

/** The first path of a machine, which is the one for IPv4 or frames. */
function pathOf(machine: Machine<TunnelEvent>): PathSpec {
  machine.start(instantAt(0))
  for (let output = machine.poll(); output !== undefined; output = machine.poll())
    if (output.kind === 'install') return output.path
  throw new Error('the machine installs no path')
}

// Without it the heap's growth would include garbage of what ran before.
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

interface Measured {
  readonly packetsPerSecond: number
  /** Bytes of heap that stayed or were made, a packet. */
  readonly allocated: number
}

function measure(transform: Transform, input: Uint8Array, kind: PacketKind): Measured {
  const buffer = new PacketBuffer(new Uint8Array(2048))
  buffer.load(input, kind)
  const { start, end } = buffer
  // The transforms write in front of the packet or (ECN) into equal bytes: what is in the buffer stays good.
  const run = (count: number): void => {
    for (let i = 0; i < count; i++) {
      buffer.reset(start, end, kind)
      if (transform.process(buffer) !== PASS) throw new Error('the transform refused the packet')
    }
  }
  run(WARM_UP)
  collect()
  const heapBefore = process.memoryUsage().heapUsed
  const begin = process.hrtime.bigint()
  run(PACKETS)
  const elapsed = Number(process.hrtime.bigint() - begin) / 1e9
  const heapAfter = process.memoryUsage().heapUsed
  return {
    packetsPerSecond: PACKETS / elapsed,
    allocated: Math.max(0, heapAfter - heapBefore) / PACKETS,
  }
}

export async function run(): Promise<void> {
  const cases: [name: string, machine: Machine<TunnelEvent>, input: Uint8Array, kind: PacketKind][] = [
    ['gif', new GifMachine({ outer }), ipPacket(), IPV4],
    ['gre', new GreMachine({ outer }), ipPacket(), IPV4],
    ['gre, key', new GreMachine({ outer, key: 42 }), ipPacket(), IPV4],
    ['eoip', new EoipMachine({ outer, tunnelId: 1 }), frame(), ETHERNET],
    ['etherip', new EtheripMachine({ outer }), frame(), ETHERNET],
  ]
  console.log('| transform | direction | packets/s | heap bytes a packet |')
  console.log('| --- | --- | ---: | ---: |')
  for (const [name, machine, input, kind] of cases) {
    const { outbound, inbound } = createTransforms(pathOf(machine).transform)
    const sealed = PacketBuffer.copyOf(input, kind)
    outbound.process(sealed)
    for (const [direction, transform, bytes, of] of [
      ['out', outbound, input, kind],
      ['in', inbound, sealed.copy(), 0],
    ] as const) {
      const { packetsPerSecond, allocated } = measure(transform, bytes, of)
      const rate = Math.round(packetsPerSecond).toLocaleString('en')
      console.log(`| ${name} | ${direction} | ${rate} | ${allocated.toFixed(3)} |`)
    }
  }
}
