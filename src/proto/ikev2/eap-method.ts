/** What IKE_AUTH has to know of a method of EAP (RFC 7296 section 2.16), whichever it is. */
import type { Identity } from './identity.js'

export interface EapRefusal {
  readonly reason: string
  readonly mend: string
}

/** What an end makes of an EAP payload. Whatever has `data` is sent as the next one. */
export type EapStep =
  /** `refusal`: what is sent says that it is over; some clients go without another word. */
  | { readonly kind: 'send'; readonly data: Uint8Array; readonly refusal?: EapRefusal }
  /** Something is still being worked at: `resume` gives the next step once there is one. */
  | { readonly kind: 'wait'; readonly data?: undefined }
  /**
   * Both have proved themselves. AUTH payloads are made with `msk`; the server's `data` is EAP's success. Who the client
   * is: the name of a user, or an identity of IKE.
   */
  | {
      readonly kind: 'done'
      readonly msk: Uint8Array
      readonly userName?: string
      readonly identity?: Identity
      readonly data?: Uint8Array
    }
  | { readonly kind: 'failed'; readonly reason: string; readonly mend: string; readonly data?: Uint8Array }

/** How much of it there may be: packets of the peer, and bytes of one of them. */
export interface EapLimits {
  readonly rounds: number
  readonly length: number
}

interface EapMethod {
  readonly limits: EapLimits
  /** An EAP payload of the other side. */
  receive(bytes: Uint8Array): EapStep
  /** Behind `wait`, called when what was waited for may be there; undefined: not yet. */
  resume?(): EapStep | undefined
  /** It is over, however it ended; may be called more than once. */
  close?(): void
}

export type EapClient = EapMethod

export interface EapServer extends EapMethod {
  /** The first EAP payload. */
  start(): Uint8Array
}

export const broken = (what: string): EapStep & { kind: 'failed' } => ({
  kind: 'failed',
  reason: `EAP: ${what}`,
  mend: 'mend the peer',
})
