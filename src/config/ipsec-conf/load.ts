/** ipsec.conf(5) and the files that it names, where reading is asynchronous. */
import { WarrenError } from '../../base/index.js'
import { type IpsecConfOptions, parseIpsecConf } from './parse.js'
import type { IpsecConf } from './rules.js'
import type { Reader } from './tokens.js'

/**
 * As `parseIpsecConf`, for callers whose files are read asynchronously: `read` is called for each file once, when it is
 * first named.
 */
export async function loadIpsecConf(
  text: string,
  file: string,
  read: (name: string) => Promise<ReturnType<Reader>>,
  options: Omit<IpsecConfOptions, 'read'> = {},
): Promise<IpsecConf> {
  const known = new Map<string, ReturnType<Reader>>()
  for (;;) {
    let wanted: { name: string; where: string } | undefined
    try {
      return parseIpsecConf(text, file, {
        ...options,
        read: (name, where) => {
          const found = known.get(name)
          if (found !== undefined) return found
          wanted = { name, where }
          throw new WarrenError('CONFIG_FILE', 'not read yet', { found: name })
        },
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
