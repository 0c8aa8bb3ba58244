/** What tests of `warren up iked.conf` have in common: its files, its status, and pings that go on meanwhile. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { IkeSaStatus } from '../../src/engine/index.js'
import type { DaemonStatus } from '../../src/linux/index.js'
import { Daemon } from './daemon.js'
import { Netns } from './netns.js'
import { Charon } from './peers/strongswan.js'
import { startWarren, type WarrenProcess } from './warren.js'

/** What must not be seen on a link while it is protected; neighbour discovery may. */
export const CLEAR = 'icmp or tcp or (icmp6 and (ip6[40] == 128 or ip6[40] == 129)) or (ip6 and tcp)'

export class IkeHosts {
  readonly net: Netns
  readonly #running: (() => Promise<unknown>)[] = []

  constructor(net: Netns) {
    this.net = net
  }

  /** Writes `iked.conf` in a folder of its own. */
  conf(name: string, text: string): string {
    const folder = join(this.net.folder, name)
    mkdirSync(folder, { recursive: true })
    const file = join(folder, 'iked.conf')
    writeFileSync(file, `${text}\n`, { mode: 0o600 })
    return file
  }

  async warren(host: string, name: string, text: string): Promise<WarrenProcess> {
    const process = await startWarren(this.net, host, [this.conf(name, text)])
    this.#running.push(() => process.stop().catch(() => {}))
    return process
  }

  /** `root`: of a strongSwan that has a system of its own. */
  async charon(host: string, name: string, swanctl: string, root?: string): Promise<Charon> {
    const peer = await Charon.start(host, {
      folder: this.net.folder,
      name,
      swanctl,
      ...(root === undefined ? {} : { root }),
    })
    this.#running.push(() => peer.daemon.stop())
    return peer
  }

  daemon(host: string, ...command: string[]): Daemon {
    const daemon = Daemon.start(host, command)
    this.#running.push(() => daemon.stop())
    return daemon
  }

  /** tcpdump that has begun to listen. */
  async capture(host: string, link: string, filter: string): Promise<Daemon> {
    const dump = this.daemon(host, 'tcpdump', '--immediate-mode', '-lnpi', link, filter)
    await dump.until(/listening on/)
    return dump
  }

  /** The last started ends first. */
  async end(): Promise<void> {
    for (const stop of this.#running.splice(0).reverse()) await stop()
  }
}

export const statusOf = async (process: WarrenProcess): Promise<DaemonStatus> =>
  JSON.parse(await process.status('--json')) as DaemonStatus

export const sasOf = async (process: WarrenProcess): Promise<readonly IkeSaStatus[]> =>
  (await statusOf(process)).tunnels[0]?.ike?.sas ?? []

export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  log: () => string,
  limitMs = 20_000,
): Promise<T> {
  for (const deadline = Date.now() + limitMs; Date.now() < deadline; await sleep(100)) {
    const found = await look()
    if (found !== undefined && found !== false) return found
  }
  throw new Error(`${what} did not come about\n${log()}`)
}

/** The one SA that stands with a child. */
export const established = (process: WarrenProcess, name?: string): Promise<IkeSaStatus> =>
  until(
    'an IKE SA with a child',
    async () =>
      (await sasOf(process)).find(
        ({ state, children, policy }) =>
          state === 'established' && children.length > 0 && (name === undefined || policy === name),
      ),
    () => process.log(),
  )

/** A ping that goes on; which of it were answered, once it has ended. */
export class SteadyPing {
  readonly #ping: Daemon

  private constructor(ping: Daemon) {
    this.#ping = ping
  }

  static async start(hosts: IkeHosts, host: string, from: string, to: string): Promise<SteadyPing> {
    const ping = hosts.daemon(host, 'ping', '-i', '0.05', '-I', from, to)
    const steady = new SteadyPing(ping)
    await steady.goesOn(() => ping.log)
    return steady
  }

  /** Answers until now. */
  get answers(): number {
    return [...this.#ping.log.matchAll(/icmp_seq=\d+ ttl/g)].length
  }

  /** Waits until some more were answered. */
  async goesOn(log: () => string, limitMs = 20_000): Promise<void> {
    const before = this.answers
    await until('an answer', () => this.answers >= before + 10, log, limitMs)
  }

  /** Numbers that are missing before the last that was answered. */
  async end(): Promise<number[]> {
    await sleep(300)
    execFileSync('kill', ['-INT', String(this.#ping.pid)])
    await this.#ping.until(/packets transmitted/)
    const seen = new Set(
      [...this.#ping.log.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, number]) => Number(number)),
    )
    const last = Math.max(...seen)
    return Array.from({ length: last }, (_, i) => i + 1).filter((number) => !seen.has(number))
  }
}

/** Three of three, both ways. `seen`: what each calls the other, where a NAT makes that another address. */
export function pings(
  net: Netns,
  ends: readonly (readonly [host: string, inside: string])[],
  seen?: readonly [string, string],
): void {
  for (const [i, [host, from]] of ends.entries()) {
    const to = seen?.[i] ?? ends[1 - i]![1]
    assert.match(net.run(host, `ping -c 3 -i 0.2 -W 2 -I ${from} ${to}`), /3 received/)
  }
}

export interface Connection {
  readonly local: string
  readonly remote: string
  readonly localId: string
  readonly remoteId: string
  readonly localTs: string
  readonly remoteTs: string
  readonly secret: string
  /** More of the connection, and of its child. */
  readonly connection?: string
  readonly child?: string
  /** Of the IKE SA and of the child, as swanctl.conf(5) writes them. */
  readonly proposals?: string
  readonly esp?: string
  /** Beside the connection's own secret. */
  readonly secrets?: string
}

/** swanctl.conf(5) of one connection named `tunnel`: ESP in UDP, as charon's own ESP wants it. */
export const swanctlConf = ({
  local,
  remote,
  localId,
  remoteId,
  localTs,
  remoteTs,
  secret,
  connection = '',
  child = '',
  proposals = 'aes256gcm16-prfsha256-curve25519',
  esp = 'aes256gcm16-noesn',
  secrets = '',
}: Connection): string => `connections {
  tunnel {
    version = 2
    local_addrs = ${local}
    remote_addrs = ${remote}
    proposals = ${proposals}
    encap = yes
    rekey_time = 0
    ${connection}
    local {
      auth = psk
      id = ${localId}
    }
    remote {
      auth = psk
      id = ${remoteId}
    }
    children {
      tunnel {
        local_ts = ${localTs}
        remote_ts = ${remoteTs}
        esp_proposals = ${esp}
        rekey_time = 0
        ${child}
      }
    }
  }
}
secrets {
  ike-1 {
    secret = "${secret}"
  }
  ${secrets}
}
`

const CABLE_SECRET = 'keys of two hosts'

/** Words of iked.conf. */
export interface IkedWords {
  /** Behind the group of `ikesa`. */
  readonly ike?: string
  /** Behind the cipher of `childsa`. */
  readonly child?: string
  /** At the end. */
  readonly rest?: string
}

/** Warren (192.168.1.1) and strongSwan (192.168.1.2) on one cable, and one address behind each. */
export class Cable {
  readonly net: Netns
  /** Host and inside address of each end. */
  readonly ends: readonly [host: string, inside: string][]
  readonly #hosts: IkeHosts

  constructor(prefix: string) {
    this.net = new Netns(prefix)
    this.#hosts = new IkeHosts(this.net)
    const [a, b] = [this.net.add('a'), this.net.add('b')]
    this.net.veth(a, 'eth0', b, 'eth0')
    this.ends = [
      [a, '10.1.1.1'],
      [b, '10.1.2.1'],
    ]
    for (const [i, [host, inside]] of this.ends.entries())
      this.net.run(host, `ip addr add 192.168.1.${i + 1}/24 dev eth0; ip addr add ${inside}/32 dev lo`)
  }

  charon(more: Partial<Connection>, root?: string): Promise<Charon> {
    const text = swanctlConf({
      local: '192.168.1.2',
      remote: '192.168.1.1',
      localId: '192.168.1.2',
      remoteId: '192.168.1.1',
      localTs: '10.1.2.1/32',
      remoteTs: '10.1.1.1/32',
      secret: CABLE_SECRET,
      ...more,
    })
    return this.#hosts.charon(this.ends[1]![0], 'b', text, root)
  }

  warren(mode: 'active' | 'passive', { ike = '', child = '', rest = '' }: IkedWords): Promise<WarrenProcess> {
    return this.#hosts.warren(
      this.ends[0]![0],
      'a',
      `ikev2 "tunnel" ${mode} esp from 10.1.1.1 to 10.1.2.1 local 192.168.1.1 peer 192.168.1.2 \\
  ikesa enc aes-256-gcm prf hmac-sha2-256 group curve25519 ${ike} childsa enc aes-256-gcm ${child} noesn \\
  srcid 192.168.1.1 dstid 192.168.1.2 ikelifetime 1h psk "${CABLE_SECRET}" ${rest}`,
    )
  }

  pings(): void {
    pings(this.net, this.ends)
  }

  /** What runs at both ends. */
  end(): Promise<void> {
    return this.#hosts.end()
  }
}

/** Waits for a line of Warren's log. */
export const logged = (process: WarrenProcess, pattern: RegExp): Promise<string> =>
  until(
    `${pattern}`,
    () => pattern.exec(process.log())?.[0],
    () => process.log(),
  )
