/**
 * A queue of bytes addressed by their distance from its head, which may have holes (out-of-order data is put
 * where it will belong). The block doubles as needed up to what callers put: they keep within their own capacity.
 */
export class Ring {
  #bytes: Uint8Array = new Uint8Array(0)
  #head = 0
  /** One past the farthest byte put, from the head. */
  #extent = 0

  /** Puts `data` at `offset` from the head. */
  put(offset: number, data: Uint8Array): void {
    const end = offset + data.length
    if (end > this.#bytes.length) this.#grow(end)
    if (end > this.#extent) this.#extent = end
    const size = this.#bytes.length
    if (size === 0) return
    const at = (this.#head + offset) % size
    const first = Math.min(data.length, size - at)
    this.#bytes.set(first === data.length ? data : data.subarray(0, first), at)
    if (first < data.length) this.#bytes.set(data.subarray(first), 0)
  }

  /** Copies `length` bytes from `offset` into `target` at `to`. */
  copy(offset: number, length: number, target: Uint8Array, to: number): void {
    const size = this.#bytes.length
    if (size === 0) return
    const at = (this.#head + offset) % size
    const first = Math.min(length, size - at)
    target.set(this.#bytes.subarray(at, at + first), to)
    if (first < length) target.set(this.#bytes.subarray(0, length - first), to + first)
  }

  /** Moves the head past `length` bytes. */
  drop(length: number): void {
    if (this.#bytes.length === 0) return
    this.#head = (this.#head + length) % this.#bytes.length
    this.#extent = Math.max(0, this.#extent - length)
  }

  /** Forgets everything and gives the memory back. */
  release(): void {
    this.#bytes = new Uint8Array(0)
    this.#head = 0
    this.#extent = 0
  }

  #grow(atLeast: number): void {
    let size = Math.max(4096, this.#bytes.length)
    while (size < atLeast) size *= 2
    const bytes = new Uint8Array(size)
    this.copy(0, this.#extent, bytes, 0)
    this.#bytes = bytes
    this.#head = 0
  }
}
