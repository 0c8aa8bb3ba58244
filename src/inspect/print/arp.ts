/** ARP (RFC 826) and RARP (RFC 903) for IPv4 over Ethernet; other combinations by their numbers. */
import { readUint16 } from '../../base/index.js'
import { ARP_LENGTH, ArpOperation, arp } from '../../wire/arp.js'
import { ethernet } from '../../wire/ethernet.js'
import { EtherType } from '../../wire/numbers.js'
import { has, type Printing } from './printing.js'
import { ip4Text, macText } from './text.js'

const at = arp.offset
const ETHERNET_HARDWARE = 1

export function printArp(p: Printing, start: number, length: number): void {
  const { bytes } = p
  if (!has(p, start, ARP_LENGTH)) {
    p.out += '[|arp]'
    return
  }
  if (length < ARP_LENGTH) {
    p.out += 'truncated-arp'
    return
  }
  const hardware = readUint16(bytes, start)
  const protocol = readUint16(bytes, start + 2)
  const hardwareLength = bytes[start + 4]!
  const protocolLength = bytes[start + 5]!
  const operation = readUint16(bytes, start + at.operation)
  if (protocol !== EtherType.ipv4 || hardwareLength !== 6 || protocolLength !== 4) {
    p.out += `arp-#${operation} for proto #${protocol} (${protocolLength}) hardware #${hardware} (${hardwareLength})`
    return
  }
  const senderMac = macText(bytes, start + at.senderHardware)
  const senderIp = ip4Text(bytes, start + at.senderProtocol)
  const targetMac = macText(bytes, start + at.targetHardware)
  const targetIp = ip4Text(bytes, start + at.targetProtocol)
  /** Said only where it differs from the frame's own address. */
  const unlessFrames = (address: string, offset: number): string =>
    p.frameAt >= 0 && macText(bytes, p.frameAt + offset) === address ? '' : ` (${address})`
  switch (operation) {
    case ArpOperation.request: {
      const asked = targetMac === '00:00:00:00:00:00' ? '' : ` (${targetMac})`
      p.out += `arp who-has ${targetIp}${asked} tell ${senderIp}${unlessFrames(senderMac, ethernet.offset.source)}`
      break
    }
    case ArpOperation.reply:
      p.out += `arp reply ${senderIp}${unlessFrames(senderMac, ethernet.offset.source)} is-at ${senderMac}`
      p.out += unlessFrames(targetMac, ethernet.offset.destination)
      break
    case 3:
      p.out += `rarp who-is ${targetMac} tell ${senderMac}`
      break
    case 4:
      p.out += `rarp reply ${targetMac} at ${targetIp}`
      break
    default:
      p.out += `arp-#${operation}`
  }
  if (hardware !== ETHERNET_HARDWARE) p.out += ` hardware #${hardware}`
}
