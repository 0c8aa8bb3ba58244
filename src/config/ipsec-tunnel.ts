/** What ipsec.conf(5) says, as the one tunnel that it is on Linux: an interface in front of all SAs. */
import { WarrenError } from '../base/index.js'
import { ipsecMtu, type TunnelDefinition } from '../engine/index.js'
import { flowLine, type IpsecConf, saLine } from './ipsec-conf/index.js'

/** OpenBSD's name of the interface where packets are seen as they are inside (enc(4)). */
export const IPSEC_INTERFACE = 'enc0'

/** Throws `WarrenError` CONFIG_EMPTY where the file has neither a flow nor an SA. */
export function tunnelOfIpsecConf({ flows, sas }: IpsecConf, file: string): TunnelDefinition {
  if (flows.length === 0 && sas.length === 0)
    throw new WarrenError('CONFIG_EMPTY', 'neither a flow nor an SA in it', {
      where: file,
      mend: 'add a rule such as: flow esp from 10.0.0.0/24 to 10.0.1.0/24 peer 192.0.2.2',
    })
  return {
    kind: 'ipsec',
    name: IPSEC_INTERFACE,
    ipsec: {
      flows: flows.map((flow) => ({ policy: flow.policy, text: flowLine(flow.policy, flow) })),
      sas: sas.map((sa) => ({ sa, text: saLine(sa) })),
    },
    mtu: ipsecMtu(sas),
    addresses: [],
    routes: [],
    up: true,
    where: file,
  }
}

/** What is allowed and of no use: one line each. */
export function idleRules({ flows, sas }: IpsecConf): string[] {
  const asking = flows.filter(({ policy: { action } }) => action === 'require' || action === 'use')
  const hasSa = (protocol: string): boolean => sas.some((sa) => sa.protocol === protocol)
  const hasFlow = (protocol: string): boolean => asking.some(({ policy }) => policy.protocol === protocol)
  return [
    ...sas
      .filter(({ protocol }) => !hasFlow(protocol))
      .map(
        ({ where, protocol }) =>
          `${where}: no flow leads into this SA: add flow ${protocol} from … to … peer …`,
      ),
    ...asking
      .filter(({ policy: { protocol, direction } }) => direction === 'out' && !hasSa(protocol))
      .map(
        ({ where, policy: { protocol, action } }) =>
          `${where}: no ${protocol} SA serves this flow: its packets ${action === 'require' ? 'are dropped' : 'go in clear'}`,
      ),
  ]
}
