/** Warren at both ends. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Daemon } from '../daemon.js'
import { missing } from '../need.js'
import type { PeerHost, PeerHosts } from '../two-hosts.js'
import { WARREN } from '../warren.js'
import { type Peer, type RunningPeer, runningPair } from './peer.js'

export interface WarrenEnd {
  readonly hosts: PeerHosts
  readonly host: PeerHost
  /** The file's name, by which `warren up` knows its format. */
  readonly file: string
  readonly text: string
  /** Options of node, such as `--trace-gc`. */
  readonly node?: readonly string[]
  /** Options of `warren up`. */
  readonly options?: readonly string[]
  readonly onOutput?: (text: string) => void
}

/** `warren up` at one end; resolves when it is ready. The file is its owner's alone, as keys need. */
export async function startWarrenEnd(end: WarrenEnd): Promise<Daemon> {
  const { hosts, host, node = [], options = [], onOutput } = end
  const file = join(hosts.net.folder, `${host.namespace}.${end.file}`)
  writeFileSync(file, end.text, { mode: 0o600 })
  const socket = join(hosts.net.folder, `${host.namespace}.sock`)
  const daemon = Daemon.start(
    host.namespace,
    [process.execPath, ...node, WARREN, 'up', '--socket', socket, ...options, file],
    onOutput === undefined ? {} : { onOutput },
  )
  try {
    await daemon.until(/^warren: ready/m)
    return daemon
  } catch (error) {
    await daemon.stop()
    throw error
  }
}

/** Warren's subjects by their names. */
export interface WarrenPeer extends Peer {
  /** Called with what `--trace-gc` prints from the next start on; undefined ends that. */
  traceGc(onLine: ((line: string) => void) | undefined): void
}

function warrenPeer(
  name: string,
  description: string,
  setting: {
    readonly file: string
    readonly options?: readonly string[]
    prepare?(hosts: PeerHosts): void
    text(own: PeerHost, other: PeerHost, end: 'a' | 'b'): string
  },
): WarrenPeer {
  let onLine: ((line: string) => void) | undefined
  return {
    name,
    description,
    missing: () => missing(),
    version: () => `Warren ${versionOfWarren()}, Node ${process.versions.node}`,
    traceGc(listener) {
      onLine = listener
    },
    async start(hosts): Promise<RunningPeer> {
      setting.prepare?.(hosts)
      const end = (own: PeerHost, other: PeerHost, which: 'a' | 'b'): Promise<Daemon> =>
        startWarrenEnd({
          hosts,
          host: own,
          file: setting.file,
          text: setting.text(own, other, which),
          ...(setting.options === undefined ? {} : { options: setting.options }),
          ...(onLine === undefined ? {} : { node: ['--trace-gc'], onOutput: linesTo(onLine) }),
        })
      const far = await end(hosts.b, hosts.a, 'b')
      let near: Daemon
      try {
        near = await end(hosts.a, hosts.b, 'a')
      } catch (error) {
        await far.stop()
        throw error
      }
      return runningPair(hosts, { a: near, b: far })
    },
  }
}

/** Pieces of output as whole lines. */
function linesTo(onLine: (line: string) => void): (text: string) => void {
  let rest = ''
  return (text) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line)
  }
}

function versionOfWarren(): string {
  const file = fileURLToPath(
    new URL('../../../package.json', new URL('.', import.meta.resolve('../warren.js'))),
  )
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

const toml =
  (lines: readonly string[], mtu: number) =>
  (own: PeerHost, other: PeerHost): string =>
    [
      '[tunnel.t0]',
      ...lines,
      `local = "${own.outer}"`,
      `remote = "${other.outer}"`,
      `mtu = ${mtu}`,
      `addresses = ["${own.inner}/24"]`,
      '',
    ].join('\n')

const hex = (first: number, bytes: number): string =>
  Array.from({ length: bytes }, (_, i) =>
    ((first + 37 * i + i * i * 3) & 255).toString(16).padStart(2, '0'),
  ).join('')

/** A flow between the two inner addresses, and the pair of SAs, keys by hand. */
const ipsecConf =
  (
    algorithms: {
      readonly enc: string
      readonly encKey: number
      readonly auth?: string
      readonly authKey?: number
    },
    udp: boolean,
  ) =>
  (own: PeerHost, other: PeerHost, end: 'a' | 'b'): string => {
    const pair = (a: string, b: string): string => (end === 'a' ? `0x${a}:0x${b}` : `0x${b}:0x${a}`)
    const { enc, encKey, auth, authKey } = algorithms
    return [
      `flow esp from ${own.inner}/32 to ${other.inner}/32 local ${own.outer} peer ${other.outer}`,
      [
        `esp tunnel from ${own.outer} to ${other.outer} spi ${pair('1000', '1001')}${udp ? ' udpencap' : ''}`,
        ...(auth === undefined ? [] : [`auth ${auth}`]),
        `enc ${enc}`,
        ...(authKey === undefined ? [] : [`authkey ${pair(hex(11, authKey), hex(90, authKey))}`]),
        `enckey ${pair(hex(3, encKey), hex(200, encKey))}`,
      ].join(' '),
      '',
    ].join('\n')
  }

function esp(name: string, description: string, text: ReturnType<typeof ipsecConf>): WarrenPeer {
  return warrenPeer(name, description, {
    file: 'ipsec.conf',
    prepare({ net, a, b }) {
      for (const host of [a, b]) net.run(host.namespace, `ip addr add ${host.inner}/32 dev lo`)
    },
    text,
  })
}

// A key of these two ends with the salt (RFC 4106 section 8.1, RFC 7634 section 2).
const GCM = { enc: 'aes-256-gcm', encKey: 36 }
const CHACHA = { enc: 'chacha20-poly1305', encKey: 36 }
const CBC = { enc: 'aes-128', encKey: 16, auth: 'hmac-sha2-256', authKey: 32 }

export const warrenPeers: readonly WarrenPeer[] = [
  warrenPeer('gif', 'gif', { file: 'gif.toml', text: toml(['kind = "gif"'], 1480) }),
  warrenPeer('gre', 'gre with a key', { file: 'gre.toml', text: toml(['kind = "gre"', 'key = 7'], 1472) }),
  esp('esp-udp-gcm', 'ESP in UDP, AES-256-GCM', ipsecConf(GCM, true)),
  esp('esp-udp-chacha', 'ESP in UDP, ChaCha20-Poly1305', ipsecConf(CHACHA, true)),
  esp('esp-gcm', 'ESP, protocol 50, AES-256-GCM', ipsecConf(GCM, false)),
  esp('esp-chacha', 'ESP, protocol 50, ChaCha20-Poly1305', ipsecConf(CHACHA, false)),
  esp('esp-udp-cbc', 'ESP in UDP, AES-128-CBC, HMAC-SHA2-256', ipsecConf(CBC, true)),
]
