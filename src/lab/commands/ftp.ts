/** ftp(1) as the article uses it, to fetch an install image. The lab has no network and needs no image. */
import { fail, type LabCommand } from '../command.js'

const PLACEHOLDER =
  'This file stands for an image that the lab does not need: its machines have OpenBSD installed already.\n'

export const ftp: LabCommand = async (args, { fs, cwd, warn }) => {
  let output: string | undefined
  const urls: string[] = []
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!
    if (arg === '-o') {
      output = args[++i]
      if (output === undefined) return fail('ftp: option requires an argument -- o')
    } else if (!arg.startsWith('-')) urls.push(arg)
    else if (!/^-[CVMmvd]+$/.test(arg)) return fail(`ftp: ${arg} is not played in the lab; -o and a URL are`)
  }
  const [url] = urls
  if (url === undefined) return fail('usage: ftp [-o output] url ...')
  if (!/^(https?|ftp|file):\/\/[^/]+/.test(url))
    return fail(`ftp: ${url}: not a URL; is /etc/installurl empty?`)
  const path = output ?? url.split('/').at(-1) ?? 'index.html'
  if (path === '-') return { stdout: PLACEHOLDER, stderr: '', exitCode: 0 }
  const full = fs.resolvePath(cwd, path)
  if (!(await fs.exists(full.replace(/\/[^/]*$/, '') || '/')))
    return fail(`ftp: Can't open file ${path}: No such file or directory`)
  await fs.writeFile(full, PLACEHOLDER)
  warn(`ftp: the lab has no network and needs no image: ${path} is a placeholder`)
  return { stdout: '', stderr: '', exitCode: 0 }
}
