/** `warren up` as a process in a namespace, as an administrator runs it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Netns } from './netns.js'

/** The compiled command. */
export const WARREN: string = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

export interface WarrenProcess {
  readonly pid: number
  /** Its control socket. */
  readonly socket: string
  /** All that it wrote to standard error so far. */
  log(): string
  /** The text of `warren status`. */
  status(...options: string[]): Promise<string>
  /** SIGTERM, and waits for the end; rejects unless it ended with 0. */
  stop(): Promise<void>
  kill(): Promise<void>
}

let count = 0

/** Starts `warren up FILE…` and returns once its status answers; rejects with its output when it ends before. */
export async function startWarren(
  net: Netns,
  namespace: string,
  args: readonly string[],
): Promise<WarrenProcess> {
  const socket = join(net.folder, `warren-${++count}.sock`)
  const child: ChildProcess = spawn(
    'ip',
    ['netns', 'exec', namespace, process.execPath, WARREN, 'up', '--socket', socket, ...args],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  )
  let text = ''
  child.stderr!.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  let code: number | null | undefined
  const ended = new Promise<void>((resolve) =>
    child.once('exit', (status) => {
      code = status
      resolve()
    }),
  )
  const status = (...options: string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      const asked = spawn(process.execPath, [WARREN, 'status', '--socket', socket, ...options], {
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let out = ''
      asked.stdout.on('data', (chunk: Buffer) => {
        out += chunk.toString()
      })
      asked.stderr.on('data', (chunk: Buffer) => {
        out += chunk.toString()
      })
      asked.once('exit', (exit) =>
        exit === 0 ? resolve(out) : reject(new Error(`warren status: exit ${exit}\n${out}`)),
      )
    })
  const deadline = Date.now() + 10_000
  for (;;) {
    if (code !== undefined) throw new Error(`warren up ended with ${code}\n${text}`)
    try {
      await status()
      break
    } catch (error) {
      if (Date.now() > deadline) {
        child.kill('SIGKILL')
        throw new Error(`warren up does not answer\n${text}`, { cause: error })
      }
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  return {
    pid: child.pid!,
    socket,
    log: () => text,
    status,
    async stop() {
      if (code === undefined) child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
      await ended
      clearTimeout(timer)
      if (code !== 0) throw new Error(`warren up ended with ${code}\n${text}`)
    },
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
  }
}
