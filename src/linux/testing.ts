/**
 * A data plane over UDP sockets of the loopback: they are read and written as TUN devices and raw sockets are, and
 * need no right.
 */
import assert from 'node:assert/strict'
import { type Instant, type IpAddress, parseIpAddress } from '../base/index.js'
import type { Machine, PathSpec, ReachedLifetime } from '../proto/machine.js'
import { ipv4, sealIpv4Checksum } from '../wire/ipv4.js'
import type { RefusedPacket } from './audit.js'
import { Errno, libc } from './ffi.js'
import { DataPlane } from './plane.js'
import { decodeSockaddr, encodeSockaddr, SOCK_NONBLOCK } from './sockaddr.js'

const ip = (address: string): IpAddress => parseIpAddress(address)!
const LOOPBACK = ip('127.0.0.1')
export const LOCAL: IpAddress = ip('192.168.1.1')
export const REMOTE: IpAddress = ip('192.168.1.2')
/** The kernel's number of the tunnel's interface: the way to 172.16.0.0/16 and 10.1.0.0/16. */
const TUNNEL = 7

/** Every descriptor of a test file, closed at its end. */
export class Sockets {
  readonly #opened: number[] = []

  /** Two non-blocking UDP sockets, connected to each other. */
  pair(): [ours: number, theirs: number] {
    const c = libc()
    const fds = [0, 1].map(() => {
      const fd = c.socket(2, 2 | SOCK_NONBLOCK, 0)
      this.#opened.push(fd)
      assert.equal(c.bind(fd, encodeSockaddr(LOOPBACK), 16), 0)
      return fd
    })
    for (const [from, to] of [
      [0, 1],
      [1, 0],
    ] as const) {
      const address = new Uint8Array(16)
      assert.equal(c.getsockname(fds[to]!, address, Uint8Array.of(16, 0, 0, 0)), 0)
      const { port } = decodeSockaddr(address)!
      assert.equal(c.connect(fds[from]!, encodeSockaddr(LOOPBACK, port), 16), 0)
    }
    return [fds[0]!, fds[1]!]
  }

  close(): void {
    for (const fd of this.#opened) libc().close(fd)
  }
}

export function takeAll(fd: number): Uint8Array[] {
  const buffer = new Uint8Array(65_536)
  const all: Uint8Array[] = []
  for (;;) {
    const length = libc().recv(fd, buffer, buffer.length, 0)
    if (length < 0) {
      assert.equal(libc().errno(), Errno.EAGAIN)
      return all
    }
    all.push(buffer.slice(0, length))
  }
}

export const put = (fd: number, bytes: Uint8Array): void =>
  assert.equal(libc().send(fd, bytes, bytes.length, 0), bytes.length)

export interface Bed {
  readonly plane: DataPlane
  /** The kernel's side of the interface, and of the raw socket. */
  readonly inside: number
  readonly outside: number
  readonly lost: string[]
  readonly control: Uint8Array[]
  /** What the audit told. */
  readonly refused: RefusedPacket[]
  /** Limits that were told, with the path's id. */
  readonly reached: (readonly [string, ReachedLifetime])[]
}

/** One interface, one carrier over IPv4, and the paths of it. */
export function planeBed(
  sockets: Sockets,
  paths: readonly PathSpec[],
  {
    mtu = 1500,
    layer = 'ip',
    offload = false,
  }: { mtu?: number; layer?: 'ip' | 'ethernet'; offload?: boolean } = {},
): Bed {
  const [tun, inside] = sockets.pair()
  const [raw, outside] = sockets.pair()
  const [wake] = sockets.pair()
  const lost: string[] = []
  const control: Uint8Array[] = []
  const refused: RefusedPacket[] = []
  const reached: (readonly [string, ReachedLifetime])[] = []
  const plane = new DataPlane(
    wake,
    (address) => (/^(172\.16|10\.1)\./.test(`${address}`) ? { interfaceIndex: TUNNEL, type: 1 } : undefined),
    {
      control(_path, payload) {
        control.push(payload)
        return control.length <= 2
      },
      refused: (packet) => refused.push(packet),
      reached: (path, lifetime) => reached.push([path.spec.id, lifetime]),
      lost: (_id, reason) => lost.push(reason),
    },
  )
  plane.addInterface({ id: 1, name: 'gif0', fd: tun, index: TUNNEL, layer, mtu: 1280, offload })
  const { protocol } = paths[0]!.carrier
  plane.addCarrier(
    {
      id: 2,
      kind: 'ip',
      fd: raw,
      family: 4,
      protocol,
      local: LOCAL.bytes,
      remote: REMOTE.bytes,
      defaultTtl: 64,
    },
    0xfffe,
    () => mtu,
  )
  for (const { id, takes, transform, carrier } of paths)
    if (carrier.protocol === protocol) plane.addPath({ id, interfaceId: 1, carrierId: 2, takes, transform })
  return { plane, inside, outside, lost, control, refused, reached }
}

/** What a machine installs as it starts. */
export function pathsOf(machine: Machine<unknown>): PathSpec[] {
  machine.start(0 as Instant)
  const paths: PathSpec[] = []
  for (let output = machine.poll(); output !== undefined; output = machine.poll())
    if (output.kind === 'install') paths.push(output.path)
  return paths
}

/** An IPv4 packet. */
export function packetOf(
  source: string,
  destination: string,
  payload: Uint8Array,
  protocol = 17,
): Uint8Array {
  const bytes = new Uint8Array(20 + payload.length)
  ipv4.emit(
    {
      dscp: 46,
      ecn: 2,
      totalLength: bytes.length,
      identification: 7,
      dontFragment: false,
      moreFragments: false,
      fragmentOffset: 0,
      ttl: 9,
      protocol,
      source: ip(source) as never,
      destination: ip(destination) as never,
    },
    bytes,
    0,
  )
  sealIpv4Checksum(bytes, 0)
  bytes.set(payload, 20)
  return bytes
}
