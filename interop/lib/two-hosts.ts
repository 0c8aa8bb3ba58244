/**
 * Two hosts of their own on one link, for one pair of daemons:
 *
 *     netns a                 netns link            netns b
 *     +------------------+    +-------+    +------------------+
 *     | eth0 192.168.1.1 | -- |  br0  | -- | eth0 192.168.1.2 |
 *     +------------------+    +-------+    +------------------+
 */
import { Netns } from './netns.js'

/** `bridge`: as hosts on a switch. `veth`: one cable, the least that a kernel does for a packet. */
export type Link = 'bridge' | 'veth'

export interface PeerHost {
  readonly namespace: string
  /** The address on the link. */
  readonly outer: string
  /** The address that the tunnel is to give this host. */
  readonly inner: string
}

export interface PeerHosts {
  readonly net: Netns
  readonly a: PeerHost
  readonly b: PeerHost
}

/** `prefix`: two or three letters of its own, as for `Netns`. `net.close()` removes it all. */
export function twoHosts(prefix: string, link: Link = 'bridge'): PeerHosts {
  const net = new Netns(prefix)
  try {
    const [a, b] = [net.add('a'), net.add('b')]
    if (link === 'veth') net.veth(a, 'eth0', b, 'eth0')
    else {
      const middle = net.add('link')
      net.run(middle, 'ip link add br0 type bridge && ip link set br0 up')
      // A switch does not look into what it carries. Only where the kernel has that module does it have these.
      for (const family of ['iptables', 'ip6tables', 'arptables']) {
        const setting = `/proc/sys/net/bridge/bridge-nf-call-${family}`
        net.run(middle, `[ ! -e ${setting} ] || echo 0 > ${setting}`)
      }
      net.veth(a, 'eth0', middle, 'p1')
      net.veth(b, 'eth0', middle, 'p2')
      net.run(middle, 'ip link set p1 master br0 && ip link set p2 master br0')
    }
    net.run(a, 'ip addr add 192.168.1.1/24 dev eth0')
    net.run(b, 'ip addr add 192.168.1.2/24 dev eth0')
    return {
      net,
      a: { namespace: a, outer: '192.168.1.1', inner: '10.1.0.1' },
      b: { namespace: b, outer: '192.168.1.2', inner: '10.1.0.2' },
    }
  } catch (error) {
    net.close()
    throw error
  }
}
