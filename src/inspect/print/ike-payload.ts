/** What stands in a payload of IKEv2, in the form of OpenBSD's print-ike.c. */
import { hexOf } from '../../wire/field.js'
import {
  authMethodNames,
  CertEncoding,
  certEncodingNames,
  configAttributeNames,
  configTypeNames,
  type IkePayload,
  type IkeProposal,
  IkeProtocol,
  type IkeSelector,
  ikeProtocolNames,
  keyExchangeNames,
  notifyNames,
  transformIdNames,
  transformTypeNames,
  writeSelectors,
} from '../../wire/ike/index.js'
import { configText } from '../dissect/ike-bodies.js'
import { algorithmText, certificateNames, identityText, selectorText, vendorText } from '../ike/text.js'

/** OpenBSD's names of identity types. */
const ID_TYPES: Readonly<Record<number, string>> = {
  1: 'IPV4_ADDR',
  2: 'FQDN',
  3: 'USER_FQDN',
  5: 'IPV6_ADDR',
  9: 'DER_ASN1_DN',
  10: 'DER_ASN1_GN',
  11: 'KEY_ID',
  13: 'NULL',
}

const hex = (bytes: Uint8Array): string => hexOf(bytes, 0, bytes.length)
const spiText = (spi: Uint8Array): string => (spi.length === 0 ? '' : ` SPI: 0x${hex(spi)}`)

/** `line`: a new line, one level deeper than the payload's own. */
export function payloadText(payload: IkePayload, line: string): string {
  switch (payload.kind) {
    case 'SA':
      return payload.proposals.map((proposal) => proposalText(proposal, line)).join('')
    case 'KE':
      return ` group: ${keyExchangeNames[payload.method] ?? `${payload.method} (unknown)`}`
    case 'IDi':
    case 'IDr':
      return identity(payload.type, payload.data)
    case 'CERT':
    case 'CERTREQ':
      return certificate(payload.kind, payload.encoding, payload.data)
    case 'AUTH':
      return authentication(payload.method, payload.data)
    case 'N': {
      const type = notifyNames[payload.type] ?? `${payload.type} (unknown)`
      const protocol = payload.spi.length === 0 ? '' : ` proto: ${ikeProtocolNames[payload.protocol] ?? '?'}`
      return ` notification: ${type}${protocol}${spiText(payload.spi)}`
    }
    case 'D': {
      const spis = payload.spis.map((spi) => `${line}SPI: 0x${hex(spi)}`).join('')
      return ` proto: ${ikeProtocolNames[payload.protocol] ?? '?'} nspis: ${payload.spis.length}${spis}`
    }
    case 'V': {
      const text = vendorText(payload.data, 0, payload.data.length)
      return text === undefined ? '' : ` ${text}`
    }
    case 'TSi':
    case 'TSr':
      return payload.selectors.map((selector) => `${line}${selectorLine(selector)}`).join('')
    case 'CP':
      return ` type: ${configTypeNames[payload.type] ?? '<unknown>'}${payload.attributes
        .map(({ type, value }) => `${line}attribute ${attributeText(type, value)}`)
        .join('')}`
    case 'EAP':
      return ` code: ${payload.data[0]} id: ${payload.data[1]}`
    case 'unknown':
      return ` type: ${payload.type}`
    case 'Nonce':
    case 'SK':
    case 'SKF':
      return ''
  }
}

function proposalText({ number, protocol, spi, transforms }: IkeProposal, line: string): string {
  const name = protocol === IkeProtocol.ike ? 'IKE' : (ikeProtocolNames[protocol] ?? '(unknown)')
  const head = `${line}proposal: ${number} proto: ${name} spisz: ${spi.length} xforms: ${transforms.length}`
  const lines = transforms.map(({ type, id, keyLength, attributes = [] }) => {
    const kind = transformTypeNames[type] ?? `${type}(unknown)`
    const what = transformIdNames(type)?.[id] ?? `${id}(unknown)`
    const length = keyLength === undefined ? '' : ` KEY_LENGTH = ${keyLength}`
    const others = attributes.map((one) => ` attribute ${one.type}`).join('')
    return `${line}    transform: ${kind} ID: ${what}${length}${others}`
  })
  return `${head}${spiText(spi)}${lines.join('')}`
}

function identity(type: number, data: Uint8Array): string {
  const what = identityText(type, data, 0, data.length)
  const text = 'text' in what ? (type === 1 || type === 5 ? what.text : `"${what.text}"`) : '[|payload]'
  return ` type: ${ID_TYPES[type] ?? '<unknown>'} = ${text}`
}

function certificate(kind: 'CERT' | 'CERTREQ', encoding: number, data: Uint8Array): string {
  const head = ` encoding: ${certEncodingNames[encoding] ?? `${encoding} (unknown)`}`
  if (encoding !== CertEncoding.x509) return head
  if (kind === 'CERTREQ') return `${head} authorities: ${Math.floor(data.length / 20)}`
  const names = certificateNames(data)
  return names === undefined ? head : `${head} subject: ${names.subject}`
}

function authentication(method: number, data: Uint8Array): string {
  const head = ` method: ${authMethodNames[method] ?? `${method} (unknown)`}`
  const length = data[0] ?? 0
  return method === 14 && data.length > length ? `${head}, ${algorithmText(data, 1, 1 + length)}` : head
}

function selectorLine(selector: IkeSelector): string {
  const bytes = writeSelectors([selector])
  return selectorText(bytes, 0, bytes.length) ?? `type ${selector.type} (unknown)`
}

function attributeText(type: number, value: Uint8Array): string {
  const name = configAttributeNames[type] ?? '<unknown>'
  if (value.length === 0) return `${name} = <none>`
  return `${name} = ${configText(type, value, 0, value.length) ?? hex(value)}`
}
