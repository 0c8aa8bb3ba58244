/** Pseudorandom functions and hashes through `node:crypto`. */
import { createHash, createHmac } from 'node:crypto'
import { AES_BLOCK } from '../cbc-mac.js'
import { aesMac } from '../node-provider.js'
import type { HashName, Prf, PrfName } from '../prf.js'
import { wipe } from '../wipe.js'

const HMACS: Partial<Record<PrfName, string>> = {
  PRF_HMAC_SHA1: 'sha1',
  PRF_HMAC_SHA2_256: 'sha256',
  PRF_HMAC_SHA2_384: 'sha384',
  PRF_HMAC_SHA2_512: 'sha512',
}

export function nodePrf(name: PrfName): Prf {
  const hash = HMACS[name]
  if (hash !== undefined)
    return (key, ...parts) => {
      const hmac = createHmac(hash, key)
      for (const part of parts) hmac.update(part)
      return new Uint8Array(hmac.digest())
    }
  const mac = name === 'PRF_AES128_XCBC' ? 'AUTH_AES_XCBC_96' : 'AUTH_AES_CMAC_96'
  return (key, ...parts) => {
    const message = Buffer.concat(parts)
    const fitted = fit(name, mac, key)
    const out = aesMac(mac, fitted, message)
    wipe(fitted, message)
    return out
  }
}

/**
 * RFC 4434 section 2: a short key is padded with zeros, a long one is run through the function with a key of zeros.
 * RFC 4615 section 3: any length but 16 is run through the function.
 */
function fit(name: PrfName, mac: 'AUTH_AES_XCBC_96' | 'AUTH_AES_CMAC_96', key: Uint8Array): Uint8Array {
  if (key.length === AES_BLOCK) return Uint8Array.from(key)
  if (name === 'PRF_AES128_XCBC' && key.length < AES_BLOCK) {
    const longer = new Uint8Array(AES_BLOCK)
    longer.set(key)
    return longer
  }
  return aesMac(mac, new Uint8Array(AES_BLOCK), key)
}

export function nodeHash(name: HashName, ...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash(name)
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}
