/** Paths of ESP and AH with keys made by hand, over every carrier, between two hosts of the lab. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type InterfaceAddress,
  IpPrefix,
  milliseconds,
  parseIpAddress,
  readUint16,
  SeededRandom,
  seconds,
} from '../base/index.js'
import type { HostInterface } from '../engine/index.js'
import { ManualSaMachine, type SaSpec } from '../proto/esp/index.js'
import { keysOf, type TestSuite } from '../proto/esp/testing.js'
import type { Carrier, Datagram } from '../proto/index.js'
import { outerSpec } from '../proto/tunnel-metadata.js'
import { LabClock } from './clock.js'
import { VirtualHost } from './host.js'
import { Link } from './link.js'
import { echoRequest } from './testing.js'

type Family = 4 | 6
type CarrierName = 'esp' | 'ah' | 'udp'

const OUTER = { 4: ['10.0.0.1', '10.0.0.2'], 6: ['fd00::1', 'fd00::2'] } as const
const INNER = { 4: ['172.16.0.1', '172.16.0.2'], 6: ['fd16::1', 'fd16::2'] } as const
const ECHO_REPLY = { 4: 0, 6: 129 } as const
const PORTS = [4500, 61_234] as const

const ip = (text: string): NonNullable<ReturnType<typeof parseIpAddress>> => parseIpAddress(text)!
const address = (text: string, prefixLength: number): InterfaceAddress => ({
  address: ip(text),
  prefixLength,
})

interface End {
  readonly host: VirtualHost
  readonly machine: ManualSaMachine
  readonly port: HostInterface
  readonly control: Datagram[]
  drain(): void
}

interface Bed {
  readonly clock: LabClock
  readonly ends: readonly [End, End]
  readonly frames: Uint8Array[]
  ping(family: Family, size?: number): Promise<number>
}

const suites: Readonly<Record<CarrierName, TestSuite>> = {
  esp: { encryption: 'ENCR_AES_GCM_16' },
  ah: { integrity: 'AUTH_HMAC_SHA2_256_128' },
  udp: { encryption: 'ENCR_AES_CBC', integrity: 'AUTH_HMAC_SHA1_96' },
}

function carrierOf(name: CarrierName, family: Family, i: number): Carrier {
  const [local, remote] = [ip(OUTER[family][i]!), ip(OUTER[family][1 - i]!)]
  return name === 'udp'
    ? { kind: 'udp', protocol: 17, local, remote, localPort: PORTS[i]!, remotePort: PORTS[1 - i]! }
    : { kind: 'ip', protocol: name === 'ah' ? 51 : 50, local, remote }
}

function saOf(name: CarrierName, { local, remote, protocol }: Carrier, spi: number, esn: boolean): SaSpec {
  const suite = suites[name]
  return {
    spi,
    protocol: name === 'ah' ? 'ah' : 'esp',
    mode: 'tunnel',
    suite,
    keys: keysOf(suite),
    esn,
    window: 64,
    lifetimes: {},
    local: local.bytes,
    remote: remote.bytes,
    outer: outerSpec({ local, remote }, protocol, 'ip'),
    ...(name === 'udp' ? { udpEncapsulation: true } : {}),
  }
}

async function bed(name: CarrierName, family: Family, esn = false): Promise<Bed> {
  const clock = new LabClock()
  const link = new Link(clock, { delay: milliseconds(1) }, 3)
  const frames: Uint8Array[] = []
  const ends = [0, 1].map((i): End => {
    const host = new VirtualHost({ name: `host${i}`, clock, random: new SeededRandom(i + 1) })
    const ifc = host.connect('em0', link.ends[i]!)
    for (const version of [4, 6] as const)
      host.stack.addAddress(ifc, address(OUTER[version][i]!, version === 4 ? 24 : 64), clock.now())
    if (i === 0)
      ifc.taps.add((frame, direction) => {
        if (direction === 'out') frames.push(frame.slice())
      })
    const carrier = carrierOf(name, family, i)
    const machine = new ManualSaMachine({
      paths: [
        {
          id: 'sa',
          carrier,
          outbound: saOf(name, carrier, 0x1000 + i, esn),
          inbound: [saOf(name, carrier, 0x1001 - i, esn)],
        },
      ],
    })
    const port = host.createInterface({
      name: 'enc1',
      layer: 'ip',
      mtu: 1400,
      addresses: [address(INNER[4][i]!, 32), address(INNER[6][i]!, 128)],
      routes: ([4, 6] as const).map((version) => ({
        destination: IpPrefix.parse(`${INNER[version][1 - i]}/${version === 4 ? 32 : 128}`)!,
      })),
      up: true,
    })
    const control: Datagram[] = []
    const drain = (): void => {
      for (let output = machine.poll(); output !== undefined; output = machine.poll())
        if (output.kind === 'install') port.install(output.path, (datagram) => control.push(datagram))
        else if (output.kind === 'remove') port.remove(output.pathId)
        else if (output.kind === 'transmit') host.transmit(output.datagram)
    }
    return { host, machine, port, control, drain }
  }) as unknown as [End, End]
  await clock.advance(seconds(2))
  for (const { machine, drain } of ends) {
    machine.start(clock.now())
    drain()
  }
  return {
    clock,
    ends,
    frames,
    async ping(version, size = 56) {
      let replies = 0
      const { host } = ends[0]
      const stop = host.stack.onIcmp(({ type }) => {
        if (type === ECHO_REPLY[version]) replies++
      })
      const payload = new Uint8Array(8 + size)
      payload.set(version === 4 ? echoRequest(1) : Uint8Array.of(128, 0, 0, 0, 0, 1, 0, 1))
      if (version === 4) sealEcho(payload)
      const protocol = version === 4 ? 1 : 58
      const destination = ip(INNER[version][1])
      host.stack.send({ protocol, destination, payload, trafficClass: 0xb9 }, host.now())
      await clock.advance(seconds(1))
      stop()
      return replies
    },
  }
}

/** RFC 792: the checksum of an echo request. */
function sealEcho(message: Uint8Array): void {
  message.fill(0, 2, 4)
  let sum = 0
  for (let i = 0; i < message.length; i += 2) sum += (message[i]! << 8) | (message[i + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  message[2] = (~sum >> 8) & 0xff
  message[3] = ~sum & 0xff
}

const dropsOf = ({ port }: End): Record<string, number> =>
  Object.assign({}, ...port.status().flatMap(({ inbound, outbound }) => [inbound.drops, outbound.drops]))

for (const name of ['esp', 'ah', 'udp'] as const)
  for (const outer of [4, 6] as const)
    for (const esn of [false, true])
      test(`${name} over IPv${outer}${esn ? ' with extended sequence numbers' : ''}: both families inside`, async () => {
        const { ends, ping } = await bed(name, outer, esn)
        for (const inner of [4, 6] as const) assert.equal(await ping(inner), 1, `IPv${inner}`)
        for (const end of ends) {
          assert.deepEqual(dropsOf(end), {})
          assert.equal(end.port.status()[0]!.inbound.packets, 2)
        }
      })

for (const name of ['esp', 'ah', 'udp'] as const)
  test(`${name}: what does not fit the link goes in fragments, which AH covers as well`, async () => {
    const { ends, frames, ping } = await bed(name, 4)
    frames.length = 0
    assert.equal(await ping(4, 1372), 1)
    const fragments = frames.filter(
      (frame) => readUint16(frame, 12) === 0x800 && (readUint16(frame, 20) & 0x3fff) !== 0,
    )
    // 1,400 bytes inside stay below 1,500 with every suite.
    assert.equal(fragments.length, 0)
    ends[0].host.stack.interfaces.get('em0')!.mtu = 1000
    assert.equal(await ping(4, 1372), 1)
    assert.ok(frames.length > 2)
    assert.deepEqual(dropsOf(ends[1]), {})
  })

test('udp: the header outside has the ports, and DSCP and ECN of the packet inside', async () => {
  const { frames, ping } = await bed('udp', 4)
  frames.length = 0
  assert.equal(await ping(4), 1)
  const [frame] = frames.filter((one) => readUint16(one, 12) === 0x800)
  assert.equal(frame![15], 0xb9)
  assert.equal(frame![23], 17)
  assert.deepEqual([readUint16(frame!, 34), readUint16(frame!, 36)], [...PORTS])
})

test('udp: a keepalive keeps the mapping, and is nothing else', async () => {
  const { ends, clock } = await bed('udp', 4)
  await clock.advance(seconds(20))
  ends[0].machine.timeout(clock.now())
  ends[0].drain()
  await clock.advance(seconds(1))
  assert.deepEqual(dropsOf(ends[1]), { 'esp.keepalive': 1 })
  assert.deepEqual(ends[1].control, [])
})

test('udp: what IKE says to the same port is the machine’s, with the peer’s ports', async () => {
  const { ends, clock } = await bed('udp', 4)
  const payload = Uint8Array.of(0, 0, 0, 0, 1, 2, 3)
  ends[0].host.transmit({ carrier: carrierOf('udp', 4, 0), payload })
  await clock.advance(seconds(1))
  const [heard, ...more] = ends[1].control
  assert.equal(more.length, 0)
  assert.deepEqual(heard?.payload, payload)
  assert.deepEqual(heard.carrier, carrierOf('udp', 4, 1))
})

test('udp: another peer, and another port of this peer, go to who has the port for everybody', async () => {
  const { ends, clock } = await bed('udp', 4)
  const [a, b] = [ends[0].host, ends[1].host]
  const heard: number[] = []
  const everybody = b.stack.udp.bind({
    port: PORTS[1],
    onDatagram: ({ sourcePort }) => heard.push(sourcePort),
  })
  const other = a.stack.udp.bind({ port: 777, onDatagram: () => assert.fail('nobody answers') })
  other.send(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), ip(OUTER[4][1]), PORTS[1], a.now())
  a.transmit({ carrier: carrierOf('udp', 4, 0), payload: Uint8Array.of(0, 0, 0, 0, 9) })
  await clock.advance(seconds(1))
  assert.deepEqual(heard, [777])
  assert.equal(ends[1].control.length, 1)
  ends[1].machine.stop(clock.now())
  ends[1].drain()
  a.transmit({ carrier: carrierOf('udp', 4, 0), payload: Uint8Array.of(0, 0, 0, 0, 9) })
  await clock.advance(seconds(1))
  assert.deepEqual(heard, [777, PORTS[0]], 'the path is gone, and its socket with it')
  everybody.close()
})

for (const name of ['esp', 'ah'] as const)
  test(`${name}: an SPI that no path has is counted, and nobody is told`, async () => {
    const { ends, clock, frames } = await bed(name, 4)
    const { host } = ends[1]
    frames.length = 0
    const payload = new Uint8Array(40).fill(7)
    ends[0].host.transmit({ carrier: carrierOf(name, 4, 0), payload })
    await clock.advance(seconds(1))
    assert.equal(host.ipsec.counters.get(`${name}.spi`), 1)
    assert.equal(frames.filter((frame) => readUint16(frame, 12) === 0x800).length, 1)
    ends[1].machine.stop(clock.now())
    ends[1].drain()
    ends[0].host.transmit({ carrier: carrierOf(name, 4, 0), payload })
    await clock.advance(seconds(1))
    assert.equal(host.ipsec.counters.get(`${name}.spi`), 2)
  })
