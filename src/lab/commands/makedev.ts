/** MAKEDEV(8): the special files that the article needs more of, tap(4) and tun(4). */
import { fail, type LabCommand, succeed } from '../command.js'

const KNOWN = /^(tap|tun|bpf|pty|tty)(\d{0,3})$/

export const makedev: LabCommand = async (args, { fs, cwd }) => {
  if (args.length === 0) return fail('usage: MAKEDEV device ...')
  const directory = cwd
  for (const name of args) {
    if (name === 'all') {
      for (const device of ['tap0', 'tap1', 'tap2', 'tap3', 'tun0', 'tun1', 'tun2', 'tun3'])
        await fs.writeFile(fs.resolvePath(directory, device), '')
      continue
    }
    if (!KNOWN.test(name)) return fail(`${name}: unknown device`)
    await fs.writeFile(fs.resolvePath(directory, name), '')
  }
  return succeed()
}
