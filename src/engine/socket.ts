import { Duplex } from 'node:stream'
import type { Instant, IpAddress, WarrenError } from '../base/index.js'
import type { TcpConnection, TcpEvent } from '../stack/tcp/index.js'

export interface SocketOptions {
  /** True: the peer's FIN leaves our side open, as for `net.Socket`. Default false: `end()` follows by itself. */
  readonly allowHalfOpen?: boolean
  /** Sends small writes at once instead of collecting them (Nagle). Default false. */
  readonly noDelay?: boolean
}

/** The most that one `data` event holds. */
const CHUNK = 65_536

/**
 * A Node stream over a connection of our own stack: what `net.Socket` is over the kernel's.
 *
 * - Back pressure goes both ways: a reader that pauses closes the peer's window, a full send buffer holds `write`.
 * - `end()` sends FIN after all that was written; `destroy()` before both sides have ended sends RST.
 * - `connect` is emitted once the handshake of an active open is done; writes before wait.
 * - Errors are `WarrenError`s whose stable `code` is POSIX's: ECONNREFUSED, ECONNRESET, ETIMEDOUT, EHOSTUNREACH,
 *   ENETUNREACH (see `TcpConnection.error`), ECONNABORTED (the host was switched off), EPIPE (a write after the end).
 */
export class TcpSocket extends Duplex {
  readonly #connection: TcpConnection
  readonly #now: () => Instant
  #wantsData = false
  #endSeen = false
  #closed = false
  #connectTold = false
  /** What a full send buffer did not take. */
  #waiting: { data: Uint8Array; done: (error?: Error | null) => void } | undefined
  bytesRead = 0
  bytesWritten = 0

  constructor(connection: TcpConnection, now: () => Instant, options: SocketOptions = {}) {
    super({ allowHalfOpen: options.allowHalfOpen ?? false, decodeStrings: true })
    this.#connection = connection
    this.#now = now
    connection.onEvent = (event) => this.#happened(event)
    if (options.noDelay) connection.setNoDelay(true, now())
    // Over a loopback all may have happened before anybody listened.
    queueMicrotask(() => this.#catchUp())
  }

  get localAddress(): IpAddress {
    return this.#connection.localAddress
  }

  get localPort(): number {
    return this.#connection.localPort
  }

  get remoteAddress(): IpAddress {
    return this.#connection.remoteAddress
  }

  get remotePort(): number {
    return this.#connection.remotePort
  }

  get connecting(): boolean {
    return this.#connection.state === 'SYN-SENT'
  }

  setNoDelay(noDelay = true): this {
    this.#connection.setNoDelay(noDelay, this.#now())
    return this
  }

  setKeepAlive(keepAlive = true): this {
    this.#connection.setKeepAlive(keepAlive, this.#now())
    return this
  }

  override _read(): void {
    this.#wantsData = true
    this.#pull()
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    this.#waiting = { data: chunk, done }
    this.#push()
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#connection.end(this.#now())
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    // Both sides said all: what is unacknowledged is still delivered. Else the peer must learn that it was cut off.
    if (!(this.writableFinished && this.#endSeen)) this.#connection.abort(this.#now())
    waiting?.done(error ?? undefined)
    done(error)
  }

  #catchUp(): void {
    const { state, error, active } = this.#connection
    if (active && state !== 'SYN-SENT' && state !== 'SYN-RECEIVED' && error === undefined)
      this.#happened('connected')
    if (error !== undefined) this.#happened('error')
    else if (state === 'CLOSED' || state === 'TIME-WAIT') this.#happened('closed')
  }

  #happened(event: TcpEvent): void {
    if (this.destroyed) return
    switch (event) {
      case 'connected':
        if (this.#connectTold) return
        this.#connectTold = true
        this.emit('connect')
        return
      case 'readable':
      case 'end':
        this.#pull()
        return
      case 'writable':
        this.#push()
        return
      case 'error':
        this.destroy(this.#connection.error as WarrenError)
        return
      case 'closed':
        this.#closed = true
        this.#pull()
    }
  }

  /** Hands what has arrived to the reader, as long as it wants more. */
  #pull(): void {
    while (this.#wantsData) {
      const data = this.#connection.read(CHUNK, this.#now())
      if (data === undefined) break
      this.bytesRead += data.length
      this.#wantsData = this.push(data)
    }
    if (this.#connection.ended && !this.#endSeen) {
      this.#endSeen = true
      this.push(null)
    }
    // Without a FIN nothing more will ever end this stream.
    if (this.#closed && !this.#endSeen && this.#connection.readableBytes === 0)
      this.destroy(this.#connection.error)
  }

  /** Hands what is waiting to the send buffer, and calls back once all of it is there. */
  #push(): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    try {
      const taken = this.#connection.write(waiting.data, this.#now())
      this.bytesWritten += taken
      waiting.data = waiting.data.subarray(taken)
    } catch (error) {
      this.#waiting = undefined
      waiting.done(error as WarrenError)
      return
    }
    if (waiting.data.length > 0 || this.#waiting !== waiting) return
    this.#waiting = undefined
    waiting.done()
  }
}

/** The stream of `connection`; from here on its `onEvent` is the stream's. `now` is the host's clock. */
export function openSocket(
  connection: TcpConnection,
  now: () => Instant,
  options?: SocketOptions,
): TcpSocket {
  return new TcpSocket(connection, now, options)
}
