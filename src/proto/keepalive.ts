/** The keepalive of gre and eoip: send one every period; the peer is lost after `count` periods of silence. */
import { after, type Duration, type Instant, TimerTable, WarrenError } from '../base/index.js'

export interface KeepaliveConfig {
  /** Time between two keepalives. */
  readonly period: Duration
  /** How many periods of silence mean that the peer is lost. */
  readonly count: number
}

export class Keepalive {
  readonly config: KeepaliveConfig
  readonly #timers = new TimerTable<'send' | 'lost'>()
  #alive = false

  /** Throws `WarrenError` TUNNEL_KEEPALIVE. */
  constructor(config: KeepaliveConfig) {
    const { period, count } = config
    if (!(period > 0 && Number.isInteger(count) && count > 0))
      throw new WarrenError('TUNNEL_KEEPALIVE', 'keepalive', {
        found: `period ${period / 1e6} s, count ${count}`,
        expected: 'both above 0',
      })
    this.config = config
  }

  /** Whether the peer was heard within the last `count` periods. */
  get alive(): boolean {
    return this.#alive
  }

  /** The first keepalive is due at once. */
  start(now: Instant): void {
    this.#alive = false
    this.#timers.set('send', now)
  }

  stop(): void {
    this.#alive = false
    this.#timers.clear('send')
    this.#timers.clear('lost')
  }

  /** True if the peer was not alive before. */
  heard(now: Instant): boolean {
    const { period, count } = this.config
    this.#timers.set('lost', after(now, (period * count) as Duration))
    const wasAlive = this.#alive
    this.#alive = true
    return !wasAlive
  }

  /** What is due at `now`. `send`: a keepalive is to be sent, the next is set; `lost`: the peer fell silent. */
  timeout(now: Instant): ('send' | 'lost')[] {
    const due: ('send' | 'lost')[] = []
    for (let name = this.#timers.takeDue(now); name !== undefined; name = this.#timers.takeDue(now)) {
      // A host that slept sends one keepalive, not all that it missed: the next counts from now.
      if (name === 'send') this.#timers.set('send', after(now, this.config.period))
      else this.#alive = false
      due.push(name)
    }
    return due
  }

  nextTimeout(): Instant | undefined {
    return this.#timers.next()
  }
}
