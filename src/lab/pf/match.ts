/** Whether a packet is what a rule speaks of. */
import { type IpAddress, IpPrefix } from '../../base/index.js'
import type { NetworkInterface } from '../../stack/index.js'
import type { PfPacket } from './packet.js'
import type { PfAddress, PfHost, PfPorts, PfRuleset, PfStatement } from './rules.js'

/** What a filter must know of its machine. */
export interface PfSurroundings {
  readonly interfaces: ReadonlyMap<string, NetworkInterface>
  hasRoute(address: IpAddress): boolean
}

export class Matcher {
  readonly #around: PfSurroundings
  /** Of the main rules; anchors use the same. */
  tables: PfRuleset['tables'] = new Map()

  constructor(around: PfSurroundings) {
    this.#around = around
  }

  matches(rule: PfStatement, direction: 'in' | 'out', ifc: NetworkInterface, packet: PfPacket): boolean {
    if (rule.direction !== undefined && rule.direction !== direction) return false
    if (rule.interface !== undefined && isNamed(ifc, rule.interface.name) === rule.interface.not) return false
    if (rule.family !== undefined && rule.family !== packet.family) return false
    if (rule.protocol !== undefined && rule.protocol !== packet.protocol) return false
    if (!this.#isHost(rule.from, packet.source) || !this.#isHost(rule.to, packet.destination)) return false
    if (rule.icmpType !== undefined && rule.icmpType !== packet.icmpType) return false
    const hasPorts = !packet.laterFragment
    if (rule.fromPorts !== undefined && !(hasPorts && isPort(rule.fromPorts, packet.sourcePort))) return false
    if (rule.toPorts !== undefined && !(hasPorts && isPort(rule.toPorts, packet.destinationPort)))
      return false
    if (rule.action === 'anchor') return true
    if (rule.user !== undefined || rule.tagged !== undefined) return false
    if (rule.flags !== undefined && packet.protocol === 6 && hasPorts)
      return (packet.tcpFlags & rule.flags.of) === rule.flags.set
    return true
  }

  #isHost({ not, address }: PfHost, candidate: IpAddress): boolean {
    return this.#isAddress(address, candidate) !== not
  }

  #isAddress(address: PfAddress, candidate: IpAddress): boolean {
    switch (address.kind) {
      case 'any':
        return true
      case 'prefix':
        return address.prefix.contains(candidate)
      case 'range':
        return (
          candidate.family === address.first.family &&
          compare(candidate, address.first.address) >= 0 &&
          compare(candidate, address.last.address) <= 0
        )
      case 'self':
        return [...this.#around.interfaces.values()].some((ifc) => ifc.hasAddress(candidate))
      case 'no-route':
        return !this.#around.hasRoute(candidate)
      case 'interface':
        return [...this.#around.interfaces.values()].some(
          (ifc) =>
            isNamed(ifc, address.name) &&
            ifc.addresses.some((own) =>
              address.network
                ? new IpPrefix(own.address, own.prefixLength).contains(candidate)
                : own.address.equals(candidate),
            ),
        )
      case 'table':
        return this.#inTable(address.name, candidate)
    }
  }

  /** The most specific entry decides: `!` in a table makes an exception. */
  #inTable(name: string, candidate: IpAddress): boolean {
    let best = -1
    let found = false
    for (const { not, address } of this.tables.get(name) ?? []) {
      if (address.kind !== 'prefix' || !address.prefix.contains(candidate) || address.prefix.length <= best)
        continue
      best = address.prefix.length
      found = !not
    }
    return found
  }
}

/** A rule's interface is a name or a group. */
export const isNamed = (ifc: NetworkInterface, name: string): boolean =>
  ifc.name === name || ifc.groups.includes(name)

const isPort = ({ not, low, high }: PfPorts, port: number): boolean => (port >= low && port <= high) !== not

function compare(a: IpAddress, b: IpAddress): number {
  for (let i = 0; i < a.bytes.length; i++) if (a.bytes[i] !== b.bytes[i]) return a.bytes[i]! - b.bytes[i]!
  return 0
}
