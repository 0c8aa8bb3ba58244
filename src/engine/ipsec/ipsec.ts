/**
 * IPsec on a host whose packets go through our own stack (RFC 4301 section 5): what the policies say, done with the
 * security associations that stand.
 *
 * Outbound: a packet that a `require` policy covers leaves protected or not at all. Inbound: what such a policy covers is
 * taken from an SA alone, and what an SA brings must be what the policy of that SA covers. What is refused is counted by
 * reason and audited; nobody is told, by ICMP or otherwise.
 */
import {
  after,
  Counters,
  type Instant,
  IPV4,
  IPV6,
  type IpAddress,
  ipAddressFrom,
  OPAQUE,
  PacketBuffer,
  type Random,
  readUint16,
  readUint32,
  seconds,
  WarrenError,
  writeUint16,
} from '../../base/index.js'
import { PASS } from '../../proto/machine.js'
import {
  FlowKey,
  type IpsecHook,
  type PacketInfo,
  type Policy,
  type SendResult,
  Spd,
  type Stack,
  type TrafficSelector,
  type UdpSocket,
} from '../../stack/index.js'
import { sealUdpChecksum } from '../../wire/index.js'
import { IpProtocol } from '../../wire/numbers.js'
import { Audit } from './audit.js'
import { carrierProtocol, type ManualSa, type SaProtocol } from './sa.js'
import { type SaEntry, SecurityAssociationDatabase } from './sad.js'
import { createSaTransform } from './transforms.js'

/** RFC 3948 section 2.1. */
const ENCAPSULATION_PORT = 4500
const UDP_HEADER = 8
/** Tunnels of one packet on one host. */
const NESTING_LIMIT = 16
/** What may be lost to alignment when a packet is made smaller until it fits: a block of a cipher. */
const ALIGNMENT = 16
/** RFC 4301 section 8.2, RFC 8200 section 5: less nobody is told. */
const LEAST_V4 = 68
const LEAST_V6 = 1280

export type IpsecEvent =
  | { readonly kind: 'add' | 'delete'; readonly sa: ManualSa }
  /** A lifetime has come to its soft or hard end, or the sequence numbers to theirs; the last two end the SA. */
  | { readonly kind: 'soft' | 'hard' | 'overflow'; readonly sa: ManualSa }
  /** A `require` policy had no SA for a packet: whoever makes SAs may make one. */
  | { readonly kind: 'acquire'; readonly policy: Policy }
  | { readonly kind: 'policy-add' | 'policy-delete'; readonly policy: Policy }
  | { readonly kind: 'flush' }

export interface IpsecOptions {
  readonly stack: Stack
  readonly random: Random
  readonly now: () => Instant
  readonly schedule: (at: Instant, callback: (now: Instant) => void) => () => void
}

export class Ipsec implements IpsecHook {
  readonly spd: Spd = new Spd()
  readonly sad: SecurityAssociationDatabase = new SecurityAssociationDatabase()
  readonly counters: Counters = new Counters()
  readonly audit: Audit = new Audit()
  readonly listeners: Set<(event: IpsecEvent, now: Instant) => void> = new Set()
  /** net.inet.esp.enable, net.inet.ah.enable: off, such packets are dropped in both directions. */
  readonly enabled: Record<SaProtocol, boolean> = { esp: true, ah: true, ipip: true }
  largest = 0
  readonly #stack: Stack
  readonly #random: Random
  readonly #now: () => Instant
  readonly #schedule: IpsecOptions['schedule']
  readonly #key = new FlowKey()
  /** Looked up before, by policy: good while the database is the same. */
  readonly #chosen = new Map<Policy, SaEntry>()
  #chosenVersion = -1
  readonly #timers = new Map<SaEntry, (() => void)[]>()
  #udp: UdpSocket | undefined

  constructor({ stack, random, now, schedule }: IpsecOptions) {
    this.#stack = stack
    this.#random = random
    this.#now = now
    this.#schedule = schedule
  }

  /** @throws WarrenError STACK_POLICY */
  addPolicy(policy: Policy): void {
    this.spd.add(policy)
    this.#chosen.clear()
    this.#changed({ kind: 'policy-add', policy })
  }

  /** False if there is none of that direction and selector. */
  removePolicy(direction: Policy['direction'], selector: TrafficSelector): boolean {
    const policy = this.spd.remove(direction, selector)
    this.#chosen.clear()
    if (policy !== undefined) this.#changed({ kind: 'policy-delete', policy })
    return policy !== undefined
  }

  /**
   * Sets an SA up: outbound if its source is an address of this host, inbound if its destination is.
   * @throws WarrenError IPSEC_SA_EXISTS, IPSEC_NOT_OURS, IPSEC_LIMIT, and what its transform refuses (SA_*, CRYPTO_*)
   */
  addSa(sa: ManualSa): SaEntry {
    const now = this.#now()
    const outbound = this.#stack.isLocal(sa.source)
    if (!outbound && !this.#stack.isLocal(sa.destination))
      throw new WarrenError('IPSEC_NOT_OURS', 'a security association between others', {
        found: `from ${sa.source} to ${sa.destination}`,
        expected: 'an address of this host as one of its ends',
        ...(sa.where === undefined ? {} : { where: sa.where }),
      })
    const direction = outbound ? 'out' : 'in'
    const seed = this.#random.fill(new Uint8Array(8))
    const entry: SaEntry = {
      sa,
      direction,
      transform: createSaTransform(sa, direction, seed),
      addedAt: now,
      packets: 0,
      bytes: 0,
      softTold: false,
    }
    try {
      this.sad.add(entry)
    } catch (error) {
      entry.transform.destroy()
      throw error
    }
    const { softSeconds, hardSeconds } = sa.lifetimes ?? {}
    const timers: (() => void)[] = []
    if (softSeconds !== undefined)
      timers.push(this.#schedule(after(now, seconds(softSeconds)), (at) => this.#soft(entry, at)))
    if (hardSeconds !== undefined)
      timers.push(this.#schedule(after(now, seconds(hardSeconds)), (at) => this.#over(entry, 'hard', at)))
    if (timers.length > 0) this.#timers.set(entry, timers)
    this.#changed({ kind: 'add', sa })
    return entry
  }

  /** False if there is none. Its keys are wiped. */
  removeSa(sa: Pick<ManualSa, 'protocol' | 'destination' | 'spi'>): boolean {
    const entry = this.sad.find(sa)
    if (entry === undefined) return false
    this.#drop(entry)
    this.#changed({ kind: 'delete', sa: entry.sa })
    return true
  }

  /** Policies and SAs, all of them. */
  flush(): void {
    this.spd.clear()
    for (const entry of this.sad.list()) this.#drop(entry)
    this.#chosen.clear()
    this.#changed({ kind: 'flush' })
  }

  covers(packet: PacketBuffer): Policy | undefined {
    const key = this.#key
    if (!key.read(packet) || key.isNeighbourDiscovery) return undefined
    const policy = this.spd.lookup('out', key)
    return policy === undefined || policy.action === 'bypass' ? undefined : policy
  }

  protect(policy: Policy, packet: PacketBuffer, now: Instant): 'clear' | SendResult {
    if (policy.action === 'deny') return this.#blocked(policy.unreadable ? 'spd.unreadable' : 'spd.deny')
    const entry = this.#saFor(policy, packet)
    if (entry === undefined) {
      if (policy.action === 'use') return 'clear'
      this.#tell({ kind: 'acquire', policy }, now)
      return this.#blocked('spd.require')
    }
    if (!this.enabled[entry.sa.protocol]) return this.#blocked(`${entry.sa.protocol}.disabled`)
    if (packet.nesting >= NESTING_LIMIT) return this.#blocked('ipsec.nesting')
    return this.#send(entry, packet, now)
  }

  admits(packet: PacketBuffer, local: boolean, _now: Instant): boolean {
    const key = this.#key
    if (!key.read(packet) || key.isNeighbourDiscovery) return true
    if (local && this.#isCarrier(packet)) return true
    const policy = this.spd.lookup('in', key)
    if (policy === undefined || policy.action === 'bypass' || policy.action === 'use') return true
    this.counters.add(
      policy.unreadable ? 'spd.unreadable' : policy.action === 'deny' ? 'spd.deny' : 'spd.clear',
    )
    return false
  }

  /**
   * The payload of a carrier has arrived. False: not IPsec's, only for IP in IP. ESP and AH are always taken, whoever
   * sent them: a stranger learns nothing of which SAs there are.
   */
  hear(protocol: number, packet: PacketBuffer, info: PacketInfo, now: Instant, udp = false): boolean {
    const name = protocol === IpProtocol.esp ? 'esp' : protocol === IpProtocol.ah ? 'ah' : 'ipip'
    const { bytes, start, end } = packet
    if (name === 'ipip') {
      const entry = this.sad.inboundIpip(info.source, info.destination)
      if (entry === undefined) return false
      this.#receive(entry, packet, info, 0, now)
      return true
    }
    if (!this.enabled[name]) {
      this.counters.add(`${name}.disabled`)
      return true
    }
    const isEsp = name === 'esp'
    if (end - start < (isEsp ? 8 : 12)) {
      this.counters.add(`${name}.short`)
      return true
    }
    const spi = readUint32(bytes, start + (isEsp ? 0 : 4))
    const sequence = readUint32(bytes, start + (isEsp ? 4 : 8))
    const entry = this.sad.inbound(name, spi, info.destination)
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
    const { sa, transform } = entry
    const length = packet.length
    if (packet.nesting >= NESTING_LIMIT) {
      this.counters.add('ipsec.nesting')
      return
    }
    if (transform.process(packet) !== PASS) {
      this.#refused(transform.lastDrop(), sa.spi, sequence, info, now)
      this.#lifetime(entry, now)
      return
    }
    // RFC 4303 section 2.6: a dummy packet is authentic, and nothing.
    entry.packets++
    entry.bytes += length
    entry.lastUsed = now
    this.#lifetime(entry, now)
    // RFC 4301 section 5.2, step 4: what came out must be what this SA was made for.
    const policy = this.#key.read(packet) ? this.spd.lookup('in', this.#key) : undefined
    if (policy === undefined || !this.#isPolicyOf(policy, entry, packet)) {
      this.#refused('ipsec.policy', sa.spi, sequence, info, now)
      return
    }
    packet.nesting++
    this.#stack.inputProtected(info.interface, packet, now)
  }

  #isPolicyOf(policy: Policy, { sa }: SaEntry, packet: PacketBuffer): boolean {
    if (policy.action !== 'require' && policy.action !== 'use') return false
    if (policy.protocol !== sa.protocol) return false
    if (policy.local !== undefined && !policy.local.equals(sa.destination)) return false
    return sa.source.equals(policy.peer ?? sourceOf(packet))
  }

  #send(entry: SaEntry, clear: PacketBuffer, now: Instant): SendResult {
    const { sa, transform } = entry
    const length = clear.length
    const packet = PacketBuffer.copyOf(clear.view(), clear.kind)
    packet.nesting = clear.nesting
    if (transform.process(packet) !== PASS) {
      this.counters.add(transform.lastDrop())
      this.#lifetime(entry, now)
      return 'blocked'
    }
    const protocol = sa.protocol === 'ipip' && clear.kind === IPV6 ? IpProtocol.ipv6 : carrierProtocol(sa)
    if (sa.udpPort !== undefined) encapsulate(packet, sa, sa.udpPort)
    const tooBig = this.#excess(sa, packet, clear, now)
    if (tooBig > 0) {
      const least = clear.kind === IPV4 ? LEAST_V4 : LEAST_V6
      this.largest = Math.max(least, length - tooBig - ALIGNMENT)
      this.counters.add('ipsec.tooBig')
      return 'too-big'
    }
    entry.packets++
    entry.bytes += length
    entry.lastUsed = now
    packet.kind = OPAQUE
    const result = this.#stack.send(
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
    if (result !== 'ok') this.counters.add(`ipsec.outer.${result}`)
    this.#lifetime(entry, now)
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
    const mtu = this.#stack.pathMtu(destination, now)
    return mtu === undefined ? 0 : packet.length + (destination.family === 4 ? 20 : 40) - mtu
  }

  /** IPv6 of this host that it would have to cut in any case (RFC 4303 section 3.3.4: the whole is protected first). */
  #cutsItself(packet: PacketBuffer, now: Instant): boolean {
    // TCP is told what fits, and will send no more.
    if (packet.bytes[packet.start + 6] === IpProtocol.tcp || !this.#stack.isLocal(sourceOf(packet)))
      return false
    const mtu = this.#stack.senderMtu(destinationOf(packet), now)
    return mtu !== undefined && packet.length > mtu
  }

  #saFor(policy: Policy, packet: PacketBuffer): SaEntry | undefined {
    if (this.#chosenVersion !== this.sad.version) {
      this.#chosen.clear()
      this.#chosenVersion = this.sad.version
    }
    const before = this.#chosen.get(policy)
    if (before !== undefined) return before
    const { protocol, local } = policy
    const peer = policy.peer ?? destinationOf(packet)
    // A packet between the SA's own ends needs no tunnel.
    const transport = this.sad.outbound(
      protocol,
      peer,
      local,
      ({ sa }) =>
        sa.mode === 'transport' &&
        sa.source.equals(sourceOf(packet)) &&
        sa.destination.equals(destinationOf(packet)),
    )
    if (transport !== undefined) return transport
    const tunnel = this.sad.outbound(protocol, peer, local, ({ sa }) => sa.mode === 'tunnel')
    // Another packet of this policy could be one for transport mode, where there is such an SA at all.
    if (tunnel !== undefined && policy.peer !== undefined && !this.sad.hasTransport)
      this.#chosen.set(policy, tunnel)
    return tunnel
  }

  /** ESP and AH to this host, ESP in UDP, IP in IP of an SA: protection itself, which no policy is asked about. */
  #isCarrier(packet: PacketBuffer): boolean {
    const { protocol, destinationPort } = this.#key
    if (protocol === IpProtocol.esp || protocol === IpProtocol.ah) return true
    if (protocol === IpProtocol.udp) return this.#udp !== undefined && destinationPort === ENCAPSULATION_PORT
    if (protocol !== IpProtocol.ipip && protocol !== IpProtocol.ipv6) return false
    return this.sad.inboundIpip(sourceOf(packet), destinationOf(packet)) !== undefined
  }

  #blocked(reason: string): 'blocked' {
    this.counters.add(reason)
    return 'blocked'
  }

  #refused(reason: string, spi: number, sequence: number, info: PacketInfo, now: Instant): void {
    this.counters.add(reason)
    const { source, destination } = info
    this.audit.add({ at: now, reason, spi, sequence, source, destination })
  }

  #lifetime(entry: SaEntry, now: Instant): void {
    const reached = entry.transform.reached()
    if (reached === 'soft') this.#soft(entry, now)
    else if (reached !== undefined) this.#over(entry, reached, now)
  }

  #soft(entry: SaEntry, now: Instant): void {
    if (entry.softTold) return
    entry.softTold = true
    this.#tell({ kind: 'soft', sa: entry.sa }, now)
  }

  #over(entry: SaEntry, kind: 'hard' | 'overflow', now: Instant): void {
    this.counters.add(`ipsec.${kind}`)
    this.#drop(entry)
    this.#tell({ kind, sa: entry.sa }, now)
  }

  #drop(entry: SaEntry): void {
    for (const cancel of this.#timers.get(entry) ?? []) cancel()
    this.#timers.delete(entry)
    this.sad.remove(entry)
  }

  #changed(event: IpsecEvent): void {
    // A host without any of it pays nothing.
    this.#stack.ipsec = this.spd.size > 0 || this.sad.size > 0 ? this : undefined
    const wanted = this.sad.list().some(({ sa }) => sa.udpPort !== undefined)
    if (wanted && this.#udp === undefined)
      this.#udp = this.#stack.udp.bind({
        port: ENCAPSULATION_PORT,
        onDatagram: ({ data, source, destination, interface: ifc, ttl, trafficClass }, now) => {
          // RFC 3948 section 2.3: one byte 0xff keeps the NAT's mapping; section 2.2: four zeros are IKE's.
          if (data.length === 1 && data[0] === 0xff) return
          if (data.length < 8 || readUint32(data, 0) === 0) {
            this.counters.add('udpencap.noEsp')
            return
          }
          const packet = PacketBuffer.copyOf(data, OPAQUE)
          packet.outerTrafficClass = trafficClass
          packet.outerTtl = ttl
          this.hear(IpProtocol.esp, packet, { source, destination, interface: ifc, ttl }, now, true)
        },
      })
    else if (!wanted) {
      this.#udp?.close()
      this.#udp = undefined
    }
    this.#tell(event, this.#now())
  }

  #tell(event: IpsecEvent, now: Instant): void {
    for (const listener of [...this.listeners]) listener(event, now)
  }
}

const addressAt = (packet: PacketBuffer, v4: number, v6: number): IpAddress => {
  const { bytes, start, kind } = packet
  const at = start + (kind === IPV4 ? v4 : v6)
  return ipAddressFrom(bytes.subarray(at, at + (kind === IPV4 ? 4 : 16)))
}
/** Views into the packet: to compare with, not to keep. */
const sourceOf = (packet: PacketBuffer): IpAddress => addressAt(packet, 12, 8)
const destinationOf = (packet: PacketBuffer): IpAddress => addressAt(packet, 16, 24)

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
