/** What ping(8) prints, from plain numbers. */

/** Round trips in milliseconds and counts, as they add up. */
export class PingStatistics {
  transmitted = 0
  received = 0
  duplicates = 0
  #least = Number.POSITIVE_INFINITY
  #most = 0
  #sum = 0
  #sumOfSquares = 0
  #timed = false

  /** Counts one round trip, duplicates too, as ping(8) does. */
  roundTrip(milliseconds: number): void {
    this.#timed = true
    this.#least = Math.min(this.#least, milliseconds)
    this.#most = Math.max(this.#most, milliseconds)
    this.#sum += milliseconds
    this.#sumOfSquares += milliseconds * milliseconds
  }

  /** The longest round trip so far, milliseconds. */
  get longest(): number {
    return this.#most
  }

  /** The lines after the empty one at the end. */
  summary(host: string): string {
    let text = `--- ${host} ping statistics ---\n`
    text += `${this.transmitted} packets transmitted, ${this.received} packets received, `
    if (this.duplicates > 0) text += `${this.duplicates} duplicates, `
    if (this.transmitted > 0)
      text +=
        this.received > this.transmitted
          ? "-- somebody's duplicating packets!"
          : `${(((this.transmitted - this.received) * 100) / this.transmitted).toFixed(1)}% packet loss`
    if (!this.#timed) return text
    const count = this.received + this.duplicates
    const mean = this.#sum / count
    const deviation = Math.sqrt(Math.max(0, this.#sumOfSquares / count - mean * mean))
    const numbers = [this.#least, mean, this.#most, deviation].map((value) => value.toFixed(3))
    return `${text}\nround-trip min/avg/max/std-dev = ${numbers.join('/')} ms`
  }
}

export interface EchoReply {
  /** ICMP message's length: 8 and the data. */
  readonly length: number
  /** As printed, with the zone of a link-local address. */
  readonly source: string
  readonly family: 4 | 6
  readonly sequence: number
  readonly hopLimit: number
  /** Milliseconds; absent where the data had no room for a time stamp. */
  readonly time?: number
  readonly duplicate: boolean
}

export function replyLine(reply: EchoReply): string {
  const hops = reply.family === 6 ? 'hlim' : 'ttl'
  let text = `${reply.length} bytes from ${reply.source}: icmp_seq=${reply.sequence} ${hops}=${reply.hopLimit}`
  if (reply.time !== undefined) text += ` time=${reply.time.toFixed(3)} ms`
  return reply.duplicate ? `${text} (DUP!)` : text
}

const UNREACHABLE: Readonly<Record<number, string>> = {
  0: 'Destination Net Unreachable',
  1: 'Destination Host Unreachable',
  2: 'Destination Protocol Unreachable',
  3: 'Destination Port Unreachable',
  4: 'frag needed and DF set',
  5: 'Source Route Failed',
  6: 'Network Unknown',
  7: 'Host Unknown',
  8: 'Source Isolated',
  9: 'Dest. Net Administratively Prohibited',
  10: 'Dest. Host Administratively Prohibited',
  11: 'Destination Net Unreachable for TOS',
  12: 'Destination Host Unreachable for TOS',
  13: 'Route administratively prohibited',
}

const UNREACHABLE6: Readonly<Record<number, string>> = {
  0: 'No Route to Destination',
  1: 'Destination Administratively Unreachable',
  2: 'Beyond Scope of Source Address',
  3: 'Destination Host Unreachable',
  4: 'Destination Port Unreachable',
}

/** An ICMP error as `ping -v` names it; `undefined` for what it does not print. */
export function errorText(family: 4 | 6, type: number, code: number, mtu: number): string | undefined {
  if (family === 4) {
    if (type === 3) {
      const text = UNREACHABLE[code] ?? `Dest Unreachable, Unknown Code: ${code}`
      return code === 4 && mtu !== 0 ? `${text} (MTU ${mtu})` : text
    }
    if (type === 11)
      return code === 0
        ? 'Time to live exceeded'
        : code === 1
          ? 'Frag reassembly time exceeded'
          : `Time exceeded, Unknown Code: ${code}`
    if (type === 12) return 'Parameter problem'
    return undefined
  }
  if (type === 1) return UNREACHABLE6[code] ?? `Destination Unreachable, Unknown Code: ${code}`
  if (type === 2) return `Packet too big mtu = ${mtu}`
  if (type === 3)
    return code === 0
      ? 'Time to live exceeded'
      : code === 1
        ? 'Frag reassembly time exceeded'
        : `Time exceeded, Unknown Code: ${code}`
  if (type === 4) return 'Parameter problem'
  return undefined
}
