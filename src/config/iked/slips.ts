/** Mistakes of one letter in the word that begins a rule: what was meant is beyond doubt, and a reader that wants may take it. */
import { suggest } from '../../base/index.js'
import { tokenize } from '../grammar/tokens.js'
import { STATEMENTS } from './parse.js'

export interface MendedConf {
  readonly text: string
  /** `FILE: LINE: "iked2": "ikev2" is meant`, one each. */
  readonly notes: readonly string[]
}

/**
 * The file with `iked2` written as `ikev2`, where a policy stands behind it; else as it is. For the lab, which plays an
 * article that has the slip; whoever runs a VPN gets the error that names the mend.
 */
export function mendSlips(text: string, file: string): MendedConf {
  const lines = text.split('\n')
  const notes: string[] = []
  let begins = true
  const tokens = tokenize(text, file)
  const slips = tokens.filter((token, i) => {
    const starts = begins
    begins = token.text === '\n' && !token.quoted
    return (
      starts &&
      !token.quoted &&
      // ikev1 is another protocol and no slip.
      !/^ikev\d$/.test(token.text) &&
      suggest(token.text, STATEMENTS) === 'ikev2' &&
      (tokens[i + 1]?.text !== '=' || tokens[i + 1]?.quoted === true)
    )
  })
  for (const { text: found, line, column } of slips) {
    const old = lines[line - 1]!
    lines[line - 1] = `${old.slice(0, column - 1)}ikev2${old.slice(column - 1 + found.length)}`
    notes.push(`${file}: ${line}: "${found}": "ikev2" is meant`)
  }
  return { text: lines.join('\n'), notes }
}
