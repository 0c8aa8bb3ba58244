/**
 * The data path of one installed path on a host that runs it in this thread: transforms, counts, and who of several
 * paths of one carrier takes a packet. What stands on either side (an IP stack, a raw socket) is the host's.
 */
import type { IpAddress, PacketBuffer, PacketKind } from '../base/index.js'
import { DROP, FOREIGN, PASS, type PathSpec, type UdpCarrier, type Verdict } from '../proto/machine.js'
import { createTransforms, type TransformPair } from '../proto/transforms.js'
import type { PathStatus } from './host.js'

/** True if the inner packet may leave the tunnel: its source is one that the route back would choose. */
export type Admission = (packet: PacketBuffer) => boolean

export class DataPath {
  readonly spec: PathSpec
  readonly #transforms: TransformPair
  readonly #admits: Admission | undefined
  #packetsIn = 0
  #bytesIn = 0
  #packetsOut = 0
  #bytesOut = 0

  /** `admits` is asked of every inner IP packet that the inbound transform passed. */
  constructor(spec: PathSpec, admits?: Admission) {
    this.spec = spec
    this.#transforms = createTransforms(spec.transform)
    this.#admits = admits
  }

  takes(kind: PacketKind): boolean {
    return this.spec.takes.includes(kind)
  }

  /** From the interface to the carrier, in place. PASS: the payload is to be sent; DROP: counted. */
  outbound(packet: PacketBuffer): Verdict {
    const length = packet.end - packet.start
    const verdict = this.#transforms.outbound.process(packet)
    if (verdict === PASS) {
      this.#packetsOut++
      this.#bytesOut += length
    }
    return verdict
  }

  /** From the carrier to the interface, in place. */
  inbound(packet: PacketBuffer): Verdict {
    const verdict = this.#transforms.inbound.process(packet)
    if (verdict !== PASS) return verdict
    if (this.#admits !== undefined && !this.#admits(packet)) {
      this.#transforms.inbound.drops.add('inner.source')
      return DROP
    }
    this.#packetsIn++
    this.#bytesIn += packet.end - packet.start
    return PASS
  }

  /** For what the host itself drops on this path: no route outside, too big, no buffer. */
  countOutboundDrop(reason: string): void {
    this.#transforms.outbound.drops.add(reason)
  }

  /** Packets and bytes are the inner ones: what the tunnel carried. */
  status(): PathStatus {
    const { inbound, outbound } = this.#transforms
    return {
      id: this.spec.id,
      inbound: { packets: this.#packetsIn, bytes: this.#bytesIn, drops: inbound.drops.toJSON() },
      outbound: { packets: this.#packetsOut, bytes: this.#bytesOut, drops: outbound.drops.toJSON() },
    }
  }
}

export interface TableEntry<Owner> {
  readonly path: DataPath
  readonly owner: Owner
}

/** Where a datagram came from and went to. */
export interface UdpPorts {
  readonly source: number
  readonly destination: number
}

/**
 * The installed paths of a whole host, by carrier. Only the configured pair of outer addresses finds any: a packet
 * from somebody else meets an empty list (CVE-2020-10136, CVE-2024-7595, CVE-2025-23018).
 */
export class PathTable<Owner> {
  readonly #byProtocol = new Map<number, TableEntry<Owner>[]>()

  add(path: DataPath, owner: Owner): void {
    const { protocol } = path.spec.carrier
    const entries = this.#byProtocol.get(protocol) ?? []
    entries.push({ path, owner })
    this.#byProtocol.set(protocol, entries)
  }

  remove(path: DataPath): void {
    const { protocol } = path.spec.carrier
    const entries = (this.#byProtocol.get(protocol) ?? []).filter((entry) => entry.path !== path)
    if (entries.length === 0) this.#byProtocol.delete(protocol)
    else this.#byProtocol.set(protocol, entries)
  }

  /** Protocols that some path wants: what the host has to listen to. */
  protocols(): number[] {
    return [...this.#byProtocol.keys()]
  }

  has(protocol: number): boolean {
    return this.#byProtocol.has(protocol)
  }

  /**
   * Runs the payload of an outer packet through the paths of its carrier, in the order of their installation, until
   * one takes it, and calls `take` for it with the verdict (PASS, DROP or CONTROL). False if none does: nobody's.
   * `ports`: of UDP, whose payload `packet` is then.
   */
  inbound(
    protocol: number,
    source: IpAddress,
    destination: IpAddress,
    packet: PacketBuffer,
    take: (entry: TableEntry<Owner>, verdict: Verdict) => void,
    ports?: UdpPorts,
  ): boolean {
    const entries = this.#byProtocol.get(protocol)
    if (entries === undefined) return false
    for (const entry of entries) {
      const { carrier } = entry.path.spec
      if (!carrier.remote.equals(source) || !carrier.local.equals(destination)) continue
      if (carrier.kind === 'udp' && !hasPorts(carrier, ports)) continue
      const verdict = entry.path.inbound(packet)
      if (verdict === FOREIGN) continue
      take(entry, verdict)
      return true
    }
    return false
  }
}

const hasPorts = ({ localPort, remotePort }: UdpCarrier, ports: UdpPorts | undefined): boolean =>
  ports !== undefined && ports.source === remotePort && ports.destination === localPort
