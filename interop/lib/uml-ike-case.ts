/** What every case of Warren with a daemon in a kernel of its own has: Warren's end, and packets through the SAs. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { IkeSaStatus } from '../../src/engine/index.js'
import { askControl, type DaemonStatus } from '../../src/linux/index.js'
import { Daemon, runIn } from './daemon.js'
import { PEER, type UmlIkeNet, WARREN } from './uml-ike-net.js'
import { startWarren, type WarrenProcess } from './warren.js'

/** Looks again until it finds something; rejects with what `log` says then. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  log: () => string | Promise<string> = () => '',
  timeoutMs = 20_000,
): Promise<T> {
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; await sleep(100)) {
    const found = await look()
    if (found !== undefined && found !== false) return found
  }
  throw new Error(`${what} did not come about\n${await log()}`)
}

/** What is to be known of the other end. */
export interface PeerView {
  /** Shown when something does not come about. */
  readonly peerLog: () => Promise<string>
  /** Resolves when its SAs are in its kernel: a responder has its own before that. */
  readonly peerUp?: () => Promise<unknown>
}

/** `warren up iked.conf` with what is asked of it here. */
export class WarrenIke {
  readonly process: WarrenProcess
  readonly #peerLog: () => Promise<string>
  readonly #peerUp: () => Promise<unknown>

  private constructor(process: WarrenProcess, { peerLog, peerUp = async () => {} }: PeerView) {
    this.process = process
    this.#peerLog = peerLog
    this.#peerUp = peerUp
  }

  /** `folder`: where iked.conf and the folder `iked` of keys are; `peerLog` is shown when something does not come about. */
  static async start(
    host: UmlIkeNet,
    namespace: string,
    { text, folder, ...peer }: { readonly text: string; readonly folder: string } & PeerView,
  ): Promise<WarrenIke> {
    const file = join(folder, 'iked.conf')
    writeFileSync(file, `${text}\n`, { mode: 0o600 })
    return new WarrenIke(await startWarren(host.net, namespace, [file]), peer)
  }

  async status(): Promise<DaemonStatus> {
    // Asked without a process of its own, since it is asked often.
    return (await askControl(this.process.socket, 'status')) as DaemonStatus
  }

  async sas(): Promise<readonly IkeSaStatus[]> {
    return (await this.status()).tunnels[0]?.ike?.sas ?? []
  }

  /** Both logs. */
  async logs(): Promise<string> {
    return `Warren:\n${this.process.log()}\nthe peer:\n${await this.#peerLog()}`
  }

  until<T>(what: string, look: () => Promise<T | undefined | false>, timeoutMs?: number): Promise<T> {
    return until(what, look, () => this.logs(), timeoutMs)
  }

  /** The IKE SA that stands, once it has `children` of them. */
  async established(children = 1): Promise<IkeSaStatus> {
    const sa = await this.until('an IKE SA with its children', async () =>
      (await this.sas()).find((one) => one.state === 'established' && one.children.length >= children),
    )
    await this.#peerUp()
    return sa
  }

  logged(pattern: RegExp): Promise<string> {
    return this.until(`${pattern}`, async () => pattern.exec(this.process.log())?.[0])
  }
}

/** A new folder for Warren's files of one case. */
export function warrenFolder(host: UmlIkeNet, name: string): string {
  const folder = join(host.net.folder, `warren-${name}`)
  mkdirSync(folder, { recursive: true })
  return folder
}

export interface Inside {
  readonly near: string
  readonly far: string
}

export const INSIDE: Readonly<Record<4 | 6, Inside>> = {
  4: { near: WARREN.inside[4], far: PEER.inside[4] },
  6: { near: WARREN.inside[6], far: PEER.inside[6] },
}

/** Payloads of pings: what everybody sends, and what fills a packet. */
const SIZES = [56, 1400] as const

/** Echo requests from both ends, and every one is answered; all of them went through the SAs by Warren's own counters. */
export async function pings(
  host: UmlIkeNet,
  warren: WarrenIke,
  { near, far }: Inside = INSIDE[4],
  namespace: string = host.w,
): Promise<void> {
  const ping = (from: string, to: string, size: number): string =>
    `ping -c 2 -i 0.2 -W 3 -s ${size} -I ${from} ${to}`
  const count = async (): Promise<readonly [number, number]> => {
    const children = (await warren.sas()).flatMap((sa) => sa.children)
    const sum = (pick: (child: (typeof children)[number]) => number): number =>
      children.reduce((total, child) => total + pick(child), 0)
    return [sum((child) => child.packetsIn), sum((child) => child.packetsOut)]
  }
  const before = await count()
  const both = (from: string, to: string): string => SIZES.map((size) => ping(from, to, size)).join('; ')
  // Both ends one after the other, each size at once.
  const out = await runIn(namespace, ['sh', '-c', `${both(near, far)}; true`])
  const { output } = await host.kernel.run(both(far, near))
  for (const [side, text] of [
    ['here', out],
    ['the kernel', output],
  ] as const)
    if ([...text.matchAll(/ 2 received/g)].length !== SIZES.length)
      assert.fail(`from ${side}:\n${text}\n${await warren.logs()}`)
  const now = await count()
  // Each ping has two packets a direction and was made from both ends.
  const least = SIZES.length * 2 * 2
  for (const i of [0, 1] as const)
    assert.ok(now[i] - before[i] >= least, `${now[i] - before[i]} of ${least} packets were protected`)
}

/** A ping that goes on meanwhile; not one may be lost, or so many. */
export async function underPing(
  host: UmlIkeNet,
  warren: WarrenIke,
  work: () => Promise<void>,
  mayBeLost = 0,
  { near, far }: Inside = INSIDE[4],
): Promise<void> {
  const ping = Daemon.start(host.w, ['ping', '-i', '0.02', '-I', near, far])
  try {
    await ping.until(/icmp_seq=20 /)
    await work()
    await sleep(500)
    process.kill(ping.processes().at(-1)!, 'SIGINT')
    await ping.until(/packets transmitted/)
    const seen = new Set([...ping.log.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, number]) => Number(number)))
    const last = Math.max(...seen)
    // Those behind the last answer may still have been on their way.
    const lost = Array.from({ length: last }, (_, i) => i + 1).filter((number) => !seen.has(number))
    if (lost.length > mayBeLost) assert.fail(`of ${last} lost: ${lost.join()}\n${await warren.logs()}`)
  } finally {
    await ping.stop()
  }
}

/** A stream of TCP each way. */
export async function iperf(host: UmlIkeNet, { near, far }: Inside = INSIDE[4]): Promise<void> {
  const server = Daemon.start(host.w, ['iperf3', '-s', '-B', near, '--forceflush'])
  try {
    await server.until(/listening/i)
    for (const reverse of ['', '-R']) {
      const answer = JSON.parse(
        await host.kernel.must(`iperf3 -c ${near} -B ${far} -t 2 -J ${reverse}`, 60_000),
      ) as { end: { sum_received: { bits_per_second: number } } }
      assert.ok(answer.end.sum_received.bits_per_second > 2_000_000)
    }
  } finally {
    await server.stop()
  }
}
