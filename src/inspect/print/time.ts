/** Time stamps of a line: OpenBSD's -t, -tt, -ttt, -tttt, -ttttt. */
import type { Instant } from '../../base/index.js'

/**
 * - `time`: `17:30:46.630247`, the default
 * - `none`: -t
 * - `epoch`: -tt, seconds since 1970
 * - `date`: -ttt, `Jan 19 17:30:46.630247`
 * - `delta`: -tttt, since the packet before
 * - `elapsed`: -ttttt, since the first packet
 */
export type TimeFormat = 'time' | 'none' | 'epoch' | 'date' | 'delta' | 'elapsed'

/** Number of `t`s to format. */
export const timeFormats: readonly TimeFormat[] = ['time', 'none', 'epoch', 'date', 'delta', 'elapsed']

const months: readonly string[] = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ')

const two = (value: number): string => (value < 10 ? `0${value}` : String(value))
const six = (value: number): string => String(value).padStart(6, '0')

/** Writes the stamps of one run of lines. */
export class TimeStamps {
  readonly #format: TimeFormat
  readonly #offset: (epochSeconds: number) => number
  #reference: number | undefined

  /** `utcOffset` gives the local zone's seconds east of UTC at a moment; without it stamps are in UTC. */
  constructor(format: TimeFormat, utcOffset: (epochSeconds: number) => number = () => 0) {
    this.#format = format
    this.#offset = utcOffset
  }

  /** The stamp with the blank behind it; '' for `none`. `time`: microseconds since 1970. */
  text(time: Instant): string {
    if (this.#format === 'none') return ''
    const seconds = Math.floor(time / 1_000_000)
    const micros = six(time - seconds * 1_000_000)
    switch (this.#format) {
      case 'epoch':
        return `${seconds}.${micros} `
      case 'delta':
      case 'elapsed':
        return this.#difference(time)
      case 'date': {
        const { month, day } = civil(Math.floor((seconds + this.#offset(seconds)) / 86_400))
        return `${months[month]} ${two(day)} ${this.#clock(seconds)}.${micros} `
      }
      case 'time':
        return `${this.#clock(seconds)}.${micros} `
    }
  }

  #clock(epochSeconds: number): string {
    const local = epochSeconds + this.#offset(epochSeconds)
    const second = ((local % 86_400) + 86_400) % 86_400
    return `${two(Math.floor(second / 3600))}:${two(Math.floor(second / 60) % 60)}:${two(second % 60)}`
  }

  #difference(time: number): string {
    const since = time - (this.#reference ?? time)
    if (this.#format === 'delta' || this.#reference === undefined) this.#reference = time
    const size = Math.abs(since)
    return `${since < 0 ? '-' : ''}${Math.floor(size / 1_000_000)}.${six(size % 1_000_000)} `
  }
}

/** Month (0 is January) and day of a count of days since 1970, in the Gregorian calendar. */
function civil(days: number): { month: number; day: number } {
  // Days since 1 March of the year 0: leap days then fall at the end of each year.
  const since = days + 719_468
  const era = Math.floor(since / 146_097)
  const dayOfEra = since - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shifted = Math.floor((5 * dayOfYear + 2) / 153)
  return { month: (shifted + 2) % 12, day: dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1 }
}
