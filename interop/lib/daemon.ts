/**
 * Long-running programs of others in a namespace. Each is ended by its own process id, its children with it; what
 * still runs when this process ends is ended then.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** What is kept of a program's output: the end of it. */
const LOG = 1 << 18

const running = new Set<Daemon>()
let atExit = false

/** Options of `Daemon.start`. */
export interface DaemonOptions {
  /** An empty /run of its own, with these folders in it: for programs whose files there have fixed names. */
  readonly ownRun?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** Called with every piece of what it writes. */
  readonly onOutput?: (text: string) => void
}

export class Daemon {
  readonly pid: number
  readonly #name: string
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  readonly #watchers = new Set<() => void>()
  #log = ''
  #exit: string | undefined

  private constructor(name: string, child: ChildProcess, onOutput?: (text: string) => void) {
    this.#name = name
    this.#child = child
    this.pid = child.pid ?? 0
    const take = (chunk: Buffer): void => {
      const text = chunk.toString()
      this.#log = (this.#log + text).slice(-LOG)
      onOutput?.(text)
      this.#wake()
    }
    child.stdout?.on('data', take)
    child.stderr?.on('data', take)
    this.#ended = new Promise((resolve) => {
      const end = (how: string): void => {
        this.#exit ??= how
        running.delete(this)
        this.#wake()
        resolve()
      }
      child.once('error', (error) => end(error.message))
      child.once('exit', (code, signal) => end(signal ?? `exit ${code}`))
    })
  }

  /** Runs `command` in `namespace`, in the foreground as it must run itself. */
  static start(namespace: string, command: readonly string[], options: DaemonOptions = {}): Daemon {
    if (!atExit) {
      atExit = true
      process.on('exit', () => {
        for (const daemon of running) endAll([...daemon.processes()])
      })
    }
    const own = (options.ownRun ?? []).map((folder) => ` && mkdir -p /run/${folder}`).join('')
    const inOwnRun =
      options.ownRun === undefined
        ? []
        : ['unshare', '-m', 'sh', '-c', `mount -t tmpfs tmpfs /run${own} && exec "$@"`, 'sh']
    const child = spawn('ip', ['netns', 'exec', namespace, ...inOwnRun, ...command], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.environment },
    })
    const daemon = new Daemon(command[0] ?? '', child, options.onOutput)
    running.add(daemon)
    return daemon
  }

  /** The end of what it wrote, to both outputs. */
  get log(): string {
    return this.#log
  }

  /** How it ended, or undefined while it runs. */
  get exit(): string | undefined {
    return this.#exit
  }

  /** Its process and all below it. */
  processes(): readonly number[] {
    return this.#exit === undefined ? [this.pid, ...childrenOf(this.pid)] : []
  }

  /** Waits until it has written what matches. Rejects, with its output, when it ends before or is silent. */
  async until(pattern: RegExp, timeoutMs = 10_000): Promise<void> {
    const deadline = Date.now() + timeoutMs
    while (!pattern.test(this.#log)) {
      const left = deadline - Date.now()
      if (this.#exit !== undefined || left <= 0)
        throw new Error(
          `${this.#name} ${this.#exit === undefined ? `did not write ${pattern}` : `ended (${this.#exit})`}\n${this.#log}`,
        )
      await this.#change(left)
    }
  }

  /** SIGTERM, after three seconds SIGKILL; then the same end for children that it left. */
  async stop(): Promise<void> {
    const all = this.processes()
    if (this.#exit === undefined) this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 3_000)
    await this.#ended
    clearTimeout(timer)
    const left = all.slice(1)
    endAll(left)
    for (let waited = 0; waited < 2_000 && left.some(lives); waited += 10)
      await new Promise((resolve) => setTimeout(resolve, 10))
  }

  #wake(): void {
    for (const watcher of this.#watchers) watcher()
  }

  #change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#watchers.delete(done)
        resolve()
      }
      const timer = setTimeout(done, timeoutMs)
      this.#watchers.add(done)
    })
  }
}

function endAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // Ended by itself.
    }
  }
}

/** Whether it is there, and not only as an entry that its parent has not read yet. */
const lives = (pid: number): boolean => (statFields(pid)?.[0] ?? 'Z') !== 'Z'

/** The processes below one, at any depth. */
function childrenOf(root: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (!Number.isInteger(pid)) continue
    const fields = statFields(pid)
    if (fields !== undefined) parents.set(pid, Number(fields[1]))
  }
  const below = (pid: number): boolean => {
    const parent = parents.get(pid)
    return parent !== undefined && (parent === root || below(parent))
  }
  return [...parents.keys()].filter(below)
}

/** proc_pid_stat(5) from the state (the third field) on: the name before it may hold anything. */
function statFields(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}

/** Processor time of these processes and their threads until now, user and system, in seconds. */
export function cpuSeconds(pids: readonly number[]): number {
  // utime and stime in ticks of 1/100 s (USER_HZ on every Linux of these machines).
  return pids.reduce((sum, pid) => {
    const fields = statFields(pid)
    return fields === undefined ? sum : sum + (Number(fields[11]) + Number(fields[12])) / 100
  }, 0)
}

/** Resident memory of these processes together, in bytes. */
export function residentBytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    try {
      const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))
      return sum + 1024 * Number(line?.[1] ?? 0)
    } catch {
      return sum
    }
  }, 0)
}

/**
 * Runs one program to its end in a namespace; its standard output. Rejects with both outputs unless it ends with 0.
 * Unlike `Netns.run` it lets this process read on what its daemons write meanwhile.
 */
export function runIn(namespace: string, command: readonly string[], timeoutMs = 60_000): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      'ip',
      ['netns', 'exec', namespace, ...command],
      { encoding: 'utf8', timeout: timeoutMs, maxBuffer: 1 << 26 },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout)
        else
          reject(
            new Error(
              `in ${namespace}: ${command.join(' ')}: ${error.code ?? error.signal}\n${stdout}${stderr}`,
            ),
          )
      },
    )
  })
}
