/**
 * Plays a script on a lab, as one person with several terminals would.
 *
 * A command that has no end of its own (`tcpdump` without -c, `nc -l`) keeps its terminal; the lines below it run on
 * another one. It is interrupted (^C) when a later section of the script runs the same program on that machine, and
 * at the script's end; what it printed until then is its command's output.
 */
import { after, milliseconds, seconds } from '../base/index.js'
import type { CommandResult } from './command.js'
import type { Lab } from './lab.js'
import type { LabMachine } from './machine.js'
import { parseScript, type ScriptItem } from './script.js'
import type { Terminal } from './terminal.js'

/** What one command did. `exit` is its status. */
export interface PlayedCommand {
  readonly host: string
  readonly command: string
  stdout: string
  stderr: string
  exit: number
}

export interface PlayOptions {
  /** Goes on after a command that failed. */
  readonly keepGoing?: boolean
  /** A command begins. */
  readonly onStart?: (played: PlayedCommand) => void
  /** A command has ended, or went to another terminal (`background`), from which it comes back at its end. */
  readonly onEnd?: (played: PlayedCommand, how: 'ended' | 'background') => void
}

/** How often the player looks whether anything happens for a command that waits without an end of its own. */
const LOOK = seconds(1)
/** Looks at a quiet wire after which the next line is typed elsewhere. */
const QUIET_LOOKS = 1
/** The same while the machine has a TCP connection: a segment that was lost comes again after some seconds. */
const QUIET_LOOKS_CONNECTED = 5
/** Looks at a busy wire: others may keep it busy for ever. */
const LOOKS_AT_MOST = 60
/** At the end of a script: for what is still on the wire. */
const LAST_LOOK = milliseconds(200)

/** Between two command lines, where something else runs. */
const TYPING = milliseconds(20)

interface Job {
  readonly machine: LabMachine
  readonly terminal: Terminal
  readonly program: string
  readonly section: number
  /** Where its output goes, if not to the terminal. */
  readonly files: readonly string[]
  readonly played: PlayedCommand
  readonly done: Promise<void>
}

export class Player {
  readonly #lab: Lab
  readonly #options: PlayOptions
  readonly #played: PlayedCommand[] = []
  #jobs: Job[] = []
  #machines: readonly string[] = ['host']
  #section = 0

  constructor(lab: Lab, options: PlayOptions = {}) {
    this.#lab = lab
    this.#options = options
  }

  /** Plays a whole script; the results are in the order of the commands. Stops at the first failure. */
  async play(text: string): Promise<PlayedCommand[]> {
    for (const item of parseScript(text)) if (!(await this.step(item))) break
    await this.finish()
    return this.#played
  }

  get played(): readonly PlayedCommand[] {
    return this.#played
  }

  /** One item of a script; false: a command failed and the script is not to go on. */
  async step(item: ScriptItem): Promise<boolean> {
    if (item.kind === 'section') {
      const known = item.machines.every((name) => this.#isMachine(name))
      if (!item.certain && !known) return true
      this.#machines = item.machines
      this.#section++
      return true
    }
    for (const name of this.#machines) {
      const played = await this.#run(name, item.text)
      if (played.exit !== 0 && this.#options.keepGoing !== true) return false
    }
    return true
  }

  /** Ends what still runs. */
  async finish(): Promise<void> {
    if (this.#jobs.length > 0) await this.#lab.clock.advance(LAST_LOOK)
    for (const job of [...this.#jobs]) await this.#end(job)
  }

  /** True if a command failed; one that was interrupted counts by what it returned. */
  get failed(): boolean {
    return this.#played.some(({ exit }) => exit !== 0)
  }

  #isMachine(name: string): boolean {
    return this.#lab.machines.has(name) || this.#lab.vmd.definitions.some((one) => one.name === name)
  }

  async #run(name: string, text: string): Promise<PlayedCommand> {
    const where = this.#meant(name, text)
    const machine = this.#lab.machines.get(where)
    const program = programOf(text)
    for (const job of [...this.#jobs]) {
      if (job.machine !== machine) continue
      const again = job.program === program && job.section < this.#section
      // Whoever looks at what a command writes has ended it first: a file is whole only then.
      if (again || job.files.some((file) => names(text, file))) await this.#end(job)
    }
    // Between two lines that a person types there is time for what runs elsewhere to come to its end.
    if (this.#jobs.length > 0) await this.#lab.clock.advance(TYPING)
    const played: PlayedCommand = { host: where, command: text, stdout: '', stderr: '', exit: 0 }
    this.#played.push(played)
    this.#options.onStart?.(played)
    if (machine === undefined) {
      played.stderr = `${name} does not run: on the host, vmctl start ${name}\n`
      played.exit = 255
      this.#options.onEnd?.(played, 'ended')
      return played
    }
    const terminal = machine.freeTerminal()
    const note = where === name ? '' : `(${name} has no bridge: the host's is meant, and this runs there)\n`
    await this.#foreground(machine, terminal, program, played, note)
    return played
  }

  /**
   * The article's GRE section listens on the bridge "directly from the host" in a block without a comment that says
   * where; under the block before, it would run on bob. What was meant is done, and said.
   */
  #meant(name: string, text: string): string {
    const [, ifc] = /^\s*tcpdump\b[^|;&]*?\s-\w*i\s*(bridge\d+)\b/.exec(text) ?? []
    const machine = this.#lab.machines.get(name)
    if (ifc === undefined || machine === undefined || machine === this.#lab.host) return name
    return [...machine.devices.values()].some(({ kind }) => kind === 'bridge') ? name : 'host'
  }

  /** Runs until the command ends, or waits too long for nothing in particular. */
  async #foreground(
    machine: LabMachine,
    terminal: Terminal,
    program: string,
    played: PlayedCommand,
    note: string,
  ): Promise<void> {
    const { clock } = this.#lab
    let cancelLook: (() => void) | undefined
    const leaves = new Promise<'background'>((resolve) => {
      terminal.onEndlessWait = () => {
        cancelLook ??= this.#lookOn(machine, () => resolve('background'))
      }
    })
    const done = terminal.exec(played.command).then((result) => assign(played, result, note))
    const how = await clock.run(Promise.race([done.then(() => 'ended' as const), leaves]))
    delete terminal.onEndlessWait
    cancelLook?.()
    if (how === 'background') {
      const ended = done.then(() => {
        this.#jobs = this.#jobs.filter((one) => one !== job)
        this.#options.onEnd?.(played, 'ended')
      })
      const files = outputsOf(played.command)
      const job: Job = { machine, terminal, program, section: this.#section, files, played, done: ended }
      this.#jobs.push(job)
    }
    this.#options.onEnd?.(played, how)
  }

  /** Calls `leave` when nothing on the wire tells that the command is still being served. Returns what ends that. */
  #lookOn(machine: LabMachine, leave: () => void): () => void {
    const lab = this.#lab
    let cancel: (() => void) | undefined
    let frames = lab.frameCount
    let quiet = 0
    let looks = 0
    const look = (): void => {
      quiet = lab.frameCount === frames ? quiet + 1 : 0
      frames = lab.frameCount
      const connected = machine.stack.tcp
        .connections()
        .some(({ state }) => state !== 'TIME-WAIT' && state !== 'CLOSED')
      if (quiet >= (connected ? QUIET_LOOKS_CONNECTED : QUIET_LOOKS) || ++looks >= LOOKS_AT_MOST) leave()
      else cancel = lab.clock.schedule(after(lab.clock.now(), LOOK), look)
    }
    cancel = lab.clock.schedule(after(lab.clock.now(), LOOK), look)
    return () => cancel?.()
  }

  async #end(job: Job): Promise<void> {
    job.terminal.interrupt()
    await this.#lab.clock.run(job.done)
  }
}

function assign(played: PlayedCommand, result: CommandResult, note: string): void {
  played.stdout = result.stdout
  played.stderr = note + result.stderr
  played.exit = result.exitCode
}

/** The program that a command line starts first: what stands before its first blank, without a path. */
const programOf = (text: string): string =>
  /^\s*(?:\w+=\S*\s+)*(\S*)/.exec(text)?.[1]?.split('/').at(-1) ?? ''

/** Files that a command line writes: behind `>`, and tcpdump's `-w`. */
const outputsOf = (text: string): string[] =>
  [...text.matchAll(/(?:>>?|\s-\w*w)\s*([\w./-]{2,})/g)].map(([, file]) => file!)

/** True if the path stands in the text as a word of its own. */
const names = (text: string, file: string): boolean => text.split(/[\s<>|;&"'=()]+/).includes(file)
