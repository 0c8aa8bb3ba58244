/** EtherIP (RFC 3378): an Ethernet frame in IP protocol 97, behind two bytes. */
import { defineHeader, type Header, uint } from './layout.js'

export interface EtherIpHeader {
  /** Always 3. */
  version?: number
  /** Always 0. */
  reserved?: number
}

export const ETHERIP_HEADER_LENGTH = 2

export const etherip: Header<EtherIpHeader> = defineHeader<EtherIpHeader>({
  name: 'etherip',
  title: 'Ethernet within IP',
  ref: 'RFC 3378 section 3',
  fields: {
    version: uint(4, 'Version', { must: 3 }),
    reserved: uint(12, 'Reserved', { must: 0 }),
  },
})
