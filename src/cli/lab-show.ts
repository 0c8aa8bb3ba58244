/** How `warren lab` shows what is played: prompts, output, and the bridge's packets as tcpdump lines. */
import { concatBytes, instantAt } from '../base/index.js'
import { LinkType, PcapngWriter, TcpdumpPrinter } from '../inspect/index.js'
import type { BridgeFrame, Lab, PlayedCommand, ScenarioReport } from '../lab/index.js'
import type { CliIo } from './io.js'

export interface Styles {
  good(text: string): string
  bad(text: string): string
  faint(text: string): string
  strong(text: string): string
}

/** Colour only on a terminal, and not where NO_COLOR is set. */
export function stylesOf(io: CliIo): Styles {
  const { NO_COLOR } = io.env
  const colour =
    (io.stdout as { isTTY?: boolean }).isTTY === true && (NO_COLOR === undefined || NO_COLOR === '')
  const style =
    (code: number) =>
    (text: string): string =>
      colour ? `\u001b[${code}m${text}\u001b[0m` : text
  return { good: style(32), bad: style(31), faint: style(2), strong: style(1) }
}

export interface ShowOptions {
  readonly verbose: number
  readonly hex: boolean
  /** Shows what the bridge carried, too. */
  readonly packets: boolean
}

export class Show {
  readonly #io: CliIo
  readonly #styles: Styles
  readonly #options: ShowOptions
  readonly #printer: TcpdumpPrinter
  readonly #waiting: BridgeFrame[] = []
  readonly #background = new Set<PlayedCommand>()
  /** Ended on another terminal while a command was shown on this one. */
  readonly #late: PlayedCommand[] = []
  #current: PlayedCommand | undefined
  #lab: Lab | undefined

  constructor(io: CliIo, options: ShowOptions) {
    this.#io = io
    this.#styles = stylesOf(io)
    this.#options = options
    this.#printer = new TcpdumpPrinter({
      verbose: options.verbose,
      ...(options.hex ? { dump: 'hexl' as const } : {}),
    })
  }

  heading(text: string): void {
    this.#write(`${this.#styles.strong(text)}\n\n`)
  }

  /** From now on, what the lab's bridge carries is shown. */
  watch(lab: Lab): void {
    this.#lab = lab
    lab.onFrame = (frame) => this.#waiting.push(frame)
  }

  start(played: PlayedCommand): void {
    this.#packets()
    this.#prompt(played)
    this.#current = played
  }

  end(played: PlayedCommand, how: 'ended' | 'background'): void {
    if (played !== this.#current) {
      if (this.#background.delete(played)) this.#late.push(played)
    } else if (how === 'background') {
      this.#background.add(played)
      this.#current = undefined
      this.#write(
        this.#styles.faint('(it has no end of its own: the next line is typed on another terminal)\n'),
      )
    } else {
      this.#current = undefined
      this.#output(played)
    }
    if (this.#current !== undefined) return
    this.#packets()
    for (const late of this.#late.splice(0)) {
      this.#prompt(late, '   (on another terminal, until here)')
      this.#output(late)
    }
  }

  finish(): void {
    this.#packets()
  }

  verdict({ ok, error, packets, virtualMs, wallMs }: ScenarioReport): void {
    const { good, bad } = this.#styles
    const verdict = ok ? good('ok') : bad(`FAILED: ${error}`)
    this.#write(
      `\n${verdict}  ${packets} packets, ${(virtualMs / 1000).toFixed(3)} s virtual, ${Math.round(wallMs)} ms wall\n`,
    )
  }

  #output({ stdout, stderr, exit }: PlayedCommand): void {
    this.#write(stdout)
    this.#write(stderr)
    if (exit !== 0) this.#write(this.#styles.bad(`(exit ${exit})\n`))
  }

  #prompt({ host, command }: PlayedCommand, note = ''): void {
    const [first = '', ...rest] = command.split('\n')
    this.#write(`${this.#styles.strong(`${host}# ${first}`)}${this.#styles.faint(note)}\n`)
    if (note === '') for (const line of rest) this.#write(`> ${line}\n`)
  }

  #packets(): void {
    const frames = this.#waiting.splice(0)
    if (!this.#options.packets || this.#lab === undefined) return
    for (const { at, bridge, bytes } of frames) {
      const text = this.#printer.line(bytes, LinkType.ethernet, {
        time: instantAt(this.#lab.clock.toUnix(at)),
      })
      for (const line of text.trimEnd().split('\n'))
        this.#write(this.#styles.faint(`  ${bridge} | ${line}\n`))
    }
  }

  #write(text: string): void {
    if (text !== '') this.#io.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
  }
}

/** A pcapng file of what bridges carried: an interface for each bridge of each lab. */
export function captureOf(
  parts: readonly { readonly name: string; readonly frames: readonly BridgeFrame[]; readonly lab: Lab }[],
): Uint8Array {
  const writer = new PcapngWriter()
  const blocks = [writer.header()]
  let interfaces = 0
  for (const { name, frames, lab } of parts) {
    const ids = new Map<string, number>()
    for (const { at, bridge, bytes } of frames) {
      let interfaceId = ids.get(bridge)
      if (interfaceId === undefined) {
        interfaceId = interfaces++
        ids.set(bridge, interfaceId)
        const label = parts.length > 1 ? `${bridge} ${name}` : bridge
        blocks.push(writer.interface({ linkType: LinkType.ethernet, name: label }))
      }
      const time = lab.clock.toUnix(at)
      blocks.push(
        writer.packet({
          bytes,
          interfaceId,
          seconds: Math.floor(time / 1_000_000),
          nanoseconds: (time % 1_000_000) * 1_000,
        }),
      )
    }
  }
  if (interfaces === 0) blocks.push(writer.interface({ linkType: LinkType.ethernet, name: 'bridge1' }))
  return concatBytes(...blocks)
}
