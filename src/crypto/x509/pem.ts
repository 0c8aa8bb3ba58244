/** PEM (RFC 7468): blocks of text with a label, as files of keys and certificates have them. */

export interface PemBlock {
  /** `CERTIFICATE`, `PUBLIC KEY`, … */
  readonly label: string
  readonly bytes: Uint8Array
}

/** Every block of a file; what stands around them is explanation. A block that is no Base64 is left out. */
export function readPem(text: string): PemBlock[] {
  const blocks: PemBlock[] = []
  for (const match of text.matchAll(/-----BEGIN ([A-Z0-9 ]{1,40})-----\s([^-]*)-----END \1-----/g)) {
    const bytes = fromBase64(match[2]!.replace(/\s+/g, ''))
    if (bytes !== undefined) blocks.push({ label: match[1]!, bytes })
  }
  return blocks
}

export function writePem(label: string, bytes: Uint8Array): string {
  const lines = toBase64(bytes).match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

function fromBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined
  const digits = text.replace(/=+$/, '')
  const bytes = new Uint8Array((digits.length * 6) >> 3)
  let value = 0
  let bits = 0
  let at = 0
  for (const digit of digits) {
    value = ((value << 6) | ALPHABET.indexOf(digit)) & 0xffff
    bits += 6
    if (bits < 8) continue
    bits -= 8
    bytes[at++] = value >> bits
  }
  return bytes
}

function toBase64(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += 3) {
    const group = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0)
    const left = bytes.length - i
    for (let digit = 0; digit < 4; digit++)
      text += digit > left ? '=' : ALPHABET[(group >> (18 - 6 * digit)) & 63]!
  }
  return text
}
