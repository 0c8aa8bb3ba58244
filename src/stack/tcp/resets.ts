import { type Counters, type Instant, seconds } from '../../base/index.js'
import { Flag, type Segment, segmentLength, startSegment } from './segment.js'
import { seqAdd } from './sequence.js'

/** The RSTs that answer segments of no connection, so many a second. */
export class ResetReplies {
  readonly #perSecond: number
  readonly #counters: Counters
  #second = -1
  #sent = 0

  constructor(perSecond: number, counters: Counters) {
    this.#perSecond = perSecond
    this.#counters = counters
  }

  /**
   * RFC 9293 section 3.10.7.1: `<SEQ=SEG.ACK><CTL=RST>`, or `<SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>`; never one
   * in answer to a RST. Without its checksum; `undefined` if none is to be sent.
   */
  answer(segment: Segment, now: Instant): Uint8Array | undefined {
    if (segment.flags & Flag.rst || !this.#mayReset(now)) return undefined
    const hasAck = (segment.flags & Flag.ack) !== 0
    return startSegment(
      {
        sourcePort: segment.destinationPort,
        destinationPort: segment.sourcePort,
        sequence: hasAck ? segment.acknowledgment : 0,
        acknowledgment: seqAdd(segment.sequence, segmentLength(segment)),
        flags: hasAck ? Flag.rst : Flag.rst | Flag.ack,
        window: 0,
      },
      0,
    )
  }

  #mayReset(now: Instant): boolean {
    const second = Math.floor(now / seconds(1))
    if (second !== this.#second) {
      this.#second = second
      this.#sent = 0
    }
    if (this.#sent >= this.#perSecond) {
      this.#counters.add('tcp.resetLimit')
      return false
    }
    this.#sent++
    return true
  }
}
