/** Who answers the generator: Warren with its data path, Warren that only negotiates, and strongSwan's charon. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Charon } from '../../interop/lib/peers/strongswan.js'
import type { PeerHosts } from '../../interop/lib/two-hosts.js'
import { startWarren } from '../../interop/lib/warren.js'
import { RESPONDER, SECRET } from './load.js'

export interface Responder {
  readonly pid: number
  log(): string
  stop(): Promise<void>
}

/** A file of iked.conf with a folder of its own. */
export function ikedConf({ net }: PeerHosts, name: string, text: string): string {
  const folder = join(net.folder, name)
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'iked.conf')
  writeFileSync(file, `${text}\n`, { mode: 0o600 })
  return file
}

/** Nobody of the generator answers any more, so nobody is asked. */
export const gatewayConf = (
  decoupled: boolean,
): string => `${decoupled ? 'set decouple\n' : ''}set dpd_check_interval 0
ikev2 "gateway" passive esp from 10.1.0.2 to 10.128.0.0/9 local ${RESPONDER} peer any \\
  ikesa enc aes-256-gcm prf hmac-sha2-256 group curve25519 childsa enc aes-256-gcm noesn \\
  srcid ${RESPONDER} psk "${SECRET}"`

export async function warrenResponder(hosts: PeerHosts, decoupled: boolean): Promise<Responder> {
  const file = ikedConf(hosts, `gateway-${decoupled}`, gatewayConf(decoupled))
  return startWarren(hosts.net, hosts.b.namespace, [file])
}

export async function charonResponder({ net, b }: PeerHosts): Promise<Responder> {
  const { daemon } = await Charon.start(b.namespace, {
    folder: net.folder,
    name: 'gateway',
    swanctl: `connections {
  gateway {
    version = 2
    local_addrs = ${RESPONDER}
    proposals = aes256gcm16-prfsha256-curve25519
    encap = yes
    rekey_time = 0
    unique = never
    local {
      auth = psk
      id = ${RESPONDER}
    }
    remote {
      auth = psk
      id = %any
    }
    children {
      gateway {
        local_ts = 10.1.0.2/32
        remote_ts = 10.128.0.0/9
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
`,
  })
  return { pid: daemon.pid, log: () => daemon.log, stop: () => daemon.stop() }
}
