/** Two hosts with a policy between them, Warren or strongSwan at each end; host a begins. */
import { Charon } from '../../interop/lib/peers/strongswan.js'
import { type PeerHosts, twoHosts } from '../../interop/lib/two-hosts.js'
import { startWarren, type WarrenProcess } from '../../interop/lib/warren.js'
import { ikedConf, type Responder } from './responders.js'

const SECRET = 'two ends of one bench'

export const policyConf = (begins: boolean, rest = ''): string => {
  const [i, j] = begins ? [1, 2] : [2, 1]
  return `set dpd_check_interval 0
ikev2 "tunnel" ${begins ? 'active' : 'passive'} esp from 10.1.0.${i} to 10.1.0.${j} local 192.168.1.${i} peer 192.168.1.${j} \\
  ikesa enc aes-256-gcm prf hmac-sha2-256 group curve25519 childsa enc aes-256-gcm noesn \\
  srcid 192.168.1.${i} dstid 192.168.1.${j} ${rest} psk "${SECRET}"`
}

const swanctl = (begins: boolean): string => {
  const [i, j] = begins ? [1, 2] : [2, 1]
  return `connections {
  tunnel {
    version = 2
    local_addrs = 192.168.1.${i}
    remote_addrs = 192.168.1.${j}
    proposals = aes256gcm16-prfsha256-curve25519
    encap = yes
    rekey_time = 0
    local {
      auth = psk
      id = 192.168.1.${i}
    }
    remote {
      auth = psk
      id = 192.168.1.${j}
    }
    children {
      tunnel {
        local_ts = 10.1.0.${i}/32
        remote_ts = 10.1.0.${j}/32
        esp_proposals = aes256gcm16-noesn
        rekey_time = 0
      }
    }
  }
}
secrets {
  ike-1 {
    secret = "${SECRET}"
  }
}
`
}

let made = 0

/** The inner addresses are there, and lead nowhere without a tunnel. */
export function pairHosts(prefix: string): PeerHosts {
  const hosts = twoHosts(`${prefix}${(made++).toString(36)}`)
  for (const [host, other] of [
    [hosts.a, hosts.b],
    [hosts.b, hosts.a],
  ] as const)
    hosts.net.run(
      host.namespace,
      `ip addr add ${host.inner}/32 dev lo; ip link add nowhere type bridge && ip link set nowhere up && ip route add ${other.inner}/32 dev nowhere src ${host.inner} && ip neigh add ${other.inner} lladdr 02:00:00:00:00:01 dev nowhere nud permanent`,
    )
  return hosts
}

/** `waits`: host a does not begin. */
export async function warrenEnd(
  hosts: PeerHosts,
  begins: boolean,
  rest = '',
  waits = false,
): Promise<WarrenProcess> {
  const { namespace } = begins ? hosts.a : hosts.b
  return startWarren(hosts.net, namespace, [
    ikedConf(
      hosts,
      begins ? 'a' : 'b',
      waits ? policyConf(begins, rest).replace('active', 'passive') : policyConf(begins, rest),
    ),
  ])
}

/** Where it begins, it does so when it is told to. */
export async function charonEnd(
  hosts: PeerHosts,
  begins: boolean,
): Promise<Responder & { readonly charon: Charon }> {
  const { namespace } = begins ? hosts.a : hosts.b
  const name = begins ? 'a' : 'b'
  const charon = await Charon.start(namespace, { folder: hosts.net.folder, name, swanctl: swanctl(begins) })
  const { daemon } = charon
  return { charon, pid: daemon.pid, log: () => daemon.log, stop: () => daemon.stop() }
}
