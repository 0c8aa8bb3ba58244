/**
 * What configuration payloads assign to this host (RFC 7296 section 2.19): addresses that stand on an interface as long as
 * an IKE SA that has them, or one that took over from it. Each stands alone, without a network beside it: what goes by it
 * is the policies' matter.
 */
import { type InterfaceAddress, type IpAddress, WarrenError } from '../base/index.js'
import type { IkeNews } from '../proto/ikev2/index.js'
import type { AddressHolder, Host, HostInterface } from './host.js'

type AssignedNews = IkeNews & { readonly kind: 'assigned' }

interface Standing {
  readonly address: InterfaceAddress
  readonly holders: readonly AddressHolder[]
  /** The interface, where it was made for it. */
  readonly made: HostInterface | undefined
  /** SAs that have it. One that begins anew gets it before the old one has ended. */
  users: number
}

/** No packet enters it: it has an address. */
const MADE_MTU = 1500

export class AssignedAddresses {
  readonly #host: Host
  readonly #own: () => HostInterface | undefined
  readonly #refused: (error: WarrenError) => void
  readonly #standing = new Map<string, Standing>()
  readonly #made = new Map<string, HostInterface>()

  /** `own`: the tunnel's interface, for policies that name none. */
  constructor(host: Host, own: () => HostInterface | undefined, refused: (error: WarrenError) => void) {
    this.#host = host
    this.#own = own
    this.#refused = refused
  }

  hear({ up, toPeer, values, policy }: AssignedNews): void {
    if (toPeer) return
    for (const { option, address } of values) {
      if (option !== 'address' || address === undefined) continue
      try {
        if (up) this.#add(address, policy?.iface)
        else this.#remove(address)
      } catch (error) {
        if (!(error instanceof WarrenError)) throw error
        this.#refused(error)
      }
    }
  }

  /** Takes all of them back. */
  clear(): void {
    for (const standing of [...this.#standing.values()]) {
      standing.users = 1
      try {
        this.#remove(standing.address.address)
      } catch (error) {
        if (!(error instanceof WarrenError)) throw error
        this.#refused(error)
      }
    }
  }

  #add(address: IpAddress, name: string | undefined): void {
    const before = this.#standing.get(`${address}`)
    if (before !== undefined) {
      before.users++
      return
    }
    const whole = { address, prefixLength: 8 * address.bytes.length }
    const { holder, made } = this.#holder(name)
    const own = this.#own()
    // RFC 6724 section 5, rule 5: of IPv6 the source is one of the interface that leads there, and that is the tunnel's.
    const holders: AddressHolder[] = [holder]
    if (address.family === 6 && own !== undefined && name !== undefined && name !== own.name)
      holders.unshift(holderOf(own))
    const standing: Standing = { address: whole, holders, made, users: 1 }
    this.#standing.set(`${address}`, standing)
    try {
      for (const one of holders) one.addAddress(whole)
    } catch (error) {
      this.#remove(address)
      throw error
    }
  }

  #remove(address: IpAddress): void {
    const key = `${address}`
    const standing = this.#standing.get(key)
    if (standing === undefined || --standing.users > 0) return
    this.#standing.delete(key)
    try {
      for (const holder of standing.holders) holder.removeAddress(standing.address)
    } finally {
      this.#giveBack(standing.made)
    }
  }

  /** The interface that the policy names: the tunnel's own, one that is there, or one that is made. */
  #holder(name: string | undefined): Pick<Standing, 'made'> & { readonly holder: AddressHolder } {
    const own = this.#own()
    if (own !== undefined && (name === undefined || name === own.name))
      return { holder: holderOf(own), made: undefined }
    if (name === undefined) throw cannot(this.#host.name)
    const before = this.#made.get(name)
    if (before !== undefined) return { holder: holderOf(before), made: before }
    const lent = this.#host.borrowInterface?.(name)
    if (lent !== undefined) return { holder: lent, made: undefined }
    const made = this.#host.createInterface({ name, layer: 'ip', mtu: MADE_MTU, addresses: [], up: true })
    this.#made.set(name, made)
    return { holder: holderOf(made), made }
  }

  /** What was made for addresses goes with the last of them. */
  #giveBack(made: HostInterface | undefined): void {
    if (made === undefined || [...this.#standing.values()].some((one) => one.made === made)) return
    this.#made.delete(made.name)
    made.destroy()
  }
}

function holderOf(made: HostInterface): AddressHolder {
  const { addAddress, removeAddress } = made
  if (addAddress === undefined || removeAddress === undefined) throw cannot(made.name)
  return { addAddress: addAddress.bind(made), removeAddress: removeAddress.bind(made) }
}

const cannot = (where: string): WarrenError =>
  new WarrenError('HOST_ADDRESSES', 'addresses that a gateway assigns cannot be set on this host', {
    where,
    mend: 'set the address that the log tells by hand, or take `request address` out of the policy',
  })
