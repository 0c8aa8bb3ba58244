/**
 * What the machines of this family share: a tunnel between two addresses that installs its paths at start and
 * speaks again only for a keepalive.
 */
import { Counters, type Instant } from '../base/index.js'
import type { Keepalive } from './keepalive.js'
import type { Datagram, Machine, Output, Packet, PathSpec, ReachedLifetime } from './machine.js'

/** What a tunnel tells its owner. */
export type TunnelEvent =
  | { readonly name: 'up' }
  /** `reason` is for people: why packets sent into it are of no use now. */
  | { readonly name: 'down'; readonly reason: string }
  /** Of an SA of the path. Soft: time to make new keys. Hard and overflow: the path is removed. */
  | ({ readonly name: 'lifetime'; readonly path: string } & ReachedLifetime)

export abstract class TunnelMachine implements Machine<TunnelEvent> {
  readonly counters: Counters = new Counters()
  readonly #outputs: Output<TunnelEvent>[] = []
  readonly #paths: readonly PathSpec[]
  protected readonly keepalive: Keepalive | undefined

  protected constructor(paths: readonly PathSpec[], keepalive?: Keepalive) {
    this.#paths = paths
    this.keepalive = keepalive
  }

  start(now: Instant): void {
    for (const path of this.#paths) this.emit({ kind: 'install', path })
    if (this.keepalive === undefined) this.emit({ kind: 'event', event: { name: 'up' } })
    else {
      this.emit({ kind: 'event', event: { name: 'down', reason: 'no keepalive heard yet' } })
      this.keepalive.start(now)
    }
  }

  stop(_now: Instant): void {
    this.keepalive?.stop()
    for (const path of this.#paths) this.emit({ kind: 'remove', pathId: path.id })
    this.emit({ kind: 'event', event: { name: 'down', reason: 'stopped' } })
  }

  /** Protocols without control messages have no use for one. */
  receive(_datagram: Datagram, _now: Instant): void {
    this.counters.add('control.unexpected')
  }

  /** Every kind of packet that the tunnel carries has its path; another kind is refused. */
  send(_packet: Packet, _now: Instant): void {
    this.counters.add('send.noPath')
  }

  timeout(now: Instant): void {
    if (this.keepalive === undefined) return
    for (const due of this.keepalive.timeout(now)) {
      if (due === 'send') this.sendKeepalive(now)
      else this.emit({ kind: 'event', event: { name: 'down', reason: 'keepalives of the peer are missing' } })
    }
  }

  poll(): Output<TunnelEvent> | undefined {
    return this.#outputs.shift()
  }

  nextTimeout(): Instant | undefined {
    return this.keepalive?.nextTimeout()
  }

  /** Only called where there is a keepalive. */
  protected sendKeepalive(_now: Instant): void {}

  /** A keepalive of the peer, or our own come back, has arrived. */
  protected heardKeepalive(now: Instant): void {
    if (this.keepalive?.heard(now)) this.emit({ kind: 'event', event: { name: 'up' } })
  }

  protected emit(output: Output<TunnelEvent>): void {
    this.#outputs.push(output)
  }
}
