/** From the plain data of an `install` to ESP or AH in both directions. */
import { Counters } from '../../base/index.js'
import type { CryptoProvider } from '../../crypto/index.js'
import { DROP, type Transform, type TransformSpec, type Verdict } from '../machine.js'
import { AhInbound, AhOutbound } from './ah.js'
import { EspInbound } from './inbound.js'
import { EspOutbound } from './outbound.js'
import { type Lifetime, REACHED_NOTHING, type Reached, type SaSpec, type SaState } from './sa.js'

export interface EspSpec extends TransformSpec {
  /** Of AH as well: the SAs say which. */
  readonly protocol: 'esp'
  /** Absent: what goes out is dropped, `esp.noSa`. */
  readonly outbound?: SaSpec
  /** Several while one takes over from another. None: nothing is taken from the carrier. */
  readonly inbound: SaSpec | readonly SaSpec[]
}

/** What a host asks of these beside. */
export interface SaTransforms extends Transform {
  readonly lifetime: Lifetime | undefined
  readonly reached: Reached
  /** The SAs of this direction. */
  readonly sas: readonly SaState[]
  destroy(): void
}

/** Throws `WarrenError` SA_*, CRYPTO_*. */
export function createEspTransforms(
  spec: EspSpec,
  provider: CryptoProvider,
): { outbound: SaTransforms; inbound: SaTransforms } {
  const { outbound } = spec
  const inbound: readonly SaSpec[] = isOne(spec.inbound) ? [spec.inbound] : spec.inbound
  return {
    outbound:
      outbound === undefined
        ? new NoSa()
        : outbound.protocol === 'ah'
          ? new AhOutbound(outbound, provider)
          : new EspOutbound(outbound, provider),
    inbound:
      (inbound[0] ?? outbound)?.protocol === 'ah'
        ? new AhInbound(inbound, provider)
        : new EspInbound(inbound, provider),
  }
}

/** A direction without an SA. */
class NoSa implements SaTransforms {
  readonly drops: Counters = new Counters()
  readonly lifetime = undefined
  readonly reached: Reached = REACHED_NOTHING
  readonly sas: readonly SaState[] = []

  process(): Verdict {
    this.drops.add('esp.noSa')
    return DROP
  }

  destroy(): void {}
}

const isOne = (inbound: SaSpec | readonly SaSpec[]): inbound is SaSpec => !Array.isArray(inbound)
