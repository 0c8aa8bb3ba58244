/**
 * TCP conversations seen so far, so that sequence numbers can be printed relative to the first of each direction.
 *
 * Both directions share an entry, found by open addressing in typed arrays: no allocation a packet. A capture can
 * hold any number of conversations, so the table is bounded: at `FLOW_LIMIT` it forgets all and begins anew, and
 * numbers are then relative to the first segment seen since.
 */
import { readUint16, readUint32 } from '../base/index.js'

export const FLOW_LIMIT = 65_536

/** 32-bit words a key: two addresses of up to 4 words, and the two ports in one. */
const KEY_WORDS = 9

export class FlowTable {
  /** Set by `relate`: what to take from the segment's sequence and acknowledgment numbers. */
  sequenceBase = 0
  acknowledgmentBase = 0
  /** What to take from the edges of a SACK option of the segment last related. */
  sackBase = 0
  #capacity = 1024
  #count = 0
  #keys: Uint32Array = new Uint32Array(1024 * KEY_WORDS)
  #used: Uint8Array = new Uint8Array(1024)
  /** First sequence number of the lower port's side, and of the other. */
  #sequences: Uint32Array = new Uint32Array(1024 * 2)
  readonly #key: Uint32Array = new Uint32Array(KEY_WORDS)

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
    const key = this.#key
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
    for (let i = 0; i < 4; i++) {
      key[i] = i < words ? readUint32(bytes, first + 4 * i) : 0
      key[4 + i] = i < words ? readUint32(bytes, second + 4 * i) : 0
    }
    key[8] = reverse ? (destinationPort << 16) | sourcePort : (sourcePort << 16) | destinationPort
    const hash = hashOf(key)
    let slot = this.#find(hash)
    const known = this.#used[slot] === 1
    if (!known && this.#count * 2 >= this.#capacity) {
      this.#grow()
      slot = this.#find(hash)
    }
    const at = 2 * slot
    const own = reverse ? at + 1 : at
    const other = reverse ? at : at + 1
    if (!known || syn) {
      if (!known) {
        this.#used[slot] = 1
        this.#count++
        this.#keys.set(key, slot * KEY_WORDS)
      }
      this.#sequences[own] = sequence
      this.#sequences[other] = acknowledgment - 1
      this.sequenceBase = 0
      this.acknowledgmentBase = 0
      // A SACK option is always relative to the other side's first number.
      this.sackBase = this.#sequences[other]!
      return
    }
    this.sequenceBase = this.#sequences[own]!
    this.acknowledgmentBase = this.#sequences[other]!
    this.sackBase = this.acknowledgmentBase
  }

  #find(hash: number): number {
    const key = this.#key
    const keys = this.#keys
    const mask = this.#capacity - 1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      if (this.#used[slot] === 0) return slot
      const at = slot * KEY_WORDS
      let same = true
      for (let i = KEY_WORDS - 1; i >= 0; i--)
        if (keys[at + i] !== key[i]) {
          same = false
          break
        }
      if (same) return slot
    }
  }

  #grow(): void {
    if (this.#count >= FLOW_LIMIT) {
      this.#used.fill(0)
      this.#count = 0
      return
    }
    const oldKeys = this.#keys
    const oldUsed = this.#used
    const oldSequences = this.#sequences
    const wanted = this.#key.slice()
    this.#capacity *= 2
    this.#keys = new Uint32Array(this.#capacity * KEY_WORDS)
    this.#used = new Uint8Array(this.#capacity)
    this.#sequences = new Uint32Array(this.#capacity * 2)
    for (let slot = 0; slot < oldUsed.length; slot++) {
      if (oldUsed[slot] === 0) continue
      this.#key.set(oldKeys.subarray(slot * KEY_WORDS, (slot + 1) * KEY_WORDS))
      const to = this.#find(hashOf(this.#key))
      this.#used[to] = 1
      this.#keys.set(this.#key, to * KEY_WORDS)
      this.#sequences[2 * to] = oldSequences[2 * slot]!
      this.#sequences[2 * to + 1] = oldSequences[2 * slot + 1]!
    }
    this.#key.set(wanted)
  }
}

function hashOf(key: Uint32Array): number {
  let hash = 0
  for (let i = 0; i < KEY_WORDS; i++) hash = Math.imul(hash ^ key[i]!, 0x9e3779b1) + (hash >>> 15)
  return hash ^ (hash >>> 16)
}
