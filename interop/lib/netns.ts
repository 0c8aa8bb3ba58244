/**
 * Network namespaces of our own: hosts on one machine. Names carry the process id, so that runs do not meet; all that
 * was made is removed by `close()`.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export class Netns {
  readonly #prefix: string
  readonly #names = new Set<string>()
  /** A folder for this test's files, removed with the rest. */
  readonly folder: string

  /** `prefix`: two or three letters that tell one test file from another. */
  constructor(prefix: string) {
    this.#prefix = `${prefix}${process.pid}`
    this.folder = mkdtempSync(join(tmpdir(), `warren-${prefix}-`))
  }

  /** The full name of the namespace called `short` here. */
  name(short: string): string {
    return `${this.#prefix}-${short}`
  }

  /** Makes a namespace with its loopback up; returns its full name. */
  add(short: string): string {
    const name = this.name(short)
    execFileSync('ip', ['netns', 'add', name])
    this.#names.add(name)
    execFileSync('ip', ['-n', name, 'link', 'set', 'lo', 'up'])
    return name
  }

  /** A cable between two namespaces, both ends up. */
  veth(a: string, nameA: string, b: string, nameB: string): void {
    execFileSync('ip', ['-n', a, 'link', 'add', nameA, 'type', 'veth', 'peer', 'name', nameB, 'netns', b])
    execFileSync('ip', ['-n', a, 'link', 'set', nameA, 'up'])
    execFileSync('ip', ['-n', b, 'link', 'set', nameB, 'up'])
  }

  /** Runs a shell line inside and returns its standard output; throws with both outputs unless it ends with 0. */
  run(namespace: string, command: string, timeoutMs = 60_000): string {
    try {
      return execFileSync('ip', ['netns', 'exec', namespace, 'sh', '-c', command], {
        encoding: 'utf8',
        timeout: timeoutMs,
        stdio: ['ignore', 'pipe', 'pipe'],
      })
    } catch (error) {
      const { stdout, stderr, status } = error as { stdout?: string; stderr?: string; status?: number }
      throw new Error(`in ${namespace}: ${command}: exit ${status}\n${stdout ?? ''}${stderr ?? ''}`, {
        cause: error,
      })
    }
  }

  /** Removes every namespace (and with it the interfaces inside) and the folder. */
  close(): void {
    for (const name of this.#names) {
      try {
        execFileSync('ip', ['netns', 'del', name], { stdio: 'ignore' })
      } catch {
        // Already gone: that is what was wanted.
      }
    }
    this.#names.clear()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
