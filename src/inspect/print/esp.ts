/** ESP and AH: what is in clear. */
import { readUint16, readUint32 } from '../../base/index.js'
import { has, type Printing } from './printing.js'
import { hex } from './text.js'

/** RFC 4303 section 2: SPI and sequence number. */
export function printEsp(p: Printing, at: number, length: number): void {
  if (!has(p, at, 8)) {
    p.out += '[|esp]'
    return
  }
  const spi = hex(readUint32(p.bytes, at), 8)
  p.out += `esp spi 0x${spi} seq ${readUint32(p.bytes, at + 4)} len ${length}`
}

/** RFC 4302 section 2: next header, length, reserved, SPI, sequence number. */
export function printAh(p: Printing, at: number, length: number): void {
  if (!has(p, at, 12)) {
    p.out += '[|ah]'
    return
  }
  const spi = hex(readUint32(p.bytes, at + 4), 8)
  p.out += `ah spi 0x${spi} seq ${readUint32(p.bytes, at + 8)} len ${length}`
  if (p.verbose > 0 && readUint16(p.bytes, at + 2) !== 0) p.out += ' (reserved not zero)'
}
