/** The parts of an IKE message, one declaration each (RFC 7296 section 3). What follows a fixed part is its payload's own. */
import { ParseError } from '../../base/index.js'
import { defineHeader, type Field, flag, type Header, octets, uint } from '../layout.js'
import { ipProtocolNames } from '../numbers.js'
import {
  authMethodNames,
  certEncodingNames,
  configAttributeNames,
  configTypeNames,
  idTypeNames,
  ikeExchangeNames,
  ikePayloadNames,
  ikeProtocolNames,
  keyExchangeNames,
  notifyNames,
  selectorTypeNames,
  transformIdNames,
  transformTypeNames,
} from './numbers.js'

export interface IkeHeader {
  /** 8 bytes, never all zero. */
  initiatorSpi: Uint8Array
  /** 8 bytes; all zero in the first message. */
  responderSpi: Uint8Array
  nextPayload: number
  majorVersion: number
  minorVersion: number
  exchangeType: number
  flags: number
  messageId: number
  /** Of the whole message. */
  length: number
}

export const IKE_HEADER_LENGTH = 28

/** RFC 7296 section 3.1. */
export const IKE_FLAG_INITIATOR = 0x08
export const IKE_FLAG_VERSION = 0x10
export const IKE_FLAG_RESPONSE = 0x20

const flagNames = (flags: number, header: object): string => {
  const v1 = (header as IkeHeader).majorVersion === 1
  const names: readonly (readonly [number, string])[] = v1
    ? [
        [1, 'encryption'],
        [2, 'commit'],
        [4, 'authentication only'],
      ]
    : [
        [IKE_FLAG_INITIATOR, 'from the original initiator'],
        [IKE_FLAG_VERSION, 'a higher version is spoken'],
        [IKE_FLAG_RESPONSE, 'response'],
      ]
  const set = names.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name)
  return set.length === 0 ? (v1 ? 'none' : 'request from the original responder') : set.join(', ')
}

export const ike: Header<IkeHeader> = defineHeader<IkeHeader>({
  name: 'ike',
  title: 'Internet Key Exchange',
  ref: 'RFC 7296 section 3.1',
  fields: {
    initiatorSpi: octets(8, "Initiator's SPI"),
    responderSpi: octets(8, "Responder's SPI"),
    nextPayload: uint(8, 'Next payload', { codes: ikePayloadNames }),
    majorVersion: uint(4, 'Major version'),
    minorVersion: uint(4, 'Minor version'),
    exchangeType: uint(8, 'Exchange type', { codes: ikeExchangeNames }),
    flags: uint(8, 'Flags', { show: 'hex', meaning: flagNames }),
    messageId: uint(32, 'Message ID'),
    length: uint(32, 'Length', { meaning: () => 'bytes, of the whole message' }),
  },
  extent: { field: 'length', of: ({ length }) => length },
})

export interface IkePayloadHeader {
  nextPayload: number
  critical: boolean
  reserved?: number
  /** Of the whole payload with this header. */
  length: number
}

export const IKE_PAYLOAD_HEADER_LENGTH = 4

export const ikePayload: Header<IkePayloadHeader> = defineHeader<IkePayloadHeader>({
  name: 'ikePayload',
  title: 'IKE payload header',
  ref: 'RFC 7296 section 3.2',
  fields: {
    nextPayload: uint(8, 'Next payload', { codes: ikePayloadNames }),
    critical: flag('Critical'),
    reserved: uint(7, 'Reserved'),
    length: uint(16, 'Payload length', { meaning: () => 'bytes, with this header' }),
  },
  extent: { field: 'length', of: ({ length }) => length },
})

export interface IkeProposalHeader {
  /** 2: another follows; 0: the last. */
  more: number
  reserved?: number
  length: number
  number: number
  protocol: number
  spiSize: number
  transforms: number
}

const moreNames =
  (more: number) =>
  (value: number): string =>
    value === 0 ? 'the last' : value === more ? 'another follows' : 'not allowed'

export const ikeProposal: Header<IkeProposalHeader> = defineHeader<IkeProposalHeader>({
  name: 'ikeProposal',
  title: 'Proposal',
  ref: 'RFC 7296 section 3.3.1',
  fields: {
    more: uint(8, 'Last substruct', { meaning: moreNames(2) }),
    reserved: uint(8, 'Reserved'),
    length: uint(16, 'Proposal length'),
    number: uint(8, 'Proposal number'),
    protocol: uint(8, 'Protocol', { codes: ikeProtocolNames }),
    spiSize: uint(8, 'SPI size'),
    transforms: uint(8, 'Number of transforms'),
  },
  extent: { field: 'length', of: ({ length }) => length },
})

export interface IkeTransformHeader {
  /** 3: another follows; 0: the last. */
  more: number
  reserved?: number
  length: number
  type: number
  reserved2?: number
  id: number
}

export const ikeTransform: Header<IkeTransformHeader> = defineHeader<IkeTransformHeader>({
  name: 'ikeTransform',
  title: 'Transform',
  ref: 'RFC 7296 section 3.3.2',
  fields: {
    more: uint(8, 'Last substruct', { meaning: moreNames(3) }),
    reserved: uint(8, 'Reserved'),
    length: uint(16, 'Transform length'),
    type: uint(8, 'Transform type', { codes: transformTypeNames }),
    reserved2: uint(8, 'Reserved'),
    id: uint(16, 'Transform ID', {
      codes: (header: object) => transformIdNames((header as IkeTransformHeader).type),
    }),
  },
  extent: { field: 'length', of: ({ length }) => length },
})

export interface IkeAttributeHeader {
  /** True: the value stands in place of the length. */
  short: boolean
  type: number
  value: number
}

/** RFC 7296 section 3.3.5: the key length is the only one. */
export const KEY_LENGTH_ATTRIBUTE = 14

export const ikeAttribute: Header<IkeAttributeHeader> = defineHeader<IkeAttributeHeader>({
  name: 'ikeAttribute',
  title: 'Transform attribute',
  ref: 'RFC 7296 section 3.3.5',
  fields: {
    short: flag('Attribute format', {
      meaning: (short) => (short ? 'type and value' : 'type, length, value'),
    }),
    type: uint(15, 'Attribute type', { codes: { [KEY_LENGTH_ATTRIBUTE]: 'key length' } }),
    value: uint(16, 'Value or length', {
      meaning: (_value, header) => ((header as IkeAttributeHeader).short ? undefined : 'bytes that follow'),
    }),
  },
})

const reserved = (bits: number): Field<number> =>
  uint(bits, 'Reserved', { meaning: (value) => (value === 0 ? undefined : 'must be zero') })

export interface IkeKeyExchangeHeader {
  method: number
  reserved?: number
}
export const ikeKeyExchange: Header<IkeKeyExchangeHeader> = defineHeader<IkeKeyExchangeHeader>({
  name: 'ikeKeyExchange',
  title: 'Key exchange',
  ref: 'RFC 7296 section 3.4',
  fields: { method: uint(16, 'Key exchange method', { codes: keyExchangeNames }), reserved: reserved(16) },
})

export interface IkeIdHeader {
  type: number
  reserved?: number
}
export const ikeId: Header<IkeIdHeader> = defineHeader<IkeIdHeader>({
  name: 'ikeId',
  title: 'Identification',
  ref: 'RFC 7296 section 3.5',
  fields: { type: uint(8, 'ID type', { codes: idTypeNames }), reserved: reserved(24) },
})

export interface IkeCertHeader {
  encoding: number
}
export const ikeCert: Header<IkeCertHeader> = defineHeader<IkeCertHeader>({
  name: 'ikeCert',
  title: 'Certificate',
  ref: 'RFC 7296 section 3.6',
  fields: { encoding: uint(8, 'Certificate encoding', { codes: certEncodingNames }) },
})

export interface IkeAuthHeader {
  method: number
  reserved?: number
}
export const ikeAuth: Header<IkeAuthHeader> = defineHeader<IkeAuthHeader>({
  name: 'ikeAuth',
  title: 'Authentication',
  ref: 'RFC 7296 section 3.8',
  fields: { method: uint(8, 'Auth method', { codes: authMethodNames }), reserved: reserved(24) },
})

export interface IkeNotifyHeader {
  protocol: number
  spiSize: number
  type: number
}
export const ikeNotify: Header<IkeNotifyHeader> = defineHeader<IkeNotifyHeader>({
  name: 'ikeNotify',
  title: 'Notify',
  ref: 'RFC 7296 section 3.10',
  fields: {
    protocol: uint(8, 'Protocol', { codes: ikeProtocolNames }),
    spiSize: uint(8, 'SPI size'),
    type: uint(16, 'Notify message type', { codes: notifyNames }),
  },
})

export interface IkeDeleteHeader {
  protocol: number
  spiSize: number
  spis: number
}
export const ikeDelete: Header<IkeDeleteHeader> = defineHeader<IkeDeleteHeader>({
  name: 'ikeDelete',
  title: 'Delete',
  ref: 'RFC 7296 section 3.11',
  fields: {
    protocol: uint(8, 'Protocol', { codes: ikeProtocolNames }),
    spiSize: uint(8, 'SPI size'),
    spis: uint(16, 'Number of SPIs'),
  },
})

export interface IkeTsHeader {
  selectors: number
  reserved?: number
}
export const ikeTs: Header<IkeTsHeader> = defineHeader<IkeTsHeader>({
  name: 'ikeTs',
  title: 'Traffic selectors',
  ref: 'RFC 7296 section 3.13',
  fields: { selectors: uint(8, 'Number of traffic selectors'), reserved: reserved(24) },
})

export interface IkeSelectorHeader {
  type: number
  /** 0: any. */
  protocol: number
  /** Of the whole selector. */
  length: number
  /** ICMP: type and code. */
  startPort: number
  endPort: number
}
export const IKE_SELECTOR_HEADER_LENGTH = 8

const icmpOrPort = (port: number, header: object): string | undefined =>
  [1, 58].includes((header as IkeSelectorHeader).protocol)
    ? `type ${port >> 8}, code ${port & 255}`
    : undefined

export const ikeSelector: Header<IkeSelectorHeader> = defineHeader<IkeSelectorHeader>({
  name: 'ikeSelector',
  title: 'Traffic selector',
  ref: 'RFC 7296 section 3.13.1',
  fields: {
    type: uint(8, 'TS type', { codes: selectorTypeNames }),
    protocol: uint(8, 'IP protocol', {
      meaning: (protocol) => (protocol === 0 ? 'any' : ipProtocolNames[protocol]),
    }),
    length: uint(16, 'Selector length'),
    startPort: uint(16, 'Start port', { meaning: icmpOrPort }),
    endPort: uint(16, 'End port', { meaning: icmpOrPort }),
  },
  extent: { field: 'length', of: ({ length }) => length },
})

export interface IkeConfigHeader {
  type: number
  reserved?: number
}
export const ikeConfig: Header<IkeConfigHeader> = defineHeader<IkeConfigHeader>({
  name: 'ikeConfig',
  title: 'Configuration',
  ref: 'RFC 7296 section 3.15',
  fields: { type: uint(8, 'CFG type', { codes: configTypeNames }), reserved: reserved(24) },
})

export interface IkeConfigAttributeHeader {
  reserved?: boolean
  type: number
  /** Of the value. */
  length: number
}
export const ikeConfigAttribute: Header<IkeConfigAttributeHeader> = defineHeader<IkeConfigAttributeHeader>({
  name: 'ikeConfigAttribute',
  title: 'Configuration attribute',
  ref: 'RFC 7296 section 3.15.1',
  fields: {
    reserved: flag('Reserved'),
    type: uint(15, 'Attribute type', { codes: configAttributeNames }),
    length: uint(16, 'Length'),
  },
  extent: { field: 'length', of: ({ length }) => 4 + length },
})

export interface IkeFragmentHeader {
  /** From 1. */
  number: number
  total: number
}
export const ikeFragment: Header<IkeFragmentHeader> = defineHeader<IkeFragmentHeader>({
  name: 'ikeFragment',
  title: 'Encrypted fragment',
  ref: 'RFC 7383 section 2.5',
  fields: { number: uint(16, 'Fragment number'), total: uint(16, 'Total fragments') },
  check: ({ number, total, start }) =>
    number >= 1 && number <= total
      ? undefined
      : new ParseError('ikeFragment', 'number', start, `${number} of ${total}`, '1 to the total'),
})

export interface IkeEapHeader {
  code: number
  identifier: number
  length: number
}
export const ikeEap: Header<IkeEapHeader> = defineHeader<IkeEapHeader>({
  name: 'ikeEap',
  title: 'Extensible authentication',
  ref: 'RFC 3748 section 4',
  fields: {
    code: uint(8, 'Code', { codes: { 1: 'request', 2: 'response', 3: 'success', 4: 'failure' } }),
    identifier: uint(8, 'Identifier'),
    length: uint(16, 'Length'),
  },
  extent: { field: 'length', of: ({ length }) => length },
})
