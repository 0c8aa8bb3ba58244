/** What iked.conf(5) says, as the one tunnel that it is on Linux: an interface in front of all SAs, and IKEv2 behind it. */
import { type IpAddress, WarrenError } from '../base/index.js'
import { ikeMtu, type TunnelDefinition } from '../engine/index.js'
import type { Credentials, IkePolicy } from '../proto/ikev2/index.js'
import type { IkedConf } from './iked/conf.js'
import { type IkedHostView, toIkePolicies } from './iked/ike-policies.js'
import { parseIkedConf } from './iked/parse.js'
import { mendSlips } from './iked/slips.js'
import type { Reader } from './ipsec-conf/index.js'
import { IPSEC_INTERFACE } from './ipsec-tunnel.js'

/** The host that a file is for. */
export interface IkedTunnelHost {
  readonly view: IkedHostView
  /** Keys and certificates; `say`: of files that were not taken. */
  credentials(conf: IkedConf, say: (line: string) => void): Credentials
}

export interface IkedTunnelOptions {
  readonly read?: Reader
  /** Permission bits of the file itself. */
  readonly mode?: number
  readonly iked?: IkedTunnelHost
  readonly onWarning?: (line: string) => void
}

/** site-a.iked.conf as well. */
export const isIkedFile = (file: string): boolean => /(?:^|[/.])iked\.conf$/.test(file)

/** Throws `WarrenError` CONFIG_*; HOST_POLICIES where no host is told. */
export function tunnelOfIkedConf(
  text: string,
  file: string,
  { read, mode, iked, onWarning = () => {} }: IkedTunnelOptions,
): TunnelDefinition {
  if (iked === undefined)
    throw new WarrenError('HOST_POLICIES', 'a file for iked needs a host', {
      where: file,
      mend: 'run it with `warren up`, or in the lab with `rcctl start iked`',
    })
  const { text: mended, notes } = mendSlips(text, file)
  const conf = parseIkedConf(mended, file, {
    ...(read === undefined ? {} : { read }),
    ...(mode === undefined ? {} : { mode }),
  })
  for (const line of [...notes, ...conf.warnings]) onWarning(line)
  const policies = toIkePolicies(conf, { ...iked.view, warn: onWarning })
  if (policies.length === 0)
    throw new WarrenError('CONFIG_EMPTY', 'no policy in it that this host could have', {
      where: file,
      mend: 'add one such as: ikev2 esp from 10.0.0.0/24 to 10.0.1.0/24 peer 192.0.2.2 psk "…"',
    })
  return {
    kind: 'ikev2',
    name: IPSEC_INTERFACE,
    ike: {
      policies,
      credentials: iked.credentials(conf, onWarning),
      addresses: addressesOf(policies, iked.view.addresses),
      ...(conf.options.decouple ? { decoupled: true } : {}),
    },
    mtu: ikeMtu(policies),
    addresses: [],
    routes: [],
    up: true,
    where: file,
  }
}

/** Where the host is to be heard: the ends that policies name, and of networks those addresses that it has. */
function addressesOf(policies: readonly IkePolicy[], own: readonly IpAddress[]): IpAddress[] {
  const heard = new Map<string, IpAddress>()
  for (const { local, locals = [] } of policies)
    for (const address of [local, ...own.filter((one) => locals.some((prefix) => prefix.contains(one)))])
      heard.set(`${address}`, address)
  return [...heard.values()]
}
