/** Which SAs a changed configuration leaves as they are. */
import type { IkePolicy } from './policy.js'

/** Whether two policies want the same of a peer, whatever they are called, wherever they stand and whoever begins. */
export function samePolicy(a: IkePolicy, b: IkePolicy): boolean {
  return a === b || textOf(a) === textOf(b)
}

const textOf = ({ name: _name, where: _where, initiate: _initiate, ...wanted }: IkePolicy): string =>
  JSON.stringify(wanted, (_key, value: unknown) => {
    if (value instanceof Uint8Array || value instanceof Map) return [...value]
    // Addresses and prefixes write themselves.
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject && value.toString !== Object.prototype.toString ? String(value) : value
  })
