/**
 * The audit of packets that IPsec refuses (RFC 4303 section 4), in the data plane: at a bounded rate, since whoever sends
 * bad packets chooses how many. What is not told costs a few additions and no allocation.
 */
import { AUDIT_BURST, AUDIT_INTERVAL } from '../engine/index.js'
import { IpProtocol } from '../wire/numbers.js'
import type { Carrier } from './carrier.js'

export interface RefusedPacket {
  /** The counter that it raised: `esp.icv`. */
  readonly reason: string
  readonly spi: number
  /** As the packet has it: 32 bits, unverified. */
  readonly sequence: number
  /** Addresses of the outer header. */
  readonly source: Uint8Array
  readonly destination: Uint8Array
  /** Refused packets since the last that was told. */
  readonly suppressed: number
}

const INTERVAL_MS = AUDIT_INTERVAL / 1000
/** Counted, and no refusals: RFC 4303 section 2.6, RFC 3948 section 2.3. */
const HARMLESS: ReadonlySet<string> = new Set(['esp.dummy', 'esp.keepalive'])

export class PlaneAudit {
  readonly #tell: (packet: RefusedPacket) => void
  #spi = 0
  #sequence = 0
  /** Whether what was noted last has an SPI at all. */
  #named = false
  #tokens = AUDIT_BURST
  #refillAt = 0
  #suppressed = 0

  constructor(tell: (packet: RefusedPacket) => void) {
    this.#tell = tell
  }

  /** SPI and number of the payload `[start, end)` of `carrier`, before a transform writes over them. */
  note({ spec: { protocol } }: Carrier, view: DataView, start: number, end: number): void {
    const isAh = protocol === IpProtocol.ah
    const at = isAh ? start + 4 : start
    this.#named = (isAh || protocol === IpProtocol.esp || protocol === IpProtocol.udp) && end >= at + 8
    if (!this.#named) return
    this.#spi = view.getUint32(at)
    this.#sequence = view.getUint32(at + 4)
  }

  /** What was noted last is refused. */
  refused({ spec: { local, remote } }: Carrier, reason: string, nowMs: number): void {
    if (!this.#named || HARMLESS.has(reason)) return
    while (this.#refillAt <= nowMs && this.#tokens < AUDIT_BURST) {
      this.#tokens++
      this.#refillAt += INTERVAL_MS
    }
    if (this.#tokens === AUDIT_BURST) this.#refillAt = nowMs + INTERVAL_MS
    if (this.#tokens === 0) {
      this.#suppressed++
      return
    }
    this.#tokens--
    this.#tell({
      reason,
      spi: this.#spi,
      sequence: this.#sequence,
      source: remote,
      destination: local,
      suppressed: this.#suppressed,
    })
    this.#suppressed = 0
  }
}
