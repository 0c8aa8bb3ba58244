/**
 * What an interop test needs from its machine. Where that is missing it is skipped with the reason; in CI it never is:
 * there a missing peer is a failure.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'

const has = (program: string): boolean => {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** For a test's `skip` option: false, or why it cannot run here. */
export function missing(...programs: readonly string[]): false | string {
  const reasons: string[] = []
  if (process.platform !== 'linux') reasons.push('not Linux')
  if (process.getuid?.() !== 0) reasons.push('not root')
  if (!existsSync('/dev/net/tun')) reasons.push('no /dev/net/tun')
  for (const program of ['ip', ...programs]) if (!has(program)) reasons.push(`no ${program}`)
  if (reasons.length === 0) return false
  const reason = `needs more than is here: ${reasons.join(', ')}`
  if (process.env.CI === 'true') throw new Error(`interop tests are never skipped in CI: ${reason}`)
  return reason
}
