/**
 * The audit of packets that IPsec refuses (RFC 4303 section 4, RFC 4301 section 7): who, which SPI, which sequence
 * number, why. At a bounded rate, since whoever sends bad packets chooses how many; what was left out is said. No key,
 * no payload, nothing of what a failed decryption left behind.
 */
import { after, type Instant, type IpAddress, seconds } from '../../base/index.js'

export interface AuditRecord {
  readonly at: Instant
  /** The counter that the packet raised: `esp.icv`. */
  readonly reason: string
  readonly spi: number
  /** As the packet has it: 32 bits, unverified. */
  readonly sequence: number
  readonly source: IpAddress
  readonly destination: IpAddress
  /** Refused packets since the last record, that have none. */
  readonly suppressed: number
}

/** Records in a row, and one more after each `AUDIT_INTERVAL`. */
export const AUDIT_BURST = 10
export const AUDIT_INTERVAL: ReturnType<typeof seconds> = seconds(5)
/** Records that are kept to be looked at. */
export const AUDIT_KEPT = 256

export class Audit {
  readonly records: AuditRecord[] = []
  onRecord?: (record: AuditRecord) => void
  #tokens = AUDIT_BURST
  #refillAt: Instant | undefined
  #suppressed = 0

  add(entry: Omit<AuditRecord, 'suppressed'>): void {
    const { at } = entry
    while (this.#refillAt !== undefined && this.#refillAt <= at && this.#tokens < AUDIT_BURST) {
      this.#tokens++
      this.#refillAt = after(this.#refillAt, AUDIT_INTERVAL)
    }
    if (this.#tokens === AUDIT_BURST) this.#refillAt = after(at, AUDIT_INTERVAL)
    if (this.#tokens === 0) {
      this.#suppressed++
      return
    }
    this.#tokens--
    const record = { ...entry, suppressed: this.#suppressed }
    this.#suppressed = 0
    this.records.push(record)
    if (this.records.length > AUDIT_KEPT) this.records.shift()
    this.onRecord?.(record)
  }
}

/** One line of a log. */
export function auditLine({ reason, spi, sequence, source, destination, suppressed }: AuditRecord): string {
  const more = suppressed === 0 ? '' : ` (${suppressed} more before it)`
  return `${reason}: ${source} > ${destination} spi 0x${spi.toString(16).padStart(8, '0')} seq ${sequence}${more}`
}
