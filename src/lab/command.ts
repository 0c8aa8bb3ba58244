/**
 * The contract of a command of the lab: what it gets and what it gives back. Its own output may be streamed line by
 * line (`print`) or be returned whole; both end up on its standard output, in that order.
 */
import type { IFileSystem } from 'just-bash'
import type { Duration } from '../base/index.js'
import type { Lab } from './lab.js'
import type { LabMachine } from './machine.js'

export interface CommandResult {
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: number
}

/** Waits: how a command gives the clock back. All of them end early, with `undefined`, when it is interrupted (^C). */
export interface CommandContext {
  /** The machine it runs on: the host, alice or bob. */
  readonly host: LabMachine
  readonly lab: Lab
  readonly fs: IFileSystem
  readonly cwd: string
  /** Standard input, decoded as UTF-8. It is complete: a pipe's left side has ended before. */
  readonly stdin: string
  /** Standard input byte for byte. */
  readonly stdinBytes: Uint8Array
  readonly env: ReadonlyMap<string, string>
  /** The name it was called by: `ping6` for `ping`'s other name. */
  readonly commandName: string
  /** Streams one line to standard output; the newline is added. */
  print(line: string): void
  /** Streams one line to standard error; the newline is added. */
  warn(line: string): void
  /** True once ^C was pressed (or the lab ends). */
  readonly interrupted: boolean
  /** Sleeps on the lab's clock; false if interrupted. */
  sleep(span: Duration): Promise<boolean>
  /**
   * Waits for an event: `subscribe` is called at once and may return what unsubscribes. Ends with the value given
   * to `resolve`, or with `undefined` after `limit` or when interrupted. Without a limit it is a wait without an end
   * of its own, and a script's player then goes on with the next line on another terminal.
   */
  wait<T>(
    // biome-ignore lint/suspicious/noConfusingVoidType: a subscriber that has nothing to undo returns nothing
    subscribe: (resolve: (value: T) => void) => (() => void) | void,
    limit?: Duration,
  ): Promise<T | undefined>
  /** Says that the command has no end of its own, as a `wait` without a limit does. */
  endless(): void
  /** Runs `work`, whose waits all come to an end because the caller sees to it (`timeout`). */
  bounded<T>(work: () => Promise<T>): Promise<T>
  /** ^C for whatever this terminal waits for now. */
  interrupt(): void
  /** The shell's own command that this one stands before. */
  original(args: string[]): Promise<CommandResult>
  /** Runs a shell command line, as `xargs` and `sh -c` do; same machine, same terminal. */
  exec(
    commandLine: string,
    options?: { readonly cwd?: string; readonly stdin?: string },
  ): Promise<CommandResult>
}

export type LabCommand = (args: string[], context: CommandContext) => Promise<CommandResult>

/** Standard output and success. */
export const succeed = (stdout = ''): CommandResult => ({ stdout, stderr: '', exitCode: 0 })
/** Standard error (a newline is added) and a status. */
export const fail = (stderr: string, exitCode = 1): CommandResult => ({
  stdout: '',
  stderr: stderr.endsWith('\n') ? stderr : `${stderr}\n`,
  exitCode,
})
