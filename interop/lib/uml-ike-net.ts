/**
 * A host of ours, a host behind a NAT, and a Linux kernel with IPsec of its own for a daemon of IKE to use, on one link.
 *
 *     netns w                          netns k                                        UML
 *     +-----------------------+ veth  +-----------------------------+     +------------------------+
 *     | eth0 192.168.1.1      | ----- wport -- br0 -- tapu ---------------- vec0 192.168.1.2         |
 *     |      fd00::1          |       |         |                   |     |      fd00::2           |
 *     | lo   10.1.1.1 fd01::1 |       |       rport                 |     | lo   10.1.2.1 fd02::1  |
 *     +-----------------------+       +---------|-------------------+     +------------------------+
 *     netns h                          netns r  | (translates sources)
 *     +-----------------------+ veth  +---------|------+
 *     | eth0 10.9.0.2         | ----- in        out    |
 *     | lo   10.1.1.1         |       | 10.9.0.1  192.168.1.77
 *     +-----------------------+       +----------------+
 */
import { Netns } from './netns.js'
import { type CommandResult, UmlPeer } from './uml.js'
import { XFRM_MODULES } from './xfrm.js'

/** Addresses on the link, and what each host has inside. */
export const WARREN = {
  outer: { 4: '192.168.1.1', 6: 'fd00::1' },
  inside: { 4: '10.1.1.1', 6: 'fd01::1' },
} as const
export const PEER = {
  outer: { 4: '192.168.1.2', 6: 'fd00::2' },
  inside: { 4: '10.1.2.1', 6: 'fd02::1' },
} as const
/** Behind the NAT, and what the link sees of it. */
export const HOME = { outer: '10.9.0.2', translated: '192.168.1.77' } as const

/** What IKE daemons ask of a kernel beside ESP: ciphers by the names of PF_KEY and netlink. */
const MODULES = [
  ...XFRM_MODULES,
  ...[
    'af_key',
    'dummy',
    'xfrm4_tunnel',
    'xfrm6_tunnel',
    'ipcomp',
    'gcm',
    'ccm',
    'ctr',
    'cbc',
    'chacha20poly1305',
  ],
  ...[
    'echainiv',
    'seqiv',
    'authenc',
    'authencesn',
    'sha1_generic',
    'sha256_generic',
    'des_generic',
    'xcbc',
    'cmac',
  ],
]

export class UmlIkeNet {
  readonly net: Netns
  readonly w: string
  readonly k: string
  readonly h: string
  readonly r: string
  readonly kernel: UmlPeer

  private constructor(net: Netns, names: Readonly<Record<'w' | 'k' | 'h' | 'r', string>>, kernel: UmlPeer) {
    this.net = net
    this.w = names.w
    this.k = names.k
    this.h = names.h
    this.r = names.r
    this.kernel = kernel
  }

  /** Boots the kernel (2 to 6 s). `prefix`: two letters of its own, as for `Netns`. */
  static async boot(prefix: string): Promise<UmlIkeNet> {
    const net = new Netns(prefix)
    let kernel: UmlPeer | undefined
    try {
      const [w, k, h, r] = [net.add('w'), net.add('k'), net.add('h'), net.add('r')]
      net.veth(w, 'eth0', k, 'wport')
      net.veth(r, 'out', k, 'rport')
      net.veth(h, 'eth0', r, 'in')
      net.run(k, 'ip link add br0 type bridge; ip tuntap add dev tapu mode tap')
      for (const port of ['tapu', 'wport', 'rport']) net.run(k, `ip link set ${port} master br0 up`)
      // The kernel leaves checksums to its network card, which a virtual link does not have.
      net.run(k, 'ip link set br0 up; ethtool -K wport tx off; ethtool -K rport tx off')
      net.run(
        w,
        `ip addr add ${WARREN.outer[4]}/24 dev eth0; ip addr add ${WARREN.outer[6]}/64 dev eth0 nodad;
         ip addr add ${WARREN.inside[4]}/32 dev lo; ip addr add ${WARREN.inside[6]}/128 dev lo nodad`,
      )
      net.run(
        h,
        `ip addr add ${HOME.outer}/24 dev eth0; ip route add default via 10.9.0.1; ip addr add ${WARREN.inside[4]}/32 dev lo`,
      )
      net.run(
        r,
        `ip addr add 10.9.0.1/24 dev in; ip addr add ${HOME.translated}/24 dev out; sysctl -qw net.ipv4.ip_forward=1
         nft 'add table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }; add rule ip nat post oifname out masquerade'`,
      )
      kernel = await UmlPeer.boot({ namespace: k, tap: 'tapu', modules: MODULES })
      await kernel.must(
        [
          // All that it needs is there: it would call modprobe(8) for each algorithm that a daemon registers for, which takes seconds.
          'echo > /proc/sys/kernel/modprobe',
          `ip addr add ${PEER.outer[4]}/24 dev vec0`,
          `ip -6 addr add ${PEER.outer[6]}/64 dev vec0 nodad`,
          `ip addr add ${PEER.inside[4]}/32 dev lo`,
          `ip -6 addr add ${PEER.inside[6]}/128 dev lo nodad`,
          // What is inside at the other end is reached as everything else is: the policies of the kernel take it from there.
          `ip route add default via ${WARREN.outer[4]} src ${PEER.inside[4]}`,
          `ip -6 route add default via ${WARREN.outer[6]} src ${PEER.inside[6]}`,
        ].join(' && '),
      )
      return new UmlIkeNet(net, { w, k, h, r }, kernel)
    } catch (error) {
      await kernel?.halt()
      net.close()
      throw error
    }
  }

  async close(): Promise<void> {
    await this.kernel.halt()
    this.net.close()
  }

  /** SAs and policies that a daemon left in the kernel. */
  async flush(): Promise<CommandResult> {
    return this.kernel.run('ip xfrm state flush; ip xfrm policy flush')
  }
}
