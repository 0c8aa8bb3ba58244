/**
 * A machine of the lab: a host with a file system, devices, services and terminals. The host, alice and bob are all
 * of this kind; what differs is where their cables lead and which services they know.
 */
import { Ipv4Address, Ipv6Address, MacAddress, type Random, WarrenError } from '../base/index.js'
import { auditLine } from '../engine/index.js'
import type { LabClock } from './clock.js'
import {
  BridgeDevice,
  CableDevice,
  type Device,
  LoopbackDevice,
  TunnelDevice,
  VetherDevice,
} from './devices.js'
import { LabFileSystem } from './file-system.js'
import { BASE_FOLDERS, baseFiles, keyFiles } from './files.js'
import { VirtualHost } from './host.js'
import type { Iked } from './iked/daemon.js'
import { startIked } from './iked/service.js'
import type { Lab } from './lab.js'
import type { LinkEnd } from './link.js'
import { PacketFilter, type PfSurroundings, parsePfConf, Translator } from './pf/index.js'
import { SysctlTable } from './sysctls.js'
import { Terminal } from './terminal.js'

/** Clonable devices of one kind: their number has a limit, as a table that a script can fill. */
const DEVICE_LIMIT = 256

export interface LabMachineOptions {
  readonly lab: Lab
  readonly name: string
  readonly clock: LabClock
  readonly random: Random
  /** The disk of an earlier run of the same machine. */
  readonly fs?: LabFileSystem
}

export class LabMachine extends VirtualHost {
  readonly lab: Lab
  readonly fs: LabFileSystem
  /** Fully qualified, as /etc/myname has it. */
  hostname: string
  readonly sysctls: SysctlTable
  readonly pf: PacketFilter
  readonly devices: Map<string, Device> = new Map()
  /** The first one is where a script's lines run. */
  readonly terminals: Terminal[] = []
  /** Services that are enabled (rcctl), and those that run. */
  readonly enabledServices: Set<string> = new Set()
  readonly runningServices: Set<string> = new Set(['syslogd', 'pflogd', 'ntpd', 'sshd', 'smtpd', 'cron'])
  /** iked(8), while it runs. */
  iked: Iked | undefined
  /** The latest line on its way into a log: lines are written in the order in which they were said. */
  #logging: Promise<void> = Promise.resolve()

  constructor({ lab, name, clock, random, fs }: LabMachineOptions) {
    super({ name, clock, random })
    this.lab = lab
    this.hostname = `${name}.my.domain`
    // Off until sysctl(8) says otherwise, as in OpenBSD 6.6.
    this.allow.gre = false
    this.allow.etherip = false
    this.fs = fs ?? newDisk(this.hostname, clock)
    this.sysctls = new SysctlTable(this)
    const { stack } = this
    this.pf = new PacketFilter(this.#surroundings(), this.now())
    const translator = new Translator({ around: this.#surroundings(), random, counters: this.pf.counters })
    this.pf.onLoad = ({ statements, tables }) => translator.load(statements, tables)
    stack.translate = (packet, now) => {
      if (this.pf.enabled) translator.inbound(packet, now)
    }
    this.pf.onRefusal = ({ protocol, source, destination, payload }, now) => {
      stack.send({ protocol, source, destination, payload }, now)
    }
    this.ipsec.listeners.add((event) => {
      if (event.kind === 'add') lab.remember(event.sa)
    })
    // The audit that RFC 4301 section 7 asks for: at a bounded rate already.
    this.ipsec.audit.onRecord = (record) => {
      this.log('/bsd', auditLine(record)).catch(() => this.counters.add('log.failed'))
    }
    stack.filter = (direction, ifc, packet, now) =>
      (direction === 'in' || !this.pf.enabled || translator.outbound(ifc, packet, now)) &&
      this.pf.passes(direction, ifc, packet, now)
    this.createDevice('lo0')
  }

  #surroundings(): PfSurroundings {
    const { interfaces, routes } = this.stack
    return { interfaces, hasRoute: (address) => routes.lookup(address) !== undefined }
  }

  /** What rc(8) does on the way to multi-user: pf's rules, sysctl.conf, the interfaces. Returns what went wrong. */
  async boot(): Promise<string> {
    const { fs, stack } = this
    const loopback = this.device('lo0')?.interface
    if (loopback !== undefined) {
      // In the order in which OpenBSD's ifconfig shows them.
      stack.addAddress(loopback, { address: Ipv6Address.loopback, prefixLength: 128 }, this.now())
      stack.addAddress(loopback, { address: Ipv4Address.loopback, prefixLength: 8 }, this.now())
      stack.setUp(loopback, true, this.now())
    }
    const problems: string[] = []
    try {
      if (await fs.exists('/etc/pf.conf'))
        this.pf.load(parsePfConf(await fs.readFile('/etc/pf.conf'), '/etc/pf.conf'))
    } catch (error) {
      problems.push(String(error instanceof Error ? error.message : error))
    }
    const terminal = this.newTerminal()
    const settings = (await fs.exists('/etc/sysctl.conf')) ? await fs.readFile('/etc/sysctl.conf') : ''
    for (const line of settings.split('\n')) {
      const [setting = ''] = line.split('#')
      if (setting.trim() !== '') problems.push((await terminal.exec(`sysctl ${setting.trim()}`)).stderr)
    }
    const configured = (await fs.readdir('/etc')).filter((name) => /^hostname\.[a-z]+\d+$/.test(name))
    if (configured.length > 0) problems.push((await terminal.exec('sh /etc/netstart')).stderr)
    const services = (await fs.exists('/etc/rc.conf.local')) ? await fs.readFile('/etc/rc.conf.local') : ''
    for (const [, name = '', flags] of services.matchAll(/^(\w+)_flags=(.*)$/gm))
      if (flags !== 'NO') this.enabledServices.add(name)
    if (this.enabledServices.has('iked')) problems.push(...(await startIked(this)))
    return problems.filter((problem) => problem !== '').join('')
  }

  /** The machine is switched off: what waits on its terminals ends, its interfaces are gone. */
  shutdown(): void {
    for (const terminal of this.terminals) terminal.interrupt()
    this.iked?.kill()
    this.iked = undefined
    for (const name of [...this.devices.keys()].reverse()) this.removeDevice(name)
  }

  /** The device of that interface name. */
  device(name: string): Device | undefined {
    return this.devices.get(name)
  }

  /**
   * `ifconfig NAME create`.
   * @throws WarrenError LAB_DEVICE_EXISTS ('File exists'), LAB_NO_SUCH_DEVICE ('Invalid argument')
   */
  createDevice(name: string): Device {
    if (this.devices.has(name)) throw new WarrenError('LAB_DEVICE_EXISTS', 'File exists', { found: name })
    const unknown = (): never => {
      throw new WarrenError('LAB_NO_SUCH_DEVICE', 'Invalid argument', {
        found: name,
        expected: 'bridge, eoip, etherip, gif, gre, lo, switch or vether, and a number',
      })
    }
    const [, kind, unit] = /^([a-z]+)(0|[1-9]\d{0,4})$/.exec(name) ?? unknown()
    if (unit === undefined || this.devices.size >= DEVICE_LIMIT) unknown()
    let device: Device
    switch (kind) {
      case 'lo':
        device = new LoopbackDevice(this, name)
        break
      case 'vether':
        device = new VetherDevice(this, name)
        break
      case 'bridge':
      case 'switch':
        device = new BridgeDevice(this, kind, name)
        this.lab.watch(device as BridgeDevice)
        break
      case 'gif':
      case 'gre':
      case 'eoip':
      case 'etherip':
        device = new TunnelDevice(this, kind, name)
        break
      default:
        return unknown()
    }
    this.devices.set(name, device)
    return device
  }

  /**
   * `ifconfig NAME destroy`.
   * @throws WarrenError LAB_NO_SUCH_INTERFACE ('Device not configured'), LAB_NOT_CLONED ('Operation not supported…')
   */
  destroyDevice(name: string): void {
    const device = this.devices.get(name)
    if (device === undefined)
      throw new WarrenError('LAB_NO_SUCH_INTERFACE', 'Device not configured', { found: name })
    if (device.kind === 'vio' || name === 'lo0')
      throw new WarrenError('LAB_NOT_CLONED', 'Invalid argument', { found: name })
    this.removeDevice(name)
  }

  /** Takes a device away, a cable's end too. */
  removeDevice(name: string): void {
    this.devices.get(name)?.destroy()
    this.devices.delete(name)
  }

  /** Plugs a cable's end in as vio(4) or tap(4). */
  plugIn(kind: 'vio' | 'tap', name: string, end: LinkEnd, mac: Iterable<number>): CableDevice {
    if (this.devices.has(name)) throw new WarrenError('LAB_DEVICE_EXISTS', 'File exists', { found: name })
    const device = new CableDevice(this, kind, name, new MacAddress(Uint8Array.from(mac)), end)
    this.devices.set(name, device)
    return device
  }

  /** A further terminal; each has its own directory and variables. */
  newTerminal(): Terminal {
    const terminal = new Terminal(this)
    this.terminals.push(terminal)
    return terminal
  }

  /** The first terminal that nothing runs on. */
  freeTerminal(): Terminal {
    const free = this.terminals.find((terminal) => !terminal.busy)
    if (free !== undefined) return free
    const [first] = this.terminals
    const terminal = this.newTerminal()
    if (first !== undefined) terminal.inherit(first)
    return terminal
  }

  /** A line of a log file, as syslogd(8) writes it. */
  log(program: string, message: string, file = '/var/log/messages'): Promise<void> {
    const stamp = new Date(this.clock.toUnix() / 1_000).toUTCString()
    const [, day, month, , time] = stamp.replace(',', '').split(' ')
    const short = this.hostname.split('.')[0]
    const line = `${month} ${day?.replace(/^0/, ' ')} ${time} ${short} ${program}: ${message}\n`
    // Whoever reads the log at this instant finds the line there.
    const release = this.clock.hold()
    const written = this.#logging.then(() => this.fs.appendFile(file, line))
    this.#logging = written.catch(() => this.counters.add('log.failed'))
    return written.finally(release)
  }
}

function newDisk(hostname: string, clock: LabClock): LabFileSystem {
  const fs = new LabFileSystem(baseFiles(hostname), clock)
  for (const folder of BASE_FOLDERS) fs.mkdirSync(folder, { recursive: true })
  for (const { path, mode, text } of keyFiles(hostname)) fs.writeFileLazy(path, text, { mode })
  return fs
}
