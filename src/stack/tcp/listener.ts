import type { Instant, IpAddress } from '../../base/index.js'
import type { TcpConnection } from './connection.js'
import type { ControlBlock } from './control-block.js'

export interface ListenOptions {
  /** Without one, every address of both families. */
  readonly address?: IpAddress
  /** 0 takes a free port. */
  readonly port: number
  /** How many handshakes may be under way at once; at most (and by default) the layer's limit `halfOpen`. */
  readonly backlog?: number
  /** A handshake is complete. Data may wait already: set `onEvent` here, and read. */
  readonly onConnection: (connection: TcpConnection, now: Instant) => void
}

/** Passive OPEN. Its half-open table is bounded: what keeps a SYN flood from growing anything. */
export class Listener {
  readonly address: IpAddress | undefined
  readonly port: number
  readonly onConnection: (connection: TcpConnection, now: Instant) => void
  readonly #backlog: number
  /** Connections in SYN-RECEIVED, the oldest first. */
  readonly #halfOpen = new Set<ControlBlock>()

  constructor(options: ListenOptions, port: number, limit: number) {
    this.address = options.address
    this.port = port
    this.onConnection = options.onConnection
    this.#backlog = Math.max(1, Math.min(options.backlog ?? limit, limit))
  }

  get halfOpen(): ReadonlySet<ControlBlock> {
    return this.#halfOpen
  }

  /** The connection that must go before another one may be added. */
  get overflow(): ControlBlock | undefined {
    if (this.#halfOpen.size < this.#backlog) return undefined
    return this.#halfOpen.values().next().value
  }

  add(b: ControlBlock): void {
    this.#halfOpen.add(b)
  }

  /** False if it was not half-open here. */
  remove(b: ControlBlock): boolean {
    return this.#halfOpen.delete(b)
  }

  /** How well it fits: 2 its own address, 1 any address, 0 not. */
  fits(address: IpAddress, port: number): 0 | 1 | 2 {
    if (port !== this.port) return 0
    if (this.address === undefined) return 1
    return this.address.equals(address) ? 2 : 0
  }
}
