/** The computations of MS-CHAPv2 (RFC 2759 section 8) and of the keys that follow from it (RFC 3079 section 3). */
import { desEncrypt, desKeyOf, md4, sha1 } from '../../crypto/index.js'

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text)

/** RFC 2759 section 8.3: MD4 of the password in UTF-16, little-endian. */
export function passwordHash(password: string): Uint8Array {
  const bytes = new Uint8Array(2 * password.length)
  for (let i = 0; i < password.length; i++) {
    bytes[2 * i] = password.charCodeAt(i) & 0xff
    bytes[2 * i + 1] = password.charCodeAt(i) >> 8
  }
  const hash = md4(bytes)
  bytes.fill(0)
  return hash
}

/** RFC 2759 section 8.2. A domain before the user's name does not count: `EXAMPLE\alice` is alice. */
export const challengeHash = (
  peerChallenge: Uint8Array,
  serverChallenge: Uint8Array,
  userName: string,
): Uint8Array =>
  sha1(peerChallenge, serverChallenge, ascii(userName.slice(userName.lastIndexOf('\\') + 1))).subarray(0, 8)

/** RFC 2759 section 8.5: 24 bytes. */
export function challengeResponse(challenge: Uint8Array, hash: Uint8Array): Uint8Array {
  const padded = new Uint8Array(21)
  padded.set(hash)
  const response = new Uint8Array(24)
  for (let i = 0; i < 3; i++)
    response.set(desEncrypt(desKeyOf(padded.subarray(7 * i, 7 * i + 7)), challenge), 8 * i)
  return response
}

/** RFC 2759 section 8.7: how the server proves that it knows the password; `S=` and 40 hexadecimal digits. */
export function authenticatorResponse(hash: Uint8Array, response: Uint8Array, challenge: Uint8Array): string {
  const first = sha1(md4(hash), response, ascii('Magic server to client signing constant'))
  const digest = sha1(first, challenge, ascii('Pad to make it do more than one iteration'))
  return `S=${Array.from(digest, (byte) => byte.toString(16).padStart(2, '0'))
    .join('')
    .toUpperCase()}`
}

/**
 * The MSK of 64 bytes: the server's receiving key, its sending key (RFC 3079 section 3.4, 128 bits each) and zeros, as every
 * implementation of EAP-MSCHAPv2 has it.
 */
export function masterSessionKey(hash: Uint8Array, response: Uint8Array): Uint8Array {
  const master = sha1(md4(hash), response, ascii('This is the MPPE Master Key')).subarray(0, 16)
  const start = (text: string): Uint8Array =>
    sha1(master, new Uint8Array(40), ascii(text), new Uint8Array(40).fill(0xf2)).subarray(0, 16)
  const key = new Uint8Array(64)
  key.set(start('On the client side, this is the send key; on the server side, it is the receive key.'))
  key.set(start('On the client side, this is the receive key; on the server side, it is the send key.'), 16)
  return key
}
