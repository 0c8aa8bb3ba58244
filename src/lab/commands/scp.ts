/**
 * scp(1) between machines of the lab, whose names and addresses it knows. The files are written at once: sshd(8) runs in name
 * only, so no packet passes.
 */
import { type LabCommand, succeed } from '../command.js'
import type { LabMachine } from '../machine.js'
import { CommandFailure, getopt, guard } from './net/words.js'

const USAGE = `usage: scp [-346BCpqrTv] [-c cipher] [-F ssh_config] [-i identity_file]
           [-J destination] [-l limit] [-o ssh_option] [-P port]
           [-S program] source ... target`

interface Place {
  readonly machine: LabMachine
  readonly path: string
}

/** The article's slip (docs/errata.md): what is meant. */
const MEANT: Readonly<Record<string, string>> = { '/etc/ked.local.pub': '/etc/iked/local.pub' }

export const scp: LabCommand = (args, context) =>
  guard(async () => {
    const { host, lab, fs, cwd } = context
    const { given, operands } = getopt('scp', args, '346BCc:F:i:J:l:o:P:pqrS:Tv', USAGE)
    if (operands.length < 2) throw new CommandFailure(USAGE)
    const placeOf = (word: string): Place => {
      const [, name, path] = /^(?:[\w.-]+@)?(\[[^\]]+\]|[^:/]+):(.*)$/s.exec(word) ?? []
      if (name === undefined) return { machine: host, path: fs.resolvePath(cwd, word) }
      const machine = lab.named(name.replace(/^\[|\]$/g, '')) ?? unknown(name)
      return { machine, path: fs.resolvePath('/root', path || '.') }
    }
    const target = placeOf(operands.at(-1)!)
    const sources = operands.slice(0, -1)
    const intoFolder = await isFolder(target)
    if (sources.length > 1 && !intoFolder) throw new CommandFailure(`scp: ${target.path}: Not a directory`)
    for (const word of sources) {
      const from = await existing(placeOf(word), context.warn)
      const name = from.path.split('/').at(-1) ?? ''
      const path = intoFolder ? `${target.path.replace(/\/$/, '')}/${name}` : target.path
      if (!(await isFolder(from))) await copy(from, { ...target, path })
      else if (!given.has('r')) throw new CommandFailure(`scp: ${from.path}: not a regular file`)
      else await copyFolder(from, { ...target, path })
    }
    return succeed()
  })

function unknown(name: string): never {
  throw new CommandFailure(
    `ssh: Could not resolve hostname ${name}: no address associated with name (machines of the lab that run have one)`,
  )
}

async function isFolder({ machine: { fs }, path }: Place): Promise<boolean> {
  return (await fs.exists(path)) && (await fs.stat(path)).isDirectory
}

async function existing(place: Place, warn: (line: string) => void): Promise<Place> {
  const { fs } = place.machine
  if (await fs.exists(place.path)) return place
  const meant = Object.hasOwn(MEANT, place.path) ? MEANT[place.path] : undefined
  if (meant === undefined || !(await fs.exists(meant)))
    throw new CommandFailure(`scp: ${place.path}: No such file or directory`)
  warn(`scp: ${place.path}: No such file or directory; ${meant} is meant: taking that`)
  return { ...place, path: meant }
}

async function copy(from: Place, to: Place): Promise<void> {
  const folder = to.path.slice(0, to.path.lastIndexOf('/')) || '/'
  if (!(await isFolder({ ...to, path: folder })))
    throw new CommandFailure(`scp: dest open "${to.path}": No such file or directory`)
  const existed = await to.machine.fs.exists(to.path)
  await to.machine.fs.writeFile(to.path, await from.machine.fs.readFileBuffer(from.path))
  if (!existed) await to.machine.fs.chmod(to.path, (await from.machine.fs.stat(from.path)).mode & 0o777)
}

async function copyFolder(from: Place, to: Place): Promise<void> {
  await to.machine.fs.mkdir(to.path, { recursive: true })
  for (const name of await from.machine.fs.readdir(from.path)) {
    const [one, other] = [from, to].map((place) => ({ ...place, path: `${place.path}/${name}` })) as [
      Place,
      Place,
    ]
    if (await isFolder(one)) await copyFolder(one, other)
    else await copy(one, other)
  }
}
