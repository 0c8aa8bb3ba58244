/**
 * Warren and charon with keys and certificates below their folders.
 *
 *     netns a, Warren                           netns b, charon
 *     +-----------------------------+   veth    +-----------------------------+
 *     | lo   10.1.1.1   fd01::1     |           | lo   10.1.2.1   fd02::1     |
 *     | eth0 192.168.1.1            | --------- | eth0 192.168.1.2            |
 *     | enc0                        | ========= | ipsec0                      |
 *     +-----------------------------+           +-----------------------------+
 */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { Daemon } from './daemon.js'
import { IkeHosts } from './ike-hosts.js'
import type { Certified } from './ike-pki.js'
import { Netns } from './netns.js'
import { Charon, PLUGINS } from './peers/strongswan.js'
import type { WarrenProcess } from './warren.js'

export const NAME_A = 'a.example.com'
export const NAME_B = 'b.example.com'

/** What charon needs for EAP beside the rest. */
const EAP_PLUGINS = ['pkcs8', 'md5', 'gcrypt', 'eap-identity', 'eap-mschapv2']

/** What a side has to show and to trust: files. */
export interface Trust {
  readonly own?: Certified
  readonly authorities?: readonly string[]
  readonly lists?: readonly string[]
}

export interface CharonConnection {
  /** Parts of the connection beside its ends: `vips = 0.0.0.0`. */
  readonly connection?: string
  readonly local: string
  readonly remote: string
  readonly child?: string
  readonly localTs?: string
  readonly remoteTs?: string
  /** Parts of swanctl.conf beside the connection: `secrets { … }`, `pools { … }`. */
  readonly rest?: string
  readonly settings?: string
}

export class IkeAuthNet {
  readonly net: Netns
  readonly a: string
  readonly b: string
  readonly #hosts: IkeHosts
  readonly #running: (() => Promise<unknown>)[] = []

  constructor(prefix: string) {
    this.net = new Netns(prefix)
    this.#hosts = new IkeHosts(this.net)
    this.a = this.net.add('a')
    this.b = this.net.add('b')
    this.net.veth(this.a, 'eth0', this.b, 'eth0')
    for (const [host, n] of [
      [this.a, 1],
      [this.b, 2],
    ] as const) {
      this.net.run(host, `ip addr add 192.168.1.${n}/24 dev eth0`)
      this.net.run(host, `ip addr add 10.1.${n}.1/32 dev lo; ip addr add fd0${n}::1/128 dev lo`)
    }
  }

  /** Charon's folder, and that of Warren's keys. */
  get charonFolder(): string {
    return join(this.net.folder, 'charon-b')
  }
  get ikedFolder(): string {
    return join(this.net.folder, 'a', 'iked')
  }

  /** Nothing of an earlier test stays in either folder. */
  clear(): void {
    rmSync(this.charonFolder, { recursive: true, force: true })
    rmSync(this.ikedFolder, { recursive: true, force: true })
  }

  trustOfWarren({ own, authorities = [], lists = [] }: Trust): void {
    put(join(this.ikedFolder, 'ca'), authorities)
    put(join(this.ikedFolder, 'crls'), lists)
    if (own === undefined) return
    put(join(this.ikedFolder, 'certs'), [own.certificate])
    mkdirSync(join(this.ikedFolder, 'private'), { recursive: true, mode: 0o700 })
    copyFileSync(own.key, join(this.ikedFolder, 'private', 'local.key'))
  }

  trustOfCharon({ own, authorities = [], lists = [] }: Trust): void {
    put(join(this.charonFolder, 'x509ca'), authorities)
    put(join(this.charonFolder, 'x509crl'), lists)
    if (own === undefined) return
    mkdirSync(join(this.charonFolder, 'x509'), { recursive: true })
    mkdirSync(join(this.charonFolder, 'private'), { recursive: true })
    copyFileSync(own.certificate, join(this.charonFolder, 'x509', 'own.crt'))
    copyFileSync(own.key, join(this.charonFolder, 'private', 'own.key'))
  }

  async warren(text: string): Promise<WarrenProcess> {
    const process = await this.#hosts.warren(this.a, 'a', text)
    return process
  }

  async charon({
    connection = '',
    local,
    remote,
    child = '',
    localTs = '10.1.2.1/32',
    remoteTs = '10.1.1.1/32',
    rest = '',
    settings = '',
  }: CharonConnection): Promise<Charon> {
    const peer = await Charon.start(this.b, {
      folder: this.net.folder,
      name: 'b',
      plugins: [...PLUGINS, ...EAP_PLUGINS],
      settings,
      swanctl: `connections {
  tunnel {
    version = 2
    local_addrs = 192.168.1.2
    remote_addrs = 192.168.1.1
    proposals = aes256gcm16-prfsha256-curve25519
    encap = yes
    rekey_time = 0
    ${connection}
    local {
      ${local}
    }
    remote {
      ${remote}
    }
    children {
      tunnel {
        local_ts = ${localTs}
        remote_ts = ${remoteTs}
        esp_proposals = aes256gcm16-noesn
        rekey_time = 0
        ${child}
      }
    }
  }
}
${rest}
`,
    })
    this.#running.push(() => peer.daemon.stop())
    return peer
  }

  /** A stream of TCP from one host to the other. */
  async iperf(from: readonly [string, string], to: readonly [string, string]): Promise<void> {
    const server = Daemon.start(to[0], ['iperf3', '-s', '-1', '-B', to[1], '--forceflush'])
    try {
      await server.until(/listening/i)
      const answer = JSON.parse(this.net.run(from[0], `iperf3 -c ${to[1]} -B ${from[1]} -t 1 -J`)) as {
        end: { sum_received: { bytes: number } }
      }
      assert.ok(answer.end.sum_received.bytes > 500_000)
    } finally {
      await server.stop()
    }
  }

  async end(): Promise<void> {
    await this.#hosts.end()
    for (const stop of this.#running.splice(0).reverse()) await stop()
  }
}

function put(folder: string, files: readonly string[]): void {
  mkdirSync(folder, { recursive: true })
  for (const [i, file] of files.entries()) copyFileSync(file, join(folder, `${i}-${basename(file)}`))
}
