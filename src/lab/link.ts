/**
 * A link: a full-duplex wire between two ends, each direction with the same faults. Everything random is drawn from
 * the seed, so that the same seed loses the same packets.
 */
import {
  after,
  Counters,
  type Duration,
  ETHERNET,
  type Instant,
  microseconds,
  PacketBuffer,
  type Random,
  SeededRandom,
} from '../base/index.js'
import type { LabClock } from './clock.js'

/** What a link does to the frames that pass it. All members are optional; without any it is a perfect wire. */
export interface LinkFaults {
  /** Propagation delay, one way. */
  readonly delay?: Duration
  /** Up to this much is added to the delay, without changing the order. */
  readonly jitter?: Duration
  /** Probability, 0 to 1, that a frame is lost. */
  readonly loss?: number
  /** Probability that a frame arrives twice. */
  readonly duplicate?: number
  /** Probability that a frame is held back by `reorderBy`, so that later ones overtake it. */
  readonly reorder?: number
  readonly reorderBy?: Duration
  /** Probability that one bit of a frame is turned over. */
  readonly corrupt?: number
  /** Bits a second; without it sending takes no time. */
  readonly rate?: number
  /** Frames that wait for the rate at most; more are lost (default 256). */
  readonly queue?: number
}

/** What a port of the lab's wire is to the one who holds it. */
export interface LinkEnd {
  /** Sends a frame; its bytes are copied. */
  transmit(frame: Uint8Array, now: Instant): void
  /** Called with each frame that arrives; the buffer is the receiver's. */
  onFrame?: (frame: PacketBuffer, now: Instant) => void
}

class End implements LinkEnd {
  onFrame?: (frame: PacketBuffer, now: Instant) => void
  readonly #link: Link
  #other!: End
  /** When the sender's last frame will have left. */
  #free = 0
  #queued = 0
  /** Arrival of the last frame that kept its order. */
  #lastArrival = 0

  constructor(link: Link) {
    this.#link = link
  }

  join(other: End): void {
    this.#other = other
  }

  transmit(frame: Uint8Array, now: Instant): void {
    const { faults, random, counters } = this.#link
    counters.add('link.frames')
    if (!this.#link.connected) {
      counters.add('link.unplugged')
      return
    }
    if (chance(random, faults.loss)) {
      counters.add('link.lost')
      return
    }
    let leaves = now as number
    if (faults.rate !== undefined) {
      if (this.#queued >= (faults.queue ?? 256)) {
        counters.add('link.queue-full')
        return
      }
      leaves = Math.max(now, this.#free) + Math.ceil((frame.length * 8 * 1e6) / faults.rate)
      this.#free = leaves
      this.#queued++
    }
    const copies = chance(random, faults.duplicate) ? 2 : 1
    if (copies === 2) counters.add('link.duplicated')
    for (let copy = 0; copy < copies; copy++) {
      const packet = PacketBuffer.copyOf(frame, ETHERNET)
      if (chance(random, faults.corrupt) && frame.length > 0) {
        counters.add('link.corrupted')
        const bit = random.below(frame.length * 8)
        packet.bytes[packet.start + (bit >> 3)]! ^= 1 << (bit & 7)
      }
      const jitter = faults.jitter === undefined || faults.jitter <= 0 ? 0 : random.below(faults.jitter + 1)
      let arrives = leaves + (faults.delay ?? 0) + jitter
      if (chance(random, faults.reorder)) {
        counters.add('link.reordered')
        arrives += faults.reorderBy ?? microseconds(5_000)
      } else {
        arrives = Math.max(arrives, this.#lastArrival)
        this.#lastArrival = arrives
      }
      const paced = faults.rate !== undefined && copy === 0
      this.#link.clock.schedule(after(now, (arrives - now) as Duration), (at) => {
        if (paced) this.#queued--
        if (this.#link.connected) this.#other.onFrame?.(packet, at)
      })
    }
  }
}

export class Link {
  readonly clock: LabClock
  readonly random: Random
  readonly counters: Counters = new Counters()
  /** May be changed at any time; frames under way keep what they were given. */
  faults: LinkFaults
  /** False: pulled out; nothing passes and what is under way is lost. */
  connected = true
  readonly ends: readonly [LinkEnd, LinkEnd]

  /** `seed` or a generator of one's own. */
  constructor(clock: LabClock, faults: LinkFaults = {}, random: Random | number = 1) {
    this.clock = clock
    this.faults = faults
    this.random = typeof random === 'number' ? new SeededRandom(random) : random
    const a = new End(this)
    const b = new End(this)
    a.join(b)
    b.join(a)
    this.ends = [a, b]
  }
}

/** Draws only where there is something to decide, so that a fault that is off does not move the others' dice. */
const chance = (random: Random, probability: number | undefined): boolean =>
  probability !== undefined && probability > 0 && random.below(1_000_000) < probability * 1_000_000
