/**
 * strongSwan's charon, one instance a namespace: its files, its vici socket and its /run are its own. `kernel-libipsec`
 * does ESP in user space and in UDP alone, with a TUN interface `ipsec0`; where a kernel has ESP itself, leave it out.
 */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Daemon, runIn } from '../daemon.js'
import { missing } from '../need.js'
import type { PeerHost } from '../two-hosts.js'
import { type Peer, runningPair, saysOf } from './peer.js'

/** Debian puts it where no PATH leads for all. */
const CHARON = '/usr/sbin/charon-systemd'

export interface CharonOptions {
  /** Below which its folder is made. */
  readonly folder: string
  readonly name: string
  /** What stands in swanctl.conf(5). */
  readonly swanctl: string
  /** Plugins, the one for the kernel's part among them. */
  readonly plugins?: readonly string[]
  /** Of a system of its own, as `LATER` is; absent: this one's. */
  readonly root?: string
  /** Log levels as `filelog` takes them, 1 without a word. */
  readonly logLevel?: number
  /** More of strongswan.conf(5), in the part of the daemon. */
  readonly settings?: string
}

/** A newer strongSwan than Debian's own, with what it needs: interop/install.sh puts it there. */
export const LATER = '/var/cache/warren-interop/strongswan-6'
export const LATER_CHARON: string = join(LATER, CHARON)
const LATER_PLUGINS =
  'random nonce openssl pem pkcs1 x509 revocation pubkey kernel-libipsec kernel-netlink socket-default vici updown'.split(
    ' ',
  )
/** What line buffering is made with, for programs that have no stdbuf(1) where they run. */
const LINES = '/usr/libexec/coreutils/libstdbuf.so'

/** In its own system, with our devices and, under the same name, our folder. */
const inRoot = (root: string, folder: string): string[] => [
  ...['unshare', '-m', 'sh', '-ec'],
  `mount --bind /dev "$1/dev"
mount -t proc proc "$1/proc"
mount -t tmpfs tmpfs "$1/run"
mount -t tmpfs tmpfs "$1/tmp"
mkdir -p "$1$2"
mount --bind "$2" "$1$2"
export LD_PRELOAD="$2/lines.so" _STDBUF_O=L
exec chroot "$1" ${CHARON}`,
  ...['sh', root, folder],
]

export const PLUGINS: readonly string[] = [
  ...[
    'random',
    'nonce',
    'aes',
    'sha1',
    'sha2',
    'hmac',
    'kdf',
    'pem',
    'pkcs1',
    'x509',
    'revocation',
    'curve25519',
  ],
  ...['gcm', 'openssl', 'pubkey', 'kernel-libipsec', 'kernel-netlink', 'socket-default', 'vici', 'updown'],
]

export class Charon {
  readonly daemon: Daemon
  readonly #namespace: string
  readonly #folder: string

  private constructor(namespace: string, folder: string, daemon: Daemon) {
    this.#namespace = namespace
    this.#folder = folder
    this.daemon = daemon
  }

  /** Starts it and loads its connections; it calls nobody by itself. */
  static async start(namespace: string, options: CharonOptions): Promise<Charon> {
    const folder = join(options.folder, `charon-${options.name}`)
    mkdirSync(folder, { recursive: true })
    const settings = join(folder, 'strongswan.conf')
    writeFileSync(
      settings,
      `charon-systemd {
  load = ${(options.plugins ?? (options.root === undefined ? PLUGINS : LATER_PLUGINS)).join(' ')}
  ${options.settings ?? ''}
  journal {
    default = -1
  }
  filelog {
    log {
      path = stdout
      default = ${options.logLevel ?? 1}
      flush_line = yes
    }
  }
  plugins {
    vici {
      socket = unix://${join(folder, 'vici')}
    }
  }
}
`,
    )
    writeFileSync(join(folder, 'swanctl.conf'), options.swanctl, { mode: 0o600 })
    // It flushes lines to files only, not to its standard output.
    const { root } = options
    if (root !== undefined) copyFileSync(LINES, join(options.folder, 'lines.so'))
    const command = root === undefined ? ['stdbuf', '-oL', CHARON] : inRoot(root, options.folder)
    const daemon = Daemon.start(namespace, command, {
      ownRun: [],
      environment: { STRONGSWAN_CONF: settings, SWANCTL_DIR: folder },
    })
    const charon = new Charon(namespace, folder, daemon)
    try {
      await daemon.until(/spawning \d+ worker threads/)
      await charon.swanctl('--load-all')
    } catch (error) {
      await daemon.stop()
      throw error
    }
    return charon
  }

  /** Runs swanctl(8) against it; its output. */
  swanctl(...args: string[]): Promise<string> {
    return runIn(this.#namespace, [
      ...['env', `STRONGSWAN_CONF=${join(this.#folder, 'strongswan.conf')}`, `SWANCTL_DIR=${this.#folder}`],
      ...['swanctl', ...args, '--uri', `unix://${join(this.#folder, 'vici')}`],
    ])
  }
}

const connection = (own: PeerHost, other: PeerHost): string => `connections {
  tunnel {
    version = 2
    local_addrs = ${own.outer}
    remote_addrs = ${other.outer}
    proposals = aes256gcm16-prfsha256-curve25519
    encap = yes
    rekey_time = 0
    local {
      auth = psk
      id = ${own.outer}
    }
    remote {
      auth = psk
      id = ${other.outer}
    }
    children {
      tunnel {
        local_ts = ${own.inner}/32
        remote_ts = ${other.inner}/32
        esp_proposals = aes256gcm16
        rekey_time = 0
      }
    }
  }
}
secrets {
  ike-1 {
    secret = "two ends of one bench"
  }
}
`

export const strongswan: Peer = {
  name: 'strongswan',
  description: 'strongSwan, kernel-libipsec, ESP in UDP, AES-256-GCM',
  missing: () => missing(CHARON, 'swanctl', 'unshare'),
  version: () => saysOf(/strongSwan \S+/, 'swanctl', '--version'),
  async start(hosts) {
    const { net, a, b } = hosts
    const charon = async (name: string, own: PeerHost, other: PeerHost): Promise<Charon> => {
      net.run(own.namespace, `ip addr add ${own.inner}/32 dev lo`)
      return Charon.start(own.namespace, { folder: net.folder, name, swanctl: connection(own, other) })
    }
    const far = await charon('b', b, a)
    let near: Charon
    try {
      near = await charon('a', a, b)
    } catch (error) {
      await far.daemon.stop()
      throw error
    }
    return runningPair(hosts, { a: near.daemon, b: far.daemon }, async () => {
      await near.swanctl('--initiate', '--child', 'tunnel')
    })
  },
}
