/** From the plain data of an `install` to ESP or AH in both directions. */
import type { CryptoProvider } from '../../crypto/index.js'
import type { Transform, TransformSpec } from '../machine.js'
import { AhInbound, AhOutbound } from './ah.js'
import { EspInbound } from './inbound.js'
import { EspOutbound } from './outbound.js'
import type { Lifetime, Reached, SaSpec } from './sa.js'

export interface EspSpec extends TransformSpec {
  /** Of AH as well: the SAs say which. */
  readonly protocol: 'esp'
  readonly outbound: SaSpec
  /** Several while one takes over from another. */
  readonly inbound: SaSpec | readonly SaSpec[]
}

/** What a host asks of these beside. */
export interface SaTransforms extends Transform {
  readonly lifetime: Lifetime | undefined
  readonly reached: Reached
  destroy(): void
}

/** Throws `WarrenError` SA_*, CRYPTO_*. */
export function createEspTransforms(
  spec: EspSpec,
  provider: CryptoProvider,
): { outbound: SaTransforms; inbound: SaTransforms } {
  const inbound: readonly SaSpec[] = isOne(spec.inbound) ? [spec.inbound] : spec.inbound
  return {
    outbound:
      spec.outbound.protocol === 'ah'
        ? new AhOutbound(spec.outbound, provider)
        : new EspOutbound(spec.outbound, provider),
    inbound:
      (inbound[0] ?? spec.outbound).protocol === 'ah'
        ? new AhInbound(inbound, provider)
        : new EspInbound(inbound, provider),
  }
}

const isOne = (inbound: SaSpec | readonly SaSpec[]): inbound is SaSpec => !Array.isArray(inbound)
