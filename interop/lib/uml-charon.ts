/** strongSwan's charon in a Linux kernel of its own, with that kernel's IPsec: ESP as protocol 50, and in UDP. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { PLUGINS } from './peers/strongswan.js'
import type { UmlIkeNet } from './uml-ike-net.js'

const CHARON = '/usr/sbin/charon-systemd'
/** In that kernel's own /run. */
const RUN = '/run/charon'

export class UmlCharon {
  readonly #host: UmlIkeNet
  #count = 0
  #running: string | undefined

  constructor(host: UmlIkeNet) {
    this.#host = host
  }

  /** Starts it with `swanctl` as its swanctl.conf(5), loaded; it calls nobody by itself. */
  async start(swanctl: string): Promise<void> {
    const { kernel, net } = this.#host
    await this.stop()
    const folder = join(net.folder, `charon-${++this.#count}`)
    mkdirSync(folder)
    writeFileSync(
      join(folder, 'strongswan.conf'),
      `charon-systemd {
  load = ${PLUGINS.filter((name) => name !== 'kernel-libipsec').join(' ')}
  journal {
    default = -1
  }
  filelog {
    log {
      path = ${RUN}/log
      default = 1
      flush_line = yes
    }
  }
  plugins {
    vici {
      socket = unix://${RUN}/vici
    }
  }
}
`,
    )
    writeFileSync(join(folder, 'swanctl.conf'), swanctl, { mode: 0o600 })
    this.#running = folder
    await kernel.must(
      `mkdir -p ${RUN} && rm -f ${RUN}/* && { ${this.#environment(folder)} ${CHARON} >/dev/null 2>&1 & echo $! >${RUN}/pid; }`,
    )
    await this.until(/spawning \d+ worker threads/)
    await this.swanctl('--load-all')
  }

  async log(): Promise<string> {
    return (await this.#host.kernel.run(`cat ${RUN}/log`)).output
  }

  async until(pattern: RegExp, timeoutMs = 20_000): Promise<void> {
    const deadline = Date.now() + timeoutMs
    while (!pattern.test(await this.log())) {
      if (Date.now() > deadline) throw new Error(`charon did not write ${pattern}\n${await this.log()}`)
      await sleep(100)
    }
  }

  /** swanctl(8) against it; its output. */
  async swanctl(command: string): Promise<string> {
    return this.#host.kernel.must(
      `${this.#environment(this.#running!)} swanctl ${command} --uri unix://${RUN}/vici`,
      60_000,
    )
  }

  async stop(): Promise<void> {
    if (this.#running === undefined) return
    this.#running = undefined
    await this.#host.kernel.run(
      `pid=$(cat ${RUN}/pid); kill $pid; for i in $(seq 100); do kill -0 $pid 2>/dev/null || break; sleep 0.05; done; kill -KILL $pid 2>/dev/null`,
    )
    await this.#host.flush()
  }

  #environment(folder: string): string {
    return `STRONGSWAN_CONF=${folder}/strongswan.conf SWANCTL_DIR=${folder}`
  }
}
