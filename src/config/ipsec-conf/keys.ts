/** Keys of manual SAs: read, measured, judged. What they are never stands in an error or a warning. */
import { refuse, type Token } from '../grammar/tokens.js'
import { ENCRYPTIONS, type EncryptionChoice, type IntegrityChoice } from './transforms.js'

/** Longest key file: a key of 1024 bits in hex, with some blanks. */
const KEY_FILE_LIMIT = 1024

/** Hexadecimal digits, with or without 0x. */
export function parseKey(hex: string, what: string, token: Token): Uint8Array {
  const digits = hex.startsWith('0x') ? hex.slice(2) : hex
  if (digits === '' || digits.length % 2 !== 0 || !/^[0-9a-fA-F]+$/.test(digits))
    refuse(token, 'CONFIG_KEY', `${what} is no key`, {
      found:
        digits === ''
          ? 'nothing'
          : /^[0-9a-fA-F]+$/.test(digits)
            ? `an odd number of digits (${digits.length})`
            : 'characters that are no hexadecimal digits',
      expected: '0x and two hexadecimal digits a byte',
    })
  const key = new Uint8Array(digits.length / 2)
  for (let i = 0; i < key.length; i++) key[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16)
  return key
}

/** The key in a file: hexadecimal digits, perhaps with a newline behind. */
export function parseKeyFile(text: string, what: string, token: Token): Uint8Array {
  if (text.length > KEY_FILE_LIMIT)
    refuse(token, 'CONFIG_KEY', `the file of ${what} is too long for a key`, {
      found: `${text.length} bytes`,
      expected: `at most ${KEY_FILE_LIMIT}`,
    })
  return parseKey(text.trim(), what, token)
}

const inBits = (lengths: readonly number[]): string => lengths.map((length) => 8 * length).join(', ')

/** @throws WarrenError CONFIG_KEY_LENGTH with found and expected in bits. */
export function checkKeyLength(
  key: Uint8Array,
  algorithm: EncryptionChoice | IntegrityChoice,
  what: 'authkey' | 'enckey',
  token: Token,
): void {
  if (algorithm.keyLengths.includes(key.length)) return
  const salted = 'counter' in algorithm && algorithm.counter
  const fitting =
    what === 'enckey'
      ? [...ENCRYPTIONS.values()].find(
          (one) => one.id === algorithm.id && one.keyLengths.length === 1 && one.keyLengths[0] === key.length,
        )
      : undefined
  refuse(token, 'CONFIG_KEY_LENGTH', `the ${what} of ${algorithm.name} has the wrong length`, {
    found: `${8 * key.length} bits`,
    expected: `${inBits(algorithm.keyLengths)} bits${salted ? ', the salt at the end included' : ''}`,
    mend:
      fitting === undefined
        ? `make one with: openssl rand -hex ${algorithm.keyLengths.at(-1)}`
        : `a key of this length is for enc ${fitting.name}`,
  })
}

/** What is plainly no secret: one byte over and over, or counting. */
export function isPatterned(key: Uint8Array): boolean {
  if (key.length < 4) return false
  const step = (key[1]! - key[0]! + 256) & 255
  if (key.every((byte, i) => i === 0 || ((byte - key[i - 1]! + 256) & 255) === step)) return true
  // A short word written again and again, as in deadbeefdeadbeef.
  for (const period of [2, 4, 8])
    if (key.length >= 2 * period && key.every((byte, i) => byte === key[i % period])) return true
  return false
}
