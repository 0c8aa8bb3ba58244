/** What iked.conf(5) says, read and checked. */
import type { IpPrefix } from '../../base/index.js'
import type { ConfigurationValue, EapMethodName, EapUser, SignatureMethod } from '../../proto/ikev2/index.js'
import type { IkedProposal } from './algorithms.js'

export interface IkedConf {
  /** In the file's order; `responderOrder` has that in which a peer gets one. */
  readonly policies: readonly IkedPolicy[]
  readonly options: IkedOptions
  readonly users: readonly EapUser[]
  /** Ready to be shown: what is allowed and not wise, and what Warren leaves out. */
  readonly warnings: readonly string[]
}

/** `set …`. */
export interface IkedOptions {
  /** Begin nothing, whatever the policies say. */
  readonly passive: boolean
  /** Negotiate, and protect nothing. */
  readonly decouple: boolean
  readonly fragmentation: boolean
  readonly mobike: boolean
  readonly vendorId: boolean
  /** A new IKE SA of an identity replaces the one that it had. */
  readonly enforceSingleIkeSa: boolean
  readonly stickyAddress: boolean
  readonly certPartialChain: boolean
  /** In seconds; 0: peers are not asked whether they live. */
  readonly dpdCheckInterval: number
  readonly ocsp?: IkedOcsp
}

export interface IkedOcsp {
  readonly url: string
  /** In seconds; 0: times are not looked at. */
  readonly tolerate: number
  /** In seconds; absent: any. */
  readonly maxAge?: number
}

export const DEFAULT_OPTIONS: IkedOptions = {
  passive: false,
  decouple: false,
  fragmentation: false,
  mobike: true,
  vendorId: true,
  enforceSingleIkeSa: false,
  stickyAddress: false,
  certPartialChain: false,
  dpdCheckInterval: 60,
}

/** An address, a network, or the name of an interface or of a group of them. */
export type IkedHost =
  | { readonly kind: 'any' }
  | { readonly kind: 'prefix'; readonly prefix: IpPrefix }
  | { readonly kind: 'name'; readonly name: string; readonly where: string }

/** Traffic that a policy is for; 0.0.0.0 and :: alone stand for the address that configuration assigns (`dynamic`). */
export interface IkedFlow {
  readonly from: IkedHost
  readonly fromPort?: number
  /** The network as it is before pf(4) translates it to `from`. */
  readonly sourceNat?: IpPrefix
  readonly to: IkedHost
  readonly toPort?: number
}

export type IkedAuth =
  | { readonly kind: 'psk'; readonly secret: Uint8Array }
  | { readonly kind: 'eap'; readonly method: EapMethodName }
  /** `signature`: any. */
  | { readonly kind: 'signature'; readonly method: SignatureMethod | 'signature' }

/** `ppk …`: a post-quantum pre-shared key (RFC 8784). */
export interface IkedPpk {
  readonly name: string
  readonly secret: Uint8Array
  readonly optional: boolean
}

export interface IkedConfigurationValue extends ConfigurationValue {
  /** `config` serves, `request` asks. */
  readonly action: 'config' | 'request'
}

export interface IkedPolicy {
  /** Its place among the policies of the file, from 1. */
  readonly number: number
  /** As written, or `policy` and the number. */
  readonly name: string
  /** `quick`: what is below is not looked at. `skip`: nobody gets it. `default`: who gets no other gets it. */
  readonly evaluation?: 'quick' | 'skip' | 'default'
  readonly active: boolean
  readonly ipcomp: boolean
  readonly mode: 'tunnel' | 'transport'
  readonly protocol: 'esp' | 'ah'
  /** Of the two ends; absent: either. */
  readonly family?: 4 | 6
  /** Of the traffic; none: all. */
  readonly protocols: readonly number[]
  readonly rdomain?: number
  readonly flows: readonly IkedFlow[]
  readonly local: IkedHost
  readonly peer: IkedHost
  readonly ikesa: readonly IkedProposal[]
  readonly childsa: readonly IkedProposal[]
  /** As written. */
  readonly srcid?: string
  readonly dstid?: string
  /** In seconds; 0: the IKE SA is not made anew. */
  readonly ikeLifetime: number
  /** In seconds and bytes; 0: no limit. */
  readonly lifetime: { readonly seconds: number; readonly bytes: number }
  readonly auth: IkedAuth
  readonly ppks?: readonly IkedPpk[]
  readonly configuration: readonly IkedConfigurationValue[]
  readonly iface?: string
  /** pf(4)'s; `expandTag` replaces its variables. */
  readonly tag?: string
  /** The number of the enc(4) interface; absent: enc0. */
  readonly tap?: number
  /** `file:line:column`. */
  readonly where: string
}

/** iked 7.2's: three hours and 4 GB. */
export const DEFAULT_LIFETIME: IkedPolicy['lifetime'] = { seconds: 10_800, bytes: 2 ** 32 }

/**
 * The order in which a peer gets a policy: the first that fits. In the file the last one that fits wins, unless a `quick`
 * one is met before.
 */
export function responderOrder(policies: readonly IkedPolicy[]): IkedPolicy[] {
  const tried = policies.filter(({ evaluation }) => evaluation !== 'skip')
  return [
    ...tried.filter(({ evaluation }) => evaluation === 'quick'),
    ...tried.filter(({ evaluation }) => evaluation !== 'quick').reverse(),
  ]
}
