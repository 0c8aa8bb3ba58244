/**
 * The files below /etc/iked, at hand: credentials are asked for in the middle of an exchange, and the lab's file system
 * answers later. What is written there is read again at once.
 */
import type { LabFileSystem } from '../file-system.js'
import type { LabMachine } from '../machine.js'

export const IKED_FOLDER = '/etc/iked'

type Files = Map<string, { readonly bytes: Uint8Array; readonly mode: number }>

export class IkedFiles {
  readonly #host: LabMachine
  #files: Files = new Map()
  #reading: Promise<void> = Promise.resolve()
  readonly #listener = (path: string): void => {
    if (path.startsWith(IKED_FOLDER)) this.#again()
  }

  private constructor(host: LabMachine) {
    this.#host = host
    host.fs.listeners.add(this.#listener)
  }

  static async open(host: LabMachine): Promise<IkedFiles> {
    const files = new IkedFiles(host)
    await files.#read()
    return files
  }

  read(path: string): Uint8Array | undefined {
    return this.#files.get(path)?.bytes
  }

  mode(path: string): number | undefined {
    return this.#files.get(path)?.mode
  }

  list(path: string): readonly string[] {
    const prefix = `${path}/`
    return [...this.#files.keys()]
      .filter((name) => name.startsWith(prefix) && !name.slice(prefix.length).includes('/'))
      .map((name) => name.slice(prefix.length))
  }

  close(): void {
    this.#host.fs.listeners.delete(this.#listener)
  }

  /** No time passes meanwhile: what comes next finds the new file. */
  #again(): void {
    const release = this.#host.clock.hold()
    this.#reading = this.#reading
      .then(() => this.#read())
      .catch(() => this.#host.counters.add('iked.files'))
      .finally(release)
  }

  async #read(): Promise<void> {
    const files: Files = new Map()
    await readFolder(this.#host.fs, IKED_FOLDER, files)
    this.#files = files
  }
}

async function readFolder(fs: LabFileSystem, folder: string, files: Files): Promise<void> {
  if (!(await fs.exists(folder))) return
  for (const name of await fs.readdir(folder)) {
    const path = `${folder}/${name}`
    const { isDirectory, mode } = await fs.stat(path)
    if (isDirectory) await readFolder(fs, path, files)
    else files.set(path, { bytes: await fs.readFileBuffer(path), mode })
  }
}
