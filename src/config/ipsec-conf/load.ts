/** ipsec.conf(5) and the files that it names, where reading is asynchronous. */
import { withFiles } from '../grammar/files.js'
import type { Reader } from '../grammar/tokens.js'
import { type IpsecConfOptions, parseIpsecConf } from './parse.js'
import type { IpsecConf } from './rules.js'

/**
 * As `parseIpsecConf`, for callers whose files are read asynchronously: `read` is called for each file once, when it is
 * first named.
 */
export const loadIpsecConf = (
  text: string,
  file: string,
  read: (name: string) => Promise<ReturnType<Reader>>,
  options: Omit<IpsecConfOptions, 'read'> = {},
): Promise<IpsecConf> => withFiles((reader) => parseIpsecConf(text, file, { ...options, read: reader }), read)
