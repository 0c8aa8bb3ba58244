/** Private keys as other programs' files have them. */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { WarrenError } from '../../base/index.js'

const read = (pem: string, passphrase?: string): KeyObject => {
  try {
    return createPrivateKey(passphrase === undefined ? pem : { key: pem, passphrase })
  } catch {
    throw new WarrenError('CRYPTO_KEY', 'a private key that cannot be read', {
      mend: passphrase === undefined ? 'look whether it is PEM' : 'look whether the pass phrase is its own',
    })
  }
}

/** As `openssl genrsa` and `ecparam -genkey` wrote them before PKCS #8: PKCS #1 of RSA, SEC 1 of a curve. Throws `CRYPTO_KEY`. */
export function traditionalPrivateKey(pem: string): string {
  const key = read(pem)
  const type = key.asymmetricKeyType === 'rsa' ? 'pkcs1' : key.asymmetricKeyType === 'ec' ? 'sec1' : 'pkcs8'
  return key.export({ format: 'pem', type }) as string
}

/** PKCS #8 under a pass phrase (AES-256-CBC). Throws `CRYPTO_KEY`. */
export const encryptPrivateKey = (pem: string, passphrase: string): string =>
  read(pem).export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase }) as string

/** PKCS #8 in the clear. Throws `CRYPTO_KEY`. */
export const decryptPrivateKey = (pem: string, passphrase: string): string =>
  read(pem, passphrase).export({ format: 'pem', type: 'pkcs8' }) as string
