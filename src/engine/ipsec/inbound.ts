/**
 * Into the host (RFC 4301 section 5.2): the SA that a packet names, the transform, and whether what came out is what that
 * SA was made for. What is refused is counted and audited, and nobody is told.
 */
import { type Instant, type PacketBuffer, readUint32 } from '../../base/index.js'
import { PASS } from '../../proto/machine.js'
import { FlowKey, type PacketInfo, type Policy } from '../../stack/index.js'
import { IpProtocol } from '../../wire/numbers.js'
import { destinationOf, ENCAPSULATION_PORT, type IpsecContext, NESTING_LIMIT, sourceOf } from './context.js'
import { countUse, type SaEntry } from './sad.js'

export class IpsecInbound {
  readonly #context: IpsecContext
  readonly #key = new FlowKey()

  constructor(context: IpsecContext) {
    this.#context = context
  }

  /** A packet that no SA brought: false where it should have come by one, or not at all. */
  admits(packet: PacketBuffer, local: boolean): boolean {
    const { spd, counters } = this.#context
    const key = this.#key
    if (!key.read(packet) || key.isNeighbourDiscovery) return true
    if (local && this.#isCarrier(packet)) return true
    const policy = spd.lookup('in', key)
    if (policy === undefined || policy.action === 'bypass' || policy.action === 'use') return true
    counters.add(policy.unreadable ? 'spd.unreadable' : policy.action === 'deny' ? 'spd.deny' : 'spd.clear')
    return false
  }

  /** See `Ipsec.hear`. */
  hear(protocol: number, packet: PacketBuffer, info: PacketInfo, now: Instant, udp: boolean): boolean {
    const { sad, counters, enabled } = this.#context
    const name = protocol === IpProtocol.esp ? 'esp' : protocol === IpProtocol.ah ? 'ah' : 'ipip'
    const { bytes, start, end } = packet
    if (name === 'ipip') {
      const entry = sad.inboundIpip(info.source, info.destination)
      if (entry === undefined) return false
      counters.add('ipip.input')
      this.#receive(entry, packet, info, 0, now)
      return true
    }
    counters.add(`${name}.input`)
    if (udp) counters.add('esp.udpInput')
    if (!enabled[name]) {
      counters.add(`${name}.disabled`)
      return true
    }
    const isEsp = name === 'esp'
    if (end - start < (isEsp ? 8 : 12)) {
      counters.add(`${name}.short`)
      return true
    }
    const spi = readUint32(bytes, start + (isEsp ? 0 : 4))
    const sequence = readUint32(bytes, start + (isEsp ? 4 : 8))
    const entry = sad.inbound(name, spi, info.destination)
    // RFC 4301 section 4.1 finds it by SPI and destination; who sent it must be who it was made with.
    const reason =
      entry === undefined
        ? `${name}.spi`
        : (entry.sa.udpPort !== undefined) !== udp
          ? `${name}.encapsulation`
          : !udp && !entry.sa.source.equals(info.source)
            ? `${name}.source`
            : undefined
    if (reason === undefined) this.#receive(entry!, packet, info, sequence, now)
    else this.#refused(reason, spi, sequence, info, now)
    return true
  }

  #receive(entry: SaEntry, packet: PacketBuffer, info: PacketInfo, sequence: number, now: Instant): void {
    const { stack, spd, counters, used } = this.#context
    const { sa, transform } = entry
    const length = packet.length
    if (packet.nesting >= NESTING_LIMIT) {
      counters.add('ipsec.nesting')
      return
    }
    const passed = transform.process(packet) === PASS
    const reason = passed ? undefined : transform.lastDrop()
    // RFC 4303 section 2.6: a dummy packet is authentic, and nothing.
    const isDummy = reason === `${sa.protocol}.dummy`
    if (passed || isDummy) {
      countUse(entry, length, now)
    }
    used(entry, now)
    if (reason !== undefined) {
      if (isDummy) counters.add(reason)
      else this.#refused(reason, sa.spi, sequence, info, now)
      return
    }
    // RFC 4301 section 5.2, step 4: what came out must be what this SA was made for.
    const policy = this.#key.read(packet) ? spd.lookup('in', this.#key) : undefined
    if (policy === undefined || !isPolicyOf(policy, entry, packet)) {
      this.#refused('ipsec.policy', sa.spi, sequence, info, now)
      return
    }
    packet.nesting++
    packet.unauthenticated = sa.unauthenticated
    stack.inputProtected(info.interface, packet, now)
  }

  /** ESP and AH to this host, ESP in UDP, IP in IP of an SA: protection itself, which no policy is asked about. */
  #isCarrier(packet: PacketBuffer): boolean {
    const { sad, encapsulates } = this.#context
    const { protocol, destinationPort } = this.#key
    if (protocol === IpProtocol.esp || protocol === IpProtocol.ah) return true
    if (protocol === IpProtocol.udp) return encapsulates && destinationPort === ENCAPSULATION_PORT
    if (protocol !== IpProtocol.ipip && protocol !== IpProtocol.ipv6) return false
    return sad.inboundIpip(sourceOf(packet), destinationOf(packet)) !== undefined
  }

  #refused(reason: string, spi: number, sequence: number, info: PacketInfo, now: Instant): void {
    const { counters, audit } = this.#context
    counters.add(reason)
    const { source, destination } = info
    audit.add({ at: now, reason, spi, sequence, source, destination })
  }
}

function isPolicyOf(policy: Policy, { sa }: SaEntry, packet: PacketBuffer): boolean {
  if (policy.action !== 'require' && policy.action !== 'use') return false
  if (policy.paths !== undefined) return sa.path !== undefined && policy.paths.includes(sa.path)
  if (policy.protocol !== sa.protocol) return false
  if (policy.local !== undefined && !policy.local.equals(sa.destination)) return false
  return sa.source.equals(policy.peer ?? sourceOf(packet))
}
