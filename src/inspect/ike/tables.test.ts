/** Every number that wire/ike has a name for is explained by it: no table of the two rooms is behind the other. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Ipv4Address } from '../../base/index.js'
import {
  authMethodNames,
  ConfigAttribute,
  certEncodingNames,
  configAttributeNames,
  configTypeNames,
  emitIkeMessage,
  HashAlgorithm,
  IdType,
  type IkePayload,
  IkePayloadType,
  idTypeNames,
  ikeExchangeNames,
  ikePayloadNames,
  NotifyType,
  notifyNames,
  TransformType,
  transformIdNames,
  transformTypeNames,
} from '../../wire/ike/index.js'
import { explain } from '../explain.js'
import { LinkType } from '../link-type.js'
import { ip4Packet, udpDatagram } from '../testing/packets.js'
import { notifyRef } from './notify.js'

const ENDS = [Ipv4Address.parse('192.168.1.2')!, Ipv4Address.parse('192.168.1.1')!] as const
const onPort500 = (message: Uint8Array): Uint8Array =>
  ip4Packet(ENDS, 17, udpDatagram(ENDS, [500, 500], message))

const EMPTY = new Uint8Array(0)
const SPI = new Uint8Array(8).fill(1)

/** All meanings and values of the fields of a message of these payloads. */
function said(payloads: readonly IkePayload[], exchangeType = 34): string {
  const packet = onPort500(
    emitIkeMessage({
      header: {
        initiatorSpi: SPI,
        responderSpi: new Uint8Array(8),
        majorVersion: 2,
        minorVersion: 0,
        exchangeType,
        flags: 0x08,
        messageId: 0,
      },
      payloads,
    }),
  )
  const { layers } = explain(packet, LinkType.raw, packet.length)
  return layers
    .flatMap(({ title, fields }) => [
      title,
      ...fields.map(({ value, meaning }) => `${value ?? ''} ${meaning ?? ''}`),
    ])
    .join('\n')
}

const numbers = (table: Readonly<Record<number, string>>): [number, string][] =>
  Object.entries(table).map(([id, name]) => [Number(id), name])

/** Each constant has its row in the table of names. */
function named(constants: Readonly<Record<string, number>>, table: Readonly<Record<number, string>>): void {
  for (const [name, id] of Object.entries(constants)) assert.ok(table[id] !== undefined, `${name} ${id}`)
}

describe('numbers of IKEv2', () => {
  test('each constant has a name', () => {
    named(NotifyType, notifyNames)
    named(ConfigAttribute, configAttributeNames)
    named(TransformType, transformTypeNames)
    named(IdType, idTypeNames)
    named(IkePayloadType, { 0: 'none', ...ikePayloadNames })
    assert.equal(Object.keys(HashAlgorithm).length, 5)
  })

  test('exchanges', () => {
    for (const [id, name] of numbers(ikeExchangeNames)) assert.ok(said([], id).includes(name), name)
  })

  test('notifies: by name, as an error or a status, and by the document that they are of', () => {
    for (const [type, name] of numbers(notifyNames)) {
      const text = said([{ kind: 'N', protocol: 0, spi: EMPTY, type, data: EMPTY }])
      assert.ok(text.includes(`${name} (${type < 16384 ? 'error' : 'status'})`), `${name}: ${text}`)
      // Those behind RFC 7296's own are of others.
      if (type >= 16396) assert.notEqual(notifyRef(type), 'RFC 7296 section 3.10.1', name)
    }
  })

  test('transforms: every type and every id of it', () => {
    for (const [type, typeName] of numbers(transformTypeNames))
      for (const [id, name] of numbers(transformIdNames(type)!)) {
        const text = said([
          { kind: 'SA', proposals: [{ number: 1, protocol: 1, spi: EMPTY, transforms: [{ type, id }] }] },
        ])
        assert.ok(text.includes(name) && text.includes(typeName), `${typeName} ${name}: ${text}`)
      }
  })

  test('configuration: types and attributes', () => {
    for (const [type, name] of numbers(configTypeNames))
      assert.ok(said([{ kind: 'CP', type, attributes: [] }]).includes(name), name)
    for (const [type, name] of numbers(configAttributeNames))
      assert.ok(said([{ kind: 'CP', type: 1, attributes: [{ type, value: EMPTY }] }]).includes(name), name)
  })

  test('identities, certificates, ways to authenticate', () => {
    for (const [type, name] of numbers(idTypeNames))
      assert.ok(said([{ kind: 'IDi', type, data: Uint8Array.of(1, 2, 3, 4) }]).includes(name), name)
    for (const [encoding, name] of numbers(certEncodingNames))
      assert.ok(said([{ kind: 'CERT', encoding, data: Uint8Array.of(1) }]).includes(name), name)
    for (const [method, name] of numbers(authMethodNames))
      assert.ok(said([{ kind: 'AUTH', method, data: Uint8Array.of(1) }]).includes(name), name)
  })

  test('EAP: methods by name, and what begins those that Warren speaks', () => {
    const eap = (code: number, ...data: number[]): string =>
      said([{ kind: 'EAP', data: Uint8Array.of(code, 7, 0, 4 + data.length, ...data) } as IkePayload])
    for (const [type, name] of [
      [1, 'Identity'],
      [3, 'Nak'],
      [4, 'MD5-Challenge'],
      [13, 'TLS'],
      [26, 'MSCHAPv2'],
      [52, 'password'],
    ] as const)
      assert.ok(eap(1, type, 0).includes(name), name)
    assert.match(eap(1, 26, 1, 7, 0, 6), /1 challenge/)
    assert.match(eap(2, 26, 2, 7, 0, 6), /2 response/)
    assert.match(eap(1, 13, 0x20), /start/)
    assert.match(eap(2, 13, 0xc0, 0, 0, 4, 0, 1, 2), /length included, more fragments\n1024 /)
  })
})
