/** Text of addresses, straight from packet bytes. */
import { readUint16 } from '../../base/index.js'

export const ip4Text = (bytes: Uint8Array, at: number): string =>
  `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`

/** RFC 5952, and `::ffff:a.b.c.d` for mapped addresses; equal to `Ipv6Address.toString`, without the object. */
export function ip6Text(bytes: Uint8Array, at: number): string {
  let bestAt = -1
  let bestLength = 1
  let run = 0
  for (let i = 0; i < 8; i++) {
    run = readUint16(bytes, at + 2 * i) === 0 ? run + 1 : 0
    if (run > bestLength) {
      bestLength = run
      bestAt = i - run + 1
    }
  }
  if (bestAt === 0 && bestLength === 5 && readUint16(bytes, at + 10) === 0xffff)
    return `::ffff:${ip4Text(bytes, at + 12)}`
  let text = ''
  for (let i = 0; i < 8; i++) {
    if (i === bestAt) {
      text += '::'
      i += bestLength - 1
      continue
    }
    if (text !== '' && !text.endsWith('::')) text += ':'
    text += readUint16(bytes, at + 2 * i).toString(16)
  }
  return text
}

export function macText(bytes: Uint8Array, at: number): string {
  let text = ''
  for (let i = at; i < at + 6; i++) text += (i === at ? '' : ':') + bytes[i]!.toString(16).padStart(2, '0')
  return text
}

export const hex = (value: number, digits = 0): string => value.toString(16).padStart(digits, '0')
