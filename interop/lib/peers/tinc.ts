/** tinc 1.0 as it is without a word about algorithms: router mode, RSA keys, Blowfish or AES and SHA by its version. */
import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Daemon } from '../daemon.js'
import { missing } from '../need.js'
import type { PeerHost } from '../two-hosts.js'
import { type Peer, runningPair, saysOf } from './peer.js'

/** Options of `makeTincNode`. */
export interface TincNode {
  readonly name: string
  readonly host: PeerHost
  /** Names of the nodes that it calls. */
  readonly connectTo?: readonly string[]
  /** Further lines of tinc.conf(5). */
  readonly lines?: readonly string[]
}

/** Makes a node's folder below `folder` with a new key; returns the folder, and its host file as others need it. */
export function makeTincNode(folder: string, node: TincNode): { folder: string; hostFile: string } {
  const own = join(folder, `tinc-${node.name}`)
  mkdirSync(join(own, 'hosts'), { recursive: true })
  const conf = [
    `Name = ${node.name}`,
    'Interface = tinc0',
    ...(node.connectTo ?? []).map((name) => `ConnectTo = ${name}`),
    ...(node.lines ?? []),
  ]
  writeFileSync(join(own, 'tinc.conf'), `${conf.join('\n')}\n`)
  const hostFile = join(own, 'hosts', node.name)
  writeFileSync(hostFile, `Address = ${node.host.outer}\nSubnet = ${node.host.inner}/32\n`)
  writeFileSync(
    join(own, 'tinc-up'),
    `#!/bin/sh\nip link set "$INTERFACE" up\nip addr add ${node.host.inner}/24 dev "$INTERFACE"\n`,
    { mode: 0o755 },
  )
  // It asks where to put the keys, and takes what it offers when nobody answers.
  execFileSync('tincd', ['-c', own, '-K2048'], { stdio: ['ignore', 'ignore', 'ignore'] })
  return { folder: own, hostFile }
}

/** One end, of a folder that `makeTincNode` made. */
export function startTinc(namespace: string, folder: string): Daemon {
  return Daemon.start(namespace, ['tincd', '-c', folder, `--pidfile=${join(folder, 'pid')}`, '-D', '-d1'])
}

export const tinc: Peer = {
  name: 'tinc',
  description: 'tinc 1.0, its defaults',
  missing: () => missing('tincd'),
  version: () => saysOf(/tinc version \S+/, 'tincd', '--version'),
  async start(hosts) {
    const a = makeTincNode(hosts.net.folder, { name: 'a', host: hosts.a, connectTo: ['b'] })
    const b = makeTincNode(hosts.net.folder, { name: 'b', host: hosts.b })
    appendFileSync(join(a.folder, 'hosts', 'b'), readFileSync(b.hostFile))
    appendFileSync(join(b.folder, 'hosts', 'a'), readFileSync(a.hostFile))
    const daemons = { b: startTinc(hosts.b.namespace, b.folder), a: startTinc(hosts.a.namespace, a.folder) }
    return runningPair(hosts, daemons)
  },
}
