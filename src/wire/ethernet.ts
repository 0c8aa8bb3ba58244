/** Ethernet II frames (IEEE 802.3 clause 3.2.6) and the VLAN tag (IEEE 802.1Q clause 9). No preamble, no FCS. */
import type { MacAddress } from '../base/index.js'
import { defineHeader, flag, type Header, macAddress, uint } from './layout.js'
import { etherTypeNames } from './numbers.js'

export interface EthernetHeader {
  destination: MacAddress
  source: MacAddress
  /** EtherType; below 0x600 it is an IEEE 802.3 length. */
  etherType: number
}

export const ETHERNET_HEADER_LENGTH = 14

export const ethernet: Header<EthernetHeader> = defineHeader<EthernetHeader>({
  name: 'ethernet',
  title: 'Ethernet II',
  ref: 'IEEE 802.3 clause 3.2',
  fields: {
    destination: macAddress('Destination address'),
    source: macAddress('Source address'),
    etherType: uint(16, 'EtherType', { show: 'hex', codes: etherTypeNames }),
  },
})

/** What follows an EtherType of 0x8100 or 0x88a8. */
export interface VlanTag {
  priority: number
  dropEligible: boolean
  vlanId: number
  etherType: number
}

export const vlan: Header<VlanTag> = defineHeader<VlanTag>({
  name: 'vlan',
  title: '802.1Q tag',
  ref: 'IEEE 802.1Q clause 9.6',
  fields: {
    priority: uint(3, 'Priority code point'),
    dropEligible: flag('Drop eligible'),
    vlanId: uint(12, 'VLAN identifier'),
    etherType: uint(16, 'EtherType', { show: 'hex', codes: etherTypeNames }),
  },
})
