/** `warren lab console`: a shell on a machine of the lab, its clock paced to real time. */
import { createInterface } from 'node:readline'
import { after, type Instant, microseconds, seconds, WarrenError } from '../base/index.js'
import { isComplete, type Lab, type Terminal } from '../lab/index.js'
import type { CliIo } from './io.js'

export async function runConsole(name: string | undefined, lab: Lab, io: CliIo): Promise<number> {
  const terminals = new Map<string, Terminal>()
  const terminalOf = (machine: string): Terminal => {
    const found = lab.machine(machine)
    if (found === undefined)
      throw new WarrenError('LAB_NO_MACHINE', 'no such machine, or it does not run', {
        found: machine,
        expected: [...lab.machines.keys()].join(', '),
      })
    const known = terminals.get(machine)
    if (known !== undefined && known.machine === found) return known
    const terminal = found.newTerminal()
    terminals.set(machine, terminal)
    return terminal
  }
  let terminal = terminalOf(name ?? 'host')
  const stopPacing = pace(lab)
  const interactive = (io.stdin as { isTTY?: boolean }).isTTY === true
  if (interactive)
    io.stdout.write(
      `A shell on ${terminal.machine.name}. "on bob" goes to bob; ^D leaves; time is real here.\n`,
    )
  const lines = createInterface({
    input: io.stdin,
    ...(interactive ? { output: io.stdout } : {}),
    terminal: interactive,
  })
  const prompt = (): void => {
    if (!interactive) return
    lines.setPrompt(pending === '' ? `${terminal.machine.name}# ` : '> ')
    lines.prompt()
  }
  let pending = ''
  let exit = 0
  lines.on('SIGINT', () => {
    if (terminal.busy) terminal.interrupt()
    else {
      pending = ''
      io.stdout.write('\n')
      prompt()
    }
  })
  prompt()
  try {
    for await (const line of lines) {
      pending = pending === '' ? line : `${pending}\n${line}`
      if (!isComplete(pending)) {
        prompt()
        continue
      }
      const command = pending
      pending = ''
      const [, target] = /^\s*(?:#\s*)?on\s+(?:the\s+)?([\w-]+)\s*$/.exec(command) ?? []
      if (/^\s*(exit|logout)\s*$/.test(command)) break
      if (target !== undefined) {
        try {
          terminal = terminalOf(target)
        } catch (error) {
          io.stderr.write(`${error instanceof Error ? error.message : error}\n`)
        }
      } else if (/[^&]&\s*$/.test(command)) {
        // A job of its own, on another terminal; what it prints appears as it comes.
        const job = terminal.machine.newTerminal()
        job.inherit(terminal)
        void runLine(job, command.replace(/&\s*$/, ''), lab, io)
      } else if (command.trim() !== '') {
        // Whoever sent the lines cannot press ^C: what would never end by itself ends soon.
        const { machine } = terminal
        const current = terminal
        if (!interactive)
          current.onEndlessWait = () =>
            void machine.schedule(after(machine.now(), seconds(1)), () => current.interrupt())
        exit = await runLine(current, command, lab, io)
      }
      prompt()
    }
  } finally {
    lines.close()
    for (const machine of lab.machines.values()) for (const one of machine.terminals) one.interrupt()
    stopPacing()
  }
  return interactive ? 0 : exit === 0 ? 0 : 1
}

async function runLine(terminal: Terminal, command: string, lab: Lab, io: CliIo): Promise<number> {
  lab.clock.catchUp()
  // What is piped or redirected is not for the screen before its end.
  const streams = !/[|>]/.test(command)
  const shown = { stdout: '', stderr: '' }
  terminal.onLine = (line, stream) => {
    if (!streams) return
    io[stream].write(`${line}\n`)
    shown[stream] += `${line}\n`
  }
  const result = await lab.clock.run(terminal.exec(command))
  delete terminal.onLine
  for (const stream of ['stdout', 'stderr'] as const) {
    const whole = result[stream]
    io[stream].write(whole.startsWith(shown[stream]) ? whole.slice(shown[stream].length) : whole)
  }
  return result.exitCode
}

/** Ties the lab's clock to this process's, and keeps it going between the commands. Returns what ends that. */
function pace(lab: Lab): () => void {
  const { clock } = lab
  const startedAt = performance.now()
  const origin = clock.now()
  const realNow = (): Instant => after(origin, microseconds((performance.now() - startedAt) * 1_000))
  let wake: (() => void) | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  clock.pace(
    (at) =>
      new Promise<void>((resolve) => {
        if (timer !== undefined) clearTimeout(timer)
        wake = resolve
        timer = setTimeout(resolve, Math.max(0, (at - realNow()) / 1_000))
      }),
    realNow,
  )
  let stop = (): void => {}
  const running = clock.run(
    new Promise<void>((resolve) => {
      stop = resolve
    }),
  )
  return () => {
    if (timer !== undefined) clearTimeout(timer)
    stop()
    wake?.()
    void running
  }
}
