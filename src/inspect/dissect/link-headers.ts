/** Headers that only capture files have: BSD loopback, OpenBSD loopback, Linux "cooked". */
import { type CodeTable, defineHeader, type Header, octets, uint } from '../../wire/layout.js'
import { etherTypeNames } from '../../wire/numbers.js'

const families: CodeTable = {
  2: 'IPv4',
  10: 'IPv6 (Linux)',
  24: 'IPv6 (OpenBSD)',
  28: 'IPv6 (FreeBSD)',
  30: 'IPv6 (macOS)',
}

export interface LoopbackHeader {
  family: number
}

export const loopbackBig: Header<LoopbackHeader> = defineHeader<LoopbackHeader>({
  name: 'loopback',
  title: 'BSD loopback',
  ref: 'LINKTYPE_LOOP',
  fields: { family: uint(32, 'Address family', { codes: families }) },
})

export const loopbackLittle: Header<LoopbackHeader> = defineHeader<LoopbackHeader>({
  name: 'loopback',
  title: 'BSD loopback',
  ref: 'LINKTYPE_NULL',
  fields: { family: uint(32, 'Address family', { codes: families, littleEndian: true }) },
})

export interface LinuxSllHeader {
  packetType: number
  hardwareType: number
  addressLength: number
  address: Uint8Array
  protocol: number
}

export const linuxSll: Header<LinuxSllHeader> = defineHeader<LinuxSllHeader>({
  name: 'linuxSll',
  title: 'Linux cooked capture',
  ref: 'LINKTYPE_LINUX_SLL',
  fields: {
    packetType: uint(16, 'Packet type', {
      codes: { 0: 'to us', 1: 'broadcast', 2: 'multicast', 3: 'to another host', 4: 'sent by us' },
    }),
    hardwareType: uint(16, 'ARPHRD type', { codes: { 1: 'Ethernet', 772: 'loopback', 65534: 'none' } }),
    addressLength: uint(16, 'Link-layer address length', { meaning: () => 'bytes' }),
    address: octets(8, 'Link-layer address'),
    protocol: uint(16, 'Protocol', { show: 'hex', codes: etherTypeNames }),
  },
})
