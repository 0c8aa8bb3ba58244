/** What `warren status` says of policies and SAs. Never a key. */
import type { Instant } from '../base/index.js'
import type { ManualSaMachine } from '../proto/esp/index.js'
import type { PathStatus } from './host.js'
import type { IpsecDefinition } from './ipsec-tunnel.js'

export interface IpsecPolicyStatus {
  /** As ipsecctl(8) prints the flow. */
  readonly flow: string
  readonly direction: 'in' | 'out'
  readonly action: string
}

/** What is left until the SA ends, where it has such a limit. */
export interface LifetimeLeft {
  readonly seconds?: number
  readonly packets?: number
  readonly bytes?: number
}

export interface IpsecSaStatus {
  /** As ipsecctl(8) prints the SA; without keys. */
  readonly sa: string
  readonly path: string
  readonly direction: 'outbound' | 'inbound'
  readonly spi: number
  readonly state: 'mature' | 'dying' | 'dead'
  readonly packets: number
  readonly bytes: number
  readonly left?: LifetimeLeft
}

export interface IpsecStatus {
  readonly policies: readonly IpsecPolicyStatus[]
  readonly sas: readonly IpsecSaStatus[]
}

export function ipsecStatusOf(
  { flows, sas }: IpsecDefinition,
  machine: ManualSaMachine | undefined,
  paths: readonly PathStatus[],
  now: Instant,
): IpsecStatus {
  const texts = new Map(sas.map(({ sa, text }) => [`${sa.protocol} ${sa.spi} ${sa.destination}`, text]))
  const { paths: made } = machine?.config ?? { paths: [] }
  return {
    policies: flows.map(({ policy: { direction, action }, text }) => ({ flow: text, direction, action })),
    sas: (machine?.sas() ?? []).map(({ path, direction, spec, state, hardAt }) => {
      const carrier = made.find(({ id }) => id === path)?.carrier
      const destination = direction === 'outbound' ? carrier?.remote : carrier?.local
      const counters = paths
        .find(({ id }) => id === path)
        ?.sas?.find((one) => one.direction === direction && one.spi === spec.spi)
      const { packets = 0, bytes = 0 } = counters ?? {}
      const { hardPackets, hardBytes } = spec.lifetimes
      const left: LifetimeLeft = {
        ...(hardAt === undefined ? {} : { seconds: Math.max(0, Math.ceil((hardAt - now) / 1e6)) }),
        ...(hardPackets === undefined ? {} : { packets: Math.max(0, hardPackets - packets) }),
        ...(hardBytes === undefined ? {} : { bytes: Math.max(0, hardBytes - bytes) }),
      }
      return {
        sa: texts.get(`${spec.protocol} ${spec.spi} ${destination}`) ?? path,
        path,
        direction,
        spi: spec.spi,
        state,
        packets,
        bytes,
        ...(state === 'dead' || Object.keys(left).length === 0 ? {} : { left }),
      }
    }),
  }
}
