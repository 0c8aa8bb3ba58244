/**
 * One end of IKEv2 with nothing behind it: the protocol's machine on the UDP ports of 192.168.1.1, with a pre-shared key.
 * Run in a namespace; it speaks to 192.168.1.2. Each line of its standard output is JSON: a packet as it stood on the wire,
 * the keys of an IKE SA, a state, a problem. It ends when it is told to, with SIGTERM.
 */
import { createSocket, type Socket } from 'node:dgram'
import {
  type Instant,
  type IpAddress,
  type Ipv4Address,
  instantAt,
  SeededRandom,
} from '../../src/base/index.js'
import { formatIkev2Table, ikeKeysOf } from '../../src/inspect/index.js'
import { ip4Packet, udpDatagram } from '../../src/inspect/testing/packets.js'
import { Ike2Machine } from '../../src/proto/ikev2/index.js'
import { noCredentials, policyOf } from '../../src/proto/ikev2/testing.js'

export type Said =
  | { readonly packet: string }
  | { readonly keys: string }
  | { readonly state: string }
  | { readonly problem: string }

const say = (said: Said): void => {
  process.stdout.write(`${JSON.stringify(said)}\n`)
}

const policy = policyOf(1, { initiate: true })
const local: IpAddress = policy.local
const remote = policy.peer.address

const machine = new Ike2Machine({
  policies: [policy],
  credentials: noCredentials,
  random: new SeededRandom(process.pid),
})
const now = (): Instant => instantAt(Math.round(performance.now() * 1000))
const known = new Set<string>()
let timer: NodeJS.Timeout | undefined

const sockets = new Map<number, Socket>([500, 4500].map((port) => [port, createSocket('udp4')]))

function drain(): void {
  for (const session of machine.sessions()) {
    const keys = formatIkev2Table([ikeKeysOf(session)])
    if (!known.has(keys)) say({ keys })
    known.add(keys)
  }
  for (let output = machine.poll(); output !== undefined; output = machine.poll()) {
    if (output.kind === 'transmit' && output.datagram.carrier.kind === 'udp') {
      const { carrier, payload } = output.datagram
      tell([local, remote], [carrier.localPort, carrier.remotePort], payload)
      sockets.get(carrier.localPort)!.send(payload, carrier.remotePort, String(carrier.remote))
    } else if (output.kind === 'event' && output.event.name === 'news') {
      const { news } = output.event
      if (news.kind === 'state') say({ state: news.to })
      if (news.kind === 'problem') say({ problem: news.text })
    }
  }
  clearTimeout(timer)
  const next = machine.nextTimeout()
  if (next === undefined) return
  const wait = Math.max(0, (next - now()) / 1000)
  timer = setTimeout(() => {
    machine.timeout(now())
    drain()
  }, Math.ceil(wait))
}

function tell(ends: readonly IpAddress[], ports: readonly [number, number], data: Uint8Array): void {
  const pair = ends as unknown as readonly [Ipv4Address, Ipv4Address]
  say({ packet: Buffer.from(ip4Packet(pair, 17, udpDatagram(pair, ports, data))).toString('hex') })
}

let bound = 0
for (const [port, socket] of sockets) {
  socket.on('message', (data, from) => {
    // ESP of the child: there is nobody here for it.
    if (port === 4500 && (data.length < 4 || data.readUInt32BE(0) !== 0)) return
    tell([remote, local], [from.port, port], data)
    machine.receive(
      {
        carrier: { kind: 'udp', protocol: 17, local, remote, localPort: port, remotePort: from.port },
        payload: data,
      },
      now(),
    )
    drain()
  })
  socket.bind(port, String(local), () => {
    if (++bound < sockets.size) return
    machine.start(now())
    drain()
  })
}

process.once('SIGTERM', () => {
  machine.stop(now())
  drain()
  setTimeout(() => process.exit(0), 500)
})
