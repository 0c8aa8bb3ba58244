/** `warren down`: stops the running one. */
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { WarrenError } from '../base/index.js'
import { askControl, clearLeftovers } from '../linux/index.js'
import { controlArguments } from './control-arguments.js'
import type { CliIo } from './io.js'

export const help: string = `usage: warren down [--json] [--socket PATH]

Stops the running \`warren up\` and waits until all that it made is removed. Where none runs, it removes what a killed one
left: its IPsec policies, which stay in force without it so that nothing goes in clear.

  --json         the names of the tunnels that went, one JSON value
  --socket PATH  the control socket (default: /run/warren.sock)

Example:
  warren down
`

const WAIT_MS = 10_000

export async function run(args: string[], io: CliIo): Promise<number> {
  const parsed = controlArguments('down', args, io, { json: true })
  if (parsed === undefined) return 2
  const result = await stopOrClear(parsed.socket)
  if (result === undefined) {
    io.stdout.write(
      parsed.json
        ? `${JSON.stringify({ tunnels: [], leftovers: true })}\n`
        : 'no warren is running here; removed what a killed one left: its policies are not in force any more\n',
    )
    return 0
  }
  // Its socket is the last that goes.
  for (let waited = 0; existsSync(parsed.socket); waited += 20) {
    if (waited >= WAIT_MS)
      throw new WarrenError('LINUX_STILL_RUNNING', 'it was told to stop and is still there', {
        where: parsed.socket,
        mend: 'end its process with SIGTERM',
      })
    await sleep(20)
  }
  io.stdout.write(
    parsed.json ? `${JSON.stringify(result)}\n` : `removed: ${result.tunnels.join(' ') || 'nothing'}\n`,
  )
  return 0
}

/** What the running one answers; `undefined`: none runs, and what a killed one left is cleared. */
async function stopOrClear(socket: string): Promise<{ readonly tunnels: readonly string[] } | undefined> {
  try {
    return (await askControl(socket, 'down')) as { readonly tunnels: readonly string[] }
  } catch (error) {
    const nobody = error instanceof WarrenError && error.code === 'LINUX_NOT_RUNNING'
    if (nobody && process.getuid?.() === 0 && clearLeftovers() === 'cleared') return undefined
    throw error
  }
}
