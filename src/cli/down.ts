/** `warren down`: stops the running one. */
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { WarrenError } from '../base/index.js'
import { askControl } from '../linux/index.js'
import { controlArguments } from './control-arguments.js'
import type { CliIo } from './io.js'

export const help: string = `usage: warren down [--json] [--socket PATH]

Stops the running \`warren up\` and waits until all that it made is removed.

  --json         the names of the tunnels that went, one JSON value
  --socket PATH  the control socket (default: /run/warren.sock)

Example:
  warren down
`

const WAIT_MS = 10_000

export async function run(args: string[], io: CliIo): Promise<number> {
  const parsed = controlArguments('down', args, io, { json: true })
  if (parsed === undefined) return 2
  const result = (await askControl(parsed.socket, 'down')) as { readonly tunnels: readonly string[] }
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
