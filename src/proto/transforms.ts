/** From the plain data of an `install` to the code that moves packets: one factory a protocol. */
import { WarrenError } from '../base/index.js'
import { EoipInbound, EoipOutbound, type EoipSpec } from './eoip/transforms.js'
import { EtheripInbound, EtheripOutbound, type EtheripSpec } from './etherip/transforms.js'
import { GifInbound, GifOutbound, type GifSpec } from './gif/transforms.js'
import { GreInbound, GreOutbound, type GreSpec } from './gre/transforms.js'
import type { Transform, TransformSpec } from './machine.js'

export interface TransformPair {
  readonly outbound: Transform
  readonly inbound: Transform
}

const factories: ReadonlyMap<string, (spec: TransformSpec) => TransformPair> = new Map<
  string,
  (spec: TransformSpec) => TransformPair
>([
  ['gif', (s) => ({ outbound: new GifOutbound(s as GifSpec), inbound: new GifInbound(s as GifSpec) })],
  ['gre', (s) => ({ outbound: new GreOutbound(s as GreSpec), inbound: new GreInbound(s as GreSpec) })],
  ['eoip', (s) => ({ outbound: new EoipOutbound(s as EoipSpec), inbound: new EoipInbound(s as EoipSpec) })],
  ['etherip', (s) => ({ outbound: new EtheripOutbound(s as EtheripSpec), inbound: new EtheripInbound() })],
])

/** Throws `WarrenError` TUNNEL_TRANSFORM for a protocol that nobody knows. */
export function createTransforms(spec: TransformSpec): TransformPair {
  const factory = factories.get(spec.protocol)
  if (factory === undefined)
    throw new WarrenError('TUNNEL_TRANSFORM', 'no such transform', {
      found: spec.protocol,
      expected: [...factories.keys()].join(', '),
    })
  return factory(spec)
}
