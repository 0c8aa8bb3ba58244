/** What the generator of handshakes and who starts it have in common, and the two hosts between which it runs. */
import { fileURLToPath } from 'node:url'
import { runIn } from '../../interop/lib/daemon.js'
import { type PeerHosts, twoHosts } from '../../interop/lib/two-hosts.js'
import type { ChildLifetime } from '../../src/proto/ikev2/index.js'

export const RESPONDER = '192.168.1.2'
export const NAT_PORT = 4500
export const SECRET = 'many hosts of one bench'

export interface Load {
  readonly count: number
  /** At once; fewer than a responder demands cookies from. */
  readonly parallel: number
  /** Number of the first. */
  readonly from: number
  /** All children are for the same packets; else each for an address of its own. */
  readonly sharedInside?: boolean
  readonly lifetime?: ChildLifetime
}

export interface Made {
  readonly stood: number
  readonly failed: number
  readonly seconds: number
}

const numbered = (first: number, index: number): string =>
  `10.${first + (index >> 16)}.${(index >> 8) & 0xff}.${index & 0xff}`
/** The address that initiator `index` speaks from, and the one behind it. */
export const outerOf = (index: number): string => numbered(64, index + 1)
export const innerOf = (index: number): string => numbered(128, index + 1)

/** Host a has all addresses that initiators speak from. */
export function loadedHosts(prefix: string): PeerHosts {
  const hosts = twoHosts(prefix)
  hosts.net.run(hosts.a.namespace, 'ip route add local 10.64.0.0/10 dev lo')
  hosts.net.run(
    hosts.b.namespace,
    'ip route add 10.64.0.0/10 via 192.168.1.1; ip addr add 10.1.0.2/32 dev lo',
  )
  return hosts
}

export async function generate({ a }: PeerHosts, load: Load): Promise<Made> {
  const program = fileURLToPath(new URL('./generator.js', import.meta.url))
  const command = [process.execPath, program, JSON.stringify(load)]
  return JSON.parse(await runIn(a.namespace, command, 240_000)) as Made
}
