/**
 * The control socket: a Unix socket that only its owner may open, and JSON, one value a line. A request is
 * `{"verb":"status"}`; an answer `{"ok":true,"result":…}` or `{"ok":false,"code":…,"message":…}`.
 */
import { chmodSync, lstatSync, mkdirSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { WarrenError } from '../base/index.js'

export const DEFAULT_SOCKET = '/run/warren.sock'
/** Longest request. */
export const REQUEST_LIMIT = 4096
/** Connections at a time. */
export const CONNECTION_LIMIT = 16

export type ControlVerb = 'status' | 'reload' | 'down' | 'keys'
export const controlVerbs: readonly ControlVerb[] = ['status', 'reload', 'down', 'keys']

export type ControlAnswer =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly code: string; readonly message: string }

/** Listens at `path` with mode 0600. Throws `LINUX_ALREADY_RUNNING` where somebody answers there. */
export async function listenForControl(
  path: string,
  answer: (verb: ControlVerb) => Promise<unknown>,
): Promise<Server> {
  await clearWay(path)
  mkdirSync(dirname(path), { recursive: true })
  const server = createServer((socket) => serve(socket, answer))
  server.maxConnections = CONNECTION_LIMIT
  // Between bind() and chmod() nobody else may connect.
  const mask = process.umask(0o177)
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error)
    throw new WarrenError('LINUX_CONTROL_SOCKET', 'could not listen for control', {
      where: path,
      found: code,
      mend: code === 'EACCES' ? 'run it as root' : 'name another place with --socket',
    })
  } finally {
    process.umask(mask)
  }
  chmodSync(path, 0o600)
  return server
}

/** A socket that nobody answers at is what a killed process left. Anything else is not ours to remove. */
async function clearWay(path: string): Promise<void> {
  let isSocket: boolean
  try {
    isSocket = lstatSync(path).isSocket()
  } catch {
    return
  }
  if (!isSocket)
    throw new WarrenError('LINUX_CONTROL_SOCKET', 'something that is no socket is there', {
      where: path,
      mend: 'name another place with --socket',
    })
  const alive = await new Promise<boolean>((resolve) => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'))
  })
  if (alive)
    throw new WarrenError('LINUX_ALREADY_RUNNING', 'warren is running already', {
      where: path,
      mend: '`warren reload` has it read its files again, `warren down` stops it; a second one needs its own --socket',
    })
  rmSync(path, { force: true })
}

function serve(socket: Socket, answer: (verb: ControlVerb) => Promise<unknown>): void {
  let text = ''
  socket.setEncoding('utf8')
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk: string) => {
    text += chunk
    if (text.length > REQUEST_LIMIT) {
      socket.destroy()
      return
    }
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      const line = text.slice(0, end)
      text = text.slice(end + 1)
      void answerLine(line, answer).then((value) => {
        if (!socket.destroyed) socket.write(`${JSON.stringify(value)}\n`)
      })
    }
  })
}

async function answerLine(
  line: string,
  answer: (verb: ControlVerb) => Promise<unknown>,
): Promise<ControlAnswer> {
  const verb = verbOf(line)
  if (verb === undefined)
    return {
      ok: false,
      code: 'LINUX_CONTROL_REQUEST',
      message: `no request: expected {"verb": "${controlVerbs.join('" | "')}"}`,
    }
  try {
    return { ok: true, result: await answer(verb) }
  } catch (error) {
    return {
      ok: false,
      code: error instanceof WarrenError ? error.code : 'LINUX_INTERNAL',
      message: error instanceof Error ? error.message : String(error),
    }
  }
}

function verbOf(line: string): ControlVerb | undefined {
  try {
    const request: unknown = JSON.parse(line)
    if (typeof request !== 'object' || request === null || !('verb' in request)) return undefined
    return controlVerbs.find((verb) => verb === request.verb)
  } catch {
    return undefined
  }
}

/** Asks the running one. Throws `LINUX_NOT_RUNNING`, or its answer's error. */
export async function askControl(path: string, verb: ControlVerb): Promise<unknown> {
  const line = await new Promise<string>((resolve, reject) => {
    const socket = connect(path)
    let text = ''
    socket.setEncoding('utf8')
    socket.once('connect', () => socket.write(`${JSON.stringify({ verb })}\n`))
    socket.once('error', (error: NodeJS.ErrnoException) => reject(unreachable(path, error)))
    socket.on('data', (chunk: string) => {
      text += chunk
      if (!text.includes('\n')) return
      resolve(text)
      socket.end()
    })
    socket.once('close', () =>
      reject(new WarrenError('LINUX_CONTROL_ANSWER', 'no answer came', { where: path })),
    )
  })
  const answer = JSON.parse(line) as ControlAnswer
  if (!answer.ok) throw new WarrenError(answer.code, answer.message)
  return answer.result
}

function unreachable(path: string, error: NodeJS.ErrnoException): WarrenError {
  if (error.code === 'EACCES')
    return new WarrenError('LINUX_CONTROL_DENIED', 'the control socket is for its owner only', {
      where: path,
      mend: 'run it as root',
    })
  return new WarrenError('LINUX_NOT_RUNNING', 'no warren is running here', {
    where: path,
    found: error.code ?? error.message,
    mend: 'start it with `warren up FILE…`, or name its socket with --socket',
  })
}
