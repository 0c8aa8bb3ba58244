/** Key derivation (RFC 7296 sections 2.14, 2.17, 2.18) and what authentication signs (section 2.15). */
import { nodePrf, PRFS, type Prf, type PrfName, prfPlus, wipe } from '../../crypto/index.js'
import { joined } from '../../wire/ike/index.js'
import { type Agreed, encryptionKeyLength, integrityKeyLength } from './suites.js'

/** The seven keys of an IKE SA. */
export interface IkeKeys {
  readonly d: Uint8Array
  readonly ai: Uint8Array
  readonly ar: Uint8Array
  readonly ei: Uint8Array
  readonly er: Uint8Array
  readonly pi: Uint8Array
  readonly pr: Uint8Array
}

export interface IkeNonces {
  readonly initiator: Uint8Array
  readonly responder: Uint8Array
}
export interface IkeSpis {
  readonly initiator: Uint8Array
  readonly responder: Uint8Array
}

/** RFC 7296 section 2.14: the key of SKEYSEED. A function whose key has one length takes half of it from each nonce. */
function nonceKey(prf: PrfName, { initiator, responder }: IkeNonces): Uint8Array {
  const { fixedKey, keyLength } = PRFS[prf]
  return fixedKey
    ? joined(initiator.subarray(0, keyLength / 2), responder.subarray(0, keyLength / 2))
    : joined(initiator, responder)
}

/** The keys of the first IKE SA. `agreed` has a PRF. */
export function deriveIkeKeys(agreed: Agreed, secret: Uint8Array, nonces: IkeNonces, spis: IkeSpis): IkeKeys {
  const prf = nodePrf(agreed.prf!)
  const seed = prf(nonceKey(agreed.prf!, nonces), secret)
  return expand(agreed, prf, seed, nonces, spis)
}

/** The keys of an IKE SA that takes over from another (RFC 7296 section 2.18): `old` is that one's. `additional`: RFC 9370 section 2.2.4. */
export function deriveRekeyedIkeKeys(
  agreed: Agreed,
  old: { readonly prf: PrfName; readonly d: Uint8Array },
  secret: Uint8Array,
  nonces: IkeNonces,
  spis: IkeSpis,
  additional: readonly Uint8Array[] = [],
): IkeKeys {
  const seed = nodePrf(old.prf)(old.d, secret, nonces.initiator, nonces.responder, ...additional)
  return expand(agreed, nodePrf(agreed.prf!), seed, nonces, spis)
}

function expand(agreed: Agreed, prf: Prf, seed: Uint8Array, nonces: IkeNonces, spis: IkeSpis): IkeKeys {
  const prfLength = PRFS[agreed.prf!].keyLength
  const integrity = agreed.integrity === undefined ? 0 : integrityKeyLength(agreed.integrity)
  const encryption = encryptionKeyLength(agreed.encryption!)
  const lengths = [prfLength, integrity, integrity, encryption, encryption, prfLength, prfLength]
  const total = lengths.reduce((sum, length) => sum + length, 0)
  const salt = joined(nonces.initiator, nonces.responder, spis.initiator, spis.responder)
  const material = prfPlus(prf, seed, salt, total)
  const [d, ai, ar, ei, er, pi, pr] = cut(material, lengths)
  wipe(seed, material)
  return { d: d!, ai: ai!, ar: ar!, ei: ei!, er: er!, pi: pi!, pr: pr! }
}

function cut(material: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  let at = 0
  return lengths.map((length) => {
    const part = material.slice(at, at + length)
    at += length
    return part
  })
}

/** Keys of one direction of a child: what `SaSpec` takes. */
export interface ChildKeys {
  readonly encryption: Uint8Array
  readonly integrity: Uint8Array
}

/**
 * RFC 7296 section 2.17: first what the initiator of the exchange sends with, then the responder; of each the encryption
 * before the integrity. `secret`: of a key exchange of its own.
 */
export function deriveChildKeys(
  prf: PrfName,
  d: Uint8Array,
  agreed: Agreed,
  nonces: IkeNonces,
  secret?: Uint8Array,
  additional: readonly Uint8Array[] = [],
): { readonly initiator: ChildKeys; readonly responder: ChildKeys } {
  const encryption = agreed.encryption === undefined ? 0 : encryptionKeyLength(agreed.encryption)
  const integrity = agreed.integrity === undefined ? 0 : integrityKeyLength(agreed.integrity)
  const seed = joined(secret ?? new Uint8Array(0), nonces.initiator, nonces.responder, ...additional)
  const material = prfPlus(nodePrf(prf), d, seed, 2 * (encryption + integrity))
  const [ei, ai, er, ar] = cut(material, [encryption, integrity, encryption, integrity])
  wipe(material, seed)
  return {
    initiator: { encryption: ei!, integrity: ai! },
    responder: { encryption: er!, integrity: ar! },
  }
}

/**
 * What one side signs (RFC 7296 section 2.15): its own first message, the other's nonce, and its identity under its own
 * key. `id`: the body of the ID payload. `intermediate`: RFC 9242 section 3.3.2.
 */
export function signedOctets(
  prf: PrfName,
  message: Uint8Array,
  nonce: Uint8Array,
  key: Uint8Array,
  id: Uint8Array,
  intermediate?: Uint8Array,
): Uint8Array {
  return joined(message, nonce, nodePrf(prf)(key, id), intermediate ?? new Uint8Array(0))
}

const KEY_PAD = new TextEncoder().encode('Key Pad for IKEv2')

/** RFC 7296 section 2.15: the AUTH of a shared secret (or of an EAP method's key). */
export function sharedKeyAuth(prf: PrfName, secret: Uint8Array, octets: Uint8Array): Uint8Array {
  const compute = nodePrf(prf)
  const key = compute(secret, KEY_PAD)
  const auth = compute(key, octets)
  wipe(key)
  return auth
}

export function wipeIkeKeys({ d, ai, ar, ei, er, pi, pr }: IkeKeys): void {
  wipe(d, ai, ar, ei, er, pi, pr)
}
