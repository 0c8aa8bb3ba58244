/** What /etc/iked.conf and /etc/iked of a machine come to. */
import { type IpAddress, WarrenError } from '../../base/index.js'
import { IkedCredentials } from '../../config/iked/credentials.js'
import {
  describeIked,
  type IkedConf,
  type IkedHostView,
  loadIkedConf,
  mendSlips,
  toIkePolicies,
} from '../../config/index.js'
import { formatName } from '../../crypto/index.js'
import type { LabMachine } from '../machine.js'
import type { IkedConfiguration } from './daemon.js'
import { IkedFiles } from './files.js'

export const IKED_CONF = '/etc/iked.conf'

export interface ConfigurationOptions {
  /** Default: `IKED_CONF`. */
  readonly file?: string
  readonly macros?: ReadonlyMap<string, string>
}

export interface LoadedConf {
  readonly conf: IkedConf
  readonly policies: IkedConfiguration['policies']
  readonly warnings: readonly string[]
}

/** Reads and checks the file alone. @throws WarrenError CONFIG_* */
export async function readIkedConf(
  host: LabMachine,
  { file = IKED_CONF, macros }: ConfigurationOptions = {},
): Promise<LoadedConf> {
  const { fs } = host
  const read = async (name: string): Promise<{ text: string; mode: number }> => {
    const path = fs.resolvePath('/', name)
    if (!(await fs.exists(path))) throw new WarrenError('CONFIG_FILE', `${name}: No such file or directory`)
    return { text: await fs.readFile(path), mode: (await fs.stat(path)).mode }
  }
  const { text, mode } = await read(file)
  const { text: mended, notes } = mendSlips(text, file)
  const conf = await loadIkedConf(mended, file, read, { mode, ...(macros === undefined ? {} : { macros }) })
  const warnings = [...notes, ...conf.warnings]
  const policies = toIkePolicies(
    conf,
    viewOf(host, (line) => warnings.push(line)),
  )
  // On the lab's wire as on OpenBSD's: its iked stays on port 500 where no NAT is.
  return { conf, policies: policies.map((policy) => ({ ...policy, keepsPort: true })), warnings }
}

/** With keys and certificates. @throws WarrenError CONFIG_* */
export async function loadIkedConfiguration(
  host: LabMachine,
  options: ConfigurationOptions = {},
): Promise<IkedConfiguration & { readonly warnings: readonly string[] }> {
  const { conf, policies, warnings } = await readIkedConf(host, options)
  const files = await IkedFiles.open(host)
  const credentials = new IkedCredentials({
    reader: files,
    wallClock: () => host.clock.toUnix() / 1_000,
    partialChain: conf.options.certPartialChain,
  })
  return {
    policies,
    credentials,
    passive: conf.options.passive,
    decoupled: conf.options.decouple,
    rereadCredentials: () => credentials.reload(),
    certificateStore: () => {
      const { authorities, certificates } = credentials.store
      const lines = (what: string, list: typeof authorities): string[] =>
        list.map(({ subject }) => `${what}: ${formatName(subject)}`)
      return [...lines('CA', authorities), ...lines('CERT', certificates)]
    },
    close: () => files.close(),
    warnings: [...warnings, ...credentials.problems.map(({ text, mend }) => `${text} (${mend})`)],
  }
}

/** What `iked -n -v` shows of a file. */
export const shownConf = (conf: IkedConf): string[] => describeIked(conf, { settings: true })

function viewOf({ hostname, stack }: LabMachine, warn: (line: string) => void): IkedHostView {
  const of = (belongs: (name: string, groups: readonly string[]) => boolean): IpAddress[] =>
    [...stack.interfaces.values()]
      .filter(({ name, groups }) => belongs(name, groups))
      .flatMap(({ addresses }) => addresses.map(({ address }) => address))
      .filter((address) => !(address.family === 6 && address.isLinkLocal))
  return {
    hostname,
    addresses: of(() => true).filter((address) => !address.isLoopback),
    localFor: (peer) => stack.sourceFor(peer),
    interfaceAddresses: (wanted) => {
      const found = of((name, groups) => name === wanted || groups.includes(wanted))
      return found.length > 0 || stack.interfaces.has(wanted) ? found : undefined
    },
    warn,
  }
}
