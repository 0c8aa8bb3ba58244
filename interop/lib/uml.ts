/**
 * A real Linux kernel with every tunnel, as a process: user-mode Linux on this machine's own root file system.
 *
 * Its console is our pipe. The init script sets it up and then runs what we write, one command at a time:
 *
 *     netns PEER
 *     +-----------------------------------+
 *     |  eth0 --- br0 --- tapu --- [UML]  |   eth0: the link's end in this namespace, without addresses
 *     +-----------------------------------+
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface CommandResult {
  readonly output: string
  readonly exit: number
}

const MODULES = '/usr/lib/uml/modules'

/** Options of `UmlPeer.boot`. */
export interface UmlOptions {
  /** The namespace it runs in; `tap` must exist there. */
  readonly namespace: string
  readonly tap: string
  /** Kernel modules to load, dependencies first. */
  readonly modules: readonly string[]
  readonly memory?: string
  /** Of vec0; it cannot be raised later. Default: 1500. */
  readonly mtu?: number
}

export class UmlPeer {
  readonly #child: ChildProcess
  readonly #folder: string
  #output = ''
  #exited = false
  #sequence = 0
  #waiting: (() => void) | undefined

  private constructor(child: ChildProcess, folder: string) {
    this.#child = child
    this.#folder = folder
    const take = (chunk: Buffer): void => {
      this.#output += chunk.toString('latin1')
      this.#waiting?.()
    }
    child.stdout!.on('data', take)
    child.stderr!.on('data', take)
    child.on('exit', () => {
      this.#exited = true
      this.#waiting?.()
    })
  }

  /** Boots a kernel (2 to 6 s) and returns when it takes commands. */
  static async boot({ namespace, tap, modules, memory = '256M', mtu = 1500 }: UmlOptions): Promise<UmlPeer> {
    const folder = mkdtempSync(join(tmpdir(), 'warren-uml-'))
    const version = readdirSync(MODULES)[0]
    if (version === undefined)
      throw new Error(`no modules in ${MODULES}: is the package user-mode-linux whole?`)
    // modprobe looks below lib/modules of the folder that -d names: the machine's own stays untouched.
    mkdirSync(join(folder, 'lib/modules'), { recursive: true })
    symlinkSync(join(MODULES, version), join(folder, 'lib/modules', version))
    const init = join(folder, 'init.sh')
    writeFileSync(
      init,
      `#!/bin/sh
stty -echo -onlcr 2>/dev/null
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmp /run
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
for module in ${modules.join(' ')}; do modprobe -d ${folder} $module || echo "no module $module"; done
ip link set lo up
ip link set vec0 up
echo 2 > /proc/sys/kernel/printk
while read -r line; do
  number=\${line%% *}
  sh -c "\${line#* }" </dev/null 2>&1
  echo "@@\${number}:$?@@"
done
halt -f
`,
      { mode: 0o755 },
    )
    const child = spawn(
      'ip',
      [
        ...[
          'netns',
          'exec',
          namespace,
          'linux.uml',
          `mem=${memory}`,
          'rootfstype=hostfs',
          'rootflags=/',
          'rw',
          `init=${init}`,
        ],
        ...[
          `vec0:transport=tap,ifname=${tap},depth=128,gro=1,mtu=${mtu}`,
          'con=null',
          'con0=fd:0,fd:1',
          'quiet',
        ],
      ],
      // A folder of its own for its memory file and sockets.
      { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, HOME: folder, TMPDIR: '/dev/shm' } },
    )
    const peer = new UmlPeer(child, folder)
    await peer.run('true', 60_000)
    return peer
  }

  /** Runs one line in the kernel's shell. Rejects when it takes longer than `timeoutMs` or the kernel is gone. */
  async run(command: string, timeoutMs = 30_000): Promise<CommandResult> {
    const number = ++this.#sequence
    const mark = new RegExp(`@@${number}:(\\d+)@@`)
    const from = this.#output.length
    this.#child.stdin!.write(`${number} ${command}\n`)
    const deadline = Date.now() + timeoutMs
    for (;;) {
      const fresh = this.#output.slice(from)
      const found = mark.exec(fresh)
      if (found !== null)
        return { output: fresh.slice(0, found.index).replaceAll('\r', ''), exit: Number(found[1]) }
      const left = deadline - Date.now()
      if (this.#exited || left <= 0) {
        throw new Error(
          `the kernel ${this.#exited ? 'ended' : `gave no answer in ${timeoutMs} ms`} at: ${command}\n${this.#output.slice(-2_000)}`,
        )
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#waiting = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  /** `run`, and rejects unless it ended with 0. */
  async must(command: string, timeoutMs?: number): Promise<string> {
    const { output, exit } = await this.run(command, timeoutMs)
    if (exit !== 0) throw new Error(`in the kernel: ${command}: exit ${exit}\n${output}`)
    return output
  }

  async halt(): Promise<void> {
    if (!this.#exited) {
      const gone = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()))
      this.#child.stdin!.end()
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5_000)
      await gone
      clearTimeout(timer)
    }
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
