/** What a killed daemon leaves: its policies, closed on purpose. */
import { IPSEC_INTERFACE } from '../config/index.js'
import { libc } from './ffi.js'
import { RouteNetlink } from './rtnetlink.js'
import { Steering } from './steering/index.js'
import { listRules } from './steering/rules.js'

/**
 * Removes them. `in use`: the interface that they lead to is there, so somebody's tunnels run (with another control
 * socket), and nothing was touched.
 */
export function clearLeftovers(): 'cleared' | 'nothing' | 'in use' {
  if (libc().if_nametoindex(IPSEC_INTERFACE) > 0) return 'in use'
  return Steering.clearLeftovers() ? 'cleared' : 'nothing'
}

/** Whether there are any, and nobody's interface that they lead to. */
export function hasLeftovers(): boolean {
  if (libc().if_nametoindex(IPSEC_INTERFACE) > 0) return false
  const netlink = new RouteNetlink()
  try {
    return ([4, 6] as const).some((family) => listRules(netlink.socket, family).length > 0)
  } finally {
    netlink.close()
  }
}
