/** The whole list of policies of a machine: what its children protect, and what stays closed while there is none. */
import { hexOf } from '../../wire/field.js'
import type { PolicySpec } from '../machine.js'
import { policiesOf } from './children.js'
import { flowsOf } from './configuration.js'
import type { Flow, IkePolicy } from './policy.js'
import type { Session } from './session.js'

/**
 * Flows of a policy with one peer are closed while no child stands; children's own selectors lead into their paths. One of
 * the same packets stands once, with the paths of all.
 */
export function policyList(sessions: Iterable<Session>, policies: readonly IkePolicy[]): PolicySpec[] {
  const byKey = new Map<string, PolicySpec>()
  const add = (policy: PolicySpec): void => {
    const { paths, where, ...rest } = policy
    const key = JSON.stringify(rest, (_name, value: unknown) =>
      value instanceof Uint8Array ? hexOf(value, 0, value.length) : value,
    )
    const before = byKey.get(key)
    byKey.set(key, {
      ...rest,
      paths: [...new Set([...(before?.paths ?? []), ...paths])],
      ...(where === undefined ? {} : { where }),
    })
  }
  // From an address that nobody has nothing comes; with one it is a flow like others.
  const close = (flows: readonly Flow[], where: string | undefined): void => {
    for (const { local, remote, dynamic } of flows)
      if (dynamic === undefined) for (const policy of policiesOf([local], [remote], [], where)) add(policy)
  }
  const all = [...sessions]
  for (const session of all) for (const policy of session.policies()) add(policy)
  for (const { flows, peer, where } of policies)
    if (peer.length === 8 * peer.address.bytes.length) close(flows, where)
  for (const session of all) if (session.assigned !== undefined) close(flowsOf(session), session.policy.where)
  return [...byKey.values()]
}
