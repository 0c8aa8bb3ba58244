/** One daemon as a peer: how it is started at both ends of two hosts, and what runs then. */
import { execFileSync } from 'node:child_process'
import type { Daemon } from '../daemon.js'
import { runIn } from '../daemon.js'
import type { PeerHost, PeerHosts } from '../two-hosts.js'

export interface RunningPeer {
  /** The far host's address within the tunnel. */
  readonly innerAddress: string
  /** The processes at each end that carry it; a program may make and end some meanwhile. */
  processes(): { readonly a: readonly number[]; readonly b: readonly number[] }
  /** What they have written. */
  log(): string
  stop(): Promise<void>
}

export interface Peer {
  /** A short name for tables and options. */
  readonly name: string
  /** What it is, for a reader. */
  readonly description: string
  /** False, or why it cannot run on this machine. */
  missing(): false | string
  /** The version of the program. */
  version(): string
  /** Starts it at both ends; resolves once a ping passes. Rejects with what the daemons wrote. */
  start(hosts: PeerHosts): Promise<RunningPeer>
}

/** Waits until `from` reaches `to` through the tunnel. Rejects with the last answer. */
export async function untilReached(
  from: PeerHost,
  to: PeerHost,
  alive: () => string | undefined,
  timeoutMs = 20_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    try {
      await runIn(from.namespace, ['ping', '-n', '-c1', '-W1', '-I', from.inner, to.inner], 5_000)
      return
    } catch (error) {
      const ended = alive()
      if (ended !== undefined) throw new Error(ended, { cause: error })
      if (Date.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}

/** A pair of daemons, `a` at the first host, as a `RunningPeer` once ping passes; both are ended where it does not. */
export async function runningPair(
  hosts: PeerHosts,
  daemons: { readonly a: Daemon; readonly b: Daemon },
  ready: () => Promise<void> = async () => {},
): Promise<RunningPeer> {
  const log = (): string => `${daemons.a.log}\n${daemons.b.log}`
  const stop = async (): Promise<void> => {
    // The first end is the one that calls: with it the other's sessions end, too.
    await daemons.a.stop()
    await daemons.b.stop()
  }
  const ended = (): string | undefined => {
    const how = daemons.a.exit ?? daemons.b.exit
    return how === undefined ? undefined : `a daemon ended: ${how}\n${log()}`
  }
  try {
    await ready()
    await untilReached(hosts.a, hosts.b, ended)
  } catch (error) {
    await stop()
    throw new Error(`the tunnel does not come up\n${log()}`, { cause: error })
  }
  return {
    innerAddress: hosts.b.inner,
    processes: () => ({ a: daemons.a.processes(), b: daemons.b.processes() }),
    log,
    stop,
  }
}

/** What matches in a program's own words, to either output, whatever it ends with; where nothing does: `unknown`. */
export function saysOf(pattern: RegExp, program: string, ...args: string[]): string {
  let text: string
  try {
    text = execFileSync('sh', ['-c', '"$@" 2>&1', 'sh', program, ...args], { encoding: 'utf8' })
  } catch (error) {
    text = String((error as { stdout?: unknown }).stdout ?? '')
  }
  return pattern.exec(text)?.[0] ?? 'unknown'
}
