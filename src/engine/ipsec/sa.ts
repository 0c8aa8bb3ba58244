/** Security associations as an administrator or a key exchange makes them: plain data, one direction each. */
import type { IpAddress } from '../../base/index.js'
import type { SaLifetimes, SaSpec, SequenceNumber } from '../../proto/esp/sa.js'
import { outerSpec } from '../../proto/tunnel-metadata.js'
import { IpProtocol } from '../../wire/numbers.js'

export type SaProtocol = 'esp' | 'ah' | 'ipip'
export type EncryptionId = NonNullable<SaSpec['suite']['encryption']>
export type IntegrityId = NonNullable<SaSpec['suite']['integrity']>

export interface ManualSa {
  readonly protocol: SaProtocol
  readonly mode: 'tunnel' | 'transport'
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly spi: number
  /** The name as its file has it, what it is in IANA's registry, and the key, its salt at the end. */
  readonly encryption?: { readonly name: string; readonly id: EncryptionId; readonly key: Uint8Array }
  readonly authentication?: { readonly name: string; readonly id: IntegrityId; readonly key: Uint8Array }
  /** Encryption without integrity, by name. */
  readonly unauthenticated: boolean
  /** ESP in UDP (RFC 3948), from our port 4500: the peer's port. */
  readonly udpPort?: number
  readonly lifetimes?: SaLifetimes
  /** Of an SA that another process had: the last number that it sent, or the highest that it took. Default: none. */
  readonly sequence?: SequenceNumber
  /** Extended sequence numbers. Default: no. */
  readonly esn?: boolean
  /** Size of the replay window. Default: `MANUAL_WINDOW`. */
  readonly window?: number
  /** The path that it is a direction of: what policies name it by, where a key exchange made it. */
  readonly path?: string
  /** `file:line:column` of the rule. */
  readonly where?: string
}

/** Replay window of a manual SA; OpenBSD's is 64 too. */
export const MANUAL_WINDOW = 64

/**
 * The SA as its transform wants it. `seed`: 8 random bytes, drawn anew each time that the SA is set up, for the keys
 * outlive the process.
 */
export function saSpecOf(sa: ManualSa, outbound: boolean, seed: Uint8Array): SaSpec {
  const { encryption, authentication, protocol } = sa
  if (protocol === 'ipip') throw new RangeError('ipip has no ESP')
  return {
    spi: sa.spi,
    protocol,
    mode: sa.mode,
    suite: {
      ...(encryption === undefined ? {} : { encryption: encryption.id }),
      ...(authentication === undefined ? {} : { integrity: authentication.id }),
    },
    keys: {
      ...(encryption === undefined ? {} : { encryption: encryption.key }),
      ...(authentication === undefined ? {} : { integrity: authentication.key }),
    },
    ...(sa.unauthenticated ? { unauthenticated: true } : {}),
    esn: sa.esn === true,
    window: sa.window ?? MANUAL_WINDOW,
    lifetimes: sa.lifetimes ?? {},
    ...(sa.sequence === undefined ? {} : { sequence: sa.sequence }),
    ...(outbound ? { ivSeed: seed } : {}),
    ...(sa.udpPort === undefined ? {} : { udpEncapsulation: true }),
    copyDf: true,
    local: outbound ? sa.source.bytes : sa.destination.bytes,
    remote: outbound ? sa.destination.bytes : sa.source.bytes,
    // Traffic class and ECN inside and outside as RFC 6040 and RFC 4301 section 5.1.2 say.
    outer: outerSpec(
      outbound ? { local: sa.source, remote: sa.destination } : { local: sa.destination, remote: sa.source },
      carrierProtocol(sa),
      'ip',
    ),
  }
}

/** The protocol of the IP header outside. */
export function carrierProtocol({ protocol, udpPort }: ManualSa): number {
  if (udpPort !== undefined) return IpProtocol.udp
  return protocol === 'ah' ? IpProtocol.ah : protocol === 'esp' ? IpProtocol.esp : IpProtocol.ipip
}
