import { suggest } from '../../../base/index.js'
import { type CommandContext, type CommandResult, fail, succeed } from '../../command.js'

/**
 * What every guest command shares: the errors of err(3) and errx(3), getopt(3) as OpenBSD has it, the
 * limits of strtonum(3), and the word that was meant.
 */

/** Ends a command, as errx(3) does: `text` goes to standard error, without the program's name in front. */
export class CommandFailure extends Error {
  readonly exitCode: number

  /** `text` is the whole of standard error, without its last newline. */
  constructor(text: string, exitCode = 1) {
    super(text)
    this.name = 'CommandFailure'
    this.exitCode = exitCode
  }
}

/** Runs a command's body and turns a `CommandFailure` into its result. A body that returns a number has printed. */
export async function guard(
  body: () => Promise<CommandResult | number> | CommandResult | number,
): Promise<CommandResult> {
  try {
    const result = await body()
    return typeof result === 'number' ? { ...succeed(), exitCode: result } : result
  } catch (error) {
    if (error instanceof CommandFailure) return fail(error.message, error.exitCode)
    throw error
  }
}

/** Prints a text that ends with a newline (or is empty), blanks at the ends of its lines included. */
export function printText(context: CommandContext, text: string): void {
  if (text !== '') context.print(text.replace(/\n$/, ''))
}

/** Options of a command, in the order in which they were given, and what follows them. */
export interface Options {
  /** Option letter to its last argument; `''` where the option takes none. */
  readonly given: ReadonlyMap<string, string>
  /** How often each letter was given. */
  readonly counts: ReadonlyMap<string, number>
  readonly operands: readonly string[]
}

/**
 * getopt(3). `letters` as there: a colon after a letter that takes an argument.
 *
 * @throws {CommandFailure} with getopt's message, what was meant, and the usage.
 */
export function getopt(program: string, args: readonly string[], letters: string, usage: string): Options {
  const given = new Map<string, string>()
  const counts = new Map<string, number>()
  let at = 0
  for (; at < args.length; at++) {
    const word = args[at]!
    if (word === '--') {
      at++
      break
    }
    if (!word.startsWith('-') || word === '-') break
    for (let i = 1; i < word.length; i++) {
      const letter = word[i]!
      const place = letter === ':' ? -1 : letters.indexOf(letter)
      if (place < 0) throw unknownOption(program, letter, letters, usage)
      counts.set(letter, (counts.get(letter) ?? 0) + 1)
      if (letters[place + 1] !== ':') {
        given.set(letter, '')
        continue
      }
      const argument = i + 1 < word.length ? word.slice(i + 1) : args[++at]
      if (argument === undefined)
        throw new CommandFailure(`${program}: option requires an argument -- ${letter}\n${usage}`)
      given.set(letter, argument)
      break
    }
  }
  return { given, counts, operands: args.slice(at) }
}

function unknownOption(program: string, letter: string, letters: string, usage: string): CommandFailure {
  const swapped = letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase()
  const meant = swapped !== letter && letters.includes(swapped) ? ` (did you mean -${swapped}?)` : ''
  return new CommandFailure(`${program}: unknown option -- ${letter}${meant}\n${usage}`)
}

/** Options that the original has and the lab does not: said, not skipped. `what` names what each would need. */
export function refuseOptions(
  program: string,
  { given }: Options,
  what: Readonly<Record<string, string>>,
): void {
  for (const letter of given.keys())
    if (Object.hasOwn(what, letter))
      throw new CommandFailure(`${program}: -${letter}: no ${what[letter]} in the lab`)
}

/** strtonum(3): the number, or the reason in its words. */
export function strtonum(
  text: string,
  least: number,
  most: number,
): number | 'invalid' | 'too small' | 'too large' {
  if (!/^\s*[+-]?\d+$/.test(text)) return 'invalid'
  const value = Number(text)
  if (value < least) return 'too small'
  if (value > most) return 'too large'
  return value
}

/** ` (did you mean X?)` for the known word nearest to `word`, or nothing. */
export function meant(word: string, known: Iterable<string>): string {
  const nearest = suggest(word, known)
  return nearest === undefined ? '' : ` (did you mean ${nearest}?)`
}

/** Pads or cuts to a column, as printf's `%-N.Ns` does. */
export const column = (text: string, width: number): string => text.slice(0, width).padEnd(width)
