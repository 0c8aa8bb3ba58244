/**
 * Two machines and a link that loses, reorders, doubles and corrupts, while both make their children and their IKE SA anew.
 */
import { seconds } from '../../base/index.js'
import type { IkePolicy } from './policy.js'
import { type Fault, type Link, pair, perfect, type Side, spisOf } from './testing.js'

const faulty: Fault = (datagram, random) => {
  const copies = random.below(10) === 0 ? 2 : 1
  return Array.from({ length: copies }, () => {
    const payload = Uint8Array.from(datagram.payload)
    if (random.below(10) === 0) payload[random.below(payload.length)]! ^= 1 << random.below(8)
    return { delayMs: 1 + random.below(400), datagram: { ...datagram, payload } }
  }).filter(() => random.below(5) !== 0)
}

const sessionsOf = ({ machine }: Side): string[] =>
  machine
    .sessions()
    .filter(({ state }) => state === 'established')
    .map(({ spis }) => `${spis.initiator} ${spis.responder}`)
    .sort()

/** What is wrong once all is quiet: undefined, or words. */
function disagreement(link: Link): string | undefined {
  const [a, b] = link.sides
  if (a.established === 0) return 'none stands'
  if (`${sessionsOf(a)}` !== `${sessionsOf(b)}`) return 'other IKE SAs'
  if (`${spisOf(a)}` !== `${spisOf(b)}`) return 'other children'
  if (a.paths.size === 0) return 'no child'
  const left = Math.max(a.machine.sessions().length, b.machine.sessions().length, a.paths.size, b.paths.size)
  return left > 3 ? `${left} are left` : undefined
}

/** What is wrong with this seed: undefined, or words. `more`: of both policies. */
export function simulate(seed: number, more: Partial<IkePolicy> = {}): string | undefined {
  // Lifetimes that meet again and again, so that both begin at once; every other time both begin the whole.
  const lifetimes = { childLifetime: { seconds: 50 }, ikeLifetime: seconds(130), ...more }
  const link = pair({ ...lifetimes, initiate: seed % 2 === 0 }, lifetimes, seed)
  link.fault = faulty
  link.start()
  // At one and the same instant.
  const both = (what: 'child' | 'ike'): void => {
    for (const side of link.sides) {
      const session = side.machine.sessions().find(({ state }) => state === 'established')
      const [child] = session?.children.values() ?? []
      if (what === 'ike') session?.onRekeyDue?.(link.now)
      else if (child !== undefined) session?.onChildSoft?.(child, link.now)
      link.flush(side)
    }
  }
  link.run(20)
  both('child')
  link.run(20)
  both('ike')
  link.run(10)
  both(seed % 3 === 0 ? 'ike' : 'child')
  link.run(110)
  link.fault = perfect
  // Longer than anything that is half done is kept.
  link.run(300)
  // An exchange may be under way at this very moment.
  link.run(5, () => disagreement(link) === undefined)
  return disagreement(link)
}

/** Failing seeds among those whose number leaves `part` when halved: two files share the work of two cores. */
export function failuresOf(part: 0 | 1, one: string | undefined, count: string | undefined): string[] {
  const seeds =
    one === undefined ? Array.from({ length: Number(count ?? 1000) }, (_, i) => i + 1) : [Number(one)]
  return seeds
    .filter((seed) => seed % 2 === part)
    .flatMap((seed) => {
      const wrong = simulate(seed)
      return wrong === undefined ? [] : [`WARREN_SEED=${seed}: ${wrong}`]
    })
}
