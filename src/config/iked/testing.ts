/** For tests: what is below /etc/iked, from memory. */
import { type CredentialsReader, IkedCredentials } from './credentials.js'

/** Contents by path below /etc/iked. */
export type Files = Readonly<Record<string, string>>

const encoder = new TextEncoder()

/** `asked`: is told every path that is read. */
export const readerOf = (
  files: Files,
  modes: Readonly<Record<string, number>> = {},
  asked: string[] = [],
): CredentialsReader => ({
  read(path) {
    asked.push(path)
    const content = files[path.replace('/etc/iked/', '')]
    return content === undefined ? undefined : encoder.encode(content)
  },
  list: (path) =>
    Object.keys(files)
      .filter((file) => file.startsWith(`${path.replace('/etc/iked/', '')}/`))
      .map((file) => file.slice(file.lastIndexOf('/') + 1)),
  mode: (path) => modes[path.replace('/etc/iked/', '')],
})

/** `at`: the wall clock, in milliseconds. */
export const credentialsOf = (
  files: Files,
  at: number,
  options: { readonly partialChain?: boolean } = {},
): IkedCredentials => new IkedCredentials({ reader: readerOf(files), wallClock: () => at, ...options })
