/** Bytes of a file as they come: what is not consumed yet moves to the front of one buffer that grows as needed. */
export class ChunkBuffer {
  bytes: Uint8Array = new Uint8Array(0)
  /** First byte not consumed. */
  at = 0
  /** One past the last byte there is. */
  end = 0
  /** Offset in the file of `bytes[0]`. */
  fileOffset = 0

  push(chunk: Uint8Array): void {
    this.room(chunk.length).set(chunk)
    this.filled(chunk.length)
  }

  /** Space for the next `size` bytes, to be read into; then `filled` says how many came. */
  room(size: number): Uint8Array {
    const left = this.end - this.at
    if (left + size > this.bytes.length) {
      const grown = new Uint8Array(Math.max(left + size, 2 * left))
      grown.set(this.bytes.subarray(this.at, this.end))
      this.bytes = grown
    } else if (left > 0) {
      this.bytes.copyWithin(0, this.at, this.end)
    }
    this.fileOffset += this.at
    this.at = 0
    this.end = left
    return this.bytes.subarray(left, left + size)
  }

  filled(length: number): void {
    this.end += length
  }

  get available(): number {
    return this.end - this.at
  }

  /** Offset in the file of the first byte not consumed. */
  get position(): number {
    return this.fileOffset + this.at
  }
}
