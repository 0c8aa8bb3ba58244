import type { IpAddress } from './address.js'

/** An address as an interface carries it. */
export interface InterfaceAddress {
  readonly address: IpAddress
  readonly prefixLength: number
  /** The other end, on a point-to-point interface. */
  readonly peer?: IpAddress
}
