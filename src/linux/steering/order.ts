/** Policies as addresses and prefixes, in the order in which they are searched: the security policy database's own. */
import { IpPrefix, ipAddressFrom } from '../../base/index.js'
import type { PolicySpec } from '../../proto/machine.js'
import { type Policy, Spd } from '../../stack/spd.js'

/** A policy with its prefixes made. */
export interface OrderedPolicy {
  readonly spec: PolicySpec
  readonly source: IpPrefix
  readonly destination: IpPrefix
}

/** Throws `STACK_POLICY` where a selector cannot be. Of two with one selector the later counts. */
export function orderPolicies(policies: readonly PolicySpec[]): OrderedPolicy[] {
  const spd = new Spd()
  const found = new Map<Policy, OrderedPolicy>()
  for (const spec of policies) {
    const source = prefixOf(spec.source)
    const destination = prefixOf(spec.destination)
    const { direction, action, protocol, sourcePorts, destinationPorts, icmpType, icmpCode, where } = spec
    const policy: Policy = {
      direction,
      action,
      // What it is protected with plays no part in the order.
      protocol: 'esp',
      selector: {
        source,
        destination,
        ...(protocol === undefined ? {} : { protocol }),
        ...(sourcePorts === undefined ? {} : { sourcePorts }),
        ...(destinationPorts === undefined ? {} : { destinationPorts }),
        ...(icmpType === undefined ? {} : { icmpType }),
        ...(icmpCode === undefined ? {} : { icmpCode }),
      },
      ...(where === undefined ? {} : { where }),
    }
    spd.add(policy)
    found.set(policy, { spec, source, destination })
  }
  return spd.list().map((policy) => found.get(policy)!)
}

function prefixOf({ address, length }: PolicySpec['source']): IpPrefix {
  return new IpPrefix(ipAddressFrom(address), length)
}
