/** `warren reload`: has the running one read its files again. */
import { askControl, type ReloadResult } from '../linux/index.js'
import { controlArguments } from './control-arguments.js'
import type { CliIo } from './io.js'

export const help: string = `usage: warren reload [--json] [--socket PATH]

Has the running \`warren up\` read its files again. Tunnels whose description did not change are not touched. An error
in a file changes nothing, and is printed here.

  --json         which tunnels were kept, added, changed and removed, one JSON value
  --socket PATH  the control socket (default: /run/warren.sock)

Example:
  warren reload
`

export async function run(args: string[], io: CliIo): Promise<number> {
  const parsed = controlArguments('reload', args, io, { json: true })
  if (parsed === undefined) return 2
  const result = (await askControl(parsed.socket, 'reload')) as ReloadResult
  if (parsed.json) io.stdout.write(`${JSON.stringify(result)}\n`)
  else {
    for (const [what, names] of Object.entries(result) as [string, readonly string[]][])
      if (names.length > 0) io.stdout.write(`${what}: ${names.join(' ')}\n`)
  }
  return 0
}
