/** vmctl(8): the part of it that the article and its readers need. */
import { didYouMean, WarrenError } from '../../base/index.js'
import { type CommandContext, type CommandResult, fail, type LabCommand, succeed } from '../command.js'

const VERBS = ['create', 'start', 'stop', 'status', 'show', 'reload', 'load', 'console']

const USAGE = `usage:\tvmctl [-v] command [arg ...]
\tvmctl create [-s size] disk
\tvmctl load filename
\tvmctl reload
\tvmctl show [id]
\tvmctl start [-c] id | name
\tvmctl status [id]
\tvmctl stop [-fw] [id | -a]`

export const vmctl: LabCommand = async (args, context) => {
  const words = args[0] === '-v' ? args.slice(1) : args
  const [verb = '', ...rest] = words
  const { lab, host } = context
  if (host !== lab.host)
    return fail(`vmctl: vmm(4) runs on the host, not in a virtual machine; play it there (# on the host)`)
  switch (verb) {
    case 'create':
      return create(rest, context)
    case 'start':
      return start(rest, context)
    case 'stop':
      return stop(rest, context)
    case 'status':
    case 'show':
      return status(rest, context)
    case 'reload':
    case 'load':
      return reload(context)
    case 'console':
      return fail(`vmctl: the console of a machine of the lab is: warren lab console ${rest[0] ?? 'NAME'}`)
    default:
      return fail(verb === '' ? USAGE : `vmctl: unknown command "${verb}"${hint(verb, VERBS)}\n${USAGE}`)
  }
}

async function create(args: string[], { fs, cwd }: CommandContext): Promise<CommandResult> {
  let size: string | undefined
  let path: string | undefined
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!
    if (arg === '-s') size = args[++i]
    else if (arg.startsWith('-s')) size = arg.slice(2)
    else if (arg.startsWith('-')) return fail(`vmctl: option ${arg} is not played in the lab; -s is`)
    else if (path === undefined) path = arg
    else if (size === undefined) return fail(USAGE)
  }
  if (path === undefined) return fail(USAGE)
  if (size === undefined) return fail('vmctl: missing size argument: vmctl create -s 10G disk')
  if (!/^\d+[KMGT]?$/i.test(size) || Number.parseInt(size, 10) === 0)
    return fail(`vmctl: invalid size: ${size}; as in 512M or 10G`)
  const [, format = path.endsWith('.qcow2') ? 'qcow2' : 'raw', file = path] =
    /^(?:(raw|qcow2):)?(.*)$/.exec(path) ?? []
  const full = fs.resolvePath(cwd, file)
  if (await fs.exists(full)) return fail(`vmctl: ${file}: File exists`)
  // The lab's file system would make the directory by itself; a real one does not.
  const directory = full.replace(/\/[^/]*$/, '') || '/'
  if (!(await fs.exists(directory)))
    return fail(`vmctl: ${file}: No such file or directory; mkdir -p ${directory}`)
  await fs.writeFile(full, `A disk image of the lab: ${format}, ${size}.\n`)
  return { stdout: '', stderr: `vmctl: ${format} imagefile created\n`, exitCode: 0 }
}

async function start(args: string[], { lab }: CommandContext): Promise<CommandResult> {
  let console = false
  const names: string[] = []
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!
    if (arg === '-c') console = true
    else if (/^-[bdimnrtB]$/.test(arg))
      return fail(`vmctl: option ${arg} is not played in the lab: describe the machine in /etc/vm.conf`)
    else if (arg.startsWith('-') && arg !== '-L') return fail(USAGE)
    else if (arg !== '-L') names.push(arg)
  }
  const [name] = names
  if (name === undefined || names.length > 1) return fail(USAGE)
  try {
    const vm = await lab.clock.lend(lab.vmd.start(byIdOrName(name, lab.vmd)))
    const lines = [`vmctl: started vm ${vm.id} successfully, tty /dev/${vm.tty}`]
    if (console) {
      lines.push(
        `Connected to /dev/${vm.tty} (speed 115200)`,
        `(${vm.definition.name} has OpenBSD installed: the lab needs no installer)`,
      )
    }
    return { stdout: '', stderr: `${lines.join('\n')}\n`, exitCode: 0 }
  } catch (error) {
    if (!(error instanceof WarrenError)) throw error
    const { code, details } = error
    const why = ['LAB_VM_RUNNING'].includes(code) ? 'vm is already running' : error.message
    if (code === 'LAB_VMD_DOWN')
      return fail(`vmctl: connect: /var/run/vmd.sock: No such file or directory; ${details.mend}`)
    return fail(`vmctl: start vm command failed: ${why}`)
  }
}

async function stop(args: string[], { lab }: CommandContext): Promise<CommandResult> {
  const all = args.includes('-a')
  const operands = args.filter((arg) => !arg.startsWith('-'))
  if (!all && operands.length !== 1) return fail(USAGE)
  const names = all
    ? lab.vmd.running.map((vm) => vm.definition.name)
    : operands.map((operand) => byIdOrName(operand, lab.vmd))
  let stderr = ''
  for (const name of names) {
    const id = lab.vmd.idOf(name)
    if (!lab.vmd.stop(name)) return fail(`vmctl: terminate vm command failed: ${name}: No such process`)
    stderr += `stopping vm ${name}: requested to shutdown vm ${id}\n`
  }
  return { stdout: '', stderr, exitCode: 0 }
}

async function status(args: string[], { lab }: CommandContext): Promise<CommandResult> {
  const [wanted] = args
  if (!lab.vmd.active)
    return fail('vmctl: connect: /var/run/vmd.sock: No such file or directory; rcctl start vmd')
  const rows = ['   ID   PID VCPUS  MAXMEM  CURMEM     TTY        OWNER NAME']
  for (const { name, memory, owner } of lab.vmd.definitions) {
    const id = lab.vmd.idOf(name)
    const vm = lab.vmd.running.find((one) => one.definition.name === name)
    if (wanted !== undefined && byIdOrName(wanted, lab.vmd) !== name) continue
    const most = `${Math.round(memory / (1 << 20))}M`
    rows.push(
      [
        String(vm?.id ?? id ?? '-').padStart(5),
        String(vm === undefined ? '-' : 40_000 + vm.id).padStart(5),
        '1'.padStart(5),
        `${(memory >= 1 << 30 && memory % (1 << 30) === 0 ? `${memory / (1 << 30)}.0G` : most).padStart(7)}`,
        (vm === undefined ? '-' : most).padStart(7),
        (vm?.tty ?? '-').padStart(7),
        owner.padStart(12),
        name,
      ].join(' '),
    )
  }
  if (wanted !== undefined && rows.length === 1) return fail(`vmctl: vm not found: ${wanted}`)
  return succeed(`${rows.join('\n')}\n`)
}

async function reload({ lab }: CommandContext): Promise<CommandResult> {
  if (!lab.vmd.active)
    return fail('vmctl: connect: /var/run/vmd.sock: No such file or directory; rcctl start vmd')
  try {
    await lab.clock.lend(lab.vmd.load())
    return succeed()
  } catch (error) {
    return fail(`vmctl: command failed: ${error instanceof Error ? error.message : error}`)
  }
}

/** vmctl takes a number for a name. */
const byIdOrName = (word: string, vmd: CommandContext['lab']['vmd']): string =>
  /^\d+$/.test(word)
    ? (vmd.definitions.find((one) => vmd.idOf(one.name) === Number(word))?.name ?? word)
    : word

/** ` (did you mean start?)`, or nothing. */
function hint(word: string, known: readonly string[]): string {
  const meant = didYouMean(word, known)
  return meant === undefined ? '' : ` (${meant})`
}
