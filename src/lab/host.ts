/**
 * A host of the lab as machines see it: engine's `Host` over the IP stack. The data path is a function call.
 *
 * A tunnel's packets are heard from its configured peer alone (SECURITY rows 1 to 4): the outer addresses choose the
 * path, the path's transform checks the rest, and the inner source must be one that the route back would send into
 * the same tunnel.
 */
import {
  Counters,
  type Instant,
  IPV6,
  MacAddress,
  OPAQUE,
  PacketBuffer,
  type Random,
  WarrenError,
} from '../base/index.js'
import {
  DataPath,
  type Host,
  type HostInterface,
  type InterfaceSpec,
  Ipsec,
  innerSourceOf,
  type PathStatus,
  PathTable,
  type UdpPorts,
} from '../engine/index.js'
import { type Carrier, CONTROL, type Datagram, PASS, type Packet, type PathSpec } from '../proto/index.js'
import {
  type NetworkInterface,
  type PacketInfo,
  type SendResult,
  Stack,
  type StackLimits,
} from '../stack/index.js'
import { IpProtocol } from '../wire/numbers.js'
import type { LabClock } from './clock.js'
import type { LinkEnd } from './link.js'
import { prependUdp, UdpCarriers } from './udp-carriers.js'

/** Tunnels and bridges of one packet on one host; the transforms and the bridge have their own, lower ones. */
const NESTING_LIMIT = 16

/** The longest AH and the IPv6 header that it covers; UDP, ESP and an IV are less. */
const ROOM_IN_FRONT = 96
/** Padding of ESP to a block and the longest ICV. */
const ROOM_BEHIND = 64

/** IP in IP: of a gif(4), or of an SA without keys. */
const IPIP: readonly number[] = [IpProtocol.ipip, IpProtocol.ipv6]
/** Always heard: that there is no SA is nothing that a stranger is told. */
const IPSEC: readonly number[] = [IpProtocol.esp, IpProtocol.ah, ...IPIP]

/** Names under which packets of nobody are counted and switches are looked up. */
const protocolNames: Readonly<Record<number, string>> = {
  [IpProtocol.ipip]: 'ipip',
  [IpProtocol.ipv6]: 'ipip',
  [IpProtocol.gre]: 'gre',
  [IpProtocol.etherip]: 'etherip',
  [IpProtocol.udp]: 'udpencap',
}

export interface VirtualHostOptions {
  readonly name: string
  readonly clock: LabClock
  readonly random: Random
  readonly limits?: Partial<StackLimits>
}

export class VirtualHost implements Host {
  readonly name: string
  readonly clock: LabClock
  readonly random: Random
  readonly stack: Stack
  readonly counters: Counters = new Counters()
  /** net.inet.NAME.allow: whether packets of the protocol are heard at all. */
  readonly allow: Record<string, boolean> = { gre: true, etherip: true }
  /** Policies and security associations; none until somebody makes some. */
  readonly ipsec: Ipsec
  readonly #paths = new PathTable<TunnelPort>()
  readonly #udp: UdpCarriers
  #cancelTimer: (() => void) | undefined
  #timerAt: Instant | undefined

  constructor({ name, clock, random, limits }: VirtualHostOptions) {
    this.name = name
    this.clock = clock
    this.random = random
    this.stack = new Stack({ name, random, ...(limits === undefined ? {} : { limits }) })
    this.stack.onWake = () => this.#arm()
    this.ipsec = new Ipsec({
      stack: this.stack,
      random,
      now: () => this.now(),
      schedule: (at, callback) => this.schedule(at, callback),
    })
    for (const protocol of IPSEC) this.#listen(protocol)
    this.#udp = new UdpCarriers(this.stack, (packet, info, ports, at) =>
      this.#hear(IpProtocol.udp, packet, info, at, ports),
    )
  }

  now(): Instant {
    return this.clock.now()
  }

  schedule(at: Instant, callback: (now: Instant) => void): () => void {
    return this.clock.schedule(at, callback)
  }

  /** An Ethernet interface, up, at an end of a link. */
  connect(name: string, end: LinkEnd, options: { mac?: MacAddress; mtu?: number } = {}): NetworkInterface {
    const ifc = this.stack.addInterface(
      {
        name,
        kind: 'ethernet',
        mtu: options.mtu ?? 1500,
        mac: options.mac ?? randomMac(this.random),
        driver: { transmit: (packet, now) => end.transmit(packet.view(), now) },
      },
      this.now(),
    )
    end.onFrame = (frame, now) => this.stack.input(ifc, frame, now)
    this.stack.setUp(ifc, true, this.now())
    return ifc
  }

  createInterface(spec: InterfaceSpec): HostInterface {
    const port = new TunnelPort(this, spec.name)
    const mac = spec.layer === 'ethernet' ? (spec.mac ?? randomMac(this.random)) : undefined
    const ifc = this.stack.addInterface(
      {
        name: spec.name,
        kind: spec.layer === 'ethernet' ? 'ethernet' : 'point-to-point',
        mtu: spec.mtu,
        ...(mac === undefined ? {} : { mac }),
        driver: port,
      },
      this.now(),
    )
    port.attach(ifc)
    try {
      if (spec.description !== undefined) ifc.description = spec.description
      for (const address of spec.addresses) this.stack.addAddress(ifc, address, this.now())
      this.stack.setUp(ifc, spec.up, this.now())
      for (const { destination, gateway } of spec.routes ?? [])
        this.stack.routes.add({ destination, interface: ifc, ...(gateway === undefined ? {} : { gateway }) })
    } catch (error) {
      // A route or address that is refused leaves nothing behind.
      port.destroy()
      throw error
    }
    return port
  }

  /** The carrier's datagram of a machine: keepalives, control. */
  transmit({ carrier, payload, ttl = 0, trafficClass = 0 }: Datagram): void {
    const packet = PacketBuffer.copyOf(payload, OPAQUE)
    packet.outerTtl = ttl
    packet.outerTrafficClass = trafficClass
    const result = this.sendOuter(carrier, packet, this.now())
    if (result !== 'ok') this.counters.add(`transmit.${result}`)
  }

  /** Sends a carrier's payload, which is lent for the call, as its metadata says. */
  sendOuter(carrier: Carrier, packet: PacketBuffer, now: Instant): SendResult {
    const { protocol, local, remote } = carrier
    const outer = carrier.kind === 'udp' ? prependUdp(packet, carrier) : packet
    outer.kind = OPAQUE
    return this.stack.send(
      {
        protocol,
        source: local,
        destination: remote,
        payload: outer,
        ttl: packet.outerTtl,
        trafficClass: packet.outerTrafficClass,
        dontFragment: packet.outerDontFragment,
        flowLabel: packet.outerFlowLabel,
        identification: packet.outerIdentification,
        nesting: packet.nesting,
        pastPolicies: carrier.kind === 'udp' || protocol === IpProtocol.esp || protocol === IpProtocol.ah,
      },
      now,
    )
  }

  /** For `TunnelPort`: the path is heard from now on. Throws `WarrenError` where its UDP port cannot be had. */
  addPath(path: DataPath, port: TunnelPort): void {
    const { carrier } = path.spec
    const { protocol } = carrier
    const heard = this.#paths.has(protocol)
    if (carrier.kind === 'udp') this.#udp.bind(carrier)
    else if (!heard) this.#listen(protocol)
    this.#paths.add(path, port)
  }

  /** For `TunnelPort`. */
  removePath(path: DataPath): void {
    const { carrier } = path.spec
    const { protocol } = carrier
    this.#paths.remove(path)
    if (carrier.kind === 'udp') this.#udp.unbind(carrier)
    else if (!this.#paths.has(protocol) && !IPSEC.includes(protocol)) this.stack.handle(protocol)
  }

  #listen(protocol: number): void {
    const isIpip = IPIP.includes(protocol)
    const isIpsec = IPSEC.includes(protocol)
    this.stack.handle(protocol, (packet, info, now) => {
      // ESP and AH: a tunnel's path has its SAs to itself, and what none of them claims is the database's to count.
      if (isIpsec && !isIpip)
        return this.#take(protocol, packet, info, now) || this.ipsec.hear(protocol, packet, info, now)
      if (isIpip && this.ipsec.hear(protocol, packet, info, now)) return true
      return this.#paths.has(protocol) && this.#hear(protocol, packet, info, now)
    })
  }

  /** A carrier's payload has arrived. False: no tunnel of that protocol here, which the sender is told. */
  #hear(protocol: number, packet: PacketBuffer, info: PacketInfo, now: Instant, ports?: UdpPorts): boolean {
    const name = protocolNames[protocol] ?? 'tunnel'
    if (this.allow[name] === false) {
      this.counters.add(`${name}.not-allowed`)
      return false
    }
    // No answer, whoever it was from: a stranger learns nothing of which tunnels there are.
    if (!this.#take(protocol, packet, info, now, ports)) this.counters.add(`${name}.no-such-tunnel`)
    return true
  }

  /** False: no path claims it. */
  #take(
    protocol: number,
    packet: PacketBuffer,
    { source, destination, ttl }: PacketInfo,
    now: Instant,
    ports?: UdpPorts,
  ): boolean {
    return this.#paths.inbound(
      protocol,
      source,
      destination,
      packet,
      ({ path, owner }, verdict) => {
        if (verdict === PASS) owner.arrive(packet, now)
        else if (verdict === CONTROL) owner.control(path, packet.copy(), ttl)
      },
      ports,
    )
  }

  #arm(): void {
    const next = this.stack.nextTimeout()
    if (next === this.#timerAt) return
    this.#cancelTimer?.()
    this.#timerAt = next
    this.#cancelTimer = undefined
    if (next === undefined) return
    this.#cancelTimer = this.clock.schedule(next, (now) => {
      this.#timerAt = undefined
      this.#cancelTimer = undefined
      this.stack.timeout(now)
      this.#arm()
    })
  }
}

/** A tunnel's interface: the driver beneath the stack's interface, and what engine knows as `HostInterface`. */
export class TunnelPort implements HostInterface {
  readonly name: string
  readonly #host: VirtualHost
  readonly #paths = new Map<DataPath, (datagram: Datagram) => void>()
  #interface: NetworkInterface | undefined

  constructor(host: VirtualHost, name: string) {
    this.#host = host
    this.name = name
  }

  attach(ifc: NetworkInterface): void {
    this.#interface = ifc
  }

  install(spec: PathSpec, onControl: (datagram: Datagram) => void): void {
    for (const { spec: other } of this.#paths.keys())
      if (other.id === spec.id)
        throw new WarrenError('LAB_PATH_EXISTS', 'a path of that name is installed already', {
          found: spec.id,
        })
    const path = new DataPath(spec, (packet) => this.#routeLeadsBack(packet))
    this.#paths.set(path, onControl)
    this.#host.addPath(path, this)
  }

  remove(pathId: string): void {
    for (const path of this.#paths.keys()) {
      if (path.spec.id !== pathId) continue
      this.#paths.delete(path)
      this.#host.removePath(path)
    }
  }

  deliver({ kind, bytes }: Packet): void {
    const ifc = this.#interface
    if (ifc !== undefined) this.#host.stack.input(ifc, PacketBuffer.copyOf(bytes, kind), this.#host.now())
  }

  /** OpenBSD's link state of a tunnel whose peer does not answer: its routes stay, nothing leaves in clear. */
  setRunning(running: boolean): void {
    if (this.#interface !== undefined) this.#interface.running = running
  }

  status(): PathStatus[] {
    return [...this.#paths.keys()].map((path) => path.status())
  }

  destroy(): void {
    for (const path of this.#paths.keys()) this.#host.removePath(path)
    this.#paths.clear()
    if (this.#interface !== undefined) this.#host.stack.removeInterface(this.name, this.#host.now())
    this.#interface = undefined
  }

  /** Interface → transform → carrier. */
  transmit(lent: PacketBuffer, now: Instant): void {
    const host = this.#host
    const packet = withRoom(lent)
    if (packet.nesting >= NESTING_LIMIT) {
      host.counters.add('tunnel.nesting')
      return
    }
    const path = [...this.#paths.keys()].find((one) => one.takes(packet.kind))
    if (path === undefined) {
      host.counters.add('tunnel.no-path')
      return
    }
    if (path.outbound(packet) !== PASS) return
    const result = host.sendOuter(path.spec.carrier, packet, now)
    if (result !== 'ok') path.countOutboundDrop(`outer.${result}`)
  }

  /** Carrier → transform → here: the inner packet, for the host's demultiplexer. */
  arrive(packet: PacketBuffer, now: Instant): void {
    const ifc = this.#interface
    if (ifc === undefined) return
    packet.nesting++
    this.#host.stack.input(ifc, packet, now)
  }

  /** What the transform left to the machine. */
  control(path: DataPath, payload: Uint8Array, ttl: number): void {
    this.#paths.get(path)?.({ carrier: path.spec.carrier, payload, ttl })
  }

  /** A link-local source belongs to the link it came by; any other must be routed back into this tunnel. */
  #routeLeadsBack(packet: PacketBuffer): boolean {
    const source = innerSourceOf(packet)
    if (source === undefined) return true
    if (source.family === 6 && source.isLinkLocal) return true
    // Duplicate address detection comes from :: with a hop limit of 255 (RFC 4862 section 5.4.2).
    if (packet.kind === IPV6 && source.isUnspecified)
      return packet.bytes[packet.start + 6] === IpProtocol.icmpv6 && packet.bytes[packet.start + 7] === 255
    const { stack } = this.#host
    return !stack.isLocal(source) && stack.routes.lookup(source)?.interface === this.#interface
  }
}

/** The same packet, or a copy, with room for what a transform writes on both sides. */
function withRoom(packet: PacketBuffer): PacketBuffer {
  if (packet.start >= ROOM_IN_FRONT && packet.bytes.length - packet.end >= ROOM_BEHIND) return packet
  const copy = PacketBuffer.copyOf(packet.view(), packet.kind)
  copy.nesting = packet.nesting
  return copy
}

/** fe:e1:ba:d0:xx:xx for tap(4) and vether(4) as OpenBSD makes them up; the low bytes are drawn. */
export function randomMac(random: Random): MacAddress {
  return new MacAddress(
    Uint8Array.of(0xfe, 0xe1, 0xba, 0xd0 + random.below(16), random.below(256), random.below(256)),
  )
}
