import type { Instant, IpAddress, QueuedTimer } from '../../base/index.js'
import { readUint16, readUint32 } from '../../base/index.js'
import { Agenda } from './agenda.js'
import { type Enter, TcpConnection } from './connection.js'
import { ControlBlock, type Services, type TcpEvent, type TcpState } from './control-block.js'
import { tcpError } from './errors.js'
import { acceptSyn, reopens, segmentArrives } from './input.js'
import { initialSequence, KeyedHash } from './keyed-hash.js'
import { defaultTcpLimits, type TcpLimits } from './limits.js'
import { Listener, type ListenOptions } from './listener.js'
import type { ConnectOptions, TcpLayerOptions } from './options.js'
import { sendReset, sendSyn } from './output.js'
import { isBelievable, pathError, type QuotedSegment } from './path.js'
import { endName, freePort, isUnicast } from './ports.js'
import { ResetReplies } from './resets.js'
import { Flag, parseSegment, type Segment, seal } from './segment.js'
import { seqAdd, seqLess } from './sequence.js'
import { ConnectionTable } from './table.js'
import { timerFired } from './timeouts.js'

/**
 * TCP of one host: connections, listeners, and what belongs to none (RFC 9293 section 3.10.7.1 and 3.10.7.2).
 *
 * Segments and user calls never nest: what arrives while another is handled, and every event, waits until the work
 * at hand is done.
 */
export class TcpLayer {
  readonly #options: TcpLayerOptions
  readonly #limits: TcpLimits
  readonly #sequenceHash: KeyedHash
  readonly #timestampHash: KeyedHash
  readonly #table: ConnectionTable
  readonly #listeners = new Set<Listener>()
  readonly #connections = new Map<ControlBlock, TcpConnection>()
  /** Which listener a connection came from, until it is accepted. */
  readonly #passive = new Map<ControlBlock, Listener>()
  readonly #timeWait = new Set<ControlBlock>()
  readonly #queued = new Map<ControlBlock, QueuedTimer>()
  readonly #services: Services
  readonly #enter: Enter
  readonly #agenda = new Agenda()
  readonly #resets: ResetReplies
  #segmentsOwed = 0

  constructor(options: TcpLayerOptions) {
    this.#options = options
    this.#limits = { ...defaultTcpLimits, ...options.limits }
    this.#resets = new ResetReplies(this.#limits.resetsPerSecond, options.counters)
    this.#sequenceHash = new KeyedHash(options.random)
    this.#timestampHash = new KeyedHash(options.random)
    this.#table = new ConnectionTable(new KeyedHash(options.random))
    this.#services = {
      limits: this.#limits,
      counters: options.counters,
      transmit: (segment, b, ecnCapable, now) =>
        options.transmit(segment, b.local, b.remote, now, ecnCapable),
      raise: (b, event) => this.#raise(b, event),
      changed: (b, before, now) => this.#changed(b, before, now),
      refuse: (segment, local, remote, now) => this.#refuse(segment, local, remote, now),
    }
    this.#enter = (b, now, work) => {
      this.#agenda.run(now, () => {
        work()
        this.#rearm(b)
      })
    }
  }

  /**
   * A whole TCP segment, from `source` to one of this host's addresses. The bytes are read during the call only.
   * What is wrong with them is counted. `congestionExperienced`: the packet bore CE.
   */
  receive(
    segment: Uint8Array,
    source: IpAddress,
    destination: IpAddress,
    now: Instant,
    congestionExperienced = false,
  ): void {
    if (!this.#agenda.busy) {
      this.#agenda.run(now, () => this.#arrives(segment, source, destination, congestionExperienced, now))
    } else if (this.#segmentsOwed >= this.#limits.inbox) {
      this.#options.counters.add('tcp.inboxLimit')
    } else {
      this.#segmentsOwed++
      const kept = segment.slice() // beyond the call
      this.#agenda.owe((then) => {
        this.#segmentsOwed--
        this.receive(kept, source, destination, then, congestionExperienced)
      })
    }
  }

  /**
   * An ICMP error quoted a segment that this host sent: `quote.source` is our address. It is believed only if it
   * names a connection and a sequence number in flight (RFC 5927): that is counted before the call returns, as
   * `tcp.mtuShrunk` or `tcp.icmpUnreachable`.
   */
  icmpError(kind: 'unreachable' | 'too-big', quote: QuotedSegment, now: Instant): void {
    if (quote.segment.length < 8) {
      this.#options.counters.add('tcp.icmpShort')
      return
    }
    const localPort = readUint16(quote.segment, 0)
    const remotePort = readUint16(quote.segment, 2)
    const b = this.#table.find(quote.source, localPort, quote.destination, remotePort)
    if (b === undefined) {
      this.#options.counters.add('tcp.icmpUnknown')
      return
    }
    if (!isBelievable(b, kind, quote, readUint32(quote.segment, 4))) return
    const work = (then: Instant): void => this.#enter(b, then, () => pathError(b, kind, quote, then))
    // A router may answer before our transmission has returned.
    if (this.#agenda.busy) this.#agenda.owe(work)
    else work(now)
  }

  /** Passive OPEN. Throws EADDRINUSE. */
  listen(options: ListenOptions): { readonly port: number; close(now: Instant): void } {
    const port =
      options.port === 0
        ? freePort(this.#options.random, (p) => !this.#listensOn(options.address, p))
        : options.port
    if (port === undefined || this.#listensOn(options.address, port))
      throw tcpError('EADDRINUSE', `${options.address ?? '*'}:${options.port}`)
    const listener = new Listener(options, port, this.#limits.halfOpen)
    this.#listeners.add(listener)
    return {
      port,
      close: (now) => {
        if (!this.#listeners.delete(listener)) return
        this.#agenda.run(now, () => {
          for (const b of [...listener.halfOpen]) {
            sendReset(b, now)
            b.close(undefined, now)
          }
        })
      },
    }
  }

  /**
   * Active OPEN: sends a SYN and returns at once; `connected` or `error` follows. Throws EHOSTUNREACH (no route, no
   * source address), EADDRINUSE (this source port to that destination is taken) and EADDRNOTAVAIL (no port is free).
   */
  connect(options: ConnectOptions, now: Instant): TcpConnection {
    const { destination, port } = options
    const where = endName(destination, port)
    const source = options.source ?? this.#options.sourceFor(destination)
    if (source === undefined || source.family !== destination.family) throw tcpError('EHOSTUNREACH', where)
    if (!isUnicast(destination)) throw tcpError('EADDRNOTAVAIL', where)
    const free = (p: number): boolean => this.#table.find(source, p, destination, port) === undefined
    const sourcePort =
      options.sourcePort ?? freePort(this.#options.random, (p) => free(p) && !this.#listensOn(undefined, p))
    if (sourcePort === undefined) throw tcpError('EADDRNOTAVAIL', where, 'close some connections to it')
    if (!free(sourcePort)) throw tcpError('EADDRINUSE', endName(source, sourcePort))
    const b = this.#newBlock(source, sourcePort, destination, port, now)
    b.active = true
    const connection = this.#connections.get(b)!
    this.#enter(b, now, () => {
      b.become('SYN-SENT', now)
      b.timers.set('connect', (now + this.#limits.connectTimeout) as Instant)
      sendSyn(b, now)
    })
    return connection
  }

  /** Every connection, half-open ones and those in TIME-WAIT included. */
  connections(): TcpConnection[] {
    return [...this.#connections.values()]
  }

  /** What is listened on, for `netstat -a`. */
  listeners(): { readonly address: IpAddress | undefined; readonly port: number }[] {
    return [...this.#listeners].map(({ address, port }) => ({ address, port }))
  }

  /** Ends every connection in silence, as a host that is switched off does. */
  destroy(now: Instant): void {
    this.#listeners.clear()
    this.#agenda.run(now, () => {
      for (const b of [...this.#connections.keys()]) b.close('ECONNABORTED', now)
    })
  }

  #arrives(bytes: Uint8Array, source: IpAddress, destination: IpAddress, ce: boolean, now: Instant): void {
    const { counters } = this.#options
    // RFC 9293 section 3.9.2.3: nothing from or to an address that is no single host's.
    if (!isUnicast(source) || !isUnicast(destination)) {
      counters.add('tcp.address')
      return
    }
    const segment = parseSegment(bytes, source, destination)
    if (typeof segment === 'string') {
      counters.add(segment)
      return
    }
    const { sourcePort, destinationPort } = segment
    const b = this.#table.find(destination, destinationPort, source, sourcePort)
    if (b === undefined) {
      this.#arrivesUnknown(segment, source, destination, undefined, now)
    } else if (reopens(b, segment) && this.#listenerFor(destination, destinationPort) !== undefined) {
      b.close(undefined, now)
      this.#arrivesUnknown(segment, source, destination, b.sndMax, now)
    } else {
      segmentArrives(b, segment, ce, now)
      this.#rearm(b)
    }
  }

  /** LISTEN and CLOSED: RFC 9293 sections 3.10.7.2 and 3.10.7.1. `above` is an old connection's last number. */
  #arrivesUnknown(
    segment: Segment,
    source: IpAddress,
    destination: IpAddress,
    above: number | undefined,
    now: Instant,
  ): void {
    const { flags, sourcePort, destinationPort } = segment
    const listener = this.#listenerFor(destination, destinationPort)
    if (flags & Flag.rst) return
    if (listener === undefined || flags & Flag.ack) {
      this.#options.counters.add(listener === undefined ? 'tcp.noPort' : 'tcp.noConnection')
      this.#refuse(segment, destination, source, now)
      return
    }
    if (!(flags & Flag.syn)) {
      this.#options.counters.add('tcp.flags')
      return
    }
    if (sourcePort === destinationPort && source.equals(destination)) {
      this.#options.counters.add('tcp.self') // the "land" attack: we would talk to ourselves
      return
    }
    if (this.#established >= this.#limits.connections) {
      this.#options.counters.add('tcp.connectionLimit')
      return
    }
    const oldest = listener.overflow
    if (oldest !== undefined) {
      this.#options.counters.add('tcp.halfOpenLimit')
      oldest.close(undefined, now)
    }
    const b = this.#newBlock(destination, destinationPort, source, sourcePort, now, above)
    this.#passive.set(b, listener)
    listener.add(b)
    acceptSyn(b, segment, now)
    this.#rearm(b)
  }

  #newBlock(
    local: IpAddress,
    localPort: number,
    remote: IpAddress,
    remotePort: number,
    now: Instant,
    above?: number,
  ): ControlBlock {
    let sequence = initialSequence(this.#sequenceHash.ofEnds(local, localPort, remote, remotePort), now)
    // RFC 9293 section 3.6.1: beyond what the connection in TIME-WAIT used, whatever its speed was.
    if (above !== undefined && !seqLess(above, sequence)) sequence = seqAdd(above, 0x20000)
    const b = new ControlBlock({
      services: this.#services,
      local,
      localPort,
      remote,
      remotePort,
      initialSequence: sequence,
      timestampOffset: this.#timestampHash.ofEnds(local, localPort, remote, remotePort),
      mss: this.#options.mssFor(remote),
    })
    b.ecn = this.#options.ecn ?? false
    this.#table.add(b)
    this.#connections.set(b, new TcpConnection(b, this.#enter))
    return b
  }

  get #established(): number {
    return this.#connections.size - this.#timeWait.size - this.#halfOpen
  }

  get #halfOpen(): number {
    let count = 0
    for (const listener of this.#listeners) count += listener.halfOpen.size
    return count
  }

  #changed(b: ControlBlock, before: TcpState, now: Instant): void {
    const listener = before === 'SYN-RECEIVED' ? this.#passive.get(b) : undefined
    if (listener !== undefined) {
      this.#passive.delete(b)
      listener.remove(b)
      const connection = this.#connections.get(b)
      if (b.state === 'ESTABLISHED' && connection !== undefined)
        this.#agenda.owe((then) => listener.onConnection(connection, then))
    }
    if (b.state === 'TIME-WAIT') {
      const oldest =
        this.#timeWait.size >= this.#limits.timeWait ? this.#timeWait.values().next().value : undefined
      this.#timeWait.add(b)
      if (oldest !== undefined) {
        this.#options.counters.add('tcp.timeWaitLimit')
        oldest.close(undefined, now)
      }
    } else if (b.state === 'CLOSED') {
      this.#timeWait.delete(b)
      this.#table.remove(b)
      this.#connections.delete(b)
      this.#queued.get(b)?.cancel()
      this.#queued.delete(b)
    }
  }

  #raise(b: ControlBlock, event: TcpEvent): void {
    const connection = this.#connections.get(b)
    if (connection !== undefined) this.#agenda.owe((then) => connection.onEvent?.(event, then))
  }

  /** Keeps one entry in the host's queue for all timers of `b`; one that comes early looks again. */
  #rearm(b: ControlBlock): void {
    const next = b.timers.next()
    const queued = this.#queued.get(b)
    if (next === undefined) {
      queued?.cancel()
      this.#queued.delete(b)
      return
    }
    if (queued !== undefined && queued.at <= next) return
    queued?.cancel()
    this.#queued.set(
      b,
      this.#options.timers.schedule(next, (now) => this.#timersDue(b, now)),
    )
  }

  #timersDue(b: ControlBlock, now: Instant): void {
    this.#queued.delete(b)
    this.#enter(b, now, () => {
      for (;;) {
        const timer = b.timers.takeDue(now)
        if (timer === undefined) return
        timerFired(b, timer, now)
      }
    })
  }

  #refuse(segment: Segment, local: IpAddress, remote: IpAddress, now: Instant): void {
    const bytes = this.#resets.answer(segment, now)
    if (bytes !== undefined) this.#options.transmit(seal(bytes, local, remote), local, remote, now, false)
  }

  #listenerFor(address: IpAddress, port: number): Listener | undefined {
    let best: Listener | undefined
    let fit = 0
    for (const listener of this.#listeners) {
      const fits = listener.fits(address, port)
      if (fits > fit) {
        best = listener
        fit = fits
      }
    }
    return best
  }

  #listensOn(address: IpAddress | undefined, port: number): boolean {
    for (const listener of this.#listeners) {
      if (listener.port !== port) continue
      if (address === undefined ? listener.address === undefined : listener.address?.equals(address))
        return true
    }
    return false
  }
}
