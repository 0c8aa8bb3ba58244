/**
 * From the driver to IP: frames are opened here.
 */
import { type Instant, IPV4, type PacketBuffer, readUint16 } from '../base/index.js'
import { EtherType } from '../wire/numbers.js'
import type { Core } from './core.js'
import { ETHERNET_HEADER } from './headers.js'
import type { NetworkInterface } from './interface.js'
import { ipv4Input } from './ipv4-input.js'
import { ipv6Input } from './ipv6-input.js'

/** What a driver hands in: counted, shown to the taps, offered to a bridge. */
export function driverInput(core: Core, ifc: NetworkInterface, packet: PacketBuffer, now: Instant): void {
  if (!ifc.up) {
    core.counters.add('interface.down')
    return
  }
  ifc.received(packet, now)
  if (ifc.intercept?.(packet, now) === true) return
  localInput(core, ifc, packet, now)
}

/** What is meant for this host, if its link-layer address says so. */
export function localInput(core: Core, ifc: NetworkInterface, packet: PacketBuffer, now: Instant): void {
  if (ifc.kind === 'ethernet') frameInput(core, ifc, packet, now)
  else ipInput(core, ifc, packet, now)
}

/** An IP packet without a frame; the version in its first byte says which. `isProtected`: an SA brought it. */
export function ipInput(
  core: Core,
  ifc: NetworkInterface,
  packet: PacketBuffer,
  now: Instant,
  isProtected = false,
): void {
  const version = packet.length > 0 ? packet.bytes[packet.start]! >> 4 : 0
  if (version === IPV4) ipv4Input(core, ifc, packet, false, now, isProtected)
  else if (version === 6) ipv6Input(core, ifc, packet, false, now, isProtected)
  else {
    ifc.counters.errorsIn++
    core.counters.add('ip.version')
  }
}

function frameInput(core: Core, ifc: NetworkInterface, packet: PacketBuffer, now: Instant): void {
  const { bytes, start, end } = packet
  if (end - start < ETHERNET_HEADER) {
    ifc.counters.errorsIn++
    core.counters.add('ethernet.short')
    return
  }
  const group = (bytes[start]! & 1) === 1
  if (!group && !isOurs(ifc, bytes, start)) {
    core.counters.add('ethernet.notForUs')
    return
  }
  const etherType = readUint16(bytes, start + 12)
  packet.start = start + ETHERNET_HEADER
  if (etherType === EtherType.ipv4) ipv4Input(core, ifc, packet, group, now)
  else if (etherType === EtherType.ipv6) ipv6Input(core, ifc, packet, group, now)
  else if (etherType === EtherType.arp) core.arp.input(ifc, packet, now)
  else core.counters.add('ethernet.etherType')
}

function isOurs({ mac }: NetworkInterface, bytes: Uint8Array, start: number): boolean {
  if (mac === undefined) return false
  for (let i = 0; i < 6; i++) if (mac.bytes[i] !== bytes[start + i]) return false
  return true
}
