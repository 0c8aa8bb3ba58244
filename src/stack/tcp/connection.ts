import { after, type Instant, type IpAddress, type WarrenError } from '../../base/index.js'
import type { ControlBlock, TcpEvent, TcpState } from './control-block.js'
import { tcpError } from './errors.js'
import { output, sendAck, sendReset } from './output.js'

/** How a connection's calls enter its layer: `work` runs, timers are set anew, events go out. */
export type Enter = (b: ControlBlock, now: Instant, work: () => void) => void

/**
 * One connection, as its user sees it. No I/O, no clock: `now` is an argument of whatever may emit.
 *
 * Events come after the call that caused them has done its work, perhaps before it returns (over a loopback,
 * `connect` may return a connection that is established: look at `state`); a handler may call anything here.
 * `connected` comes once, for a connection that `connect` made; `readable` whenever in-order data arrived; `writable` after a `write` that was cut short; `end` when the peer's FIN is in order; `error`, once, is
 * followed by `closed`; `closed` comes once, when both directions are done (TIME-WAIT included) or it was cut off.
 */
export class TcpConnection {
  readonly #block: ControlBlock
  readonly #enter: Enter
  onEvent: ((event: TcpEvent, now: Instant) => void) | undefined

  constructor(block: ControlBlock, enter: Enter) {
    this.#block = block
    this.#enter = enter
  }

  get localAddress(): IpAddress {
    return this.#block.local
  }

  get localPort(): number {
    return this.#block.localPort
  }

  get remoteAddress(): IpAddress {
    return this.#block.remote
  }

  get remotePort(): number {
    return this.#block.remotePort
  }

  get state(): TcpState {
    return this.#block.state
  }

  /** `connect` made it; false: a listener did. */
  get active(): boolean {
    return this.#block.active
  }

  /**
   * Why it failed: codes ECONNREFUSED (RST in answer to SYN), ECONNRESET, ETIMEDOUT (handshake, retransmissions or
   * probes without an answer), EHOSTUNREACH and ENETUNREACH (as an ICMP message said).
   */
  get error(): WarrenError | undefined {
    return this.#block.error
  }

  /** Bytes in order that `read` would give. */
  get readableBytes(): number {
    return this.#block.receive.available
  }

  /** Bytes that `write` would take. */
  get writableBytes(): number {
    return this.#mayWrite ? this.#block.send.free : 0
  }

  /** Bytes written that the peer has not acknowledged yet. */
  get unacknowledgedBytes(): number {
    return this.#block.send.length
  }

  /** The peer sent its FIN, and everything before it was read. */
  get ended(): boolean {
    return this.#block.finReceived && this.#block.receive.available === 0
  }

  /** Sends at once what Nagle's algorithm (RFC 9293 section 3.7.4) would hold back. */
  setNoDelay(noDelay: boolean, now: Instant): void {
    this.#block.noDelay = noDelay
    this.#enter(this.#block, now, () => output(this.#block, now))
  }

  /** Probes a silent peer (RFC 9293 section 3.8.4); off unless asked for. */
  setKeepAlive(keepAlive: boolean, now: Instant): void {
    const b = this.#block
    b.keepAlive = keepAlive
    if (!keepAlive) b.timers.clear('keep-alive')
    else if (b.state !== 'CLOSED' && b.state !== 'SYN-SENT' && b.state !== 'TIME-WAIT')
      b.timers.set('keep-alive', after(now, b.services.limits.keepAliveIdle))
    this.#enter(b, now, () => {})
  }

  /**
   * Takes as much of `data` as there is room for and returns the number of bytes (copied: the array is the caller's
   * again). Fewer than given: go on after `writable`. Throws EPIPE after `end`, `abort` or the connection's close.
   */
  write(data: Uint8Array, now: Instant): number {
    const b = this.#block
    if (!this.#mayWrite) throw this.error ?? tcpError('EPIPE', b.peerName)
    const taken = b.send.append(data)
    if (taken < data.length) b.owesWritable = true
    if (taken > 0) this.#enter(b, now, () => output(b, now))
    return taken
  }

  /** Up to `maximum` bytes in order, in a fresh array; `undefined` when there are none now (see `ended`). */
  read(maximum: number, now: Instant): Uint8Array | undefined {
    const b = this.#block
    const data = b.receive.read(maximum)
    if (data !== undefined && this.#mayReceiveMore) {
      // RFC 9293 section 3.8.6.2.2: the window is offered anew when that is worth a segment.
      const grown = b.receive.free - b.rcvWnd
      if (grown >= Math.min(b.receive.capacity / 2, 2 * b.smss)) this.#enter(b, now, () => sendAck(b, now))
    }
    return data
  }

  /** CLOSE (RFC 9293 section 3.10.4): a FIN after what was written. Reading goes on: a half-close. */
  end(now: Instant): void {
    const b = this.#block
    if (b.ending || b.state === 'CLOSED' || b.state === 'TIME-WAIT') return
    this.#enter(b, now, () => {
      b.ending = true
      if (b.state === 'ESTABLISHED') b.become('FIN-WAIT-1', now)
      else if (b.state === 'CLOSE-WAIT') b.become('LAST-ACK', now)
      output(b, now)
    })
  }

  /** ABORT (RFC 9293 section 3.10.5): a RST where the peer must know; nothing more is sent or heard. */
  abort(now: Instant): void {
    const b = this.#block
    if (b.state === 'CLOSED' || b.state === 'TIME-WAIT') return
    this.#enter(b, now, () => {
      if (b.state !== 'SYN-SENT') sendReset(b, now)
      b.close(undefined, now)
    })
  }

  get #mayWrite(): boolean {
    const { state, ending } = this.#block
    return !ending && state !== 'CLOSED' && state !== 'TIME-WAIT'
  }

  get #mayReceiveMore(): boolean {
    const { state } = this.#block
    return state === 'ESTABLISHED' || state === 'FIN-WAIT-1' || state === 'FIN-WAIT-2'
  }
}
