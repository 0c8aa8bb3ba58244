/**
 * Neighbour discovery (RFC 4861): whole ICMPv6 messages with their options. Checksums are those of icmpv6.ts.
 * Each message's `view` takes an `end`: options reach to it.
 */
import { type Ipv6Address, ParseError } from '../base/index.js'
import { Icmpv6Type, icmpv6TypeNames } from './icmpv6.js'
import {
  defineHeader,
  type Field,
  flag,
  type Header,
  type HeaderView,
  ipv6Address,
  uint,
  type WireOption,
} from './layout.js'
import { ndOptionLayout } from './nd-options.js'

interface NdMessage {
  /** The message's own; may be left out. */
  type?: number
  /** Always 0. */
  code?: number
  /** 0 until `sealIcmpv6Checksum` fills it. */
  checksum?: number
  options?: readonly WireOption[]
}

export interface RouterSolicitation extends NdMessage {
  reserved?: number
}

export interface RouterAdvertisement extends NdMessage {
  curHopLimit: number
  managed: boolean
  other: boolean
  reserved?: number
  /** Seconds; 0: not a default router. */
  routerLifetime: number
  /** Milliseconds; 0: unspecified. */
  reachableTime: number
  /** Milliseconds; 0: unspecified. */
  retransTimer: number
}

export interface NeighborSolicitation extends NdMessage {
  reserved?: number
  target: Ipv6Address
}

export interface NeighborAdvertisement extends NdMessage {
  router: boolean
  solicited: boolean
  override: boolean
  reserved?: number
  target: Ipv6Address
}

export interface NdRedirect extends NdMessage {
  reserved?: number
  target: Ipv6Address
  destination: Ipv6Address
}

const type = (value: number): Field<number> => uint(8, 'Type', { must: value, codes: icmpv6TypeNames })
const code = uint(8, 'Code', { must: 0 })
const checksum = uint(16, 'Checksum', { show: 'hex', ref: 'RFC 4443 section 2.3' })
const reserved = (bits: number): Field<number> =>
  uint(bits, 'Reserved', { meaning: (value) => (value === 0 ? undefined : 'should be zero') })

/** RFC 4861 sections 7.1.1, 7.1.2 and 8.1: a multicast target is no neighbour. */
const checkTarget =
  (name: string) =>
  (view: HeaderView & Readonly<{ target: Ipv6Address }>): ParseError | undefined =>
    view.target.isMulticast
      ? new ParseError(name, 'target', view.start + 8, String(view.target), 'a unicast address')
      : undefined

export const routerSolicitation: Header<RouterSolicitation> = defineHeader<RouterSolicitation>({
  name: 'routerSolicitation',
  title: 'Router solicitation',
  ref: 'RFC 4861 section 4.1',
  fields: { type: type(Icmpv6Type.routerSolicitation), code, checksum, reserved: reserved(32) },
  options: ndOptionLayout,
})

export const routerAdvertisement: Header<RouterAdvertisement> = defineHeader<RouterAdvertisement>({
  name: 'routerAdvertisement',
  title: 'Router advertisement',
  ref: 'RFC 4861 section 4.2',
  fields: {
    type: type(Icmpv6Type.routerAdvertisement),
    code,
    checksum,
    curHopLimit: uint(8, 'Cur hop limit', { meaning: (hops) => (hops === 0 ? 'unspecified' : 'hops') }),
    managed: flag('Managed address configuration (M)'),
    other: flag('Other configuration (O)'),
    reserved: reserved(6),
    routerLifetime: uint(16, 'Router lifetime', {
      meaning: (seconds) => (seconds === 0 ? 'not a default router' : 'seconds'),
    }),
    reachableTime: uint(32, 'Reachable time', { meaning: (ms) => (ms === 0 ? 'unspecified' : 'ms') }),
    retransTimer: uint(32, 'Retrans timer', { meaning: (ms) => (ms === 0 ? 'unspecified' : 'ms') }),
  },
  options: ndOptionLayout,
})

export const neighborSolicitation: Header<NeighborSolicitation> = defineHeader<NeighborSolicitation>({
  name: 'neighborSolicitation',
  title: 'Neighbor solicitation',
  ref: 'RFC 4861 section 4.3',
  fields: {
    type: type(Icmpv6Type.neighborSolicitation),
    code,
    checksum,
    reserved: reserved(32),
    target: ipv6Address('Target address'),
  },
  options: ndOptionLayout,
  check: checkTarget('neighborSolicitation'),
})

export const neighborAdvertisement: Header<NeighborAdvertisement> = defineHeader<NeighborAdvertisement>({
  name: 'neighborAdvertisement',
  title: 'Neighbor advertisement',
  ref: 'RFC 4861 section 4.4',
  fields: {
    type: type(Icmpv6Type.neighborAdvertisement),
    code,
    checksum,
    router: flag('Router (R)'),
    solicited: flag('Solicited (S)'),
    override: flag('Override (O)'),
    reserved: reserved(29),
    target: ipv6Address('Target address'),
  },
  options: ndOptionLayout,
  check: checkTarget('neighborAdvertisement'),
})

export const ndRedirect: Header<NdRedirect> = defineHeader<NdRedirect>({
  name: 'ndRedirect',
  title: 'Redirect',
  ref: 'RFC 4861 section 4.5',
  fields: {
    type: type(Icmpv6Type.redirect),
    code,
    checksum,
    reserved: reserved(32),
    target: ipv6Address('Target address'),
    destination: ipv6Address('Destination address'),
  },
  options: ndOptionLayout,
  check: checkTarget('ndRedirect'),
})
