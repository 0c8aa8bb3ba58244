/** The words that `up`, `status`, `reload` and `down` share. */
import { parseArgs } from 'node:util'
import { DEFAULT_SOCKET } from '../linux/control-socket.js'
import type { CliIo } from './io.js'

export interface ControlArguments {
  readonly socket: string
  readonly json: boolean
  readonly verbose: boolean
  readonly format?: string
  readonly files: string[]
}

/** `undefined`: the words are wrong, and that was said; the caller returns 2. */
export function controlArguments(
  verb: string,
  args: string[],
  io: CliIo,
  takes: { readonly json?: boolean; readonly files?: boolean },
): ControlArguments | undefined {
  const refuse = (reason: string): undefined => {
    io.stderr.write(`warren ${verb}: ${reason}\n\`warren ${verb} --help\` says what it takes\n`)
    return undefined
  }
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        socket: { type: 'string', default: DEFAULT_SOCKET },
        ...(takes.json ? { json: { type: 'boolean', default: false } } : {}),
        ...(takes.files
          ? { format: { type: 'string' }, verbose: { type: 'boolean', short: 'v', default: false } }
          : {}),
      },
    })
    if (!takes.files && positionals.length > 0) return refuse(`it takes no "${positionals[0]}"`)
    if (takes.files && positionals.length === 0)
      return refuse('no file given: expected FILE… such as /etc/hostname.gif0')
    const given: Record<string, unknown> = values
    return {
      socket: values.socket,
      json: given.json === true,
      verbose: given.verbose === true,
      ...(typeof given.format === 'string' ? { format: given.format } : {}),
      files: positionals,
    }
  } catch (error) {
    return refuse(error instanceof Error ? error.message.split('. ')[0]! : String(error))
  }
}
