/** From a file to the tunnels it describes, whatever its format. */
import { WarrenError } from '../base/index.js'
import type { TunnelDefinition } from '../engine/index.js'
import { interfaceOfHostnameIf, parseHostnameIf } from './hostname-if.js'
import { tunnelOfHostnameIf } from './hostname-if-tunnel.js'
import { type IkedTunnelHost, isIkedFile, tunnelOfIkedConf } from './iked-tunnel.js'
import { parseIpsecConf, type Reader } from './ipsec-conf/index.js'
import { idleRules, tunnelOfIpsecConf } from './ipsec-tunnel.js'
import { parseWarrenToml } from './warren-toml.js'

/** Formats by their names in `--format`. */
export type TunnelFormat = 'hostname.if' | 'warren.toml' | 'ipsec.conf' | 'iked.conf'
export const tunnelFormats: readonly TunnelFormat[] = [
  'hostname.if',
  'warren.toml',
  'ipsec.conf',
  'iked.conf',
]

/** What only some formats need. */
export interface LoadOptions {
  /** ipsec.conf, iked.conf: reads what it includes and key files. */
  readonly read?: Reader
  /** iked.conf: the host that it is for, without which the format is refused. */
  readonly iked?: IkedTunnelHost
  /** ipsec.conf, iked.conf: permission bits of the file itself, which has keys in it. */
  readonly mode?: number
  /** What is allowed and not wise: a line each. */
  readonly onWarning?: (line: string) => void
}

/** The format that a file's name tells. */
export function formatOf(file: string): TunnelFormat | undefined {
  if (file.endsWith('.toml')) return 'warren.toml'
  // site-a.ipsec.conf as well.
  if (/(?:^|[/.])ipsec\.conf$/.test(file)) return 'ipsec.conf'
  if (isIkedFile(file)) return 'iked.conf'
  return interfaceOfHostnameIf(file) === undefined ? undefined : 'hostname.if'
}

/**
 * The tunnels of one file, checked as a whole. `file` is its name as the user gave it: it stands in every error, and
 * tells the format where `format` does not. Throws `WarrenError` CONFIG_*.
 */
export function loadTunnels(
  text: string,
  file: string,
  format?: TunnelFormat,
  options: LoadOptions = {},
): TunnelDefinition[] {
  const tunnels = read(text, file, format ?? formatOf(file), options)
  if (tunnels.length === 0)
    throw new WarrenError('CONFIG_EMPTY', 'no tunnel in it', {
      where: file,
      mend: 'add a table such as [tunnel.gif0]',
    })
  checkTogether(tunnels)
  return tunnels
}

function read(
  text: string,
  file: string,
  format: TunnelFormat | undefined,
  options: LoadOptions,
): TunnelDefinition[] {
  if (format === 'ipsec.conf') return [readIpsecConf(text, file, options)]
  if (format === 'iked.conf') return [tunnelOfIkedConf(text, file, options)]
  if (format === 'warren.toml') return parseWarrenToml(text, file)
  if (format === 'hostname.if') return [tunnelOfHostnameIf(parseHostnameIf(text, file))]
  throw new WarrenError('CONFIG_FILE_NAME', 'the file name does not tell its format', {
    found: file,
    expected: 'hostname.IF (hostname.gif0), NAME.toml, ipsec.conf or iked.conf',
    mend: `rename it, or give --format ${tunnelFormats.join(' or --format ')}`,
  })
}

function readIpsecConf(text: string, file: string, { read, mode, onWarning }: LoadOptions): TunnelDefinition {
  const conf = parseIpsecConf(text, file, {
    ...(read === undefined ? {} : { read }),
    ...(mode === undefined ? {} : { mode }),
  })
  const tunnel = tunnelOfIpsecConf(conf, file)
  for (const line of [...conf.warnings, ...idleRules(conf)]) onWarning?.(line)
  return tunnel
}

/** What no two tunnels of one host can share. Call it again for the tunnels of several files together. */
export function checkTogether(tunnels: readonly TunnelDefinition[]): void {
  const byName = new Map<string, TunnelDefinition>()
  const bySelector = new Map<string, TunnelDefinition>()
  for (const tunnel of tunnels) {
    const { name, outer } = tunnel
    const mend =
      tunnel.kind === 'ipsec'
        ? 'make one file of them: include "OTHER.conf"'
        : tunnel.kind === 'ikev2'
          ? 'make one iked.conf of them; manual SAs beside IKE need a namespace of their own'
          : 'give one another name'
    clash(byName, name, tunnel, `the name ${name}`, mend)
    for (const ends of ipipEnds(tunnel))
      clash(bySelector, `gif ${ends}`, tunnel, `IP in IP from ${ends}`, 'remove one')
    if (outer === undefined) continue
    const selector = selectorOf(tunnel)
    const ends = `${outer.local} to ${outer.remote}`
    clash(bySelector, `${selector} ${ends}`, tunnel, `${selector} from ${ends}`, mendOf(tunnel))
  }
}

/** Ends of SAs of IP in IP, either of which may be ours: they are heard as a gif is. */
function ipipEnds({ ipsec }: TunnelDefinition): Set<string> {
  const sas = (ipsec?.sas ?? []).filter(({ sa }) => sa.protocol === 'ipip')
  return new Set(
    sas.flatMap(({ sa: { source, destination } }) => [
      `${source} to ${destination}`,
      `${destination} to ${source}`,
    ]),
  )
}

/** What tells this tunnel's packets from those of others between the same two addresses. */
function selectorOf({ kind, key, tunnelId = 0, flowInKey = false }: TunnelDefinition): string {
  if (kind === 'gre')
    return key === undefined ? 'gre without key' : `gre key ${key}${flowInKey ? ' with flows' : ''}`
  return kind === 'eoip' ? `eoip tunnel id ${tunnelId}` : kind
}

const mendOf = ({ kind }: TunnelDefinition): string =>
  kind === 'gre'
    ? 'give each a key of its own'
    : kind === 'eoip'
      ? 'give each a tunnel id of its own'
      : 'remove one'

function clash(
  seen: Map<string, TunnelDefinition>,
  what: string,
  tunnel: TunnelDefinition,
  found: string,
  mend: string,
): void {
  const before = seen.get(what)
  if (before !== undefined)
    throw new WarrenError('CONFIG_DUPLICATE', "two tunnels share what must be one's own", {
      where: tunnel.where ?? tunnel.name,
      found,
      expected: `it once (${before.where ?? before.name})`,
      mend,
    })
  seen.set(what, tunnel)
}
