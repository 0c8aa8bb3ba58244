/** What several threads have counted of one path, together. */
import type { PathStatus, SaCounters } from '../engine/host.js'

type Drops = Readonly<Record<string, number>>

export function sumDrops(all: Iterable<Drops>): Record<string, number> {
  const sum: Record<string, number> = {}
  for (const drops of all)
    for (const [reason, count] of Object.entries(drops)) sum[reason] = (sum[reason] ?? 0) + count
  return sum
}

/** `undefined` where nobody has counted. */
export function sumStatus(all: readonly PathStatus[]): PathStatus | undefined {
  const [first] = all
  if (first === undefined || all.length === 1) return first
  const sas = new Map<string, SaCounters>()
  for (const sa of all.flatMap((one) => one.sas ?? [])) {
    const key = `${sa.direction} ${sa.spi}`
    const { packets = 0, bytes = 0 } = sas.get(key) ?? {}
    sas.set(key, { ...sa, packets: packets + sa.packets, bytes: bytes + sa.bytes })
  }
  const way = (of: 'inbound' | 'outbound'): PathStatus['inbound'] => ({
    packets: all.reduce((sum, one) => sum + one[of].packets, 0),
    bytes: all.reduce((sum, one) => sum + one[of].bytes, 0),
    drops: sumDrops(all.map((one) => one[of].drops)),
  })
  return {
    id: first.id,
    ...(sas.size === 0 ? {} : { sas: [...sas.values()] }),
    inbound: way('inbound'),
    outbound: way('outbound'),
  }
}
