/**
 * Algorithms of IKE SAs and of their children: what a policy allows, how it is offered, and what was agreed upon. Under
 * IANA's names; what a file calls them is in names.ts.
 */
import {
  AEADS,
  CIPHERS,
  type EncryptionName,
  encryptionAlgorithm,
  encryptionById,
  isAead,
  KEY_EXCHANGES,
  type KeyExchangeName,
  keyExchangeById,
  MACS,
  type MacName,
  macById,
  PRFS,
  type PrfName,
  prfById,
} from '../../crypto/index.js'
import { type IkeProposal, IkeProtocol, type IkeTransform, TransformType } from '../../wire/ike/index.js'
import { agreedSlots, offeredSlots } from './additional.js'

/** An encryption with its key length; ciphers of one length have no length on the wire. */
export interface Encryption {
  readonly name: EncryptionName
  readonly keyBits: number
}

/** What a policy allows for one SA: any of each list, the first ones rather. */
export interface Suite {
  readonly encryption: readonly Encryption[]
  /** For encryptions that have no integrity of their own. */
  readonly integrity: readonly MacName[]
  /** IKE alone. */
  readonly prf: readonly PrfName[]
  /** IKE: at least one. A child's: none means that its rekeying makes no key exchange of its own. */
  readonly keyExchange: readonly KeyExchangeName[]
  /** By slot (RFC 9370): methods that are exchanged behind it, none twice; NONE among them: it may be left out. */
  readonly additional?: readonly (readonly (KeyExchangeName | 'NONE')[])[]
  /** A child's alone: extended sequence numbers. */
  readonly esn: readonly boolean[]
}

export type SaProtocol = 'ike' | 'esp' | 'ah'

/** What two ends have agreed upon. */
export interface Agreed {
  readonly protocol: SaProtocol
  /** Not of AH. */
  readonly encryption?: Encryption
  readonly integrity?: MacName
  readonly prf?: PrfName
  readonly keyExchange?: KeyExchangeName
  /** In the order of their slots. */
  readonly additional?: readonly Additional[]
  readonly esn: boolean
}

/** A slot of transform types 6 to 12, from 1, and what was chosen for it. */
export interface Additional {
  readonly slot: number
  readonly name: KeyExchangeName | 'NONE'
}

export const PROTOCOL_IDS: Readonly<Record<SaProtocol, number>> = {
  ike: IkeProtocol.ike,
  ah: IkeProtocol.ah,
  esp: IkeProtocol.esp,
}

/** RFC 7296 section 3.3.5: the attribute must not be there for ciphers whose keys have one length. */
const hasKeyLength = (name: EncryptionName): boolean => encryptionAlgorithm(name).keyLengths.length > 1

const encryptionTransform = ({ name, keyBits }: Encryption): IkeTransform => ({
  type: TransformType.encr,
  id: encryptionAlgorithm(name).id,
  ...(hasKeyLength(name) ? { keyLength: keyBits } : {}),
})

/**
 * The proposals that offer a suite. RFC 7296 section 3.3: encryptions with integrity of their own and those without do
 * not fit into one proposal. `number`: of the first.
 */
export function proposalsOf(
  suite: Suite,
  protocol: SaProtocol,
  spi: Uint8Array,
  number: number,
): IkeProposal[] {
  const aeads = suite.encryption.filter(({ name }) => isAead(name))
  const ciphers = suite.encryption.filter(({ name }) => !isAead(name))
  const common: IkeTransform[] = [
    ...(protocol === 'ike' ? suite.prf.map((name) => ({ type: TransformType.prf, id: PRFS[name].id })) : []),
    ...suite.keyExchange.map((name) => ({ type: TransformType.ke, id: KEY_EXCHANGES[name].id })),
    ...offeredSlots(suite),
    ...(protocol === 'ike' ? [] : suite.esn.map((esn) => ({ type: TransformType.esn, id: esn ? 1 : 0 }))),
  ]
  const integrity = suite.integrity.map((name) => ({ type: TransformType.integ, id: MACS[name].id }))
  const bodies: IkeTransform[][] = []
  if (protocol === 'ah') bodies.push([...integrity, ...common])
  else {
    if (aeads.length > 0) bodies.push([...aeads.map(encryptionTransform), ...common])
    if (ciphers.length > 0) bodies.push([...ciphers.map(encryptionTransform), ...integrity, ...common])
  }
  return bodies.map((transforms, i) => ({
    number: number + i,
    protocol: PROTOCOL_IDS[protocol],
    spi,
    transforms,
  }))
}

/** One transform of what was agreed upon: what a responder answers with. */
export function transformsOf(agreed: Agreed): IkeTransform[] {
  const { encryption, integrity, prf, keyExchange, esn, protocol } = agreed
  return [
    ...(encryption === undefined ? [] : [encryptionTransform(encryption)]),
    ...(prf === undefined ? [] : [{ type: TransformType.prf, id: PRFS[prf].id }]),
    ...(integrity === undefined ? [] : [{ type: TransformType.integ, id: MACS[integrity].id }]),
    ...(keyExchange === undefined ? [] : [{ type: TransformType.ke, id: KEY_EXCHANGES[keyExchange].id }]),
    ...agreedSlots(agreed),
    ...(protocol === 'ike' ? [] : [{ type: TransformType.esn, id: esn ? 1 : 0 }]),
  ]
}

/** The encryption that a transform names, if Warren has it with that key length. */
export function encryptionOf({ id, keyLength, attributes }: IkeTransform): Encryption | undefined {
  const algorithm = encryptionById(id)
  if (algorithm === undefined || attributes !== undefined) return undefined
  const { name, keyLengths } = algorithm
  if (hasKeyLength(name))
    return keyLength !== undefined && keyLength % 8 === 0 && keyLengths.includes(keyLength / 8)
      ? { name, keyBits: keyLength }
      : undefined
  // Some peers send the attribute all the same; the one length that there is does no harm.
  const bits = keyLengths[0]! * 8
  return keyLength === undefined || keyLength === bits ? { name, keyBits: bits } : undefined
}

export const integrityOf = ({ id, attributes }: IkeTransform): MacName | undefined =>
  attributes === undefined ? macById(id)?.name : undefined
export const prfOf = ({ id, attributes }: IkeTransform): PrfName | undefined =>
  attributes === undefined ? prfById(id)?.name : undefined
export const keyExchangeOf = ({ id, attributes }: IkeTransform): KeyExchangeName | undefined =>
  attributes === undefined ? keyExchangeById(id)?.name : undefined

/** Keying material of the encryption: key and salt (RFC 4106 section 8.1 and its like), in bytes. */
export const encryptionKeyLength = ({ name, keyBits }: Encryption): number =>
  keyBits / 8 + (isAead(name) ? AEADS[name] : CIPHERS[name]).saltLength

export const integrityKeyLength = (name: MacName): number => MACS[name].keyLengths[0]!
