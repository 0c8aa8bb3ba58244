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
  OPAQUE,
  PacketBuffer,
  type Random,
  readUint32,
  seconds,
  WarrenError,
} from '../../base/index.js'
import {
  type IpsecHook,
  type PacketInfo,
  type Policy,
  type SendResult,
  Spd,
  type Stack,
  type TrafficSelector,
  type UdpDatagram,
  type UdpSocket,
} from '../../stack/index.js'
import { IpProtocol } from '../../wire/numbers.js'
import { Audit } from './audit.js'
import { ENCAPSULATION_PORT, type IpsecContext, type IpsecEvent } from './context.js'
import { IpsecInbound } from './inbound.js'
import { IpsecOutbound } from './outbound.js'
import type { ManualSa, SaProtocol } from './sa.js'
import { type SaEntry, SecurityAssociationDatabase } from './sad.js'
import { createSaTransform } from './transforms.js'

/** RFC 3948 section 2.3. */
const KEEPALIVE = 0xff

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
  readonly #stack: Stack
  readonly #random: Random
  readonly #now: () => Instant
  readonly #schedule: IpsecOptions['schedule']
  readonly #inbound: IpsecInbound
  readonly #outbound: IpsecOutbound
  readonly #timers = new Map<SaEntry, (() => void)[]>()
  #udp: UdpSocket | undefined
  #onIke: ((datagram: UdpDatagram, now: Instant) => void) | undefined

  constructor({ stack, random, now, schedule }: IpsecOptions) {
    this.#stack = stack
    this.#random = random
    this.#now = now
    this.#schedule = schedule
    const context: IpsecContext = new Context(this, stack, {
      encapsulates: () => this.#udp !== undefined,
      used: (entry, at) => this.#lifetime(entry, at),
      tell: (event, at) => this.#tell(event, at),
    })
    this.#inbound = new IpsecInbound(context)
    this.#outbound = new IpsecOutbound(context)
  }

  /** After `too-big`: the largest packet that the way through its SA takes. */
  get largest(): number {
    return this.#outbound.largest
  }

  /** @throws WarrenError STACK_POLICY */
  addPolicy(policy: Policy): void {
    this.spd.add(policy)
    this.#outbound.forget()
    this.#changed({ kind: 'policy-add', policy })
  }

  /** False if there is none of that direction and selector. */
  removePolicy(direction: Policy['direction'], selector: TrafficSelector): boolean {
    const policy = this.spd.remove(direction, selector)
    this.#outbound.forget()
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
    this.#outbound.forget()
    this.#changed({ kind: 'flush' })
  }

  /**
   * From now on `onIke` gets what comes to port 4500 with the non-ESP marker in front (RFC 3948 section 2.2), until the
   * function returned is called. One at a time.
   */
  listenForIke(onIke: (datagram: UdpDatagram, now: Instant) => void): () => void {
    this.#onIke = onIke
    this.#openUdp()
    return () => {
      if (this.#onIke !== onIke) return
      this.#onIke = undefined
      this.#openUdp()
    }
  }

  covers(packet: PacketBuffer): Policy | undefined {
    return this.#outbound.covers(packet)
  }

  protect(policy: Policy, packet: PacketBuffer, now: Instant): 'clear' | SendResult {
    return this.#outbound.protect(policy, packet, now)
  }

  admits(packet: PacketBuffer, local: boolean, _now: Instant): boolean {
    return this.#inbound.admits(packet, local)
  }

  /**
   * The payload of a carrier has arrived. False: not IPsec's, only for IP in IP. ESP and AH are always taken, whoever
   * sent them: a stranger learns nothing of which SAs there are.
   */
  hear(protocol: number, packet: PacketBuffer, info: PacketInfo, now: Instant): boolean {
    return this.#inbound.hear(protocol, packet, info, now, false)
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
    this.#openUdp()
    this.#tell(event, this.#now())
  }

  #openUdp(): void {
    const wanted = this.#onIke !== undefined || this.sad.list().some(({ sa }) => sa.udpPort !== undefined)
    if (wanted && this.#udp === undefined)
      this.#udp = this.#stack.udp.bind({
        port: ENCAPSULATION_PORT,
        bypassPolicies: true,
        onDatagram: (datagram, now) => this.#hearUdp(datagram, now),
      })
    else if (!wanted) {
      this.#udp?.close()
      this.#udp = undefined
    }
  }

  #hearUdp(datagram: UdpDatagram, now: Instant): void {
    const { data, source, destination, interface: ifc, ttl, trafficClass } = datagram
    // RFC 3948 section 2.3: one byte 0xff keeps the NAT's mapping; section 2.2: four zeros are before what IKE says.
    if (data.length === 1 && data[0] === KEEPALIVE) {
      this.counters.add('esp.keepalive')
      return
    }
    if (data.length >= 4 && readUint32(data, 0) === 0 && this.#onIke !== undefined) {
      this.#onIke(datagram, now)
      return
    }
    if (data.length < 8 || readUint32(data, 0) === 0) {
      this.counters.add('udpencap.noEsp')
      return
    }
    const packet = PacketBuffer.copyOf(data, OPAQUE)
    packet.outerTrafficClass = trafficClass
    packet.outerTtl = ttl
    this.#inbound.hear(IpProtocol.esp, packet, { source, destination, interface: ifc, ttl }, now, true)
  }

  #tell(event: IpsecEvent, now: Instant): void {
    for (const listener of [...this.listeners]) listener(event, now)
  }
}

/** What `Ipsec` shows of itself to its two directions. */
class Context implements IpsecContext {
  readonly stack: Stack
  readonly spd: Spd
  readonly sad: SecurityAssociationDatabase
  readonly counters: Counters
  readonly audit: Audit
  readonly enabled: Readonly<Record<SaProtocol, boolean>>
  readonly used: IpsecContext['used']
  readonly tell: IpsecContext['tell']
  readonly #encapsulates: () => boolean

  constructor(
    { spd, sad, counters, audit, enabled }: Ipsec,
    stack: Stack,
    { encapsulates, used, tell }: Pick<IpsecContext, 'used' | 'tell'> & { encapsulates: () => boolean },
  ) {
    this.stack = stack
    this.spd = spd
    this.sad = sad
    this.counters = counters
    this.audit = audit
    this.enabled = enabled
    this.used = used
    this.tell = tell
    this.#encapsulates = encapsulates
  }

  get encapsulates(): boolean {
    return this.#encapsulates()
  }
}
