/** Addresses that configuration payloads assign: laid on interfaces while an SA lasts, and none of this machine's own. */
import { type InterfaceAddress, type IpAddress, WarrenError } from '../base/index.js'
import { Errno, systemError } from './ffi.js'
import type { RouteNetlink } from './rtnetlink.js'

type Addresses = Pick<RouteNetlink, 'addAddress' | 'deleteAddress'>

const codeOf = (errno: number): string => systemError('', errno).code
const STANDS = codeOf(Errno.EEXIST)
/** The address, or its interface, is gone already. */
const GONE: readonly string[] = [codeOf(Errno.EADDRNOTAVAIL), codeOf(Errno.ENODEV)]

export class LentAddresses {
  readonly #routes: () => Addresses
  /** By address: the interfaces. */
  readonly #lent = new Map<string, Set<number>>()

  constructor(routes: () => Addresses) {
    this.#routes = routes
  }

  has(address: IpAddress): boolean {
    return this.#lent.has(`${address}`)
  }

  /** What stands there by somebody else's hand is left there afterwards. Throws `LINUX_*` where the kernel refuses. */
  add(index: number, name: string, address: InterfaceAddress): void {
    try {
      // Nobody else can have it: the gateway gives it once.
      this.#routes().addAddress(index, name, address, true)
    } catch (error) {
      if (error instanceof WarrenError && error.code === STANDS) return
      throw error
    }
    const key = `${address.address}`
    const on = this.#lent.get(key)
    if (on === undefined) this.#lent.set(key, new Set([index]))
    else on.add(index)
  }

  remove(index: number, name: string, address: InterfaceAddress): void {
    const key = `${address.address}`
    const on = this.#lent.get(key)
    if (on?.delete(index) !== true) return
    if (on.size === 0) this.#lent.delete(key)
    try {
      this.#routes().deleteAddress(index, name, address)
    } catch (error) {
      if (!(error instanceof WarrenError && GONE.includes(error.code))) throw error
    }
  }
}
