/** A configuration and the files that it names, where reading is asynchronous. */
import { WarrenError } from '../../base/index.js'
import type { Reader } from './tokens.js'

/**
 * Parses again and again, `read` called for each file once, when it is first named. `parse` is called with a reader of
 * what is there by then.
 */
export async function withFiles<T>(
  parse: (read: Reader) => T,
  read: (name: string) => Promise<ReturnType<Reader>>,
): Promise<T> {
  const known = new Map<string, ReturnType<Reader>>()
  for (;;) {
    let wanted: { name: string; where: string } | undefined
    try {
      return parse((name, where) => {
        const found = known.get(name)
        if (found !== undefined) return found
        wanted = { name, where }
        throw new WarrenError('CONFIG_FILE', 'not read yet', { found: name })
      })
    } catch (error) {
      if (wanted === undefined) throw error
      known.set(wanted.name, await readNamed(wanted.name, wanted.where, read))
    }
  }
}

async function readNamed(
  name: string,
  where: string,
  read: (name: string) => Promise<ReturnType<Reader>>,
): Promise<ReturnType<Reader>> {
  try {
    return await read(name)
  } catch (error) {
    if (error instanceof WarrenError) throw error
    throw new WarrenError('CONFIG_FILE', `cannot read ${name}`, {
      where,
      found: error instanceof Error ? error.message : 'an error',
    })
  }
}
