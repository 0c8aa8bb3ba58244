/** A machine's disk. Its files carry the lab's time, not the process's: what `ls -l` prints is part of the same run. */
import {
  type CpOptions,
  type FileContent,
  type FsStat,
  type InitialFiles,
  InMemoryFs,
  type MkdirOptions,
  type RmOptions,
} from 'just-bash'
import type { LabClock } from './clock.js'

type Encoding = Parameters<InMemoryFs['writeFile']>[2]

export class LabFileSystem extends InMemoryFs {
  readonly #clock: LabClock
  /** Called with the path of what was written, moved or removed. */
  readonly listeners: Set<(path: string) => void> = new Set()

  constructor(files: InitialFiles, clock: LabClock) {
    super(files)
    this.#clock = clock
  }

  override async writeFile(path: string, content: FileContent, options?: Encoding): Promise<void> {
    // As open(2) with O_TRUNC: a file that is there keeps its mode.
    const mode = (await super.exists(path)) ? (await super.stat(path)).mode : undefined
    await super.writeFile(path, content, options)
    if (mode !== undefined) await super.chmod(path, mode)
    await this.#stamp(path)
    this.#changed(path)
  }

  override async appendFile(path: string, content: FileContent, options?: Encoding): Promise<void> {
    await super.appendFile(path, content, options)
    await this.#stamp(path)
    this.#changed(path)
  }

  override async rm(path: string, options?: RmOptions): Promise<void> {
    await super.rm(path, options)
    this.#changed(path)
  }

  override async cp(source: string, destination: string, options?: CpOptions): Promise<void> {
    await super.cp(source, destination, options)
    this.#changed(destination)
  }

  override async mv(source: string, destination: string): Promise<void> {
    await super.mv(source, destination)
    this.#changed(source)
    this.#changed(destination)
  }

  override async chmod(path: string, mode: number): Promise<void> {
    await super.chmod(path, mode)
    this.#changed(path)
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

  #changed(path: string): void {
    const full = this.resolvePath('/', path)
    for (const listener of [...this.listeners]) listener(full)
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
