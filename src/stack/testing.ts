/**
 * A network in virtual time for tests: stacks, and cables between their interfaces. Nothing happens but inside
 * `advance`; the same seed is the same run.
 */
import {
  after,
  concatBytes,
  type Duration,
  ETHERNET,
  type Instant,
  IPV4,
  IPV6,
  type IpAddress,
  IpPrefix,
  type Ipv4Address,
  type Ipv6Address,
  instantAt,
  internetChecksum,
  MacAddress,
  milliseconds,
  PacketBuffer,
  parseIpAddress,
  SeededRandom,
  seconds,
  TimerQueue,
  writeUint16,
  writeUint32,
} from '../base/index.js'
import { type Ipv4Header, ipv4, sealIpv4Checksum } from '../wire/ipv4.js'
import type { WireOption } from '../wire/layout.js'
import { sealUdpChecksum } from '../wire/udp.js'
import { sealIcmpv6, writeIpv6Header } from './headers.js'
import type { NetworkInterface } from './interface.js'
import type { StackLimits } from './limits.js'
import { Stack } from './stack.js'
import type { IcmpMessage, InterfaceKind, SendRequest, SendResult } from './types.js'

export interface Plug {
  readonly stack: Stack
  readonly ifc: NetworkInterface
}

export interface Probe extends Plug {
  readonly sent: Uint8Array[]
  inject(bytes: Uint8Array): void
  /** What was sent since the last time. */
  take(): Uint8Array[]
}

export interface CableOptions {
  readonly kind?: InterfaceKind
  readonly mtu?: number
  readonly delay?: Duration
  /** Sees each packet; false loses it. */
  readonly carry?: (bytes: Uint8Array) => boolean
}

export class TestNetwork {
  now: Instant = instantAt(0)
  readonly #stacks: Stack[] = []
  readonly #wire = new TimerQueue()
  readonly #seed: number
  #plugs = 0

  constructor(seed = 1) {
    this.#seed = seed
  }

  stack(name: string, limits: Partial<StackLimits> = {}): Stack {
    const random = new SeededRandom(this.#seed * 1000 + this.#stacks.length)
    const stack = new Stack({ name, random, limits })
    this.#stacks.push(stack)
    return stack
  }

  /** Joins two stacks by a new interface of each: `vio0`, `vio1`, … (`gif0`, … for point-to-point). */
  cable(left: Stack, right: Stack, options: CableOptions = {}): [Plug, Plug] {
    const ends: Plug[] = []
    for (const [i, stack] of [left, right].entries()) {
      const kind = options.kind ?? 'ethernet'
      const ifc = stack.addInterface(
        {
          name: freeName(stack, kind === 'ethernet' ? 'vio' : 'gif'),
          kind,
          mtu: options.mtu ?? 1500,
          ...(kind === 'ethernet' ? { mac: this.#mac() } : {}),
          driver: {
            transmit: (packet) => {
              const bytes = packet.copy()
              if (options.carry?.(bytes) === false) return
              const { kind: packetKind } = packet
              this.#wire.schedule(after(this.now, options.delay ?? milliseconds(1)), (now) => {
                const other = ends[1 - i]!
                other.stack.input(other.ifc, PacketBuffer.copyOf(bytes, packetKind), now)
              })
            },
          },
        },
        this.now,
      )
      stack.setUp(ifc, true, this.now)
      ends.push({ stack, ifc })
    }
    return ends as [Plug, Plug]
  }

  /** An interface whose other end is the test: what it sends is kept, what the test injects arrives at once. */
  probe(stack: Stack, options: { readonly kind?: InterfaceKind; readonly mtu?: number } = {}): Probe {
    const kind = options.kind ?? 'point-to-point'
    const sent: Uint8Array[] = []
    const ifc = stack.addInterface(
      {
        name: freeName(stack, kind === 'ethernet' ? 'vio' : 'gif'),
        kind,
        mtu: options.mtu ?? 1500,
        ...(kind === 'ethernet' ? { mac: this.#mac() } : {}),
        driver: { transmit: (packet) => sent.push(packet.copy()) },
      },
      this.now,
    )
    stack.setUp(ifc, true, this.now)
    return {
      stack,
      ifc,
      sent,
      inject: (bytes) => {
        const first = bytes.length > 0 ? bytes[0]! >> 4 : 0
        const packetKind = kind === 'ethernet' ? ETHERNET : first === 6 ? IPV6 : IPV4
        stack.input(ifc, PacketBuffer.copyOf(bytes, packetKind), this.now)
      },
      take: () => sent.splice(0),
    }
  }

  /** Runs everything that is due until `span` from now, in order. */
  advance(span: Duration = seconds(1)): void {
    const until = after(this.now, span)
    for (let steps = 0; steps < 1_000_000; steps++) {
      let next: Instant | undefined = this.#wire.next()
      for (const stack of this.#stacks) {
        const at = stack.nextTimeout()
        if (at !== undefined && (next === undefined || at < next)) next = at
      }
      if (next === undefined || next > until) {
        this.now = until
        return
      }
      this.now = next > this.now ? next : this.now
      if (this.#wire.runDue(this.now)) continue
      for (const stack of this.#stacks) stack.timeout(this.now)
    }
    throw new Error('the network does not come to rest')
  }

  send(stack: Stack, request: SendRequest): SendResult {
    return stack.send(request, this.now)
  }

  /** Sends one echo request, lets a second pass, and returns what ICMP messages came to `stack` meanwhile. */
  ping(
    stack: Stack,
    to: string,
    options: Partial<SendRequest> & { readonly size?: number; readonly wait?: Duration } = {},
  ): { result: SendResult; messages: IcmpMessage[]; replied: boolean } {
    const { size = 56, wait = seconds(1), ...more } = options
    const messages: IcmpMessage[] = []
    const stop = stack.onIcmp((message) => messages.push(message))
    const destination = address(to)
    const payload = echoRequest(destination.family, size)
    const protocol = destination.family === 4 ? 1 : 58
    const result = this.send(stack, { protocol, destination, payload, ...more })
    this.advance(wait)
    stop()
    const reply = destination.family === 4 ? 0 : 129
    const replied = messages.some(
      ({ type, bytes }) =>
        type === reply &&
        bytes.length === payload.length &&
        bytes.subarray(8).every((b, i) => b === payload[8 + i]),
    )
    return { result, messages, replied }
  }

  #mac(): MacAddress {
    return new MacAddress(Uint8Array.of(0xfe, 0xe1, 0xba, 0xd0, 0, ++this.#plugs))
  }
}

function freeName(stack: Stack, prefix: string): string {
  for (let i = 0; ; i++) if (!stack.interfaces.has(`${prefix}${i}`)) return `${prefix}${i}`
}

/** An address that the test wrote itself. */
export function address(text: string): IpAddress {
  const parsed = parseIpAddress(text)
  if (parsed === undefined) throw new Error(`${text} is no address`)
  return parsed
}

export function prefix(text: string): IpPrefix {
  const parsed = IpPrefix.parse(text)
  if (parsed === undefined) throw new Error(`${text} is no prefix`)
  return parsed
}

/** Gives an interface an address, as in `192.168.1.1/24`, or `172.16.0.1 172.16.0.2` with its peer. */
export function configure({ stack, ifc }: Plug, ...addresses: readonly string[]): void {
  for (const text of addresses) {
    const [own = '', peer] = text.split(' ')
    const [bare = ''] = own.split('/')
    stack.addAddress(
      ifc,
      {
        address: address(bare),
        prefixLength: prefix(own).length,
        ...(peer === undefined ? {} : { peer: address(peer) }),
      },
      instantAt(0),
    )
  }
}

/** An echo request with `size` bytes of data; the ICMPv6 checksum is the stack's. */
export function echoRequest(family: 4 | 6, size: number): Uint8Array {
  const bytes = new Uint8Array(8 + size)
  bytes[0] = family === 4 ? 8 : 128
  writeUint16(bytes, 4, 0xaa08)
  writeUint16(bytes, 6, 1)
  for (let i = 8; i < bytes.length; i++) bytes[i] = i * 7
  if (family === 4) writeUint16(bytes, 2, internetChecksum(bytes, 0, bytes.length))
  return bytes
}

export interface RawIpv4 {
  readonly source: string
  readonly destination: string
  readonly protocol?: number
  readonly ttl?: number
  readonly trafficClass?: number
  readonly identification?: number
  readonly dontFragment?: boolean
  readonly moreFragments?: boolean
  /** In bytes. */
  readonly offset?: number
  readonly options?: readonly WireOption[]
}

/** An IPv4 packet of the test's own making. */
export function rawIpv4(fields: RawIpv4, payload: Uint8Array): Uint8Array {
  const header: Ipv4Header = {
    dscp: (fields.trafficClass ?? 0) >> 2,
    ecn: (fields.trafficClass ?? 0) & 3,
    totalLength: 0,
    identification: fields.identification ?? 1,
    dontFragment: fields.dontFragment ?? false,
    moreFragments: fields.moreFragments ?? false,
    fragmentOffset: (fields.offset ?? 0) / 8,
    ttl: fields.ttl ?? 64,
    protocol: fields.protocol ?? 17,
    source: address(fields.source) as Ipv4Address,
    destination: address(fields.destination) as Ipv4Address,
    options: fields.options ?? [],
  }
  const length = ipv4.lengthOf(header)
  const bytes = concatBytes(ipv4.toBytes({ ...header, totalLength: length + payload.length }), payload)
  sealIpv4Checksum(bytes, 0)
  return bytes
}

export interface RawIpv6 {
  readonly source: string
  readonly destination: string
  readonly nextHeader?: number
  readonly hopLimit?: number
  readonly trafficClass?: number
}

/** An IPv6 packet of the test's own making; an ICMPv6 payload gets its checksum. */
export function rawIpv6(fields: RawIpv6, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(40 + payload.length)
  writeIpv6Header(bytes, 0, payload.length, {
    trafficClass: fields.trafficClass ?? 0,
    flowLabel: 0,
    nextHeader: fields.nextHeader ?? 17,
    hopLimit: fields.hopLimit ?? 64,
    source: address(fields.source) as Ipv6Address,
    destination: address(fields.destination) as Ipv6Address,
  })
  bytes.set(payload, 40)
  if ((fields.nextHeader ?? 17) === 58 && payload.length >= 4) sealIcmpv6(bytes, 0, 40, bytes.length)
  return bytes
}

/** An IPv6 fragment header. */
export function rawFragmentHeader(
  nextHeader: number,
  offset: number,
  more: boolean,
  identification: number,
): Uint8Array {
  const bytes = new Uint8Array(8)
  bytes[0] = nextHeader
  writeUint16(bytes, 2, offset | (more ? 1 : 0))
  writeUint32(bytes, 4, identification)
  return bytes
}

/** A UDP datagram with its checksum. */
export function rawUdp(
  source: string,
  destination: string,
  sourcePort: number,
  destinationPort: number,
  data: Uint8Array,
): Uint8Array {
  const bytes = new Uint8Array(8 + data.length)
  writeUint16(bytes, 0, sourcePort)
  writeUint16(bytes, 2, destinationPort)
  writeUint16(bytes, 4, bytes.length)
  bytes.set(data, 8)
  sealUdpChecksum(bytes, 0, bytes.length, address(source), address(destination))
  return bytes
}
