/**
 * A terminal of a machine: a shell (just-bash) with its own directory and variables over the machine's file system.
 *
 * Pipes are not concurrent: the left side ends before the right one starts. So at most one command of a terminal
 * waits at a time, and ^C ends that one.
 */
import { Bash, type CustomCommand, decodeBytesToUtf8, defineCommand, latin1FromBytes } from 'just-bash'
import { after, type Duration, didYouMean, microseconds } from '../base/index.js'
import type { CommandContext, CommandResult, LabCommand } from './command.js'
import { commands } from './commands/index.js'
import type { LabMachine } from './machine.js'

/** Waits of one command line after which it is taken for one without an end: a `while true` that sleeps. */
const WAIT_LIMIT = 1_000
/** Commands that a line may still start after ^C; then the shell itself is stopped. */
const AFTER_INTERRUPT = 20

/** A function definition at the start of a line; the shell forgets it between calls, the terminal does not. */
const DEFINES_FUNCTION = /^\s*(?:function\s+)?[A-Za-z_]\w*\s*\(\)\s*\{/

export class Terminal {
  readonly machine: LabMachine
  cwd = '/root'
  readonly #bash: Bash
  #env: Record<string, string>
  #functions = ''
  /** Ends of the waits that are on: what ^C calls. */
  readonly #waits = new Set<() => void>()
  #interrupts = 0
  #running = 0
  #bounded = 0
  #waitCount = 0
  #startsLeft = Number.POSITIVE_INFINITY
  #stop = new AbortController()
  #command = ''
  /** Called when a command begins a wait that has no end of its own. */
  onEndlessWait?: () => void
  /** Called with each line that a command streams. */
  onLine?: (line: string, stream: 'stdout' | 'stderr') => void
  /** Lines that the running command line has streamed so far; they are in its result at the end, too. */
  readonly streamed: string[] = []

  constructor(machine: LabMachine) {
    this.machine = machine
    this.#env = {
      HOME: '/root',
      USER: 'root',
      LOGNAME: 'root',
      TERM: 'vt220',
      SHELL: '/bin/ksh',
      HOSTNAME: machine.hostname,
      PATH: '/sbin:/usr/sbin:/bin:/usr/bin:/usr/local/sbin:/usr/local/bin',
    }
    this.#bash = new Bash({
      fs: machine.fs,
      cwd: this.cwd,
      env: this.#env,
      defenseInDepth: false,
      processInfo: { pid: 1000, ppid: 1, uid: 0, gid: 0 },
      // Of real time: a `sleep 7200` of the lab takes none, but `console` may wait as long as it likes.
      executionLimits: { maxExecutionTimeMs: 2 ** 31 },
      sleep: async (ms) => void (await this.#sleep(microseconds(ms * 1_000))),
      customCommands: this.#customCommands(),
    })
  }

  /** True while a command line runs. */
  get busy(): boolean {
    return this.#running > 0
  }

  /** True while what runs waits for something that may never come, or for a long time. */
  get waiting(): boolean {
    return this.#waits.size > 0
  }

  /** The command line that runs, as it was typed. */
  get command(): string {
    return this.#command
  }

  /**
   * Runs one complete command line (here-documents included). Holds an activity token of the clock, so drive the
   * clock with `clock.run`.
   */
  async exec(text: string): Promise<CommandResult> {
    const release = this.machine.clock.hold()
    this.#running++
    this.#command = text
    this.streamed.length = 0
    this.#waitCount = 0
    this.#startsLeft = Number.POSITIVE_INFINITY
    this.#stop = new AbortController()
    try {
      if (DEFINES_FUNCTION.test(text)) this.#functions += `${text}\n`
      const source = this.#functions !== '' ? `${this.#functions}${text}` : text
      const result = await this.#bash.exec(source, {
        cwd: this.cwd,
        env: this.#env,
        rawScript: true,
        signal: this.#stop.signal,
      })
      if (this.#stop.signal.aborted) return { stdout: lines(this.streamed), stderr: '', exitCode: 130 }
      const { PWD, '?': _, '#': __, '@': ___, '*': ____, ...env } = result.env
      if (PWD !== undefined) this.cwd = PWD
      this.#env = env
      return { stdout: result.stdout, stderr: asKsh(result.stderr), exitCode: result.exitCode }
    } finally {
      this.#running--
      release()
    }
  }

  /** Begins where another terminal stands: its directory, variables and functions. */
  inherit(other: Terminal): void {
    this.cwd = other.cwd
    this.#env = { ...other.#env }
    this.#functions = other.#functions
  }

  /** ^C: ends what waits now. */
  interrupt(): void {
    this.#interrupts++
    this.#startsLeft = Math.min(this.#startsLeft, AFTER_INTERRUPT)
    for (const end of [...this.#waits]) end()
  }

  #customCommands(): CustomCommand[] {
    return [...commands].map(([name, command]) =>
      defineCommand(name, async (args, shell) => {
        if (--this.#startsLeft < 0) this.#stop.abort()
        const printed: string[] = []
        const warned: string[] = []
        const interruptsBefore = this.#interrupts
        const terminal = this
        const context: CommandContext = {
          host: this.machine,
          lab: this.machine.lab,
          fs: shell.fs,
          cwd: shell.cwd,
          get stdin() {
            return decodeBytesToUtf8(shell.stdin)
          },
          get stdinBytes() {
            return Uint8Array.from(latin1FromBytes(shell.stdin), (char) => char.charCodeAt(0))
          },
          env: shell.env,
          commandName: name,
          print: (line) => {
            printed.push(`${line}\n`)
            this.#stream(line, 'stdout')
          },
          warn: (line) => {
            warned.push(`${line}\n`)
            this.#stream(line, 'stderr')
          },
          get interrupted() {
            return terminal.#interrupts !== interruptsBefore
          },
          sleep: (span) => this.#sleep(span),
          wait: (subscribe, limit) => this.#wait(subscribe, limit),
          endless: () => this.#endless(),
          bounded: async (work) => {
            this.#bounded++
            try {
              return await work()
            } finally {
              this.#bounded--
            }
          },
          interrupt: () => this.interrupt(),
          original: async (words) =>
            (await shell.origCommand?.(words)) ?? {
              stdout: '',
              stderr: `${name}: no such command\n`,
              exitCode: 127,
            },
          exec: async (line, options) => {
            const exec = shell.exec
            if (exec === undefined) return { stdout: '', stderr: `${name}: no shell\n`, exitCode: 126 }
            const { stdin } = options ?? {}
            return exec(line, { cwd: options?.cwd ?? shell.cwd, ...(stdin === undefined ? {} : { stdin }) })
          },
        }
        const result = await runSafely(name, command, args, context)
        return {
          stdout: printed.join('') + result.stdout,
          stderr: warned.join('') + result.stderr,
          exitCode: result.exitCode,
        }
      }),
    )
  }

  #stream(line: string, stream: 'stdout' | 'stderr'): void {
    this.streamed.push(line)
    this.onLine?.(line, stream)
  }

  #endless(): void {
    if (this.#bounded === 0) this.onEndlessWait?.()
  }

  async #sleep(span: Duration): Promise<boolean> {
    if (--this.#startsLeft < 0) this.#stop.abort()
    const before = this.#interrupts
    await this.#wait<never>(() => undefined, span)
    return before === this.#interrupts
  }

  async #wait<T>(
    // biome-ignore lint/suspicious/noConfusingVoidType: as in CommandContext
    subscribe: (resolve: (value: T) => void) => (() => void) | void,
    limit?: Duration,
  ): Promise<T | undefined> {
    const { clock } = this.machine
    const cleanup: (() => void)[] = []
    let cancelTimer: (() => void) | undefined
    let end = (): void => {}
    try {
      return await clock.wait<T | undefined>((resolve) => {
        end = () => resolve(undefined)
        this.#waits.add(end)
        if (limit !== undefined) cancelTimer = clock.schedule(after(clock.now(), limit), end)
        const unsubscribe = subscribe(resolve)
        if (unsubscribe !== undefined) cleanup.push(unsubscribe)
        if (limit === undefined || ++this.#waitCount > WAIT_LIMIT) this.#endless()
      })
    } finally {
      this.#waits.delete(end)
      cancelTimer?.()
      for (const unsubscribe of cleanup) unsubscribe()
    }
  }
}

const lines = (streamed: readonly string[]): string => streamed.map((line) => `${line}\n`).join('')

/** A command of ours that throws is our mistake: it is said, and the shell goes on. */
async function runSafely(
  name: string,
  command: LabCommand,
  args: string[],
  context: CommandContext,
): Promise<CommandResult> {
  try {
    return await command(args, context)
  } catch (error) {
    return { stdout: '', stderr: `${name}: ${error instanceof Error ? error.message : error}\n`, exitCode: 1 }
  }
}

/** The shell speaks as OpenBSD's ksh(1) where it speaks of itself, and names the command that was perhaps meant. */
const asKsh = (stderr: string): string =>
  stderr
    .replace(/^bash: (?:line \d+: )?(.*): command not found$/gm, (_, name: string) => {
      const meant = didYouMean(name, [...commands.keys(), ...COMMON])
      return `ksh: ${name}: not found${meant === undefined ? '' : ` (${meant})`}`
    })
    // The shell's own limits name options that a user of the lab does not have.
    .replace(
      /^bash: (.*), increase executionLimits\.\w+\.?$/gm,
      (_, what: string) =>
        `ksh: ${what}: the lab ends a command line there${/too many/.test(what) ? '; a loop that is to go on needs a sleep in it' : ''}`,
    )
    .replace(/^bash: /gm, 'ksh: ')

/** The shell's own commands that are typed most. */
const COMMON = [
  'cat',
  'cp',
  'echo',
  'grep',
  'head',
  'ls',
  'mkdir',
  'mv',
  'printf',
  'rm',
  'sed',
  'sleep',
  'touch',
  'wc',
]
