import { type Duration, type Instant, type IpAddress, seconds, WarrenError } from '../../../base/index.js'
import type { UdpSocket } from '../../../stack/index.js'
import type { TcpConnection } from '../../../stack/tcp/index.js'
import type { CommandContext } from '../../command.js'
import { sendError } from './hosts.js'

/** Two ends that talk, over TCP or UDP, as nc(1) needs them: everything that waits, waits on the lab's clock. */

export interface Conversation {
  readonly remoteAddress: IpAddress
  readonly remotePort: number
  /** Hands over all that is to be sent; `end` closes this half behind it. Does not wait. */
  send(data: Uint8Array, end: boolean): void
  /** The next bytes; `undefined`: the peer has ended, `limit` is over, or ^C. */
  receive(limit: Duration | undefined): Promise<Uint8Array | undefined>
  close(): void
}

export interface ListenPlan {
  readonly family: 4 | 6
  readonly address?: IpAddress
  readonly port: number
}

export interface ConnectPlan {
  readonly source: IpAddress | undefined
  readonly sourcePort: number | undefined
  readonly timeout: Duration | undefined
}

export interface ConversationListener {
  /** The next one who calls; `undefined`: ^C. */
  next(): Promise<Conversation | undefined>
  close(): void
}

/** TCP itself gives up on a handshake before this. */
const CONNECT_LIMIT = seconds(180)
/** Callers and datagrams that wait until the command looks; more are turned away. */
const WAITING_LIMIT = 64
const DATAGRAM_LIMIT = 1024

/** Most that is read of a connection at once, as nc's own buffer. */
const BUFFER = 16_384

/** A place to wait at until something has happened; `signal` may come before the wait. */
class Bell {
  #rung = false
  #wake: (() => void) | undefined

  signal(): void {
    this.#rung = true
    this.#wake?.()
  }

  /** False: the limit is over, or ^C. */
  async heard(context: CommandContext, limit: Duration | undefined): Promise<boolean> {
    if (!this.#rung)
      await context.wait<true>((resolve) => {
        this.#wake = () => resolve(true)
        return () => {
          this.#wake = undefined
        }
      }, limit)
    const rung = this.#rung
    this.#rung = false
    return rung && !context.interrupted
  }
}

export class TcpConversation implements Conversation {
  readonly #connection: TcpConnection
  readonly #context: CommandContext
  readonly #bell = new Bell()
  #toSend: Uint8Array = new Uint8Array(0)
  #endAfter = false
  #over = false

  private constructor(connection: TcpConnection, context: CommandContext) {
    this.#connection = connection
    this.#context = context
    connection.onEvent = (event, now) => {
      if (event === 'writable' || event === 'connected') this.#push(now)
      if (event === 'end' || event === 'closed' || event === 'error') this.#over = true
      this.#bell.signal()
    }
  }

  get remoteAddress(): IpAddress {
    return this.#connection.remoteAddress
  }

  get remotePort(): number {
    return this.#connection.remotePort
  }

  /** @throws WarrenError of the address or port: 'Address already in use'. */
  static listen(plan: ListenPlan, context: CommandContext): ConversationListener {
    const waiting: Conversation[] = []
    const bell = new Bell()
    const { tcp } = context.host.stack
    const listener = tcp.listen({
      port: plan.port,
      ...(plan.address === undefined ? {} : { address: plan.address }),
      onConnection: (connection, now) => {
        if (connection.remoteAddress.family !== plan.family || waiting.length >= WAITING_LIMIT)
          connection.abort(now)
        else waiting.push(new TcpConversation(connection, context))
        bell.signal()
      },
    })
    return {
      next: async () => {
        while (waiting.length === 0) if (!(await bell.heard(context, undefined))) return undefined
        return waiting.shift()
      },
      close: () => listener.close(context.host.now()),
    }
  }

  /** @throws WarrenError ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH and their like. */
  static async connect(
    destination: IpAddress,
    port: number,
    plan: ConnectPlan,
    context: CommandContext,
  ): Promise<Conversation> {
    const connection = context.host.stack.tcp.connect(
      {
        destination,
        port,
        ...(plan.source === undefined ? {} : { source: plan.source }),
        ...(plan.sourcePort === undefined ? {} : { sourcePort: plan.sourcePort }),
      },
      context.host.now(),
    )
    const conversation = new TcpConversation(connection, context)
    const began = context.host.now()
    while (connection.state === 'SYN-SENT' || connection.state === 'SYN-RECEIVED') {
      const left = (began + (plan.timeout ?? CONNECT_LIMIT) - context.host.now()) as Duration
      if (left <= 0) break
      await conversation.#bell.heard(context, left)
      if (context.interrupted) break
    }
    if (connection.error !== undefined) throw connection.error
    if (connection.state === 'SYN-SENT' || connection.state === 'SYN-RECEIVED') {
      connection.abort(context.host.now())
      throw new WarrenError(
        'ETIMEDOUT',
        context.interrupted ? 'Interrupted system call' : 'Operation timed out',
      )
    }
    return conversation
  }

  send(data: Uint8Array, end: boolean): void {
    this.#toSend = data
    this.#endAfter = end
    this.#push(this.#context.host.now())
  }

  #push(now: Instant): void {
    while (this.#toSend.length > 0) {
      const taken = this.#connection.write(this.#toSend, now)
      if (taken === 0) return
      this.#toSend = this.#toSend.subarray(taken)
    }
    if (this.#endAfter) {
      this.#endAfter = false
      this.#connection.end(now)
    }
  }

  async receive(limit: Duration | undefined): Promise<Uint8Array | undefined> {
    for (;;) {
      const data = this.#connection.read(BUFFER, this.#context.host.now())
      if (data !== undefined && data.length > 0) return data
      if (this.#over) return undefined
      if (!(await this.#bell.heard(this.#context, limit)) && !this.#over) return undefined
    }
  }

  close(): void {
    this.#connection.end(this.#context.host.now())
  }
}

export class UdpConversation implements Conversation {
  readonly remoteAddress: IpAddress
  readonly remotePort: number
  readonly #socket: UdpSocket
  readonly #context: CommandContext
  readonly #queue: Uint8Array[]
  readonly #bell: Bell

  private constructor(
    socket: UdpSocket,
    peer: { readonly address: IpAddress; readonly port: number },
    queue: Uint8Array[],
    bell: Bell,
    context: CommandContext,
  ) {
    this.#socket = socket
    this.remoteAddress = peer.address
    this.remotePort = peer.port
    this.#queue = queue
    this.#bell = bell
    this.#context = context
  }

  /** The first sender is the peer; nc hears nobody else from then on. */
  static listen(plan: ListenPlan, context: CommandContext): ConversationListener {
    const queue: Uint8Array[] = []
    const bell = new Bell()
    let peer: { address: IpAddress; port: number } | undefined
    const socket = context.host.stack.udp.bind({
      port: plan.port,
      ...(plan.address === undefined ? {} : { address: plan.address }),
      onDatagram: ({ source, sourcePort, data }) => {
        if (source.family !== plan.family) return
        peer ??= { address: source, port: sourcePort }
        if (!peer.address.equals(source) || peer.port !== sourcePort) return
        if (queue.length < DATAGRAM_LIMIT) queue.push(data)
        bell.signal()
      },
    })
    return {
      next: async () => {
        while (peer === undefined) if (!(await bell.heard(context, undefined))) return undefined
        return new UdpConversation(socket, peer, queue, bell, context)
      },
      close: () => socket.close(),
    }
  }

  static connect(
    destination: IpAddress,
    port: number,
    plan: ConnectPlan,
    context: CommandContext,
  ): Promise<Conversation> {
    const queue: Uint8Array[] = []
    const bell = new Bell()
    const socket = context.host.stack.udp.bind({
      ...(plan.source === undefined ? {} : { address: plan.source }),
      ...(plan.sourcePort === undefined ? {} : { port: plan.sourcePort }),
      onDatagram: ({ source, sourcePort, data }) => {
        if (!source.equals(destination) || sourcePort !== port) return
        if (queue.length < DATAGRAM_LIMIT) queue.push(data)
        bell.signal()
      },
    })
    return Promise.resolve(new UdpConversation(socket, { address: destination, port }, queue, bell, context))
  }

  send(data: Uint8Array): void {
    for (let at = 0; at < data.length; at += BUFFER) {
      const part = data.subarray(at, at + BUFFER)
      const result = this.#socket.send(part, this.remoteAddress, this.remotePort, this.#context.host.now())
      if (result !== 'ok') this.#context.warn(`nc: write: ${sendError(result)}`)
    }
  }

  async receive(limit: Duration | undefined): Promise<Uint8Array | undefined> {
    for (;;) {
      const data = this.#queue.shift()
      if (data !== undefined) return data
      if (!(await this.#bell.heard(this.#context, limit)) && this.#queue.length === 0) return undefined
    }
  }

  close(): void {
    this.#socket.close()
  }
}
