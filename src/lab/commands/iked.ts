/** iked(8) by its own name: checks its file, runs in the background, or shows its log until ^C. */
import { WarrenError } from '../../base/index.js'
import { type CommandContext, fail, type LabCommand, succeed } from '../command.js'
import { IKED_CONF, readIkedConf, shownConf } from '../iked/configuration.js'
import { startIked, stopIked } from '../iked/service.js'

const USAGE = 'usage: iked [-dnSTtVv] [-D macro=value] [-f file] [-p udpencap_port] [-s socket]'

export const iked: LabCommand = async (args, context) => {
  const { host, lab } = context
  const macros = new Map<string, string>()
  let file = IKED_CONF
  let [foreground, onlyCheck, verbose] = [false, false, false]
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!
    if (!/^-./.test(arg)) return fail(`iked: unexpected ${arg}\n${USAGE}`)
    for (let i = 1; i < arg.length; i++) {
      const letter = arg[i]!
      if (letter === 'd') foreground = true
      else if (letter === 'n') onlyCheck = true
      else if (letter === 'v') verbose = true
      else if (letter === 'V') return { stdout: '', stderr: 'OpenIKED 7.2\n', exitCode: 0 }
      else if ('Dfps'.includes(letter)) {
        const value = i + 1 < arg.length ? arg.slice(i + 1) : args[++at]
        if (value === undefined) return fail(`iked: option requires an argument -- ${letter}\n${USAGE}`)
        if (letter === 'f') file = context.fs.resolvePath(context.cwd, value)
        if (letter === 'p') return fail('iked: another port than 4500 is not played in the lab')
        if (letter === 'D') {
          const [name = '', text] = value.split(/=(.*)/s)
          if (text === undefined) return fail(`iked: could not parse macro definition ${value}`)
          macros.set(name, text)
        }
        break
      } else if (!'STt6'.includes(letter)) return fail(`iked: unknown option -- ${letter}\n${USAGE}`)
    }
  }
  if (onlyCheck) {
    try {
      const { conf, warnings } = await lab.clock.lend(readIkedConf(host, { file, macros }))
      if (verbose) for (const line of shownConf(conf)) context.print(line)
      for (const warning of warnings) context.warn(warning)
      context.warn('configuration OK')
      return succeed()
    } catch (error) {
      if (!(error instanceof WarrenError)) throw error
      return fail(error.message)
    }
  }
  if (host.iked !== undefined) return fail('iked: already running')
  const listener = (text: string, isVerbose: boolean): void => {
    if (!isVerbose || verbose) context.print(text)
  }
  const said = await lab.clock.lend(
    startIked(host, { file, macros, verbose, ...(foreground ? { listener } : {}) }),
  )
  for (const line of said) context.warn(line)
  const daemon = runningOn(host)
  if (daemon === undefined) return { stdout: '', stderr: '', exitCode: 1 }
  if (!foreground) return succeed()
  await context.wait<never>(() => () => daemon.listeners.delete(listener))
  if (host.iked === daemon) stopIked(host)
  return succeed()
}

/** As it is now: it was asked for before. */
const runningOn = ({ iked: daemon }: CommandContext['host']): CommandContext['host']['iked'] => daemon
