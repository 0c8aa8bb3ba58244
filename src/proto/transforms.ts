/** From the plain data of an `install` to the code that moves packets: one factory a protocol. */
import { WarrenError } from '../base/index.js'
import { type CryptoProvider, nodeProvider } from '../crypto/index.js'
import { EoipInbound, EoipOutbound, type EoipSpec } from './eoip/transforms.js'
import { createEspTransforms, type EspSpec } from './esp/transforms.js'
import { EtheripInbound, EtheripOutbound, type EtheripSpec } from './etherip/transforms.js'
import { GifInbound, GifOutbound, type GifSpec } from './gif/transforms.js'
import { GreInbound, GreOutbound, type GreSpec } from './gre/transforms.js'
import type { Transform, TransformSpec } from './machine.js'

export interface TransformPair {
  readonly outbound: Transform
  readonly inbound: Transform
}

export interface TransformOptions {
  /** Where ciphers and MACs come from. Default: Node's own. */
  readonly crypto?: CryptoProvider
}

type Factory = (spec: TransformSpec, crypto: CryptoProvider) => TransformPair

const factories: ReadonlyMap<string, Factory> = new Map<string, Factory>([
  ['gif', (s) => ({ outbound: new GifOutbound(s as GifSpec), inbound: new GifInbound(s as GifSpec) })],
  ['gre', (s) => ({ outbound: new GreOutbound(s as GreSpec), inbound: new GreInbound(s as GreSpec) })],
  ['eoip', (s) => ({ outbound: new EoipOutbound(s as EoipSpec), inbound: new EoipInbound(s as EoipSpec) })],
  ['etherip', (s) => ({ outbound: new EtheripOutbound(s as EtheripSpec), inbound: new EtheripInbound() })],
  ['esp', (s, crypto) => createEspTransforms(s as EspSpec, crypto)],
])

/** Throws `WarrenError` TUNNEL_TRANSFORM for a protocol that nobody knows; of ESP and AH SA_* and CRYPTO_*. */
export function createTransforms(
  spec: TransformSpec,
  { crypto = nodeProvider }: TransformOptions = {},
): TransformPair {
  const factory = factories.get(spec.protocol)
  if (factory === undefined)
    throw new WarrenError('TUNNEL_TRANSFORM', 'no such transform', {
      found: spec.protocol,
      expected: [...factories.keys()].join(', '),
    })
  return factory(spec, crypto)
}
