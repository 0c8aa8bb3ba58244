/**
 * xargs(1) in OpenBSD's words: `-I replstr` (attached or not), `-n`, `-L`, `-0`, `-r`, `-t`, `-P`.
 *
 * The article's `xargs -I%i args sh MAKEDEV tap%i` has a word too many: there is no command `args`. It is said, and
 * what was meant is done.
 */
import { type CommandContext, type CommandResult, fail, type LabCommand } from '../command.js'
import { commands } from './index.js'

const USAGE =
  'usage: xargs [-0oprt] [-E eofstr] [-I replstr [-R replacements]] [-L number] [-n number [-x]] [-P maxprocs]\n\t[-s size] [utility [argument ...]]'

export const xargs: LabCommand = async (args, context) => {
  let replace: string | undefined
  let perCall: number | undefined
  let byLines = false
  let nul = false
  let trace = false
  let at = 0
  for (; at < args.length; at++) {
    const arg = args[at]!
    if (arg === '--') {
      at++
      break
    }
    if (!arg.startsWith('-') || arg === '-') break
    for (let i = 1; i < arg.length; i++) {
      const letter = arg[i]!
      if (letter === '0') nul = true
      else if (letter === 't') trace = true
      else if (letter === 'r' || letter === 'o' || letter === 'p' || letter === 'x') continue
      else if ('IJELnPRs'.includes(letter)) {
        const value = i + 1 < arg.length ? arg.slice(i + 1) : args[++at]
        if (value === undefined) return fail(`xargs: option requires an argument -- ${letter}\n${USAGE}`)
        if (letter === 'I') replace = value
        if (letter === 'n' || letter === 'L') perCall = Number(value)
        if (letter === 'L') byLines = true
        break
      } else return fail(`xargs: unknown option -- ${letter}\n${USAGE}`)
    }
  }
  if (perCall !== undefined && !(perCall >= 1)) return fail(`xargs: illegal argument count`)
  let utility = args.slice(at)
  if (utility.length === 0) utility = ['echo']
  const { stdin } = context
  const wholeLines = replace !== undefined || byLines
  const items = nul
    ? stdin.split('\0').filter((item) => item !== '')
    : wholeLines
      ? stdin
          .split('\n')
          .map((line) => line.trim())
          .filter((line) => line !== '')
      : words(stdin)
  let note = ''
  if (utility[0] === 'args' && utility.length > 1 && !(await isCommand('args', context))) {
    note =
      'xargs: args: No such file or directory (there is no command "args"; the utility meant is the next word)\n'
    utility = utility.slice(1)
  }
  const result = { stdout: '', stderr: note, exitCode: 0 }
  const size = replace !== undefined ? 1 : (perCall ?? items.length)
  for (let i = 0; i < items.length && !context.interrupted; i += Math.max(size, 1)) {
    const group = items.slice(i, i + size)
    const line =
      replace !== undefined
        ? utility.map((word, n) => (n === 0 ? word : word.replaceAll(replace, group[0]!)))
        : [...utility, ...group]
    const text = line.map(quote).join(' ')
    if (trace) result.stderr += `${text}\n`
    append(result, await context.exec(text))
    if (result.exitCode === 127) return result
  }
  return result
}

function append(result: { stdout: string; stderr: string; exitCode: number }, one: CommandResult): void {
  result.stdout += one.stdout
  result.stderr += one.stderr
  if (one.exitCode === 127) result.exitCode = 127
  else if (one.exitCode !== 0) result.exitCode = 1
}

const isCommand = async (name: string, context: CommandContext): Promise<boolean> =>
  commands.has(name) || (await context.fs.exists(context.fs.resolvePath(context.cwd, name)))

/** Blanks and newlines part words; quotes and backslashes keep them together. */
function words(text: string): string[] {
  const found = text.match(/(?:\\.|"[^"\n]*"|'[^'\n]*'|[^\s"'\\])+/g) ?? []
  return found.map((word) => word.replace(/"([^"\n]*)"|'([^'\n]*)'|\\(.)/g, (_, a, b, c) => a ?? b ?? c))
}

/** For the shell: a word that stays one word. */
export const quote = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
