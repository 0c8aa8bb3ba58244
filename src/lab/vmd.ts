/**
 * vmd(8): reads /etc/vm.conf, makes the switches' bridges, and runs virtual machines: each is a machine of the lab
 * whose vio(4) is joined by a cable to a tap(4) of the host.
 */
import { SeededRandom, WarrenError } from '../base/index.js'
import { BridgeDevice } from './devices.js'
import type { LabFileSystem } from './file-system.js'
import type { Lab } from './lab.js'
import { Link } from './link.js'
import { LabMachine } from './machine.js'
import { parseVmConf, type VmConf, type VmDefinition } from './vm-conf.js'

/** A machine that runs. */
export interface RunningVm {
  readonly id: number
  readonly definition: VmDefinition
  readonly machine: LabMachine
  readonly tty: string
  /** Names of the host's tap(4) interfaces, in the order of the machine's own vio(4). */
  readonly taps: readonly string[]
  readonly links: readonly Link[]
}

export class Vmd {
  readonly #lab: Lab
  #conf: VmConf | undefined
  readonly #running = new Map<string, RunningVm>()
  /** Ids of machines, by name: they stay while vmd knows the machine. */
  readonly #ids = new Map<string, number>()
  /** What is on a machine's disk outlives its run. */
  readonly #disks = new Map<string, LabFileSystem>()

  constructor(lab: Lab) {
    this.#lab = lab
  }

  /** True while the daemon runs. */
  get active(): boolean {
    return this.#conf !== undefined
  }

  get definitions(): readonly VmDefinition[] {
    return this.#conf?.machines ?? []
  }

  get running(): readonly RunningVm[] {
    return [...this.#running.values()].sort((a, b) => a.id - b.id)
  }

  idOf(name: string): number | undefined {
    return this.#ids.get(name)
  }

  /** `rcctl start vmd` and `reload`: reads /etc/vm.conf. Nothing changes if it is wrong. */
  async load(): Promise<void> {
    const { host } = this.#lab
    const text = (await host.fs.exists('/etc/vm.conf')) ? await host.fs.readFile('/etc/vm.conf') : ''
    const conf = parseVmConf(text, '/etc/vm.conf')
    const first = this.#conf === undefined
    this.#conf = conf
    for (const { name, interface: ifc, up } of conf.switches) {
      // vmd makes the bridge of a switch if it is missing, and brings it up.
      const device = host.device(ifc) ?? host.createDevice(ifc)
      device.interface.description = `switch${conf.switches.findIndex((one) => one.name === name) + 1}-${name}`
      host.stack.setUp(device.interface, up, host.now())
    }
    for (const { name } of conf.machines) if (!this.#ids.has(name)) this.#ids.set(name, this.#ids.size + 1)
    if (first)
      for (const definition of conf.machines) if (definition.enabled) await this.start(definition.name)
  }

  /** `rcctl stop vmd`: its machines end with it. */
  stopAll(): void {
    for (const name of [...this.#running.keys()]) this.stop(name)
    this.#conf = undefined
  }

  /**
   * `vmctl start NAME`: plugs the machine in and boots it.
   * @throws WarrenError LAB_VMD_DOWN, LAB_VM_UNKNOWN, LAB_VM_RUNNING, LAB_VM_START
   */
  async start(name: string): Promise<RunningVm> {
    const conf = this.#conf
    if (conf === undefined)
      throw new WarrenError('LAB_VMD_DOWN', 'vmd is not running', {
        mend: 'rcctl enable vmd; rcctl start vmd',
      })
    const definition = conf.machines.find((one) => one.name === name)
    if (definition === undefined)
      throw new WarrenError('LAB_VM_UNKNOWN', 'no such machine', {
        found: name,
        expected: conf.machines.map((one) => one.name).join(', ') || 'a vm block in /etc/vm.conf',
        mend: 'after a change of /etc/vm.conf: rcctl reload vmd',
      })
    if (this.#running.has(name))
      throw new WarrenError('LAB_VM_RUNNING', 'vm is already running', { found: name })
    await this.#checkFiles(definition)
    const taps = await this.#freeTaps(definition)
    const id = this.#ids.get(name) ?? this.#ids.size + 1
    const vm = this.#plug(definition, id, taps, conf)
    this.#running.set(name, vm)
    this.#lab.machines.set(name, vm.machine)
    await vm.machine.boot()
    return vm
  }

  /** False: it does not run. */
  stop(name: string): boolean {
    const vm = this.#running.get(name)
    if (vm === undefined) return false
    for (const link of vm.links) link.connected = false
    vm.machine.shutdown()
    for (const tap of vm.taps) this.#lab.host.removeDevice(tap)
    this.#running.delete(name)
    this.#lab.machines.delete(name)
    return true
  }

  async #checkFiles(definition: VmDefinition): Promise<void> {
    const { fs } = this.#lab.host
    const { disks, cdrom, name } = definition
    for (const path of [...disks, ...(cdrom === undefined ? [] : [cdrom])])
      if (!(await fs.exists(path)))
        throw new WarrenError('LAB_VM_START', 'No such file or directory', {
          found: path,
          where: definition.where,
          mend: path === cdrom ? `ftp -o ${path} URL, or remove the line` : `vmctl create -s 10G ${path}`,
        })
    if (disks.length === 0 && cdrom === undefined)
      throw new WarrenError('LAB_VM_START', 'no kernel or disk/cdrom specified', {
        found: `vm "${name}"`,
        where: definition.where,
        mend: 'add a disk line',
      })
  }

  /** One special file for each interface: without one, a machine cannot be joined to the host. */
  async #freeTaps(definition: VmDefinition): Promise<string[]> {
    const { host } = this.#lab
    const taps: string[] = []
    for (let unit = 0; taps.length < definition.interfaces.length; unit++) {
      const name = `tap${unit}`
      if (!(await host.fs.exists(`/dev/${name}`))) {
        throw new WarrenError('LAB_VM_START', `can't open tap tap: No such file or directory`, {
          found: `${unit} tap devices, all in use`,
          where: definition.where,
          mend: 'cd /dev; sh MAKEDEV tapN makes one more',
        })
      }
      if (host.device(name) === undefined) taps.push(name)
    }
    return taps
  }

  #plug(definition: VmDefinition, id: number, taps: readonly string[], conf: VmConf): RunningVm {
    const { clock, host, faults } = this.#lab
    const { name } = definition
    const random = new SeededRandom(this.#lab.random.uint32())
    const disk = this.#disks.get(name)
    const machine = new LabMachine({
      lab: this.#lab,
      name,
      clock,
      random,
      ...(disk === undefined ? {} : { fs: disk }),
    })
    this.#disks.set(name, machine.fs)
    const links = definition.interfaces.map((spec, unit) => {
      const link = new Link(clock, faults, new SeededRandom(this.#lab.random.uint32()))
      const tapName = taps[unit]!
      const tap = host.plugIn('tap', tapName, link.ends[0], [0xfe, 0xe1, 0xba, 0xd0, id, unit])
      const mac = spec.mac?.bytes ?? [0xfe, 0xe1, 0xbb, 0xd1, id, unit]
      machine.plugIn('vio', `vio${unit}`, link.ends[1], mac)
      tap.interface.description = `vm${id}-if${unit}-${name}`
      const bridgeName = conf.switches.find((one) => one.name === spec.switch)?.interface
      const bridge = bridgeName === undefined ? undefined : host.device(bridgeName)
      if (bridge instanceof BridgeDevice) bridge.add(tap)
      host.stack.setUp(tap.interface, spec.up, host.now())
      return link
    })
    return { id, definition, machine, tty: `ttyp${id - 1}`, taps, links }
  }
}
