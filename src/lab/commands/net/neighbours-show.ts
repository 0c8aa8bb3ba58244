import { between, type Instant, type IpAddress, type MacAddress, toSeconds } from '../../../base/index.js'
import type { NeighbourState } from '../../../stack/index.js'
import { zoned } from './ifconfig-show.js'

/** How arp(8) and ndp(8) show their caches, from plain data. */

export interface NeighbourView {
  readonly address: IpAddress
  readonly mac?: MacAddress
  readonly interface: string
  readonly state: NeighbourState
  readonly expires?: Instant
  readonly local: boolean
  readonly router: boolean
}

const ADDRESS = 36
const LINK = 17
const NETIF = 7

/** `arp -an`, header first, with a newline at the end. */
export function showArp(entries: readonly NeighbourView[], now: Instant): string {
  const lines = [
    `${'Host'.padEnd(ADDRESS)} ${'Ethernet Address'.padEnd(LINK)} ${'Netif'.padStart(NETIF)} ${'Expire'.padEnd(9)} Flags`,
  ]
  for (const entry of entries) {
    const flags = entry.local ? 'l' : ''
    lines.push(
      `${`${entry.address}`.padEnd(ADDRESS)} ${linkLayer(entry).padEnd(LINK)} ${entry.interface.padStart(NETIF)} ${expiry(entry, now).padEnd(9)} ${flags}`.trimEnd(),
    )
  }
  return `${lines.join('\n')}\n`
}

/** The letters of ndp(8): none, incomplete, reachable, stale, delay, probe. */
const STATES: Readonly<Record<NeighbourState, string>> = {
  incomplete: 'I',
  reachable: 'R',
  stale: 'S',
  delay: 'D',
  probe: 'P',
  permanent: 'R',
  failed: 'I',
}

/** `ndp -an`, header first, with a newline at the end. */
export function showNdp(entries: readonly NeighbourView[], now: Instant): string {
  const lines = [
    `${'Neighbor'.padEnd(ADDRESS)} ${'Linklayer Address'.padEnd(LINK)} ${'Netif'.padStart(NETIF)} ${'Expire'.padEnd(9)} S Flags`,
  ]
  for (const entry of entries) {
    const flags = `${entry.local ? 'l' : ''}${entry.router ? 'R' : ''}`
    const address = zoned(entry.address, entry.interface)
    lines.push(
      `${address.padEnd(ADDRESS)} ${linkLayer(entry).padEnd(LINK)} ${entry.interface.padStart(NETIF)} ${expiry(entry, now).padEnd(9)} ${STATES[entry.state]} ${flags}`.trimEnd(),
    )
  }
  return `${lines.join('\n')}\n`
}

const linkLayer = (entry: NeighbourView): string => `${entry.mac ?? '(incomplete)'}`

function expiry(entry: NeighbourView, now: Instant): string {
  if (entry.state === 'permanent' || entry.local) return 'permanent'
  if (entry.expires === undefined) return 'static'
  const left = Math.floor(toSeconds(between(now, entry.expires)))
  return left > 0 ? spelled(left) : 'expired'
}

/** Seconds as `1d2h3m4s`, without what is zero in front. */
function spelled(total: number): string {
  let text = ''
  let rest = total
  for (const [unit, size] of [
    ['d', 86_400],
    ['h', 3_600],
    ['m', 60],
  ] as const) {
    if (rest >= size) text += `${Math.floor(rest / size)}${unit}`
    rest %= size
  }
  return rest > 0 || text === '' ? `${text}${rest}s` : text
}
