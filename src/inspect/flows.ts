/**
 * TCP conversations seen so far, so that sequence numbers can be printed relative to the first of each direction.
 *
 * Both directions share an entry, found by open addressing in typed arrays: no allocation a packet. A capture can
 * hold any number of conversations, so the table is bounded: at `FLOW_LIMIT` it forgets all and begins anew, and
 * numbers are then relative to the first segment seen since.
 */
import { readUint16, readUint32 } from '../base/index.js'

export const FLOW_LIMIT = 65_536
const FIRST_CAPACITY = 1024

/** Both families, each with keys of its own length. */
export class FlowTable {
  readonly #four = new Conversations(3)
  readonly #six = new Conversations(9)
  /** Set by `relate`: what to take from the segment's sequence and acknowledgment numbers. */
  sequenceBase = 0
  acknowledgmentBase = 0
  /** What to take from the edges of a SACK option of the segment last related. */
  sackBase = 0

  /**
   * For a segment with ACK: finds or records its conversation and sets the two bases; 0 and 0 for the first segment,
   * whose own numbers become the bases (a SYN begins the conversation anew).
   *
   * `addressLength` is 4 or 16; `ports` the offset of the source port.
   */
  relate(
    bytes: Uint8Array,
    source: number,
    destination: number,
    addressLength: number,
    ports: number,
    sequence: number,
    acknowledgment: number,
    syn: boolean,
  ): void {
    const table = addressLength === 4 ? this.#four : this.#six
    const { key } = table
    const sourcePort = readUint16(bytes, ports)
    const destinationPort = readUint16(bytes, ports + 2)
    let reverse = sourcePort > destinationPort
    if (sourcePort === destinationPort)
      for (let i = 0; i < addressLength; i++)
        if (bytes[source + i] !== bytes[destination + i]) {
          reverse = bytes[source + i]! > bytes[destination + i]!
          break
        }
    const first = reverse ? destination : source
    const second = reverse ? source : destination
    const words = addressLength >> 2
    for (let i = 0; i < words; i++) {
      key[i] = readUint32(bytes, first + 4 * i)
      key[words + i] = readUint32(bytes, second + 4 * i)
    }
    key[2 * words] = reverse ? (destinationPort << 16) | sourcePort : (sourcePort << 16) | destinationPort
    const slot = table.find()
    const own = reverse ? 2 * slot + 1 : 2 * slot
    const other = own ^ 1
    const { sequences } = table
    if (table.added || syn) {
      sequences[own] = sequence
      sequences[other] = acknowledgment - 1
      this.sequenceBase = 0
      this.acknowledgmentBase = 0
      // A SACK option is always relative to the other side's first number.
      this.sackBase = sequences[other]!
      return
    }
    this.sequenceBase = sequences[own]!
    this.acknowledgmentBase = sequences[other]!
    this.sackBase = this.acknowledgmentBase
  }
}

/** Open addressing over keys of a fixed number of 32-bit words. */
class Conversations {
  /** The caller writes the key here before `find`. */
  readonly key: Uint32Array
  /** First sequence number of the side with the lower port, and of the other, for each slot. */
  sequences: Uint32Array = new Uint32Array(2 * FIRST_CAPACITY)
  /** Whether the last `find` made a new entry. */
  added = false
  readonly #words: number
  #capacity = FIRST_CAPACITY
  #count = 0
  #keys: Uint32Array
  #used: Uint8Array = new Uint8Array(FIRST_CAPACITY)

  constructor(words: number) {
    this.#words = words
    this.key = new Uint32Array(words)
    this.#keys = new Uint32Array(words * FIRST_CAPACITY)
  }

  /** The slot of `key`, which is entered if it is new. */
  find(): number {
    const hash = hashOf(this.key)
    let slot = this.#probe(hash)
    this.added = this.#used[slot] === 0
    if (!this.added) return slot
    // Half full at most, so that probing ends soon.
    if (this.#count * 2 >= this.#capacity) {
      if (this.#count >= FLOW_LIMIT) this.#forget()
      else this.#grow()
      slot = this.#probe(hash)
    }
    this.#used[slot] = 1
    this.#count++
    this.#keys.set(this.key, slot * this.#words)
    return slot
  }

  #probe(hash: number): number {
    const { key } = this
    const words = this.#words
    const keys = this.#keys
    const used = this.#used
    const mask = this.#capacity - 1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      if (used[slot] === 0) return slot
      const at = slot * words
      let i = words - 1
      while (i >= 0 && keys[at + i] === key[i]) i--
      if (i < 0) return slot
    }
  }

  #forget(): void {
    this.#used.fill(0)
    this.#count = 0
  }

  #grow(): void {
    const words = this.#words
    const [keys, used, sequences] = [this.#keys, this.#used, this.sequences]
    const wanted = this.key.slice()
    this.#capacity *= 2
    this.#keys = new Uint32Array(words * this.#capacity)
    this.#used = new Uint8Array(this.#capacity)
    this.sequences = new Uint32Array(2 * this.#capacity)
    for (let slot = 0; slot < used.length; slot++) {
      if (used[slot] === 0) continue
      this.key.set(keys.subarray(slot * words, (slot + 1) * words))
      const to = this.#probe(hashOf(this.key))
      this.#used[to] = 1
      this.#keys.set(this.key, to * words)
      this.sequences[2 * to] = sequences[2 * slot]!
      this.sequences[2 * to + 1] = sequences[2 * slot + 1]!
    }
    this.key.set(wanted)
  }
}

function hashOf(key: Uint32Array): number {
  let hash = 0
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key[i]!, 0x9e3779b1) + (hash >>> 15)
  return hash ^ (hash >>> 16)
}
