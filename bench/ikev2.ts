/**
 * IKEv2 beside strongSwan's charon in one run: how long a tunnel takes to stand, what a handshake costs a responder, what
 * many SAs weigh that nobody uses, and what is lost while keys are made anew. As root; some four minutes.
 */
import { missing } from '../interop/lib/need.js'
import { establishTimes } from './ikev2/establish.js'
import { handshakes, idle, middle } from './ikev2/handshakes.js'
import { rekeys } from './ikev2/rekeys.js'
import { median } from './throughput/results.js'

const MEGABYTE = 1e6
const IDLE_SAS = Number(process.env.WARREN_IDLE_SAS ?? 10_000)
const HANDSHAKES = Number(process.env.WARREN_HANDSHAKES ?? 300)
/** Six a second, each way. */
const REKEY_SECONDS = Number(process.env.WARREN_REKEY_SECONDS ?? 40)
const PARTS = (process.env.WARREN_PARTS ?? 'establish handshakes idle rekeys').split(' ')

const has = (part: string): boolean => PARTS.includes(part)
const verdict = (held: boolean): string => (held ? 'held' : 'MISSED')

/** 1: a target is missed. */
export async function run(): Promise<number> {
  const skip = missing('iperf3', 'ping', 'tcpdump', 'nft', '/usr/sbin/charon-systemd', 'swanctl', 'unshare')
  if (skip !== false) {
    console.log(`ikev2: skipped: ${skip}`)
    return 0
  }
  let missed = 0
  const judge = (held: boolean): string => {
    if (!held) missed++
    return verdict(held)
  }
  if (has('establish')) {
    const times = await establishTimes(7)
    console.log('first message to first ping back, median of 7:')
    const of = (name: string): number => median(times.get(name) ?? []) ?? Number.NaN
    for (const [name, values] of times)
      console.log(
        `  ${name.padEnd(26)} ${of(name).toFixed(1).padStart(7)} ms  (${values.map((one) => one.toFixed(0)).join(' ')})`,
      )
    const ratio = of('warren - strongswan') / of('strongswan - strongswan')
    console.log(`  warren - strongswan: ${ratio.toFixed(2)} x (wanted: at most 1): ${judge(ratio <= 1)}`)
  }
  if (has('handshakes')) {
    const costs = await handshakes(3, HANDSHAKES)
    console.log(`a responder's handshake, ${HANDSHAKES} of them, median of 3 rounds:`)
    for (const [name, list] of costs)
      console.log(
        `  ${name.padEnd(26)} ${middle(list, 'cpu').toFixed(0).padStart(6)} µs of processor time, ${middle(list, 'rate').toFixed(0).padStart(5)} a second, ${list.reduce((sum, { failed }) => sum + failed, 0)} failed`,
      )
    for (const name of ['warren', 'warren, no data path']) {
      const ratio = middle(costs.get(name) ?? [], 'cpu') / middle(costs.get('strongswan') ?? [], 'cpu')
      console.log(`  ${name}: ${ratio.toFixed(2)} x strongswan (wanted: at most 1): ${judge(ratio <= 1)}`)
    }
  }
  if (has('idle')) {
    const found = await idle('warren', IDLE_SAS)
    const each = (found.after - found.before) / found.sas
    console.log(
      `${found.sas} idle IKE SAs with a child each, no data path: ${(found.after / MEGABYTE).toFixed(0)} MB (${(found.before / MEGABYTE).toFixed(0)} MB before, ${each.toFixed(0)} bytes each, ${found.failed} failed, ${found.seconds.toFixed(0)} s; wanted: under 120 MB): ${judge(found.after < 120 * MEGABYTE && found.failed === 0)}`,
    )
  }
  if (has('rekeys'))
    for (const peer of ['warren', 'strongswan'] as const) {
      const { children, ikes, datagrams, lost, pings, pingsLost, drops } = await rekeys(peer, REKEY_SECONDS)
      console.log(
        `warren - ${peer}: ${children} children and ${ikes} IKE SAs made anew under ${datagrams} datagrams and ${pings} pings: ${lost} and ${pingsLost} lost (wanted: 0): ${judge(lost === 0 && pingsLost === 0)} ${JSON.stringify(drops)}`,
      )
    }
  return missed > 0 ? 1 : 0
}
