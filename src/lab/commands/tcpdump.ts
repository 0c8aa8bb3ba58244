import { type Instant, WarrenError } from '../../base/index.js'
import { compileFilter } from '../../inspect/filter/compile.js'
import {
  DEFAULT_SNAPLEN,
  LinkType,
  linkTypeLabel,
  PcapWriter,
  readCapture,
  TcpdumpPrinter,
  type TimeFormat,
  timeOf,
} from '../../inspect/index.js'
import type { NetworkInterface } from '../../stack/index.js'
import type { CommandContext, LabCommand } from '../command.js'
import { bridgeMeant } from './net/slips.js'
import { CommandFailure, getopt, guard, meant, type Options, refuseOptions, strtonum } from './net/words.js'

/** tcpdump(8) over the taps of an interface or a bridge, or over a capture file. */

const USAGE =
  'Usage: tcpdump [-AadefILlNnOopqStvXx] [-B fildrop] [-c count] [-D direction]\n' +
  '\t       [-E [espalg:]espkey] [-F file] [-i interface] [-r file]\n' +
  '\t       [-s snaplen] [-T type] [-w file] [-y datalinktype] [expression]'

const NOT_HERE = {
  B: 'dropping filter',
  d: 'dump of a compiled filter',
  E: 'decryption',
  L: 'choice of link types',
  o: 'guess of operating systems',
  T: 'forced interpretation',
  y: 'choice of link types',
}

const TIME_FORMATS: readonly TimeFormat[] = ['time', 'none', 'epoch', 'date', 'delta', 'elapsed']

/** AF_INET and AF_INET6 of OpenBSD, as its loopback header has them. */
const FAMILY = { 4: 2, 6: 24 } as const

export const tcpdump: LabCommand = (args, context) =>
  guard(async () => {
    const options = getopt('tcpdump', args, 'AaB:c:D:deE:fF:i:IlLnNOopqr:s:StT:vw:xXy:', USAGE)
    refuseOptions('tcpdump', options, NOT_HERE)
    const plan = await planOf(options, context)
    return plan.read === undefined ? capture(plan, context) : replay(plan, plan.read, context)
  })

interface Plan {
  readonly printer: TcpdumpPrinter
  readonly interfaceName: string | undefined
  readonly direction: 'in' | 'out' | undefined
  readonly count: number | undefined
  readonly snaplen: number
  readonly read: string | undefined
  readonly write: string | undefined
  readonly wanted: (bytes: Uint8Array, linkType: number, originalLength?: number) => boolean
}

async function planOf({ given, counts, operands }: Options, context: CommandContext): Promise<Plan> {
  const number = (letter: string, least: number, most: number, what: string): number | undefined => {
    const text = given.get(letter)
    if (text === undefined) return undefined
    const value = strtonum(text, least, most)
    if (typeof value === 'string') throw new CommandFailure(`tcpdump: invalid ${what} ${text} (${value})`)
    return value
  }
  const snaplen = number('s', 1, 65_535, 'snaplen') ?? DEFAULT_SNAPLEN
  const direction = given.get('D')
  if (direction !== undefined && direction !== 'in' && direction !== 'out')
    throw new CommandFailure(`tcpdump: invalid direction ${direction} (in or out)`)
  if (given.get('w') === '-' || given.get('r') === '-')
    throw new CommandFailure("tcpdump: -: the lab's pipes carry text; name a file")
  const dump = given.has('X') ? 'hexl' : given.has('A') ? 'ascii' : given.has('x') ? 'hex' : undefined
  const filterFile = given.get('F')
  const expression =
    filterFile === undefined ? operands.join(' ') : await context.fs.readFile(resolve(context, filterFile))
  return {
    printer: new TcpdumpPrinter({
      verbose: counts.get('v') ?? 0,
      numeric: given.has('n'),
      link: given.has('e'),
      quick: given.has('q'),
      absolute: given.has('S'),
      ...(dump === undefined ? {} : { dump }),
      timeFormat: TIME_FORMATS[Math.min(counts.get('t') ?? 0, TIME_FORMATS.length - 1)] ?? 'time',
    }),
    interfaceName: given.get('i'),
    direction,
    count: number('c', 1, 0x7fffffff, 'packet count'),
    snaplen,
    read: given.get('r'),
    write: given.get('w'),
    wanted: compile(expression.trim()),
  }
}

function compile(expression: string): Plan['wanted'] {
  if (expression === '') return () => true
  try {
    return compileFilter(expression)
  } catch (error) {
    if (error instanceof WarrenError) throw new CommandFailure(`tcpdump: ${error.message}`)
    throw error
  }
}

const resolve = (context: CommandContext, path: string): string => context.fs.resolvePath(context.cwd, path)

/** What is shown or written of one packet. */
type Sink = (bytes: Uint8Array, originalLength: number, time: Instant) => void

/** Writes a capture file as the packets come; `finish` waits until all is on the disk. */
function fileSink(
  path: string,
  linkType: number,
  snaplen: number,
  context: CommandContext,
): { sink: Sink; finish(): Promise<void> } {
  const writer = new PcapWriter({ linkType, snapLength: snaplen })
  let last = context.fs.writeFile(path, writer.header())
  return {
    sink: (bytes, originalLength, time) => {
      const record = writer.packet({
        bytes,
        originalLength,
        seconds: Math.floor(time / 1e6),
        nanoseconds: (time % 1e6) * 1_000,
      })
      last = last.then(() => context.fs.appendFile(path, record))
    },
    finish: () => last,
  }
}

async function capture(plan: Plan, context: CommandContext): Promise<number> {
  const ifc = interfaceOf(plan.interfaceName, context)
  // As gif(4) and gre(4) attach to bpf(4): the family in four bytes, network order.
  const linkType = ifc.kind === 'ethernet' ? LinkType.ethernet : LinkType.loop
  context.warn(`tcpdump: listening on ${ifc.name}, link-type ${linkTypeLabel(linkType)}`)
  const output =
    plan.write === undefined
      ? undefined
      : fileSink(resolve(context, plan.write), linkType, plan.snaplen, context)
  const sink: Sink =
    output?.sink ??
    ((bytes, originalLength, time) =>
      context.print(plan.printer.line(bytes, linkType, { time, originalLength })))
  let seen = 0
  let shown = 0
  const enough = (): boolean => plan.count !== undefined && shown >= plan.count
  await context.wait<true>((stop) => {
    const tap = (packet: Uint8Array, direction: 'in' | 'out', now: Instant): void => {
      if (enough()) return
      seen++
      if (plan.direction !== undefined && plan.direction !== direction) return
      const whole = linkType === LinkType.loop ? withFamily(packet) : packet
      if (!plan.wanted(whole, linkType)) return
      shown++
      sink(whole.slice(0, plan.snaplen), whole.length, context.lab.clock.toUnix(now) as Instant)
      if (enough()) stop(true)
    }
    ifc.taps.add(tap)
    return () => ifc.taps.delete(tap)
  })
  await output?.finish()
  context.warn('')
  context.warn(`${seen} packets received by filter`)
  context.warn('0 packets dropped by kernel')
  return 0
}

function withFamily(packet: Uint8Array): Uint8Array {
  const whole = new Uint8Array(4 + packet.length)
  whole[3] = packet[0]! >> 4 === 6 ? FAMILY[6] : FAMILY[4]
  whole.set(packet, 4)
  return whole
}

function interfaceOf(name: string | undefined, context: CommandContext): NetworkInterface {
  const { interfaces } = context.host.stack
  if (name === undefined) {
    // The first one that is up and leads anywhere.
    const first = [...interfaces.values()].find((ifc) => ifc.up && ifc.kind !== 'loopback')
    if (first === undefined) throw new CommandFailure('tcpdump: no suitable device found')
    return first
  }
  const found = interfaces.get(name) ?? interfaces.get(bridgeMeant(context, 'tcpdump', name) ?? '')
  if (found === undefined)
    throw new CommandFailure(`tcpdump: ${name}: No such device exists${meant(name, interfaces.keys())}`)
  return found
}

async function replay(plan: Plan, file: string, context: CommandContext): Promise<number> {
  const path = resolve(context, file)
  let bytes: Uint8Array
  try {
    bytes = await context.fs.readFileBuffer(path)
  } catch {
    throw new CommandFailure(`tcpdump: ${file}: No such file or directory`)
  }
  let shown = 0
  let output: ReturnType<typeof fileSink> | undefined
  try {
    for (const packet of readCapture(bytes, file)) {
      if (plan.count !== undefined && shown >= plan.count) break
      if (!plan.wanted(packet.bytes, packet.linkType)) continue
      shown++
      if (plan.write !== undefined)
        output ??= fileSink(resolve(context, plan.write), packet.linkType, plan.snaplen, context)
      const time = timeOf(packet)
      if (output !== undefined) output.sink(packet.bytes, packet.originalLength, time)
      else
        context.print(
          plan.printer.line(packet.bytes, packet.linkType, { time, originalLength: packet.originalLength }),
        )
    }
  } catch (error) {
    if (error instanceof WarrenError) throw new CommandFailure(`tcpdump: ${error.message}`)
    throw error
  }
  await output?.finish()
  return 0
}
