/** What a killed daemon leaves: its policies, closed on purpose. */
import { IPSEC_INTERFACE } from '../config/index.js'
import { libc } from './ffi.js'
import { Steering } from './steering/index.js'

/**
 * Removes them. `in use`: the interface that they lead to is there, so somebody's tunnels run (with another control
 * socket), and nothing was touched.
 */
export function clearLeftovers(): 'cleared' | 'nothing' | 'in use' {
  if (libc().if_nametoindex(IPSEC_INTERFACE) > 0) return 'in use'
  return Steering.clearLeftovers() ? 'cleared' : 'nothing'
}
