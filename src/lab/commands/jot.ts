/** jot(1), as far as integers and `-w`, `-b`, `-s`, `-c` go. */
import { fail, type LabCommand, succeed } from '../command.js'

const USAGE = 'usage: jot [-b word] [-s string] [-w word] [reps [begin [end [s]]]]'
const MOST = 100_000

export const jot: LabCommand = async (args) => {
  let separator = '\n'
  let word: string | undefined
  let repeat: string | undefined
  const operands: string[] = []
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!
    const flag = /^-([bsw])(.*)$/.exec(arg)
    if (flag === null) {
      if (/^-[^\d.]/.test(arg)) return fail(`jot: unknown option -- ${arg[1]}\n${USAGE}`)
      operands.push(arg)
      continue
    }
    const value = flag[2] !== '' ? flag[2] : args[++i]
    if (value === undefined) return fail(`jot: option requires an argument -- ${flag[1]}\n${USAGE}`)
    if (flag[1] === 'b') repeat = value
    else if (flag[1] === 's') separator = value
    else word = value
  }
  const given = operands.map((text) => (text === '-' ? undefined : Number(text)))
  if (operands.length > 4 || given.some((value) => Number.isNaN(value))) return fail(USAGE)
  const [reps, begin, end, step] = given
  const first = begin ?? 1
  // With an end, the step follows from the number of repetitions; with a step, one of the others does.
  const count = reps ?? (end === undefined ? 100 : Math.floor(Math.abs((end - first) / (step ?? 1))) + 1)
  const by = step ?? (end !== undefined && reps !== undefined && reps > 1 ? (end - first) / (reps - 1) : 1)
  if (!(count >= 0 && count <= MOST))
    return fail(`jot: impossible stepsize: at most ${MOST} repetitions here`)
  const decimals = Math.max(...operands.slice(1).map((text) => text.split('.')[1]?.length ?? 0), 0)
  const lines = Array.from({ length: count }, (_, i) => {
    if (repeat !== undefined) return repeat
    const text = (first + i * by).toFixed(decimals)
    if (word === undefined) return text
    return /%[dioxscfeg]/.test(word) ? word.replace(/%[dioxscfeg]/, text) : word + text
  })
  return succeed(lines.length === 0 ? '' : `${lines.join(separator)}\n`)
}
