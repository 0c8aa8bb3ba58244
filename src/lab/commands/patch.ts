import type { CommandContext, LabCommand } from '../command.js'
import { applyHunks, type FilePatch, type HunkResult, hunkLine, readPatch } from './net/patch-apply.js'
import { CommandFailure, getopt, guard } from './net/words.js'

/** patch(1) for unified diffs: `patch FILE - <<EOF`, `patch FILE < DIFF`, `patch -pN < DIFF`. */

const USAGE =
  'usage: patch [-bCEflNnRstuv] [-B backup-prefix] [-d directory] [-F max-fuzz]\n' +
  '             [-i patchfile] [-o out-file] [-p strip-count] [-r rej-name]\n' +
  '             [-z backup-ext] [origfile [patchfile]]'

export const patch: LabCommand = (args, context) =>
  guard(async () => {
    const { given, operands } = getopt('patch', args, 'bB:CD:d:EF:fi:lNno:p:Rr:stuV:vx:z:', USAGE)
    if (operands.length > 2) throw new CommandFailure(`patch: too many file arguments\n${USAGE}`)
    const [original, patchFile = given.get('i') ?? '-'] = operands
    const directory = resolve(context.cwd, given.get('d') ?? '.')
    const text = patchFile === '-' ? context.stdin : await read(context, resolve(directory, patchFile))
    if (text === undefined)
      throw new CommandFailure(`patch: can't find ${patchFile}: No such file or directory`, 2)
    const patches = readPatch(text)
    if (patches === undefined) {
      context.print("Hmm...  I can't seem to find a patch in there anywhere.")
      const found = text.trim() === '' ? 'nothing' : `"${text.split('\n')[0]}"`
      throw new CommandFailure(
        `patch: no unified diff in the input: found ${found}, expected "@@ -LINE,COUNT +LINE,COUNT @@"`,
        2,
      )
    }
    const say = given.has('s') ? (): void => {} : (line: string): void => context.print(line)
    let failures = 0
    for (const [number, one] of patches.entries()) {
      say(
        number === 0
          ? 'Hmm...  Looks like a unified diff to me...'
          : 'Hmm...  The next patch looks like a unified diff to me...',
      )
      if (one.leading.length > 0) {
        say('The text leading up to this was:')
        say('--------------------------')
        for (const line of one.leading) say(`|${line}`)
        say('--------------------------')
      }
      const target =
        original ?? (await pickFile(context, directory, one, Number(given.get('p') ?? Number.NaN)))
      failures += await patchFileWith(context, resolve(directory, target), target, one, {
        check: given.has('C'),
        reverse: given.has('R'),
        output: given.get('o'),
        rejects: given.get('r'),
        suffix: given.get('z') ?? '.orig',
        say,
      })
    }
    say('done')
    return failures > 0 ? 1 : 0
  })

interface PatchSettings {
  readonly check: boolean
  readonly reverse: boolean
  readonly output: string | undefined
  readonly rejects: string | undefined
  readonly suffix: string
  readonly say: (line: string) => void
}

/** Applies one patch to one file; returns how many hunks failed. */
async function patchFileWith(
  context: CommandContext,
  path: string,
  shown: string,
  one: FilePatch,
  settings: PatchSettings,
): Promise<number> {
  const { say } = settings
  const before = await read(context, path)
  const creates = one.hunks.every((hunk) => hunk.oldStart === 0)
  if (before === undefined && !creates)
    throw new CommandFailure(`patch: can't find file to patch: ${shown}: No such file or directory`, 2)
  say(
    `${settings.check ? 'Checking patch against file' : before === undefined ? 'Creating file' : 'Patching file'} ${shown} using Plan A...`,
  )
  const { text, results } = applyHunks(before ?? '', one.hunks, settings.reverse)
  for (const [i, result] of results.entries()) {
    const { miscounted } = one.hunks[i]!
    if (miscounted !== undefined)
      context.warn(`patch: hunk #${i + 1} is miscounted (${miscounted}); taken as it stands`)
    say(hunkLine(i + 1, result))
  }
  const failed = results.filter((result) => !result.applied).length
  if (!settings.check) {
    if (failed < results.length || failed === 0) {
      if (before !== undefined && settings.output === undefined)
        await context.fs.writeFile(`${path}${settings.suffix}`, before)
      await context.fs.writeFile(
        settings.output === undefined ? path : resolve(context.cwd, settings.output),
        text,
      )
    }
    if (failed > 0) await context.fs.writeFile(settings.rejects ?? `${path}.rej`, rejectText(one, results))
  }
  if (failed > 0)
    say(
      settings.check
        ? `${failed} out of ${results.length} hunks failed`
        : `${failed} out of ${results.length} hunks failed--saving rejects to ${settings.rejects ?? `${shown}.rej`}`,
    )
  return failed
}

/** The hunks that found no place, as a diff of their own. */
function rejectText(one: FilePatch, results: readonly HunkResult[]): string {
  const lines = [`--- ${one.oldName ?? '/dev/null'}`, `+++ ${one.newName ?? '/dev/null'}`]
  for (const [i, hunk] of one.hunks.entries()) {
    if (results[i]!.applied) continue
    const count = (mark: string): number => hunk.lines.filter((line) => line[0] !== mark).length
    lines.push(`@@ -${hunk.oldStart},${count('+')} +${hunk.newStart},${count('-')} @@`, ...hunk.lines)
  }
  return `${lines.join('\n')}\n`
}

/** The file that the patch names: without -p, the last component, as patch(1) has it. */
async function pickFile(
  context: CommandContext,
  directory: string,
  one: FilePatch,
  strip: number,
): Promise<string> {
  const names = [one.newName, one.oldName].filter((name) => name !== undefined && name !== '/dev/null')
  for (const name of names) {
    const parts = name!.split('/')
    const stripped = Number.isNaN(strip) ? parts.at(-1)! : parts.slice(strip).join('/')
    if ((await read(context, resolve(directory, stripped))) !== undefined) return stripped
  }
  throw new CommandFailure(
    `patch: can't find file to patch: the patch names ${names.join(' and ') || 'no file'}; say which: patch FILE < PATCH`,
    2,
  )
}

async function read(context: CommandContext, path: string): Promise<string | undefined> {
  try {
    return await context.fs.readFile(path)
  } catch {
    return undefined
  }
}

const resolve = (base: string, path: string): string =>
  path.startsWith('/') ? path : path === '.' ? base : `${base.replace(/\/$/, '')}/${path}`
