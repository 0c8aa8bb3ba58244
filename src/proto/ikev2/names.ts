/** What people call algorithms: iked.conf(5)'s words, which errors and status speak too. */
import {
  type IkeTransform,
  TransformType,
  transformIdNames,
  transformTypeNames,
} from '../../wire/ike/index.js'

const ENCRYPTIONS: Readonly<Record<number, string>> = {
  3: '3des',
  11: 'null',
  12: 'aes',
  13: 'aes-ctr',
  14: 'aes-ccm-8',
  15: 'aes-ccm-12',
  16: 'aes-ccm-16',
  18: 'aes-gcm-8',
  19: 'aes-gcm-12',
  20: 'aes-gcm',
  21: 'aes-gmac',
  28: 'chacha20-poly1305',
}
const INTEGRITIES: Readonly<Record<number, string>> = {
  1: 'hmac-md5',
  2: 'hmac-sha1',
  5: 'aes-xcbc',
  8: 'aes-cmac',
  12: 'hmac-sha2-256',
  13: 'hmac-sha2-384',
  14: 'hmac-sha2-512',
}
/** Key exchange methods by IANA's number; 1035 is of the private range, as OpenIKED has it. */
export const GROUP_WORDS: Readonly<Record<number, string>> = {
  0: 'none',
  2: 'modp1024',
  5: 'modp1536',
  14: 'modp2048',
  15: 'modp3072',
  16: 'modp4096',
  17: 'modp6144',
  18: 'modp8192',
  19: 'ecp256',
  20: 'ecp384',
  21: 'ecp521',
  31: 'curve25519',
  32: 'curve448',
  35: 'mlkem512',
  36: 'mlkem768',
  37: 'mlkem1024',
  1035: 'sntrup761x25519',
}
const PRFS: Readonly<Record<number, string>> = {
  1: 'hmac-md5',
  2: 'hmac-sha1',
  4: 'aes-xcbc',
  5: 'hmac-sha2-256',
  6: 'hmac-sha2-384',
  7: 'hmac-sha2-512',
  8: 'aes-cmac',
}

/** `aes-256`, `aes-256-gcm`, `hmac-sha2-256`, `modp2048`, `esn`; IANA's name or the number for what has no word. */
export function describeTransform({ type, id, keyLength, attributes }: IkeTransform): string {
  const other = attributes === undefined ? '' : ' with attributes that nobody knows'
  return `${wordOf(type, id, keyLength)}${other}`
}

function wordOf(type: number, id: number, keyLength: number | undefined): string {
  const plain = transformIdNames(type)?.[id] ?? `${transformTypeNames[type] ?? `type ${type}`} ${id}`
  switch (type) {
    case TransformType.encr: {
      const word = ENCRYPTIONS[id]
      if (word === undefined) return keyLength === undefined ? plain : `${plain} ${keyLength}`
      return keyLength === undefined ? word : word.replace(/^aes/, `aes-${keyLength}`)
    }
    case TransformType.integ:
      return INTEGRITIES[id] ?? plain
    case TransformType.prf:
      return PRFS[id] ?? plain
    case TransformType.esn:
      return id === 1 ? 'esn' : id === 0 ? 'noesn' : plain
    default:
      return GROUP_WORDS[id] ?? plain
  }
}

/** `a | b | c`, each once; `nothing` of an empty list. */
export const listOf = (words: readonly string[]): string =>
  words.length === 0 ? 'nothing' : [...new Set(words)].join(' | ')
