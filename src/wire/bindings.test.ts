import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as wire from './index.js'

test('a header is listed under its own name', () => {
  for (const [name, header] of Object.entries(wire.headers)) assert.equal(header.name, name)
})

test('every binding leads to a header, by the number that the constants have', () => {
  const { EtherType, IpProtocol, Icmpv6Type } = wire
  assert.equal(wire.headerOfEtherType[EtherType.ipv6], 'ipv6')
  assert.equal(wire.headerOfEtherType[EtherType.transparentEthernetBridging], 'ethernet')
  assert.equal(wire.headerOfEtherType[EtherType.qinq], 'vlan')
  assert.equal(wire.headerOfIpProtocol[IpProtocol.etherip], 'etherip')
  assert.equal(wire.headerOfIcmpv6Type[Icmpv6Type.redirect], 'ndRedirect')
  const bytes = wire.eoip.toBytes({ payloadLength: 0, tunnelId: 1 })
  assert.equal(wire.headerOfGreStart[new DataView(bytes.buffer).getUint32(0)], 'eoip')
  for (const table of [
    wire.headerOfEtherType,
    wire.headerOfIpProtocol,
    wire.headerOfIcmpv6Type,
    wire.headerOfGreStart,
    wire.headerOfUdpPort,
  ])
    for (const name of Object.values(table)) assert.ok(name in wire.headers, name)
})

test('what is bound also has a name', () => {
  for (const type of Object.keys(wire.headerOfEtherType)) assert.ok(wire.etherTypeNames[Number(type)])
  for (const protocol of Object.keys(wire.headerOfIpProtocol))
    assert.ok(wire.ipProtocolNames[Number(protocol)])
  for (const port of Object.keys(wire.headerOfUdpPort)) assert.ok(wire.portNames[Number(port)])
  for (const type of Object.keys(wire.headerOfIcmpv6Type)) assert.ok(wire.icmpv6TypeNames[Number(type)])
})

test('header lengths as constants are those of the declarations', () => {
  const { headers } = wire
  assert.equal(headers.ipv4.minimumLength, wire.IPV4_HEADER_LENGTH)
  assert.equal(headers.ipv6.minimumLength, wire.IPV6_HEADER_LENGTH)
  assert.equal(headers.fragmentHeader.minimumLength, wire.FRAGMENT_HEADER_LENGTH)
  assert.equal(headers.udp.minimumLength, wire.UDP_HEADER_LENGTH)
  assert.equal(headers.tcp.minimumLength, wire.TCP_HEADER_LENGTH)
  assert.equal(headers.gre.minimumLength, wire.GRE_HEADER_LENGTH)
  assert.equal(headers.eoip.minimumLength, wire.EOIP_HEADER_LENGTH)
  assert.equal(headers.etherip.minimumLength, wire.ETHERIP_HEADER_LENGTH)
  const echo = wire.icmp.toBytes({ type: 8, code: 0, identifier: 1, sequence: 1 })
  assert.equal(echo.length, wire.ICMP_HEADER_LENGTH)
  assert.equal(wire.icmpv6.toBytes({ type: 128, code: 0 }).length, wire.ICMPV6_HEADER_LENGTH)
})
