/** Out of the host (RFC 4301 section 5.1): the policy's SA, the transform, and whether the result fits its path. */
import { type Instant, IPV4, IPV6, OPAQUE, PacketBuffer, readUint16, writeUint16 } from '../../base/index.js'
import { PASS } from '../../proto/machine.js'
import { FlowKey, type Policy, type SendResult } from '../../stack/index.js'
import { sealUdpChecksum } from '../../wire/index.js'
import { IpProtocol } from '../../wire/numbers.js'
import { destinationOf, ENCAPSULATION_PORT, type IpsecContext, NESTING_LIMIT, sourceOf } from './context.js'
import { carrierProtocol, type ManualSa } from './sa.js'
import { countUse, type SaEntry } from './sad.js'

const UDP_HEADER = 8
/** What may be lost to alignment when a packet is made smaller until it fits: a block of a cipher. */
const ALIGNMENT = 16
/** RFC 4301 section 8.2, RFC 8200 section 5: less nobody is told. */
const LEAST_V4 = 68
const LEAST_V6 = 1280

export class IpsecOutbound {
  /** After `too-big`: what would fit. */
  largest = 0
  readonly #context: IpsecContext
  readonly #key = new FlowKey()
  /** Looked up before, by policy: good while the database is the same. */
  readonly #chosen = new Map<Policy, SaEntry>()
  #chosenVersion = -1

  constructor(context: IpsecContext) {
    this.#context = context
  }

  /** Policies have changed. */
  forget(): void {
    this.#chosen.clear()
  }

  covers(packet: PacketBuffer): Policy | undefined {
    const key = this.#key
    if (!key.read(packet) || key.isNeighbourDiscovery) return undefined
    const policy = this.#context.spd.lookup('out', key)
    return policy === undefined || policy.action === 'bypass' ? undefined : policy
  }

  protect(policy: Policy, packet: PacketBuffer, now: Instant): 'clear' | SendResult {
    const { enabled, tell } = this.#context
    if (policy.action === 'deny') {
      this.#context.counters.add(policy.unreadable ? 'spd.unreadable' : 'spd.deny')
      // As OpenBSD: EHOSTUNREACH to a sender on this host, and nothing to another.
      return 'unreachable'
    }
    const entry = this.#saFor(policy, packet)
    if (entry === undefined) {
      if (policy.action === 'use') return 'clear'
      tell({ kind: 'acquire', policy }, now)
      return this.#blocked('spd.require')
    }
    if (!enabled[entry.sa.protocol]) return this.#blocked(`${entry.sa.protocol}.disabled`)
    if (packet.nesting >= NESTING_LIMIT) return this.#blocked('ipsec.nesting')
    return this.#send(entry, packet, now)
  }

  #send(entry: SaEntry, clear: PacketBuffer, now: Instant): SendResult {
    const { stack, counters, used } = this.#context
    const { sa, transform } = entry
    const length = clear.length
    const packet = PacketBuffer.copyOf(clear.view(), clear.kind)
    packet.nesting = clear.nesting
    if (transform.process(packet) !== PASS) {
      counters.add(transform.lastDrop())
      used(entry, now)
      return 'blocked'
    }
    const protocol = sa.protocol === 'ipip' && clear.kind === IPV6 ? IpProtocol.ipv6 : carrierProtocol(sa)
    if (sa.udpPort !== undefined) encapsulate(packet, sa, sa.udpPort)
    const tooBig = this.#excess(sa, packet, clear, now)
    if (tooBig > 0) {
      const least = clear.kind === IPV4 ? LEAST_V4 : LEAST_V6
      this.largest = Math.max(least, length - tooBig - ALIGNMENT)
      counters.add('ipsec.tooBig')
      return 'too-big'
    }
    countUse(entry, length, now)
    counters.add(`${sa.protocol}.output`)
    if (sa.udpPort !== undefined) counters.add('esp.udpOutput')
    packet.kind = OPAQUE
    const result = stack.send(
      {
        protocol,
        source: sa.source,
        destination: sa.destination,
        payload: packet,
        ttl: packet.outerTtl,
        trafficClass: packet.outerTrafficClass,
        dontFragment: packet.outerDontFragment,
        flowLabel: packet.outerFlowLabel,
        identification: packet.outerIdentification,
        nesting: packet.nesting + 1,
        pastPolicies: true,
      },
      now,
    )
    if (result !== 'ok') counters.add(`ipsec.outer.${result}`)
    used(entry, now)
    return result
  }

  /** By how many bytes the protected packet is larger than its path takes, where it must not be cut; else 0. */
  #excess({ destination }: ManualSa, packet: PacketBuffer, clear: PacketBuffer, now: Instant): number {
    const { bytes, start, length } = clear
    const mayBeCut =
      clear.kind === IPV4
        ? (readUint16(bytes, start + 6) & 0x4000) === 0
        : length <= LEAST_V6 || this.#cutsItself(clear, now)
    if (mayBeCut) return 0
    const mtu = this.#context.stack.pathMtu(destination, now)
    return mtu === undefined ? 0 : packet.length + (destination.family === 4 ? 20 : 40) - mtu
  }

  /** IPv6 of this host that it would have to cut in any case (RFC 4303 section 3.3.4: the whole is protected first). */
  #cutsItself(packet: PacketBuffer, now: Instant): boolean {
    const { stack } = this.#context
    // TCP is told what fits, and will send no more.
    if (packet.bytes[packet.start + 6] === IpProtocol.tcp || !stack.isLocal(sourceOf(packet))) return false
    const mtu = stack.senderMtu(destinationOf(packet), now)
    return mtu !== undefined && packet.length > mtu
  }

  #saFor(policy: Policy, packet: PacketBuffer): SaEntry | undefined {
    const { sad } = this.#context
    if (this.#chosenVersion !== sad.version) {
      this.#chosen.clear()
      this.#chosenVersion = sad.version
    }
    const before = this.#chosen.get(policy)
    if (before !== undefined) return before
    const { protocol, local, paths } = policy
    if (paths !== undefined) {
      for (const path of paths) {
        const entry = sad.ofPath(path)
        if (entry !== undefined && (entry.sa.mode === 'tunnel' || isBetweenEnds(entry, packet))) return entry
      }
      return undefined
    }
    const peer = policy.peer ?? destinationOf(packet)
    // A packet between the SA's own ends needs no tunnel.
    const transport = sad.outbound(
      protocol,
      peer,
      local,
      (entry) => entry.sa.mode === 'transport' && isBetweenEnds(entry, packet),
    )
    if (transport !== undefined) return transport
    const tunnel = sad.outbound(protocol, peer, local, ({ sa }) => sa.mode === 'tunnel')
    // Another packet of this policy could be one for transport mode, where there is such an SA at all.
    if (tunnel !== undefined && policy.peer !== undefined && !sad.hasTransport)
      this.#chosen.set(policy, tunnel)
    return tunnel
  }

  #blocked(reason: string): 'blocked' {
    this.#context.counters.add(reason)
    return 'blocked'
  }
}

const isBetweenEnds = ({ sa }: SaEntry, packet: PacketBuffer): boolean =>
  sa.source.equals(sourceOf(packet)) && sa.destination.equals(destinationOf(packet))

/** RFC 3948 section 2.1: over IPv4 the checksum is left out; over IPv6 it must be there (RFC 8200 section 8.1). */
function encapsulate(packet: PacketBuffer, { source, destination }: ManualSa, port: number): void {
  const { bytes } = packet
  packet.start -= UDP_HEADER
  const { start, end } = packet
  writeUint16(bytes, start, ENCAPSULATION_PORT)
  writeUint16(bytes, start + 2, port)
  writeUint16(bytes, start + 4, end - start)
  writeUint16(bytes, start + 6, 0)
  if (source.family === 6) sealUdpChecksum(bytes, start, end, source, destination)
}
