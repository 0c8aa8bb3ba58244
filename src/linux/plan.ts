/** What a reload has to do: running tunnels against wanted ones. */
import type { TunnelDefinition } from '../engine/index.js'

export interface ReloadPlan {
  /** Names, in the order of the running ones. */
  readonly keep: readonly string[]
  readonly remove: readonly string[]
  /** In the order of the files. */
  readonly change: readonly TunnelDefinition[]
  readonly add: readonly TunnelDefinition[]
}

export function planReload(
  running: readonly TunnelDefinition[],
  wanted: readonly TunnelDefinition[],
): ReloadPlan {
  const before = new Map(running.map((definition) => [definition.name, definition]))
  const after = new Map(wanted.map((definition) => [definition.name, definition]))
  const same = ({ name }: TunnelDefinition): boolean => {
    const [a, b] = [before.get(name), after.get(name)]
    // Keys and certificates lie in other files, which may have changed: IKE itself knows what that means.
    if (b?.ike !== undefined) return false
    return a !== undefined && b !== undefined && definitionKey(a) === definitionKey(b)
  }
  return {
    keep: running.filter(same).map(({ name }) => name),
    remove: running.filter(({ name }) => !after.has(name)).map(({ name }) => name),
    change: wanted.filter((definition) => before.has(definition.name) && !same(definition)),
    add: wanted.filter(({ name }) => !before.has(name)),
  }
}

/** Text that two definitions share exactly if they describe the same tunnel; where they were read does not count. */
export function definitionKey(definition: TunnelDefinition): string {
  return JSON.stringify(plain(definition))
}

/** Members by name, addresses by their text, what is undefined and where it was read left out. */
function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(plain)
  if ('bytes' in value && value.bytes instanceof Uint8Array) return String(value)
  return Object.entries(value)
    .filter(([name, member]) => member !== undefined && name !== 'where')
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => [name, plain(member)])
}
