/** iked(8) as a service: started, stopped and reloaded by rc(8), rcctl(8) and its own command. */
import { WarrenError } from '../../base/index.js'
import type { LabMachine } from '../machine.js'
import { type ConfigurationOptions, IKED_CONF, loadIkedConfiguration } from './configuration.js'
import { DAEMON_LOG, Iked, type IkedConfiguration, type LogListener } from './daemon.js'

export interface IkedOptions extends ConfigurationOptions {
  readonly verbose?: boolean
  /** Of `-S`, `-p` and the like there is nothing to play. */
  readonly configuration?: IkedConfiguration
  /** Hears the log from the first line on. */
  readonly listener?: LogListener
}

/** Starts the daemon; what is wrong is said, and in its log too. Nothing runs then. */
export async function startIked(host: LabMachine, options: IkedOptions = {}): Promise<string[]> {
  if (host.iked !== undefined) return []
  const pid = 1_000 + host.random.below(98_000)
  try {
    const loaded = options.configuration ?? (await loadIkedConfiguration(host, options))
    host.iked = new Iked(host, pid, loaded, options)
    host.runningServices.add('iked')
    return 'warnings' in loaded ? [...(loaded.warnings as readonly string[])] : []
  } catch (error) {
    if (!(error instanceof WarrenError)) throw error
    const problem = error.message
    await host.log(`iked[${pid}]`, problem.replaceAll('\n', ' '), DAEMON_LOG)
    return [problem]
  }
}

export function stopIked(host: LabMachine): void {
  host.iked?.stop(host.now())
  host.iked = undefined
  host.runningServices.delete('iked')
}

/** What is wrong, where something is: then all stays as it was. */
export async function reloadIked(
  host: LabMachine,
  options: ConfigurationOptions = {},
): Promise<string | undefined> {
  const { iked } = host
  if (iked === undefined) return 'iked is not running'
  try {
    const loaded = await loadIkedConfiguration(host, options)
    for (const warning of loaded.warnings) iked.log(warning)
    iked.reload(loaded, host.now())
    return undefined
  } catch (error) {
    if (!(error instanceof WarrenError)) throw error
    iked.log(`${options.file ?? IKED_CONF}: ${error.message}`.replaceAll('\n', ' '))
    return error.message
  }
}
