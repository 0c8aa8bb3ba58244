/**
 * OpenIKED's iked(8) in a Linux kernel of its own. One boot serves many configurations: `start` gives it a folder of its own
 * for /etc/iked, which nothing outside that kernel sees, and `stop` ends it and empties the kernel of its SAs.
 */
import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { UmlIkeNet } from './uml-ike-net.js'

/** Folders of iked(8)'s FILES. */
const FOLDERS = [
  ...['private', 'pubkeys/ipv4', 'pubkeys/ipv6', 'pubkeys/fqdn', 'pubkeys/ufqdn'],
  ...['ca', 'certs', 'crls', 'export', 'ocsp'],
]

export class UmlIked {
  readonly #host: UmlIkeNet
  #count = 0
  #running = false

  constructor(host: UmlIkeNet) {
    this.#host = host
  }

  /** A new folder to become /etc/iked of the next start: files that were read once are not read again by that kernel. */
  folder(): string {
    const folder = join(this.#host.net.folder, `iked-${++this.#count}`)
    for (const name of FOLDERS) mkdirSync(join(folder, name), { recursive: true })
    chmodSync(join(folder, 'private'), 0o700)
    // It ends without a key, whether its policies need one or not.
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
    writeFileSync(join(folder, 'private/local.key'), privateKey.export({ type: 'sec1', format: 'pem' }), {
      mode: 0o600,
    })
    return folder
  }

  /** Starts it with `text` as its iked.conf; returns once it listens. It refuses `text`: rejects with its output. */
  async start(text: string, folder: string = this.folder()): Promise<void> {
    const { kernel } = this.#host
    const conf = `${folder}.conf`
    writeFileSync(conf, `${text}\n`, { mode: 0o600 })
    await this.stop()
    await kernel.must(`iked -n -f ${conf}`)
    this.#running = true
    await kernel.must(
      `mount --bind ${folder} /etc/iked && rm -f /run/iked.sock && { iked -d -vv -f ${conf} >/run/iked.log 2>&1 & echo $! >/run/iked.pid; }`,
    )
    await this.until(/config_getstatic: (no )?stickyaddress/)
  }

  /** All that it wrote since its start. */
  async log(): Promise<string> {
    return this.#host.kernel.must('cat /run/iked.log')
  }

  /** Waits until its log matches; rejects with the log. */
  async until(pattern: RegExp, timeoutMs = 20_000): Promise<RegExpExecArray> {
    const deadline = Date.now() + timeoutMs
    for (;;) {
      const log = await this.log()
      const found = pattern.exec(log)
      if (found !== null) return found
      if (Date.now() > deadline) throw new Error(`iked did not write ${pattern}\n${log}`)
      await sleep(100)
    }
  }

  /** ikectl(8). */
  async ctl(command: string): Promise<string> {
    return this.#host.kernel.must(`ikectl ${command}`)
  }

  /**
   * Takes both families into its SAs. PF_KEY on Linux gives an SA the family of its outer addresses alone, and so the kernel
   * asks for another one where IPv6 goes in IPv4: the same keys are put in again with the flag that only netlink has.
   */
  async mixFamilies(): Promise<void> {
    const { kernel, net } = this.#host
    const lines = (await kernel.must('ip xfrm state'))
      .split(/^(?=src )/m)
      .filter((text) => text.includes('proto esp') && text.includes('mode tunnel') && text.includes('enc '))
      .flatMap((text) => {
        const part = (pattern: RegExp): string => pattern.exec(text)?.[0] ?? ''
        const id = `${part(/^src \S+ dst \S+/)} proto esp ${part(/spi 0x[0-9a-f]+/)}`
        const rest = [/reqid \d+/, /replay-window \d+/, /auth-trunc .*/, /enc .*/, /encap .*/]
          .map(part)
          .join(' ')
        return [
          `xfrm state delete ${id}`,
          `xfrm state add ${id} mode tunnel flag af-unspec ${rest.replace(/ addr /, ' ')}`,
        ]
      })
    if (lines.length === 0) throw new Error('iked has no SAs')
    const file = join(net.folder, `mixed-${++this.#count}`)
    writeFileSync(file, `${lines.join('\n')}\n`)
    await kernel.must(`ip -batch ${file}`)
  }

  /** How many SAs of ESP its kernel has. */
  async kernelSas(): Promise<number> {
    const text = await this.#host.kernel.must('ip xfrm state')
    return [...text.matchAll(/proto esp spi/g)].length
  }

  /** Ends it: with `KILL` it tells nobody. What it had in the kernel goes with `stop` alone. */
  async signal(signal: 'TERM' | 'KILL'): Promise<void> {
    const children = "pid=$(cat /run/iked.pid); all=\"$pid $(pgrep -P $pid | tr '\\n' ' ')\""
    await this.#host.kernel.run(
      `${children}; kill -${signal} ${signal === 'KILL' ? '$all' : '$pid'}; for i in $(seq 100); do kill -0 $all 2>/dev/null || break; sleep 0.05; done; kill -KILL $all 2>/dev/null`,
    )
  }

  async stop(): Promise<void> {
    if (!this.#running) return
    this.#running = false
    await this.signal('TERM')
    await this.#host.kernel.run('umount /etc/iked')
    await this.#host.flush()
  }
}
