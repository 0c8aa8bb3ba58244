/** iked.conf(5) and the files that it names, where reading is asynchronous. */
import { withFiles } from '../grammar/files.js'
import type { Reader } from '../grammar/tokens.js'
import type { IkedConf } from './conf.js'
import { type IkedConfOptions, parseIkedConf } from './parse.js'

/** As `parseIkedConf`; `read` is called for each file once, when it is first named. */
export const loadIkedConf = (
  text: string,
  file: string,
  read: (name: string) => Promise<ReturnType<Reader>>,
  options: Omit<IkedConfOptions, 'read'> = {},
): Promise<IkedConf> => withFiles((reader) => parseIkedConf(text, file, { ...options, read: reader }), read)
