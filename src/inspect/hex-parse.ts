/**
 * From pasted text back to bytes: bare hexadecimal, and the `-X`, `-XX` and `-x` blocks of OpenBSD's and Linux's
 * tcpdump, with their packet lines, one or several packets in one paste.
 */
import { WarrenError } from '../base/index.js'

export interface PastedPacket {
  readonly bytes: Uint8Array
  /** The packet line or lines that stood above the bytes, joined; '' if there were none. */
  readonly caption: string
  /** Line of the paste, counted from 1, where the bytes begin. */
  readonly line: number
}

/** `0000:` or `0x0000:` and what follows; the indentation is free. Other tools leave out the colon: two blanks. */
const addressed = /^\s*(?:0x)?([0-9a-fA-F]{4,8}):(?:\s+(.*)|\s*)$/
const addressedWithoutColon = /^\s*(?:0x)?([0-9a-fA-F]{4,8})\s{2,}(\S.*)$/
const groupsOnly = /^[0-9a-fA-F]{2,}(?:[\s:]+[0-9a-fA-F]{2,})*$/

/** The packets in a paste, in order; throws `WarrenError` where there is none, or where a dump contradicts itself. */
export function parseHexPaste(text: string): PastedPacket[] {
  const lines = text.split(/\r?\n/)
  const packets = lines.some((line) => addressed.test(line))
    ? parseBlocks(lines, addressed)
    : lines.some((line) => /^\s*0{4,8}\s{2,}[0-9a-fA-F]{2}\b/.test(line))
      ? parseBlocks(lines, addressedWithoutColon)
      : parseBare(lines)
  if (packets.length === 0)
    throw new WarrenError('INSPECT_NO_PACKET', 'no packet in this text', {
      expected: 'hexadecimal digits, or a block that tcpdump -X printed',
      mend: 'paste the lines that begin with 0000: or 0x0000:, or the digits alone',
    })
  return packets
}

function addressOf(line: string, form: RegExp): { address: number; rest: string } | undefined {
  const match = form.exec(line)
  if (match === null) return undefined
  return { address: Number.parseInt(match[1]!, 16), rest: match[2] ?? '' }
}

function parseBlocks(lines: readonly string[], form: RegExp): PastedPacket[] {
  const packets: PastedPacket[] = []
  let bytes: number[] = []
  let begun = 0
  let caption: string[] = []
  const close = (): void => {
    if (bytes.length > 0)
      packets.push({ bytes: Uint8Array.from(bytes), caption: caption.join(' '), line: begun })
    if (bytes.length > 0) caption = []
    bytes = []
  }
  for (const [i, line] of lines.entries()) {
    const found = addressOf(line, form)
    if (found === undefined || !startsWithHex(found.rest)) {
      close()
      if (line.trim() !== '') caption.push(line.trim())
      continue
    }
    if (found.address === 0) close()
    if (bytes.length === 0) begun = i + 1
    if (found.address !== bytes.length)
      throw new WarrenError('INSPECT_HEX_GAP', 'a line of the dump is missing or out of order', {
        where: `line ${i + 1}`,
        found: `address ${hex4(found.address)}`,
        expected: bytes.length === 0 ? '0000, the first line of a packet' : hex4(bytes.length),
        mend: 'paste the whole block of one packet, from 0000 on',
      })
    bytes.push(...rowBytes(found.rest))
  }
  close()
  return packets
}

const hex4 = (value: number): string => value.toString(16).padStart(4, '0')

const startsWithHex = (rest: string): boolean => /^[0-9a-fA-F]{2}/.test(rest)

/**
 * The bytes of one row. The ASCII column may itself look like hexadecimal, so the row is read by its shape: groups
 * of four digits (the last may be two) with one blank between, at most 16 bytes; two blanks end the digits. A row of
 * 16 bytes is full whatever follows.
 */
function rowBytes(rest: string): number[] {
  const bytes: number[] = []
  let at = 0
  while (bytes.length < 16) {
    const group = /^[0-9a-fA-F]+/.exec(rest.slice(at, at + 5))?.[0] ?? ''
    // Groups are 4 digits (tcpdump) or 2 (other tools); anything else is already the text column.
    if (group.length !== 4 && group.length !== 2) break
    const next = rest[at + group.length]
    if (next !== undefined && next !== ' ' && next !== '\t') break
    for (let i = 0; i < group.length; i += 2) bytes.push(Number.parseInt(group.slice(i, i + 2), 16))
    at += group.length
    // A group of two among groups of four is the odd last byte.
    const odd = group.length === 2 && bytes.length > 2 && rest[4] === ' '
    if (odd || rest[at] !== ' ' || rest[at + 1] === ' ' || rest[at + 1] === undefined) break
    at += 1
  }
  return bytes
}

function parseBare(lines: readonly string[]): PastedPacket[] {
  const packets: PastedPacket[] = []
  let digits = ''
  let begun = 0
  let caption: string[] = []
  const close = (): void => {
    if (digits === '') return
    if (digits.length % 2 !== 0)
      throw new WarrenError('INSPECT_HEX_ODD', 'half a byte is left over', {
        where: `line ${begun}`,
        found: `${digits.length} digits`,
        expected: 'an even number',
        mend: 'a digit was lost or doubled in copying',
      })
    const bytes = new Uint8Array(digits.length / 2)
    for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16)
    packets.push({ bytes, caption: caption.join(' '), line: begun })
    digits = ''
    caption = []
  }
  for (const [i, line] of lines.entries()) {
    const trimmed = line.trim().replace(/^0x(?=[0-9a-fA-F])/, '')
    if (trimmed === '') {
      close()
    } else if (groupsOnly.test(trimmed) || (digits !== '' && /^[0-9a-fA-F]$/.test(trimmed))) {
      if (digits === '') begun = i + 1
      digits += trimmed.replace(/[\s:]+/g, '')
    } else if (/^[0-9a-fA-F]$/.test(trimmed)) {
      begun = i + 1
      digits += trimmed
    } else {
      close()
      caption.push(trimmed)
    }
  }
  close()
  return packets
}
