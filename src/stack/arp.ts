/**
 * ARP (RFC 826), with the announcement of RFC 5227 section 3. What nobody asked for makes no entry, it only changes
 * one that is there.
 */
import {
  type Instant,
  type IpAddress,
  type Ipv4Address,
  type MacAddress,
  PacketBuffer,
  ParseError,
  seconds,
} from '../base/index.js'
import { ARP_LENGTH, ArpOperation, arp } from '../wire/arp.js'
import { EtherType } from '../wire/numbers.js'
import type { Core } from './core.js'
import { type NetworkInterface, prefixOf } from './interface.js'
import { NeighbourCache } from './neighbours.js'

const NOBODY = new Uint8Array(6)
const EVERYBODY = new Uint8Array(6).fill(0xff)

export class ArpCache {
  readonly cache: NeighbourCache
  readonly #core: Core

  constructor(core: Core) {
    this.#core = core
    this.cache = new NeighbourCache(core, {
      name: 'arp',
      tries: 5, // OpenBSD's arp_maxtries
      reachable: seconds(20 * 60), // arpt_keep
      staleAfter: false,
      down: seconds(20), // arpt_down
      solicit: (ifc, target, _, now) => this.#request(ifc, target, now),
      transmit: (ifc, packet, mac, now) => core.link.frame(ifc, packet, mac.bytes, EtherType.ipv4, now),
      unreachable: (ifc, packet, now) => core.icmp.hostUnreachable(packet, ifc, now),
    })
  }

  /** A frame of EtherType 0x0806; `packet` starts behind the Ethernet header. */
  input(ifc: NetworkInterface, packet: PacketBuffer, now: Instant): void {
    try {
      this.#receive(ifc, packet, now)
    } catch (error) {
      if (!(error instanceof ParseError)) throw error
      this.#core.counters.add(error.reason)
    }
  }

  /** Tells the link that an address is here (RFC 5227 section 2.3): what others hold of it comes right. */
  announce(ifc: NetworkInterface, address: Ipv4Address, now: Instant): void {
    if (ifc.mac === undefined || !ifc.up) return
    this.#send(ifc, ArpOperation.request, ifc.mac, address, NOBODY, address, EVERYBODY, now)
  }

  #receive(ifc: NetworkInterface, packet: PacketBuffer, now: Instant): void {
    const { counters } = this.#core
    const mac = ifc.mac
    if (mac === undefined) return
    const message = arp.view(packet.bytes, packet.start, packet.end)
    const { operation, senderHardware, targetProtocol } = message
    if (operation !== ArpOperation.request && operation !== ArpOperation.reply) {
      counters.add('arp.operation')
      return
    }
    const sender = message.senderProtocol
    if (senderHardware.isGroup || isZero(senderHardware.bytes)) {
      counters.add('arp.senderHardware')
      return
    }
    if (senderHardware.equals(mac)) return // our own, come back
    const forUs = ifc.hasAddress(targetProtocol)
    if (this.#core.local.owns(sender)) {
      // Another interface of ours on the same link (vether and etherip in one bridge) is no rival.
      if (this.#isOurMac(senderHardware)) return
      counters.add('arp.duplicateAddress')
      // Defend it (RFC 5227 section 2.4), but learn nothing of who claims it.
      if (ifc.hasAddress(sender)) this.#answer(ifc, message, now)
      return
    }
    if (!sender.isUnspecified) {
      if (sender.isMulticast || sender.isLoopback || this.#core.local.isBroadcast(sender)) {
        counters.add('arp.senderProtocol')
        return
      }
      const asked = operation === ArpOperation.request && forUs && this.#isOnLink(ifc, sender)
      this.cache.learn(
        ifc,
        sender,
        senderHardware.bytes,
        { state: 'reachable', create: asked, override: true },
        now,
      )
    }
    if (operation === ArpOperation.request && forUs) this.#answer(ifc, message, now)
  }

  #isOurMac(mac: MacAddress): boolean {
    for (const { mac: own } of this.#core.interfaces.values()) if (own?.equals(mac)) return true
    return false
  }

  #isOnLink(ifc: NetworkInterface, address: IpAddress): boolean {
    return ifc.addresses.some(
      (own) => own.address.family === 4 && own.prefixLength < 32 && prefixOf(own).contains(address),
    )
  }

  #answer(
    ifc: NetworkInterface,
    request: { senderHardware: MacAddress; senderProtocol: Ipv4Address; targetProtocol: Ipv4Address },
    now: Instant,
  ): void {
    const { mac } = ifc
    if (mac === undefined || !ifc.up) return
    const asker = request.senderHardware.bytes.slice()
    const ours = ifc.hasAddress(request.targetProtocol) ? request.targetProtocol : request.senderProtocol
    this.#send(ifc, ArpOperation.reply, mac, ours, asker, request.senderProtocol, asker, now)
  }

  #request(ifc: NetworkInterface, target: IpAddress, now: Instant): void {
    if (ifc.mac === undefined || target.family !== 4) return
    const own = ifc.addressFor(target) ?? ifc.addresses.find(({ address }) => address.family === 4)
    if (own?.address.family !== 4) return
    this.#send(ifc, ArpOperation.request, ifc.mac, own.address, NOBODY, target, EVERYBODY, now)
  }

  #send(
    ifc: NetworkInterface,
    operation: number,
    senderHardware: MacAddress,
    senderProtocol: Ipv4Address,
    targetHardware: Uint8Array,
    targetProtocol: Ipv4Address,
    to: Uint8Array,
    now: Instant,
  ): void {
    const bytes = new Uint8Array(64 + ARP_LENGTH)
    const at = 64
    arp.emit(
      {
        hardwareType: 1,
        protocolType: EtherType.ipv4,
        hardwareLength: 6,
        protocolLength: 4,
        operation,
        senderHardware,
        senderProtocol,
        targetHardware: senderHardware,
        targetProtocol,
      },
      bytes,
      at,
    )
    bytes.set(targetHardware, at + 18)
    this.#core.link.frame(ifc, new PacketBuffer(bytes, at), to, EtherType.arp, now)
  }
}

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0)
