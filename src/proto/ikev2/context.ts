/** What all IKE SAs of one machine share, and what they tell their owner. */
import type { Counters, Instant, IpAddress, Random, TimerQueue } from '../../base/index.js'
import type { CryptoProvider, PrivateKey, PublicKey, TlsEngine } from '../../crypto/index.js'
import type { PathSpec } from '../machine.js'
import type { AddressPool } from './address-pool.js'
import type { FragmentBudget } from './fragments.js'
import type { Identity } from './identity.js'
import type { ConfigurationValue, IkePolicy } from './policy.js'
import type { Session } from './session.js'

/** An address with a port: one end of an IKE SA. */
export interface Endpoint {
  readonly address: IpAddress
  readonly port: number
}

export const IKE_PORT = 500
export const NAT_PORT = 4500

export const sameEndpoint = (a: Endpoint, b: Endpoint): boolean =>
  a.port === b.port && a.address.equals(b.address)

/** As iked writes it: `192.0.2.1:500`, `[2001:db8::1]:500`. */
export const formatEndpoint = ({ address, port }: Endpoint): string =>
  address.family === 4 ? `${address}:${port}` : `[${address}]:${port}`

/** A certificate as a CERT payload carries it. */
export interface CertificateData {
  /** IANA's encoding. */
  readonly encoding: number
  readonly data: Uint8Array
}

/** A peer's key cannot be had. */
export interface Distrust {
  readonly refused: string
  readonly mend: string
}

/** Keys and whom to trust: files on a real host, the lab's file system there. */
export interface Credentials {
  /** Our private key, and the certificates to show for this identity; `requests`: the peer's CERTREQ payloads. */
  own(
    id: Identity,
    requests?: readonly CertificateData[],
  ):
    | {
        readonly key: PrivateKey
        readonly certificates: readonly CertificateData[]
        /** Certificates of that key which are not shown: why. */
        readonly unfit?: string
      }
    | undefined
  /** The key to verify a peer with, by its identity and the certificates that it showed, the first its own. */
  peer(id: Identity, certificates: readonly CertificateData[]): PublicKey | Distrust
  /** Of a CERTREQ: SHA-1 hashes of the keys of authorities that are trusted (RFC 7296 section 3.7), joined. */
  authorities(): Uint8Array
  /** Certificates of those authorities, DER: a server of EAP-TLS tells its client. */
  authorityCertificates?(): readonly Uint8Array[]
  /** The kind of raw key to ask for where there is no authority, as IANA's encoding; absent: none is asked for. */
  rawEncoding?(): number | undefined
}

/** Where a piece of news comes from. */
export interface NewsOrigin {
  /** The initiator's SPI: how iked names an SA in its log. */
  readonly spi: Uint8Array
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly policy?: IkePolicy
}

export type IkeNews =
  | (NewsOrigin & {
      readonly kind: 'sent' | 'received'
      readonly exchange: number
      readonly isResponse: boolean
      readonly messageId: number
      /** Of the whole message. */
      readonly length: number
    })
  | (NewsOrigin & {
      readonly kind: 'state'
      readonly from: string
      readonly to: string
      readonly reason?: string
    })
  | (NewsOrigin & { readonly kind: 'child'; readonly up: boolean; readonly text: string })
  /**
   * Configuration payloads have given somebody an address and more; `up` false: it is over. `toPeer`: we gave it; else it
   * is ours, for `policy.iface`. An address without `prefixLength` is that one alone.
   */
  | (NewsOrigin & {
      readonly kind: 'assigned'
      readonly up: boolean
      readonly toPeer: boolean
      readonly values: readonly ConfigurationValue[]
      /** Who the other side is. */
      readonly peer: string
    })
  /** Something is wrong: what differs, and what to do about it. */
  | (NewsOrigin & {
      readonly kind: 'problem'
      readonly text: string
      readonly mend?: string
      /** It mends itself: for those who want to know every step. */
      readonly verbose?: boolean
    })

export interface IkeContext {
  readonly random: Random
  readonly timers: TimerQueue
  readonly counters: Counters
  readonly provider: CryptoProvider
  readonly tls: TlsEngine
  readonly credentials: Credentials
  readonly pool: AddressPool
  /** Of this host, where MOBIKE may tell of them (RFC 4555 section 3.4). */
  addresses(): readonly IpAddress[]
  /** Of all peers that have not proved who they are. */
  readonly unprovedFragments: FragmentBudget
  /** A message of IKE: the marker of port 4500 is put before it by whoever carries this out. */
  transmit(local: Endpoint, remote: Endpoint, bytes: Uint8Array): void
  install(path: PathSpec): void
  remove(pathId: string): void
  /** What the children protect has changed: the owner makes the whole list of policies anew. */
  policiesChanged(session: Session): void
  tell(news: IkeNews, now: Instant): void
  /** For what is worked at in its own time (TLS): `run` is called by the machine's next `timeout`, which is due at once. */
  wake(run: (now: Instant) => void): void
  /** An SPI for a child of ours, one that no other has. */
  childSpi(): number
}
