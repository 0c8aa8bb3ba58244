/** One pair of SAs between `warren up ipsec.conf` and a kernel's IPsec: both are told, from one description. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DaemonStatus } from '../../src/linux/index.js'
import { startWarren, type WarrenProcess } from './warren.js'
import { ipsecSaRule, kernelPolicy, kernelState, type Layout, type XfrmSa, type XfrmSuite } from './xfrm.js'
import { KERNEL_INSIDE, KERNEL_OUTER, WARREN_INSIDE, WARREN_OUTER, type XfrmNet } from './xfrm-net.js'

export interface Pairing {
  readonly layout: Layout
  readonly suite: XfrmSuite
}

export const tunnel = (inner: 4 | 6, outer: 4 | 6, udp = false): Layout => ({
  ...{ protocol: 'esp', mode: 'tunnel', outer, inner, udp },
})
export const transport = (outer: 4 | 6, udp = false): Layout => ({
  ...{ protocol: 'esp', mode: 'transport', outer, inner: outer, udp },
})

/** The two SAs, ours to send first. */
export function pairOf({ layout, suite }: Pairing, n: number): readonly [XfrmSa, XfrmSa] {
  const [here, there] = [WARREN_OUTER[layout.outer], KERNEL_OUTER[layout.outer]]
  // RFC 4302 section 2.6: over IPv4 the header is a multiple of 32 bits, which Linux has to be told.
  const align4 = layout.protocol === 'ah' && layout.outer === 4 ? { align4: true } : {}
  return [
    { spi: 0x10000 + n, source: here, destination: there, suite, ...align4 },
    { spi: 0x20000 + n, source: there, destination: here, suite, ...align4 },
  ]
}

const NETWORKS = { 4: ['10.2.0.0/24', '10.1.0.0/24'], 6: ['fd10:2::/64', 'fd10:1::/64'] } as const

/** Who talks to whom inside, and what the policies say of it; ours first. */
export function insideOf({ mode, inner, outer }: Layout): {
  readonly here: string
  readonly there: string
  readonly networks: readonly [string, string]
} {
  if (mode === 'tunnel')
    return { here: WARREN_INSIDE[inner], there: KERNEL_INSIDE[inner], networks: NETWORKS[inner] }
  const [here, there] = [WARREN_OUTER[outer], KERNEL_OUTER[outer]]
  return { here, there, networks: [here, there] }
}

/** Tells the kernel, in the place of whatever it had, and starts Warren; `more`: further lines of ipsec.conf. */
export async function establish(
  { net, w, kernel }: XfrmNet,
  one: Pairing,
  n: number,
  more = '',
): Promise<WarrenProcess> {
  const { layout } = one
  const [out, back] = pairOf(one, n)
  const [near, far] = insideOf(layout).networks
  const [sas, conf] = [join(net.folder, 'sas'), join(net.folder, 'ipsec.conf')]
  const lines = [
    kernelState(out, layout, false, 1),
    kernelState(back, layout, true, 1),
    kernelPolicy('in', near, far, out, layout, 1),
    kernelPolicy('out', far, near, back, layout, 1),
  ]
  writeFileSync(sas, `${lines.join('\n')}\n`)
  await kernel.must(`ip xfrm state flush; ip xfrm policy flush; ip -batch ${sas}`)
  const flow = `flow ${layout.protocol} from ${near} to ${far} peer ${KERNEL_OUTER[layout.outer]}`
  writeFileSync(conf, `${flow}\n${ipsecSaRule(out, back, layout)}\n${more}`, { mode: 0o600 })
  return startWarren(net, w, [conf])
}

export const statusOf = async (process: WarrenProcess): Promise<DaemonStatus> =>
  JSON.parse(await process.status('--json')) as DaemonStatus

/** All drops of the daemon, by reason. */
export async function dropsOf(process: WarrenProcess): Promise<Record<string, number>> {
  const { tunnels, drops } = await statusOf(process)
  return { ...drops, ...tunnels[0]?.drops }
}
