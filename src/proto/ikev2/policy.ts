/** What an administrator wants of IKE: plain data, made by the readers of configuration files. */
import type { Duration, IpAddress, IpPrefix } from '../../base/index.js'
import type { Identity } from './identity.js'
import type { Selector } from './selectors.js'
import type { Suite } from './suites.js'

/** A pair of networks whose packets a child SA protects. */
export interface Flow {
  readonly local: Selector
  readonly remote: Selector
  /** This end is the address that configuration payloads assign: its selector is all of its family until then. */
  readonly dynamic?: 'local' | 'remote'
}

/** How one side proves who it is. */
export type Authentication =
  | { readonly kind: 'psk'; readonly secret: Uint8Array }
  /**
   * With the private key of its identity; the peer with a public key or a certificate that is trusted. `method`: in this
   * way alone; absent: any.
   */
  | { readonly kind: 'signature'; readonly method?: SignatureMethod }
  | EapAuthentication

/** `tls`: with a certificate in the place of a password. */
export type EapMethodName = 'mschap-v2' | 'tls'

/** An initiator's way alone. Users: our own one, or all that a responder knows; none of `tls`. */
export interface EapAuthentication {
  readonly kind: 'eap'
  readonly method: EapMethodName
  readonly users: readonly EapUser[]
}

/** A post-quantum pre-shared key (RFC 8784) under a name that both sides know. */
export interface Ppk {
  readonly id: Uint8Array
  readonly secret: Uint8Array
  /** A peer that has it not may come without. */
  readonly optional: boolean
}

export interface EapUser {
  readonly name: string
  readonly password: string
}

/** In the words of iked.conf(5); all but `rfc7427` are the methods of RFC 7296 and RFC 4754. */
export type SignatureMethod = 'rsa' | 'ecdsa256' | 'ecdsa384' | 'ecdsa521' | 'rfc7427'

/** What configuration payloads can tell, in the words of iked.conf(5). */
export type ConfigurationOption =
  | 'address'
  | 'netmask'
  | 'name-server'
  | 'netbios-server'
  | 'dhcp-server'
  | 'protected-subnet'
  | 'access-server'

export interface ConfigurationValue {
  readonly option: ConfigurationOption
  readonly family: 4 | 6
  /** Absent: of a request, any. */
  readonly address?: IpAddress
  /** Bits of the pool's or the subnet's prefix; absent: that one address. */
  readonly prefixLength?: number
}

/** Seconds and bytes after which a child is made anew. */
export interface ChildLifetime {
  readonly seconds?: number
  readonly bytes?: number
}

/** Of the policies that a peer may get, the first that fits is taken. */
export interface IkePolicy {
  /** Unique among the policies of a machine that begin: paths and status are named after it. */
  readonly name: string
  /** We begin; else we wait to be spoken to. */
  readonly initiate: boolean
  /** Nobody who speaks to us gets this policy. */
  readonly skipped?: boolean
  /** Our own end. */
  readonly local: IpAddress
  /** Where we can be spoken to, if not at `local` alone. */
  readonly locals?: readonly IpPrefix[]
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
  /** An initiator names the first. Unless all are optional, nobody gets this policy without one. */
  readonly ppks?: readonly Ppk[]
  /** When the IKE SA is made anew; absent: never. */
  readonly ikeLifetime?: Duration
  readonly childLifetime: ChildLifetime
  /** How long nothing may be heard of a peer before it is asked whether it lives. */
  readonly deadPeerAfter?: Duration
  /** MOBIKE is offered (RFC 4555). */
  readonly mobike: boolean
  /** Port 4500 only where there is a NAT, as without MOBIKE: iked(8) of OpenBSD does not offer it as an initiator. */
  readonly keepsPort?: boolean
  /** Larger messages go in fragments (RFC 7383), where the peer takes them. */
  readonly fragmentation: boolean
  /** Always in UDP, as if there were a NAT. */
  readonly forceUdp: boolean
  /** What we tell peers that ask (a gateway), and what we ask for (its client). */
  readonly serves?: readonly ConfigurationValue[]
  readonly requests?: readonly ConfigurationValue[]
  /** A peer gets the address that it had before. */
  readonly stickyAddress?: boolean
  /** A peer's newer IKE SA replaces its older one. */
  readonly singleSa?: boolean
  /** The interface that gets what was asked for. */
  readonly iface?: string
  /** pf(4)'s tag, its `$` variables not yet replaced. */
  readonly tag?: string
  /** `file:line`. */
  readonly where?: string
}
