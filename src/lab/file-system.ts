/** A machine's disk. Its files carry the lab's time, not the process's: what `ls -l` prints is part of the same run. */
import { type FileContent, type FsStat, type InitialFiles, InMemoryFs, type MkdirOptions } from 'just-bash'
import type { LabClock } from './clock.js'

type Encoding = Parameters<InMemoryFs['writeFile']>[2]

export class LabFileSystem extends InMemoryFs {
  readonly #clock: LabClock

  constructor(files: InitialFiles, clock: LabClock) {
    super(files)
    this.#clock = clock
  }

  override async writeFile(path: string, content: FileContent, options?: Encoding): Promise<void> {
    await super.writeFile(path, content, options)
    await this.#stamp(path)
  }

  override async appendFile(path: string, content: FileContent, options?: Encoding): Promise<void> {
    await super.appendFile(path, content, options)
    await this.#stamp(path)
  }

  override async mkdir(path: string, options?: MkdirOptions): Promise<void> {
    await super.mkdir(path, options)
    await this.#stamp(path)
  }

  override async stat(path: string): Promise<FsStat> {
    return this.#notLater(await super.stat(path))
  }

  override async lstat(path: string): Promise<FsStat> {
    return this.#notLater(await super.lstat(path))
  }

  #now(): Date {
    return new Date(this.#clock.toUnix() / 1_000)
  }

  async #stamp(path: string): Promise<void> {
    const now = this.#now()
    await this.utimes(path, now, now)
  }

  /** Directories that were made on the way have the process's time. */
  #notLater(stat: FsStat): FsStat {
    const now = this.#now()
    return stat.mtime > now ? { ...stat, mtime: now } : stat
  }
}
