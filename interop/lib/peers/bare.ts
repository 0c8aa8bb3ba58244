/** No tunnel: what the link itself does. */
import { release } from 'node:os'
import { missing } from '../need.js'
import type { Peer } from './peer.js'

export const bare: Peer = {
  name: 'bare',
  description: 'the link alone',
  missing: () => missing(),
  version: () => `Linux ${release()}`,
  async start(hosts) {
    // The inner addresses on the link itself, so that every subject is measured by the same commands.
    for (const host of [hosts.a, hosts.b])
      hosts.net.run(host.namespace, `ip addr add ${host.inner}/24 dev eth0`)
    return {
      innerAddress: hosts.b.inner,
      processes: () => ({ a: [], b: [] }),
      log: () => '',
      stop: async () => {},
    }
  },
}
