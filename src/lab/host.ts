/**
 * A host of the lab as machines see it: engine's `Host` over the IP stack. The data path is a function call.
 *
 * A tunnel's packets are heard from its configured peer alone (SECURITY rows 1 to 4): the outer addresses choose the
 * path, the path's transform checks the rest, and the inner source must be one that the route back would send into
 * the same tunnel.
 */
import {
  Counters,
  ETHERNET,
  type Instant,
  IPV4,
  IPV6,
  type IpAddress,
  Ipv4Address,
  Ipv6Address,
  MacAddress,
  OPAQUE,
  PacketBuffer,
  type Random,
  WarrenError,
} from '../base/index.js'
import type { Host, HostInterface, InterfaceSpec, PathStatus } from '../engine/host.js'
import type { Datagram, Packet, PathSpec } from '../proto/machine.js'
import { CONTROL, DROP, FOREIGN, PASS } from '../proto/machine.js'
import { createTransforms, type TransformPair } from '../proto/transforms.js'
import { type NetworkInterface, type PacketInfo, Stack, type StackLimits } from '../stack/index.js'
import { IpProtocol } from '../wire/numbers.js'
import type { LabClock } from './clock.js'

/** A path that is installed: what the host needs to find it and to say what it did. */
interface InstalledPath {
  readonly spec: PathSpec
  readonly transforms: TransformPair
  readonly onControl: (datagram: Datagram) => void
  readonly port: TunnelPort
  readonly inbound: { packets: number; bytes: number }
  readonly outbound: { packets: number; bytes: number }
}

/** Tunnels of one packet on one host; the transforms have their own, lower one. */
const NESTING_LIMIT = 8

/** Names under which drops are counted and switches are looked up. */
const protocolNames: Readonly<Record<number, string>> = {
  [IpProtocol.ipip]: 'ipip',
  [IpProtocol.ipv6]: 'ipip',
  [IpProtocol.gre]: 'gre',
  [IpProtocol.etherip]: 'etherip',
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
  readonly #paths = new Map<number, InstalledPath[]>()
  #cancelTimer: (() => void) | undefined
  #timerAt: Instant | undefined

  constructor({ name, clock, random, limits }: VirtualHostOptions) {
    this.name = name
    this.clock = clock
    this.random = random
    this.stack = new Stack({ name, random, ...(limits === undefined ? {} : { limits }) })
    this.stack.onWake = () => this.#arm()
  }

  now(): Instant {
    return this.clock.now()
  }

  schedule(at: Instant, callback: (now: Instant) => void): () => void {
    return this.clock.schedule(at, callback)
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
    for (const address of spec.addresses) this.stack.addAddress(ifc, address, this.now())
    this.stack.setUp(ifc, spec.up, this.now())
    return port
  }

  /** The carrier's datagram of a machine: keepalives, control. */
  transmit({ carrier, payload, ttl, trafficClass }: Datagram): void {
    const result = this.stack.send(
      {
        protocol: carrier.protocol,
        source: carrier.local,
        destination: carrier.remote,
        payload,
        ...(ttl === undefined ? {} : { ttl }),
        ...(trafficClass === undefined ? {} : { trafficClass }),
      },
      this.now(),
    )
    if (result !== 'ok') this.counters.add(`transmit.${result}`)
  }

  /** For `TunnelPort`: the path is heard from now on. */
  addPath(path: InstalledPath): void {
    const { protocol } = path.spec.carrier
    const paths = this.#paths.get(protocol)
    if (paths !== undefined) {
      paths.push(path)
      return
    }
    this.#paths.set(protocol, [path])
    this.stack.handle(protocol, (packet, info, now) => this.#hear(protocol, packet, info, now))
  }

  removePath(path: InstalledPath): void {
    const { protocol } = path.spec.carrier
    const left = (this.#paths.get(protocol) ?? []).filter((other) => other !== path)
    if (left.length > 0) {
      this.#paths.set(protocol, left)
      return
    }
    this.#paths.delete(protocol)
    this.stack.handle(protocol)
  }

  /** A carrier's payload has arrived. False: no tunnel of that protocol here, which the sender is told. */
  #hear(protocol: number, packet: PacketBuffer, info: PacketInfo, now: Instant): boolean {
    const name = protocolNames[protocol] ?? 'tunnel'
    if (this.allow[name] === false) {
      this.counters.add(`${name}.not-allowed`)
      return false
    }
    const { start, end } = packet
    let fromPeer = false
    for (const path of this.#paths.get(protocol) ?? []) {
      const { carrier } = path.spec
      if (!carrier.remote.equals(info.source) || !carrier.local.equals(info.destination)) continue
      fromPeer = true
      packet.start = start
      packet.end = end
      const verdict = path.transforms.inbound.process(packet)
      if (verdict === FOREIGN) continue
      if (verdict === DROP) return true
      if (verdict === CONTROL) {
        packet.start = start
        path.onControl({ carrier, payload: packet.copy(), ttl: info.ttl })
        return true
      }
      if (verdict === PASS) path.port.arrive(packet, path, end - start, now)
      return true
    }
    // No answer, whatever it was: a stranger learns nothing of which tunnels there are.
    this.counters.add(fromPeer ? `${name}.no-such-key` : `${name}.not-the-peer`)
    return true
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
  readonly #paths: InstalledPath[] = []
  #interface: NetworkInterface | undefined

  constructor(host: VirtualHost, name: string) {
    this.#host = host
    this.name = name
  }

  attach(ifc: NetworkInterface): void {
    this.#interface = ifc
  }

  install(spec: PathSpec, onControl: (datagram: Datagram) => void): void {
    if (this.#paths.some((path) => path.spec.id === spec.id))
      throw new WarrenError('LAB_PATH_EXISTS', 'a path of that name is installed already', { found: spec.id })
    const path: InstalledPath = {
      spec,
      transforms: createTransforms(spec.transform),
      onControl,
      port: this,
      inbound: { packets: 0, bytes: 0 },
      outbound: { packets: 0, bytes: 0 },
    }
    this.#paths.push(path)
    this.#host.addPath(path)
  }

  remove(pathId: string): void {
    const at = this.#paths.findIndex((path) => path.spec.id === pathId)
    const [path] = at < 0 ? [] : this.#paths.splice(at, 1)
    if (path !== undefined) this.#host.removePath(path)
  }

  deliver({ kind, bytes }: Packet): void {
    const ifc = this.#interface
    if (ifc !== undefined) this.#host.stack.input(ifc, PacketBuffer.copyOf(bytes, kind), this.#host.now())
  }

  status(): PathStatus[] {
    return this.#paths.map(({ spec, transforms, inbound, outbound }) => ({
      id: spec.id,
      inbound: { ...inbound, drops: transforms.inbound.drops.toJSON() },
      outbound: { ...outbound, drops: transforms.outbound.drops.toJSON() },
    }))
  }

  destroy(): void {
    for (const path of this.#paths.splice(0)) this.#host.removePath(path)
    if (this.#interface !== undefined) this.#host.stack.removeInterface(this.name, this.#host.now())
    this.#interface = undefined
  }

  /** Interface → transform → carrier. */
  transmit(packet: PacketBuffer, now: Instant): void {
    const host = this.#host
    if (packet.nesting >= NESTING_LIMIT) {
      host.counters.add('tunnel.nesting')
      return
    }
    const path = this.#paths.find(({ spec }) => spec.takes.includes(packet.kind))
    if (path === undefined) {
      host.counters.add('tunnel.no-path')
      return
    }
    const bytes = packet.length
    if (path.transforms.outbound.process(packet) !== PASS) return
    packet.kind = OPAQUE
    const { carrier } = path.spec
    const result = host.stack.send(
      {
        protocol: carrier.protocol,
        source: carrier.local,
        destination: carrier.remote,
        payload: packet,
        ttl: packet.outerTtl,
        trafficClass: packet.outerTrafficClass,
        dontFragment: packet.outerDontFragment,
        flowLabel: packet.outerFlowLabel,
        nesting: packet.nesting,
      },
      now,
    )
    if (result !== 'ok') {
      host.counters.add(`tunnel.${result}`)
      return
    }
    path.outbound.packets++
    path.outbound.bytes += bytes
  }

  /** Carrier → transform → here, for the host's demultiplexer. */
  arrive(packet: PacketBuffer, path: InstalledPath, bytes: number, now: Instant): void {
    const ifc = this.#interface
    if (ifc === undefined) return
    if (packet.kind !== ETHERNET && !this.#routeLeadsBack(packet, ifc)) {
      this.#host.counters.add('tunnel.inner-source')
      return
    }
    path.inbound.packets++
    path.inbound.bytes += bytes
    packet.nesting++
    this.#host.stack.input(ifc, packet, now)
  }

  /** A link-local source belongs to the link it came by; any other must be routed back into this tunnel. */
  #routeLeadsBack({ bytes, start, end, kind }: PacketBuffer, ifc: NetworkInterface): boolean {
    let source: IpAddress
    if (kind === IPV4 && end - start >= 20) source = new Ipv4Address(bytes.subarray(start + 12, start + 16))
    else if (kind === IPV6 && end - start >= 40)
      source = new Ipv6Address(bytes.subarray(start + 8, start + 24))
    else return false
    if (source.family === 6 && source.isLinkLocal) return true
    return this.#host.stack.routes.lookup(source)?.interface === ifc
  }
}

/** fe:e1:ba:d0:xx:xx for tap(4) and vether(4) as OpenBSD makes them up; the low bytes are drawn. */
export function randomMac(random: Random): MacAddress {
  return new MacAddress(
    Uint8Array.of(0xfe, 0xe1, 0xba, 0xd0 + random.below(16), random.below(256), random.below(256)),
  )
}
