/** This machine's addresses as they are now, and who is told when they, links or routes have changed. */
import type { LocalAddress } from '../engine/host.js'
import { libc } from './ffi.js'
import { openNetworkWatch } from './network-watch.js'
import type { RouteNetlink } from './rtnetlink.js'

/** Changes come in crowds: an address brings its routes, a DHCP client takes away what it gives again. */
const QUIET_MS = 100

export class NetworkState {
  readonly #routes: () => RouteNetlink
  readonly #first: () => void
  readonly #log: (line: string) => void
  readonly #listeners = new Set<() => void>()
  #fd: number | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false

  /** `first`: told of a change before all listeners. */
  constructor(routes: () => RouteNetlink, first: () => void, log: (line: string) => void) {
    this.#routes = routes
    this.#first = first
    this.#log = log
  }

  /** The descriptor that is to be watched; undefined where the kernel does not tell. */
  open(): number | undefined {
    try {
      this.#fd ??= openNetworkWatch()
    } catch {
      // What was in force stays so; `warren reload` takes up what has changed.
    }
    return this.#fd
  }

  listen(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The watched descriptor had something to say. */
  changed(): void {
    if (this.#closed || this.#timer !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      for (const told of [this.#first, ...this.#listeners]) {
        try {
          told()
        } catch (error) {
          this.#log(
            `addresses have changed, and nothing follows: ${error instanceof Error ? error.message : String(error)}`,
          )
        }
      }
    }, QUIET_MS)
  }

  /** Those of interfaces that are up. `tunnels`: indexes of interfaces of our own. */
  addresses(tunnels: ReadonlySet<number>): LocalAddress[] {
    const links = new Map(
      this.#routes()
        .links()
        .map((link) => [link.index, link]),
    )
    return this.#routes()
      .addresses()
      .flatMap(({ interfaceIndex, address }) => {
        const link = links.get(interfaceIndex)
        if (link?.up !== true) return []
        const place = link.loopback === true ? 'loopback' : tunnels.has(interfaceIndex) ? 'tunnel' : 'link'
        return [{ address, place }]
      })
  }

  /** What steering depends on, as text: whether the interface is up, and the addresses in their order. */
  textFor(index: number): string {
    const routes = this.#routes()
    const isUp = routes.links().some((link) => link.index === index && link.up)
    const addresses = routes.addresses().map(({ interfaceIndex, address }) => `${interfaceIndex} ${address}`)
    return `${isUp ? 'up' : 'down'} ${addresses.join(' ')}`
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#listeners.clear()
    if (this.#fd !== undefined) libc().close(this.#fd)
    this.#fd = undefined
  }
}
