/** The options of the throughput benchmark. */
import { parseArgs } from 'node:util'
import type { Link } from '../../interop/lib/two-hosts.js'
import { type Test, tests } from './results.js'

export interface Options {
  readonly rounds: number
  /** Of one iperf3 run. */
  readonly seconds: number
  readonly pings: number
  /** Of full load under `--trace-gc`; 0 leaves that out. */
  readonly gcSeconds: number
  readonly subjects?: readonly string[]
  readonly tests: readonly Test[]
  readonly link: Link
  readonly json?: string
  readonly write: boolean
}

export const help: string = `usage: npm run bench -- throughput [option ...]

  --rounds N       every subject once a round (default: 3)
  --seconds N      of one iperf3 run (default: 3)
  --pings N        at intervals of 5 ms (default: 200)
  --gc-seconds N   of full load in which Warren's garbage collections are counted (default: 30; 0: not at all)
  --subjects A,B   only these; "bare" is always among them
  --tests A,B      only these of ${tests.join(', ')}
  --link LINK      bridge or veth (default: bridge)
  --json FILE      write all figures there
  --write          replace the section of docs/performance.md that is marked for it
`

/** Throws an Error with a line for the user. */
export function parseOptions(args: readonly string[], known: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '3' },
      pings: { type: 'string', default: '200' },
      'gc-seconds': { type: 'string', default: '30' },
      subjects: { type: 'string' },
      tests: { type: 'string' },
      link: { type: 'string', default: 'bridge' },
      json: { type: 'string' },
      write: { type: 'boolean', default: false },
    },
  })
  const count = (name: 'rounds' | 'seconds' | 'pings' | 'gc-seconds', least: number): number => {
    const value = Number(values[name])
    if (!Number.isInteger(value) || value < least)
      throw new Error(`--${name} ${values[name]}: expected a whole number from ${least} on`)
    return value
  }
  const { subjects, link } = values
  if (link !== 'bridge' && link !== 'veth') throw new Error(`--link ${link}: expected bridge or veth`)
  return {
    rounds: count('rounds', 1),
    seconds: count('seconds', 1),
    pings: count('pings', 1),
    gcSeconds: count('gc-seconds', 0),
    tests: tests.filter((test) => listOf('tests', values.tests, tests)?.includes(test) !== false),
    ...(subjects === undefined ? {} : { subjects: listOf('subjects', subjects, known) ?? [] }),
    link,
    ...(values.json === undefined ? {} : { json: values.json }),
    write: values.write,
  }
}

function listOf<T extends string>(
  name: string,
  text: string | undefined,
  known: readonly T[],
): T[] | undefined {
  return text?.split(',').map((word) => {
    const found = known.find((one) => one === word)
    if (found === undefined) throw new Error(`--${name} ${word}: expected ${known.join(', ')}`)
    return found
  })
}
