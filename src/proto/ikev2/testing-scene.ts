/** A machine that carries an honest SA, a stranger in front of it, and what has to hold when the stranger is done. */
import { IpPrefix, SeededRandom } from '../../base/index.js'
import type { IkePayload } from '../../wire/ike/index.js'
import type { Credentials } from './context.js'
import { findNotify } from './init.js'
import type { IkePolicy } from './policy.js'
import { Link, noCredentials, policyOf, Side, spisOf } from './testing.js'
import { RawPeer } from './testing-raw.js'

function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(`not so: ${what}`)
}

export interface Scene {
  readonly link: Link
  readonly target: Side
  readonly raw: RawPeer
}

/** A machine with an honest SA, and room for a peer that nobody knows yet. */
export function scene(open: Partial<IkePolicy> = {}, credentials: Credentials = noCredentials): Scene {
  const anybody = { ...policyOf(1, { name: 'open', peer: IpPrefix.parse('0.0.0.0/0')!, ...open }) }
  const { remoteId: _any, ...policy } = anybody
  const target = new Side({ policies: [policyOf(1), policy], random: new SeededRandom(1), credentials })
  const honest = new Side({ policies: [policyOf(2)], random: new SeededRandom(2) })
  const link = new Link([target, honest])
  link.start()
  link.run(1)
  must(honest.established === 1, 'the honest peer stands')
  return { link, target, raw: new RawPeer(target) }
}

/** The honest peer makes its child anew: both of its exchanges and its traffic are as before. */
export function goesOn({ link, target }: Scene): void {
  const honest = link.sides[1]
  const before = `${spisOf(honest)}`
  link.flush(target)
  const [session] = honest.machine.sessions()
  session!.onChildSoft!([...session!.children.values()][0]!, link.now)
  link.flush(honest)
  link.run(2)
  must(honest.established === 1, 'the honest peer stands')
  must(honest.paths.size === 1, 'it has one child')
  must(`${spisOf(honest)}` !== before, 'the child is a new one')
  must(spisOf(target).includes(spisOf(honest)[0]!), 'both ends agree')
}

export const counted = ({ target }: Scene, reason: string): number => target.machine.counters.get(reason)

export function refusedBy(said: readonly IkePayload[] | undefined, type: number): void {
  must(
    said !== undefined && findNotify(said, type) !== undefined,
    `a notify ${type}, not ${JSON.stringify(said)}`,
  )
}
