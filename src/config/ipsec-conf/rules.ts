/** What ipsec.conf(5) says, read and checked: flows and security associations, one direction each. */
import type { ManualSa, Policy } from '../../engine/index.js'

export interface IpsecFlow {
  readonly policy: Policy
  /** The word behind `type`, which may be finer than the policy's action. */
  readonly type: FlowType
  readonly srcid?: string
  readonly dstid?: string
  /** `file:line:column`. */
  readonly where: string
}

export type FlowType = 'use' | 'acquire' | 'require' | 'deny' | 'bypass' | 'dontacq'

export interface IpsecConf {
  /** In the file's order; flows of both directions are two. */
  readonly flows: readonly IpsecFlow[]
  readonly sas: readonly ManualSa[]
  /** Flows and SAs in the order of the file. */
  readonly rules: readonly (
    | { readonly kind: 'flow'; readonly flow: IpsecFlow }
    | { readonly kind: 'sa'; readonly sa: ManualSa }
    | { readonly kind: 'macro'; readonly name: string; readonly value: string }
  )[]
  /** Ready to be shown: what is allowed and not wise. */
  readonly warnings: readonly string[]
}
