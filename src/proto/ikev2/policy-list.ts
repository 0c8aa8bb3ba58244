/**
 * The policies of a machine: what its children protect, and what stays closed while there is none. A change costs what has
 * changed, however many SAs there are.
 */
import { hexOf } from '../../wire/field.js'
import type { PolicySpec } from '../machine.js'
import { flowsOf } from './configuration.js'
import { formatIdentity } from './identity.js'
import { policiesOf } from './pairs.js'
import type { Flow, IkePolicy } from './policy.js'
import type { Session } from './session.js'

/** Packets of some policies, with the paths that each SA has for them. */
interface Entry {
  spec: PolicySpec
  readonly bySession: Map<Session, readonly string[]>
}

/** One of the same packets stands once, with the paths of all. */
export class PolicyBook {
  readonly #entries = new Map<string, Entry>()
  /** What is closed whoever is there. */
  #base = new Map<string, PolicySpec>()
  readonly #keysOf = new Map<Session, readonly string[]>()

  /** Flows of a policy with one peer are closed while no child stands. */
  setBase(policies: readonly IkePolicy[]): void {
    this.#base = new Map()
    for (const { flows, peer, where } of policies)
      if (peer.length === 8 * peer.address.bytes.length)
        for (const spec of closed(flows, where)) this.#base.set(keyOf(spec), spec)
  }

  /** What a session has now, in the place of what it had; `isThere` false: nothing. True: something is another than before. */
  update(session: Session, isThere: boolean): boolean {
    const wanted = new Map<string, PolicySpec>()
    for (const spec of isThere ? wantedBy(session) : []) {
      const key = keyOf(spec)
      const before = wanted.get(key)
      wanted.set(key, before === undefined ? spec : { ...spec, paths: union([before.paths, spec.paths]) })
    }
    let changed = false
    for (const key of this.#keysOf.get(session) ?? [])
      if (!wanted.has(key)) changed = this.#take(key, session) || changed
    for (const [key, spec] of wanted) changed = this.#put(key, session, spec) || changed
    if (wanted.size === 0) this.#keysOf.delete(session)
    else this.#keysOf.set(session, [...wanted.keys()])
    return changed
  }

  /** All of them: those of SAs, then what is only closed. */
  list(): PolicySpec[] {
    const list: PolicySpec[] = []
    for (const { spec } of this.#entries.values()) list.push(spec)
    for (const [key, spec] of this.#base) if (!this.#entries.has(key)) list.push(spec)
    return list
  }

  #put(key: string, session: Session, spec: PolicySpec): boolean {
    const entry = this.#entries.get(key)
    if (entry === undefined) {
      this.#entries.set(key, { spec, bySession: new Map([[session, spec.paths]]) })
      return true
    }
    entry.bySession.set(session, spec.paths)
    return join(entry, spec)
  }

  #take(key: string, session: Session): boolean {
    const entry = this.#entries.get(key)
    if (entry === undefined || !entry.bySession.delete(session)) return false
    if (entry.bySession.size > 0) return join(entry, entry.spec)
    this.#entries.delete(key)
    return true
  }
}

/**
 * The paths of all of its sessions, in the order in which their peers came. Of one peer the newest is first: one that began anew
 * and says no INITIAL_CONTACT (RFC 7296 section 2.4) has that alone, and the older ones lead nowhere until they are found dead.
 * True: they are others than before.
 */
function join(entry: Entry, spec: PolicySpec): boolean {
  const byPeer = new Map<string, (readonly string[])[]>()
  for (const [{ peerId }, paths] of entry.bySession) {
    const peer = peerId === undefined ? '' : formatIdentity(peerId)
    const lists = byPeer.get(peer)
    if (lists === undefined) byPeer.set(peer, [paths])
    else lists.unshift(paths)
  }
  const paths = union([...byPeer.values()].flat())
  const before = entry.spec
  const same =
    before.where === spec.where &&
    paths.length === before.paths.length &&
    paths.every((path, i) => path === before.paths[i])
  if (!same) entry.spec = { ...spec, paths }
  return !same
}

const union = (lists: Iterable<readonly string[]>): string[] => [...new Set([...lists].flat())]

/** Children's own selectors lead into their paths; from an assigned address it is a flow like others. */
const wantedBy = (session: Session): PolicySpec[] => [
  ...session.policies(),
  ...(session.assigned === undefined ? [] : closed(flowsOf(session), session.policy.where)),
]

/** From an address that nobody has nothing comes. */
const closed = (flows: readonly Flow[], where: string | undefined): PolicySpec[] =>
  flows.flatMap(({ local, remote, dynamic }) =>
    dynamic === undefined ? policiesOf([{ local, remote }], [], where) : [],
  )

/** Text that two policies of the same packets share. */
function keyOf({ direction, action, family, source, destination, ...rest }: PolicySpec): string {
  const { protocol, sourcePorts, destinationPorts, icmpType, icmpCode } = rest
  const prefix = ({ address, length }: PolicySpec['source']): string =>
    `${hexOf(address, 0, address.length)}/${length}`
  const ports = [sourcePorts, destinationPorts].map((one) =>
    one === undefined ? '' : `${one.first}-${one.last}`,
  )
  return [
    ...[direction, action, family, prefix(source), prefix(destination)],
    ...[protocol, ...ports, icmpType, icmpCode].map((one) => one ?? ''),
  ].join(' ')
}
