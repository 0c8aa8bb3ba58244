/** What an administrator wants of IKE: plain data, made by the readers of configuration files. */
import type { Duration, IpAddress, IpPrefix } from '../../base/index.js'
import type { Identity } from './identity.js'
import type { Selector } from './selectors.js'
import type { Suite } from './suites.js'

/** A pair of networks whose packets a child SA protects. */
export interface Flow {
  readonly local: Selector
  readonly remote: Selector
}

/** How one side proves who it is. */
export type Authentication =
  | { readonly kind: 'psk'; readonly secret: Uint8Array }
  /** With the private key of its identity; the peer with a public key or a certificate that is trusted. */
  | { readonly kind: 'signature' }

/** Seconds and bytes after which a child is made anew. */
export interface ChildLifetime {
  readonly seconds?: number
  readonly bytes?: number
}

export interface IkePolicy {
  /** Unique among the policies of a machine: paths and status are named after it. */
  readonly name: string
  /** We begin; else we wait to be spoken to. */
  readonly initiate: boolean
  /** Our own end. */
  readonly local: IpAddress
  /** Who may be the other one: an address of its own where we begin. */
  readonly peer: IpPrefix
  readonly ikeSuites: readonly Suite[]
  readonly childSuites: readonly Suite[]
  readonly childProtocol: 'esp' | 'ah'
  readonly mode: 'tunnel' | 'transport'
  readonly flows: readonly Flow[]
  readonly localId: Identity
  /** Who the peer has to be; absent: whoever proves to be somebody that we trust. */
  readonly remoteId?: Identity
  readonly localAuth: Authentication
  readonly remoteAuth: Authentication
  /** When the IKE SA is made anew; absent: never. */
  readonly ikeLifetime?: Duration
  readonly childLifetime: ChildLifetime
  /** How long nothing may be heard of a peer before it is asked whether it lives. */
  readonly deadPeerAfter?: Duration
  /** MOBIKE is offered (RFC 4555). */
  readonly mobike: boolean
  /** Larger messages go in fragments (RFC 7383), where the peer takes them. */
  readonly fragmentation: boolean
  /** Always in UDP, as if there were a NAT. */
  readonly forceUdp: boolean
  /** `file:line`. */
  readonly where?: string
}
