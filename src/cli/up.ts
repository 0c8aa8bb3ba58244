/** `warren up`: the daemon, in the foreground. */
import { readFileSync, rmSync } from 'node:fs'
import type { Server } from 'node:net'
import { dirname, resolve } from 'node:path'
import { WarrenError } from '../base/index.js'
import { suggest } from '../base/suggest.js'
import {
  checkTogether,
  formatOf,
  loadTunnels,
  type ReadFile,
  type TunnelFormat,
  tunnelFormats,
} from '../config/index.js'
import type { TunnelDefinition } from '../engine/index.js'
import {
  type ControlVerb,
  Daemon,
  hasLeftovers,
  LinuxHost,
  linuxIkedHost,
  listenForControl,
} from '../linux/index.js'
import { controlArguments } from './control-arguments.js'
import type { CliIo } from './io.js'
import { checkSecret } from './secret-file.js'

export const help: string = `usage: warren up [-v] [--format FORMAT] [--socket PATH] FILE ...

Brings up the tunnels that the files describe, on this machine, and stays in the foreground until it is told to stop
(SIGINT, SIGTERM, \`warren down\`). Then all that it made is removed. SIGHUP and \`warren reload\` read the files again.
It needs root, or CAP_NET_ADMIN and CAP_NET_RAW, and /dev/net/tun; no kernel module of a tunnel.

  FILE             hostname.IF, as OpenBSD's /etc/hostname.gif0; NAME.toml; ipsec.conf, whose flows and manual SAs become
                   the interface enc0; or iked.conf, whose policies IKEv2 negotiates SAs for, with keys and
                   certificates in the folder iked beside it. The last two have mode 0600
  -v, --verbose    each step of IKE in the log: SAs as they come and go, whether peers live, what is begun again.
                   No more than 50 lines a second, whoever makes them
  --format FORMAT  ${tunnelFormats.join(', ')}, where the name does not tell it
  --socket PATH    the control socket (default: /run/warren.sock)

Example:
  echo 'tunnel 192.168.1.1 192.168.1.2' >  hostname.gif0
  echo 'alias 172.16.0.1 172.16.0.2'    >> hostname.gif0
  echo 'up'                             >> hostname.gif0
  warren up hostname.gif0

  cat > ipsec.conf <<END
  esp from 192.168.1.1 to 192.168.1.2 spi 0x1001:0x1002 auth hmac-sha2-256 enc aes-256 \\
          authkey file "auth.there:auth.back" enckey file "enc.there:enc.back"
  flow esp from 10.1.1.0/24 to 10.1.2.0/24 peer 192.168.1.2
  END
  chmod 600 ipsec.conf auth.* enc.*
  warren up ipsec.conf
`

/** All files, checked one by one and together; nothing is made before. Throws `WarrenError`. */
function load(
  files: readonly string[],
  format: TunnelFormat | undefined,
  onWarning: (line: string) => void,
): TunnelDefinition[] {
  const tunnels = files.flatMap((file) => {
    const text = read(file)
    const kind = format ?? formatOf(file)
    if (kind !== 'ipsec.conf' && kind !== 'iked.conf') return loadTunnels(text, file, format)
    const mode = checkSecret(file, file)
    return loadTunnels(text, file, format, {
      ...(kind === 'iked.conf' ? { mode, iked: linuxIkedHost(ikedFolder(file)) } : {}),
      read: readerBeside(file),
      onWarning,
    })
  })
  checkTogether(tunnels)
  return tunnels
}

/** Where the keys of iked.conf are: beside it, in a folder as /etc/iked is beside /etc/iked.conf. */
const ikedFolder = (file: string): string => resolve(dirname(file), 'iked')

/** Names in a file are meant from where the file is. A file that has keys, or leads to some, is its owner's alone. */
function readerBeside(file: string): (name: string, where: string) => ReadFile {
  return (name, where) => {
    const path = resolve(dirname(file), name)
    const text = read(path, where)
    return { text, mode: checkSecret(path, where) }
  }
}

function read(file: string, where: string = file): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error)
    throw new WarrenError('CONFIG_FILE', 'could not read the file', {
      where,
      found: where === file ? code : `${file}: ${code}`,
      ...(code === 'ENOENT' ? { mend: 'check its name' } : {}),
    })
  }
}

export async function run(args: string[], io: CliIo): Promise<number> {
  const parsed = controlArguments('up', args, io, { files: true })
  if (parsed === undefined) return 2
  const format = tunnelFormats.find((known) => known === parsed.format)
  if (parsed.format !== undefined && format === undefined) {
    const meant = suggest(parsed.format, tunnelFormats)
    io.stderr.write(
      `warren up: no format "${parsed.format}"${meant === undefined ? '' : `: did you mean "${meant}"?`} expected ${tunnelFormats.join(', ')}\n`,
    )
    return 2
  }
  // The folder that it was started in may go away before a reload.
  const files = parsed.files.map((file) => (file.startsWith('/') ? file : resolve(file)))
  const shown = new Map(files.map((file, i) => [file, parsed.files[i]!]))
  const warn = (line: string): void => {
    io.stderr.write(`warren: warning: ${line}\n`)
  }
  const definitions = load([...shown.values()], format, warn)
  const reload = (): TunnelDefinition[] => load(files, format, warn)
  return new UpCommand(io, parsed.socket, reload, parsed.verbose).run(definitions)
}

class UpCommand {
  readonly #io: CliIo
  readonly #socket: string
  readonly #host: LinuxHost
  readonly #daemon: Daemon
  #server: Server | undefined
  #running = false
  #finish: (code: number) => void = () => {}
  readonly #finished: Promise<number>

  constructor(io: CliIo, socket: string, reload: () => TunnelDefinition[], verbose: boolean) {
    this.#io = io
    this.#socket = socket
    this.#finished = new Promise((resolve) => {
      this.#finish = resolve
    })
    this.#host = new LinuxHost({
      onFailure: (error) => {
        this.#log(error.message)
        this.#fail()
      },
      log: (line) => this.#log(line),
      onLost: (name) => this.#daemon.lose(name),
    })
    this.#daemon = new Daemon(this.#host, { load: reload, log: (line) => this.#log(line), verbose })
  }

  async run(definitions: readonly TunnelDefinition[]): Promise<number> {
    this.#server = await listenForControl(this.#socket, (verb) => this.#answer(verb))
    const signals = { SIGINT: () => this.#stopFor('SIGINT'), SIGTERM: () => this.#stopFor('SIGTERM') }
    const onHangup = (): void => {
      this.#reload().catch((error: unknown) => this.#log(`not reloaded: ${messageOf(error)}`))
    }
    const onCrash = (error: unknown): void => {
      this.#log(error instanceof Error ? (error.stack ?? error.message) : String(error))
      this.#fail()
    }
    for (const [signal, stop] of Object.entries(signals)) process.on(signal, stop)
    process.on('SIGHUP', onHangup)
    process.on('uncaughtException', onCrash)
    process.on('unhandledRejection', onCrash)
    try {
      if (!definitions.some(({ kind }) => kind === 'ipsec' || kind === 'ikev2') && hasLeftovers())
        this.#log(
          'policies of a killed warren are still in force, closed: `warren down`, when this one is down, ends them',
        )
      this.#daemon.start(definitions)
      this.#running = true
      this.#log(
        `ready: ${definitions.length} tunnel${definitions.length === 1 ? '' : 's'}, control at ${this.#socket}`,
      )
      return await this.#finished
    } finally {
      this.#running = false
      this.#daemon.stop()
      await this.#host.close()
      this.#server.close()
      rmSync(this.#socket, { force: true })
      for (const [signal, stop] of Object.entries(signals)) process.off(signal, stop)
      process.off('SIGHUP', onHangup)
      process.off('uncaughtException', onCrash)
      process.off('unhandledRejection', onCrash)
    }
  }

  async #answer(verb: ControlVerb): Promise<unknown> {
    if (!this.#running)
      throw new WarrenError('LINUX_STOPPING', 'it is stopping', {
        where: this.#socket,
        mend: 'ask again later',
      })
    switch (verb) {
      case 'status':
        return this.#daemon.status()
      case 'reload':
        return this.#reload()
      case 'keys':
        return this.#daemon.keys()
      case 'down':
        this.#log('told to stop')
        // Answered first: the socket goes with the rest.
        setTimeout(() => this.#finish(0), 20)
        return { tunnels: this.#daemon.tunnels }
    }
  }

  async #reload(): Promise<unknown> {
    const result = this.#daemon.reload()
    const { kept, added, changed, removed } = result
    this.#log(
      `reloaded: ${kept.length} kept, ${added.length} added, ${changed.length} changed, ${removed.length} removed`,
    )
    return result
  }

  /** Not what the administrator asked for: what policies cover must not go in clear because of it. */
  #fail(): void {
    if (this.#host.keepClosed())
      this.#log('what the policies cover stays closed: `warren up` takes it over, `warren down` opens it')
    this.#finish(1)
  }

  #stopFor(signal: string): void {
    this.#log(`${signal}: stopping`)
    this.#finish(0)
  }

  #log(line: string): void {
    this.#io.stderr.write(`warren: ${line}\n`)
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
