/** ARP (RFC 826) for IPv4 over Ethernet: the only pair of spaces that is met. Others are refused by name. */
import type { Ipv4Address, MacAddress } from '../base/index.js'
import { type CodeTable, defineHeader, type Header, ipv4Address, macAddress, uint } from './layout.js'
import { etherTypeNames } from './numbers.js'

export const ArpOperation = { request: 1, reply: 2 } as const

/** IANA "ARP Parameters". */
export const arpOperationNames: CodeTable = {
  1: 'request: who has the target protocol address?',
  2: 'reply: the sender has its protocol address',
  3: 'reverse request',
  4: 'reverse reply',
  8: 'InARP request',
  9: 'InARP reply',
}

export interface ArpPacket {
  /** 1, Ethernet. */
  hardwareType?: number
  /** 0x0800, IPv4. */
  protocolType?: number
  /** 6. */
  hardwareLength?: number
  /** 4. */
  protocolLength?: number
  operation: number
  senderHardware: MacAddress
  senderProtocol: Ipv4Address
  /** Without meaning in a request. */
  targetHardware: MacAddress
  targetProtocol: Ipv4Address
}

export const ARP_LENGTH = 28

export const arp: Header<ArpPacket> = defineHeader<ArpPacket>({
  name: 'arp',
  title: 'Address Resolution Protocol',
  ref: 'RFC 826 "Packet format"',
  fields: {
    hardwareType: uint(16, 'Hardware type', { must: 1, codes: { 1: 'Ethernet' } }),
    protocolType: uint(16, 'Protocol type', { show: 'hex', must: 0x0800, codes: etherTypeNames }),
    hardwareLength: uint(8, 'Hardware address length', { must: 6, meaning: () => 'bytes' }),
    protocolLength: uint(8, 'Protocol address length', { must: 4, meaning: () => 'bytes' }),
    operation: uint(16, 'Operation', { codes: arpOperationNames }),
    senderHardware: macAddress('Sender hardware address'),
    senderProtocol: ipv4Address('Sender protocol address'),
    targetHardware: macAddress('Target hardware address'),
    targetProtocol: ipv4Address('Target protocol address'),
  },
})
