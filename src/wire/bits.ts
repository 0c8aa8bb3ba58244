/** Bits at any offset, most significant first, as the standards' figures number them. */
import { readUint16, readUint32, writeUint16, writeUint32 } from '../base/index.js'

/** Reads up to 32 bits at any bit offset. */
export function readBits(bytes: Uint8Array, bitStart: number, count: number): number {
  const at = bitStart >>> 3
  if ((bitStart & 7) === 0) {
    if (count === 8) return bytes[at]!
    if (count === 16) return readUint16(bytes, at)
    if (count === 32) return readUint32(bytes, at)
  }
  const after = 8 - (bitStart & 7) - count
  if (after >= 0) return (bytes[at]! >>> after) & ((1 << count) - 1) // within one byte
  let value = 0
  for (let bit = bitStart; bit < bitStart + count; ) {
    const left = 8 - (bit & 7)
    const take = Math.min(left, bitStart + count - bit)
    value = value * 2 ** take + ((bytes[bit >>> 3]! >>> (left - take)) & (2 ** take - 1))
    bit += take
  }
  return value
}

/** Writes up to 32 bits at any bit offset, leaving the bits around them. */
export function writeBits(bytes: Uint8Array, bitStart: number, count: number, value: number): void {
  const at = bitStart >>> 3
  const aligned = (bitStart & 7) === 0
  if (aligned && count === 8) bytes[at] = value
  else if (aligned && count === 16) writeUint16(bytes, at, value)
  else if (aligned && count === 32) writeUint32(bytes, at, value)
  else if ((bitStart & 7) + count <= 8) {
    const after = 8 - (bitStart & 7) - count
    const mask = ((1 << count) - 1) << after
    bytes[at] = (bytes[at]! & ~mask) | ((value << after) & mask)
  } else writeLooseBits(bytes, bitStart, count, value)
}

function writeLooseBits(bytes: Uint8Array, bitStart: number, count: number, value: number): void {
  let left = count
  for (let bit = bitStart; left > 0; ) {
    const room = 8 - (bit & 7)
    const take = Math.min(room, left)
    const part = Math.floor(value / 2 ** (left - take)) % 2 ** take
    const shift = room - take
    const mask = (2 ** take - 1) << shift
    bytes[bit >>> 3] = (bytes[bit >>> 3]! & ~mask) | (part << shift)
    left -= take
    bit += take
  }
}

/** The same number with its bytes in the other order; `bits` is a multiple of 8, at most 32. */
export function swapBytes(value: number, bits: number): number {
  let swapped = 0
  for (let shift = 0; shift < bits; shift += 8) swapped = swapped * 256 + ((value >>> shift) & 0xff)
  return swapped
}
