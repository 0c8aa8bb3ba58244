/** Which additional key exchanges two ends make (RFC 9370 section 2.2.2): transform types 6 to 12, each one slot. */
import { KEY_EXCHANGES, type KeyExchangeName, keyExchangeById } from '../../crypto/index.js'
import { type IkePayload, type IkeTransform, NotifyType, TransformType } from '../../wire/ike/index.js'
import { findNotify } from './init.js'
import type { Additional, Agreed, Suite } from './suites.js'

/** ADDKE1 to ADDKE7. */
export const ADDITIONAL_LIMIT: number = TransformType.addke7 - TransformType.addke1 + 1
export const slotType = (slot: number): number => TransformType.addke1 + slot - 1

const NONE = 0
const idOf = (name: Additional['name']): number => (name === 'NONE' ? NONE : KEY_EXCHANGES[name].id)

/** What a suite offers of its additional key exchanges. */
export const offeredSlots = ({ additional = [] }: Suite): IkeTransform[] =>
  additional.flatMap((names, i) => names.map((name) => ({ type: slotType(i + 1), id: idOf(name) })))

export const agreedSlots = ({ additional = [] }: Agreed): IkeTransform[] =>
  additional.map(({ slot, name }) => ({ type: slotType(slot), id: idOf(name) }))

/** The methods that are to be exchanged, in their order. */
export const methodsOf = ({ additional = [] }: Agreed): KeyExchangeName[] =>
  additional.flatMap(({ name }) => (name === 'NONE' ? [] : [name]))

/**
 * One method a slot, none of them twice, `first` (of transform type 4) among them. `first` undefined, or `possible` false:
 * none can be made. A number: the slot for which nothing fits.
 */
export function chooseAdditional(
  suite: Suite,
  offer: readonly IkeTransform[],
  first: KeyExchangeName | undefined,
  possible: boolean,
): readonly Additional[] | number {
  let furthest = 1
  const fill = (slot: number, chosen: readonly Additional[]): readonly Additional[] | undefined => {
    if (slot > ADDITIONAL_LIMIT) return chosen
    furthest = Math.max(furthest, slot)
    const ours = suite.additional?.[slot - 1] ?? []
    const theirs = offer.filter(({ type }) => type === slotType(slot))
    if (theirs.length === 0)
      return ours.length === 0 || ours.includes('NONE') ? fill(slot + 1, chosen) : undefined
    for (const name of ours.length === 0 ? (['NONE'] as const) : ours) {
      if (!theirs.some(({ id, attributes }) => id === idOf(name) && attributes === undefined)) continue
      if (name !== 'NONE') {
        if (!possible || first === undefined) continue
        if (name === first || chosen.some((one) => one.name === name)) continue
      }
      const rest = fill(slot + 1, [...chosen, { slot, name }])
      if (rest !== undefined) return rest
    }
    return undefined
  }
  return fill(1, []) ?? furthest
}

export const hasAdditional = ({ additional = [] }: Suite): boolean =>
  additional.some((names) => names.some((name) => name !== 'NONE'))

/** RFC 9242 section 3.1. */
export const speaksIntermediate = (payloads: readonly IkePayload[]): boolean =>
  findNotify(payloads, NotifyType.intermediateExchangeSupported) !== undefined

/** Whether a KE payload belongs to a method, by number and length. */
export const isValueOf = (
  name: KeyExchangeName,
  ke: { readonly method: number; readonly data: Uint8Array } | undefined,
  answer: boolean,
): ke is { readonly method: number; readonly data: Uint8Array } => {
  const algorithm = KEY_EXCHANGES[name]
  return (
    ke !== undefined &&
    keyExchangeById(ke.method) === algorithm &&
    ke.data.length === (answer ? algorithm.answerLength : algorithm.valueLength)
  )
}
