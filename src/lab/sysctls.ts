/** The kernel's state variables of one machine, as sysctl(8) names them. */
import { WarrenError } from '../base/index.js'
import type { LabMachine } from './machine.js'

export interface Sysctl {
  readonly name: string
  read(): string
  /** Absent: read only. The text is what stands behind `=`; throws `WarrenError` LAB_SYSCTL_VALUE. */
  write?(text: string): void
}

export class SysctlTable {
  readonly #table = new Map<string, Sysctl>()

  constructor(machine: LabMachine) {
    for (const entry of entriesOf(machine)) this.#table.set(entry.name, entry)
  }

  /** `undefined`: no variable of that name. */
  get(name: string): string | undefined {
    return this.#table.get(name)?.read()
  }

  /**
   * Sets a variable and returns what it was.
   * @throws WarrenError LAB_SYSCTL_UNKNOWN, LAB_SYSCTL_READ_ONLY 'Operation not permitted', LAB_SYSCTL_VALUE
   */
  set(name: string, text: string): string {
    const entry = this.#table.get(name)
    if (entry === undefined)
      throw new WarrenError('LAB_SYSCTL_UNKNOWN', 'no such variable', {
        found: name,
        expected: this.nearest(name) ?? 'one that `sysctl` lists',
      })
    if (entry.write === undefined)
      throw new WarrenError('LAB_SYSCTL_READ_ONLY', 'Operation not permitted', { found: name })
    const before = entry.read()
    entry.write(text)
    return before
  }

  /** All of them whose name is `prefix` or begins with `prefix` and a dot, in order; '' is all. */
  list(prefix = ''): Sysctl[] {
    return [...this.#table.values()].filter(
      ({ name }) => prefix === '' || name === prefix || name.startsWith(`${prefix}.`),
    )
  }

  /** The variable that a misspelt name may have meant. */
  nearest(name: string): string | undefined {
    const last = name.split('.').at(-1)
    return [...this.#table.keys()].find((known) => known.split('.').at(-1) === last && known[0] === name[0])
  }
}

function entriesOf(machine: LabMachine): Sysctl[] {
  const { stack } = machine
  const constant = (name: string, text: string | (() => string)): Sysctl => ({
    name,
    read: typeof text === 'string' ? () => text : text,
  })
  const integer = (name: string, read: () => number, write: (value: number) => void, most = 1): Sysctl => ({
    name,
    read: () => String(read()),
    write: (text) => {
      const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
      if (!(value <= most))
        throw new WarrenError('LAB_SYSCTL_VALUE', name, { found: text, expected: `0 to ${most}` })
      write(value)
    },
  })
  const variable = (name: string, initial: number, most = 1): Sysctl => {
    let value = initial
    return integer(
      name,
      () => value,
      (next) => {
        value = next
      },
      most,
    )
  }
  const switchOf = (name: string, key: string): Sysctl =>
    integer(
      name,
      () => Number(machine.allow[key] === true),
      (value) => {
        machine.allow[key] = value !== 0
      },
    )
  const enableOf = (protocol: 'esp' | 'ah'): Sysctl =>
    integer(
      `net.inet.${protocol}.enable`,
      () => Number(machine.ipsec.enabled[protocol]),
      (value) => {
        machine.ipsec.enabled[protocol] = value !== 0
      },
    )
  const { settings } = stack
  return [
    constant('kern.ostype', 'OpenBSD'),
    constant('kern.osrelease', '6.6'),
    constant('kern.osrevision', '201911'),
    constant('kern.version', () => `OpenBSD 6.6 (GENERIC) #353: Sat Oct 12 10:45:56 MDT 2019`),
    {
      name: 'kern.hostname',
      read: () => machine.hostname,
      write: (text) => {
        machine.hostname = text
      },
    },
    constant('kern.boottime', 'Sun Jan 19 17:30:00 2020'),
    constant('hw.machine', 'amd64'),
    constant('hw.model', 'Warren lab'),
    constant('hw.ncpu', '1'),
    constant('hw.physmem', '536870912'),
    integer(
      'net.inet.ip.forwarding',
      () => Number(settings.forwarding4),
      (value) => {
        settings.forwarding4 = value !== 0
      },
      2,
    ),
    integer(
      'net.inet.ip.ttl',
      () => settings.defaultTtl,
      (value) => {
        settings.defaultTtl = value
      },
      255,
    ),
    variable('net.inet.ip.redirect', 1),
    integer(
      'net.inet.icmp.bmcastecho',
      () => Number(settings.echoBroadcast),
      (value) => {
        settings.echoBroadcast = value !== 0
      },
    ),
    integer(
      'net.inet.tcp.ecn',
      () => Number(settings.tcpEcn),
      (value) => {
        settings.tcpEcn = value !== 0
      },
    ),
    // Only for packets of protocol 4 that no gif(4) claims; those are refused here, whatever it says.
    variable('net.inet.ipip.allow', 0, 2),
    switchOf('net.inet.etherip.allow', 'etherip'),
    switchOf('net.inet.gre.allow', 'gre'),
    variable('net.inet.gre.wccp', 0, 2),
    enableOf('esp'),
    enableOf('ah'),
    variable('net.inet.ipcomp.enable', 0),
    integer(
      'net.inet6.ip6.forwarding',
      () => Number(settings.forwarding6),
      (value) => {
        settings.forwarding6 = value !== 0
      },
      2,
    ),
    integer(
      'net.inet6.ip6.hlim',
      () => settings.defaultTtl,
      (value) => {
        settings.defaultTtl = value
      },
      255,
    ),
    variable('net.inet6.ip6.redirect', 1),
    soiiKey(),
  ]
}

/** What rc(8) makes at the first boot, for addresses of its own making (RFC 7217): those of the lab come from the MAC. */
function soiiKey(): Sysctl {
  let key = '0'.repeat(32)
  return {
    name: 'net.inet6.ip6.soiikey',
    read: () => key,
    write: (text) => {
      if (!/^[0-9a-f]{32}$/i.test(text))
        throw new WarrenError('LAB_SYSCTL_VALUE', 'net.inet6.ip6.soiikey', {
          found: text,
          expected: '32 hexadecimal digits',
        })
      key = text.toLowerCase()
    },
  }
}
