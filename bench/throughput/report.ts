/** The figures as tables, for a terminal and for docs/performance.md. */
import {
  addedPing,
  cpuOf,
  loads,
  mbitsOf,
  median,
  ratioOf,
  type SubjectResult,
  type Verdict,
} from './results.js'

/** What it was measured on. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly kernel: string
  readonly node: string
  /** YYYY-MM-DD. */
  readonly date: string
}

export interface RunShape {
  readonly rounds: number
  readonly seconds: number
  readonly link: string
}

type Rows = readonly (readonly string[])[]

const figure = (value: number | undefined, digits = 0): string =>
  value === undefined
    ? '-'
    : value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })

const HEADINGS = [
  'subject',
  'TCP',
  'TCP x 4',
  'reverse',
  'UDP',
  'UDP lost',
  'CPU s/Gbit',
  'added ms',
  'RSS MB',
  'x openvpn',
] as const

function rows(results: readonly SubjectResult[]): Rows {
  const by = (name: string): SubjectResult | undefined => results.find((result) => result.name === name)
  return results
    .filter(({ skipped }) => skipped === undefined)
    .map((result) => {
      const { name, resident } = result
      const lost = median(result.samples.udp.map((sample) => sample?.lost))
      return [
        name,
        ...loads.map((load) => figure(mbitsOf(result, load))),
        lost === undefined ? '-' : `${figure(100 * lost)} %`,
        name === 'bare' ? '-' : figure(cpuOf(result, 'tcp'), 2),
        name === 'bare' ? figure(median(result.ping), 3) : figure(addedPing(result, by('bare')), 3),
        name === 'bare' || resident === undefined ? '-' : figure(Math.max(resident.a, resident.b) / 1e6),
        figure(ratioOf(result, by('openvpn'), 'tcp'), 2),
      ]
    })
}

const word = ({ held }: Verdict): string => (held === undefined ? '-' : held ? 'yes' : 'MISSED')

const shown = (verdicts: readonly Verdict[]): Rows =>
  verdicts.map((verdict) => [verdict.what, verdict.wanted, verdict.found.split('\n', 1)[0]!, word(verdict)])

/** For a terminal: columns aligned. */
export function terminal(results: readonly SubjectResult[], verdicts: readonly Verdict[]): string {
  const skipped = results.flatMap(({ name, skipped }) =>
    skipped === undefined ? [] : [`${name}: skipped: ${skipped}`],
  )
  return [
    ...aligned([HEADINGS, ...rows(results)], true),
    ...skipped,
    '',
    ...aligned([['target', 'wanted', 'found', 'held'], ...shown(verdicts)], false),
  ].join('\n')
}

function aligned(table: Rows, right: boolean): string[] {
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)))
  return table.map((row) =>
    row
      .map((cell, column) =>
        right && column > 0 ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join('  ')
      .trimEnd(),
  )
}

const markdownTable = ([head, ...body]: Rows, right: boolean): string[] => [
  `| ${head!.join(' | ')} |`,
  `| ${head!.map((_, column) => (right && column > 0 ? '---:' : '---')).join(' | ')} |`,
  ...body.map((row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`),
]

const BEGIN = '<!-- throughput: written by npm run bench -- throughput --write -->'
const END = '<!-- throughput: end -->'

/** The marked section of docs/performance.md, with its marks. */
export function section(
  machine: Machine,
  shape: RunShape,
  results: readonly SubjectResult[],
  verdicts: readonly Verdict[],
): string {
  const { cpu, cores, kernel, node, date } = machine
  const measured = results.filter(({ skipped }) => skipped === undefined)
  return [
    BEGIN,
    '',
    `${date}; ${cpu}, ${cores} cores, Linux ${kernel}, Node ${node}; ${shape.rounds} rounds of ${shape.seconds} s a run, hosts on a ${shape.link}.`,
    '',
    ...markdownTable([HEADINGS, ...rows(results)], true),
    '',
    ...markdownTable([['target', 'wanted', 'found', 'held'], ...shown(verdicts)], false),
    '',
    ...measured.map(({ name, description, version }) => `- \`${name}\`: ${description} (${version})`),
    ...results.flatMap(({ name, description, skipped }) =>
      skipped === undefined ? [] : [`- \`${name}\`: ${description}: not measured: ${skipped}`],
    ),
    '',
    END,
  ].join('\n')
}

/** `text` with that section in the place of the one before; undefined where it has no place for it. */
export function replaceSection(text: string, fresh: string): string | undefined {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)]
  if (begin < 0 || end < begin) return undefined
  return text.slice(0, begin) + fresh + text.slice(end + END.length)
}

/** One line while it runs. */
export function progress(round: number, result: SubjectResult): string {
  const cells = loads.flatMap((load) => {
    const sample = result.samples[load][round]
    return sample === undefined ? [] : [`${load} ${figure(sample.mbits)}`]
  })
  const ping = result.ping[round]
  if (ping !== undefined) cells.unshift(`ping ${figure(ping, 3)} ms`)
  return `round ${round + 1}  ${result.name.padEnd(14)} ${cells.join('  ')}`
}
