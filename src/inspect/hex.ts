/** Hexadecimal dumps in the forms of OpenBSD's tcpdump: `-X` (with ASCII), `-x` (without), `-A` (text alone). */

export type DumpForm = 'hexl' | 'hex' | 'ascii'

export interface HexDumpOptions {
  readonly form?: DumpForm
  /** In front of each line of `hexl`; OpenBSD puts two blanks. */
  readonly indent?: string
  /** Address printed for the first byte. */
  readonly base?: number
}

const hexPairs: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, '0'),
)

const printable = (byte: number): string => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')

/**
 * The dump of all of `bytes`, lines separated by a newline, without a newline at the end; '' for no bytes.
 *
 * `hexl`: `  0000: 4500 0068 3dc1 0000 4004 b97d c0a8 0101  E..h=...@..}....`, the ASCII column where OpenBSD has it.
 */
export function hexDump(bytes: Uint8Array, options: HexDumpOptions = {}): string {
  switch (options.form ?? 'hexl') {
    case 'hexl':
      return hexl(bytes, options.indent ?? '  ', options.base ?? 0)
    case 'hex':
      return plainHex(bytes)
    case 'ascii':
      return asciiText(bytes)
  }
}

function hexl(bytes: Uint8Array, indent: string, base: number): string {
  const lines: string[] = []
  for (let at = 0; at < bytes.length; at += 16) {
    let digits = ''
    let text = ''
    for (let i = at; i < at + 16; i++) {
      const byte = bytes[i]
      digits += byte === undefined ? '  ' : hexPairs[byte]!
      if (i % 2 === 1) digits += ' '
      if (byte !== undefined) text += printable(byte)
    }
    lines.push(`${indent}${(base + at).toString(16).padStart(4, '0')}: ${digits} ${text}`)
  }
  return lines.join('\n')
}

function plainHex(bytes: Uint8Array): string {
  const lines: string[] = []
  for (let at = 0; at < bytes.length; at += 16) {
    let line = '\t\t\t'
    for (let i = at; i < Math.min(at + 16, bytes.length); i += 2) {
      line += ` ${hexPairs[bytes[i]!]!}`
      if (i + 1 < bytes.length) line += hexPairs[bytes[i + 1]!]!
    }
    lines.push(line)
  }
  return lines.join('\n')
}

function asciiText(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes)
    text += byte === 9 || byte === 10 || byte === 13 ? String.fromCharCode(byte) : printable(byte)
  return text
}
