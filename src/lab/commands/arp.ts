import { MacAddress, parseIpAddress } from '../../base/index.js'
import type { CommandContext, LabCommand } from '../command.js'
import { type NeighbourView, showArp, showNdp } from './net/neighbours-show.js'
import { CommandFailure, getopt, guard, printText } from './net/words.js'

/** arp(8) and ndp(8): the two neighbour caches, which differ in family and in how they print. */

interface Program {
  readonly name: 'arp' | 'ndp'
  readonly family: 4 | 6
  readonly letters: string
  readonly usage: string
}

const ARP: Program = {
  name: 'arp',
  family: 4,
  letters: 'ad:FnsV:',
  usage:
    'usage: arp [-adn] [-V rdomain] hostname\n       arp -ad\n       arp [-F] [-V rdomain] -s hostname ether_addr [temp | permanent] [pub]',
}

const NDP: Program = {
  name: 'ndp',
  family: 6,
  letters: 'acd:nstV:',
  usage:
    'usage: ndp [-acnt] [-d hostname] [-V rdomain] [hostname]\n       ndp [-nt] [-V rdomain] -s nodename ether_addr [temp] [proxy]',
}

export const arp: LabCommand = (args, context) => neighbours(ARP, args, context)
export const ndp: LabCommand = (args, context) => neighbours(NDP, args, context)

const neighbours = (program: Program, args: string[], context: CommandContext): ReturnType<LabCommand> =>
  guard(() => {
    const { name, family, letters, usage } = program
    // `-d` takes a host, and with `-a` none: `arp -ad` forgets all.
    const flush =
      args.length > 0 &&
      args.every((word) => /^-[adn]+$/.test(word)) &&
      /a/.test(args.join('')) &&
      /d/.test(args.join(''))
    if (flush || args.includes('-c')) {
      for (const entry of rows(context, family))
        if (!entry.local) context.host.stack.neighbours.remove(entry.address)
      return 0
    }
    const { given, operands } = getopt(name, args, letters, usage)
    if (given.has('s')) return set(program, operands, context)
    const target = given.get('d')
    if (target !== undefined) return remove(program, [target, ...operands], context)
    const now = context.host.now()
    const all = rows(context, family)
    const print = family === 4 ? showArp : showNdp
    if (given.has('a')) {
      printText(context, print(all, now))
      return 0
    }
    const [host] = operands
    if (host === undefined) throw new CommandFailure(usage)
    const found = all.filter((entry) => `${entry.address}` === host)
    if (found.length === 0) {
      context.print(`${host} (${host}) -- no entry`)
      return 1
    }
    printText(context, print(found, now))
    return 0
  })

/** `-s ADDRESS MAC`: an entry that stays. */
function set({ name, family, usage }: Program, operands: readonly string[], context: CommandContext): number {
  const [host, macText, ...rest] = operands
  if (host === undefined || macText === undefined) throw new CommandFailure(usage)
  const unknown = rest.find((word) => word !== 'permanent')
  if (unknown !== undefined)
    throw new CommandFailure(`${name}: ${unknown}: only permanent entries in the lab`)
  const address = parseIpAddress(host)
  if (address === undefined || address.family !== family)
    throw new CommandFailure(`${name}: ${host}: bad ${family === 4 ? '' : 'IPv6 '}address`)
  const mac = MacAddress.parse(macText)
  if (mac === undefined) throw new CommandFailure(`${name}: ${macText}: invalid ethernet address`)
  const { stack } = context.host
  const route = stack.routes.lookup(address)
  if (route === undefined || route.interface.kind !== 'ethernet' || route.gateway !== undefined)
    throw new CommandFailure(`${name}: ${host}: not on a link of this host`)
  stack.neighbours.set(route.interface, address, mac, context.host.now())
  return 0
}

function remove(program: Program, hosts: readonly string[], context: CommandContext): number {
  let failures = 0
  for (const host of hosts) {
    const address = parseIpAddress(host)
    if (address === undefined || address.family !== program.family)
      throw new CommandFailure(`${program.name}: ${host}: bad ${program.family === 4 ? '' : 'IPv6 '}address`)
    if (context.host.stack.neighbours.remove(address)) context.print(`${host} (${host}) deleted`)
    else {
      context.warn(
        program.family === 4 ? `arp: delete: can't locate ${host}` : `ndp: delete: cannot locate ${host}`,
      )
      failures++
    }
  }
  return failures > 0 ? 1 : 0
}

const rows = (context: CommandContext, family: 4 | 6): NeighbourView[] =>
  context.host.stack.neighbours
    .list()
    .filter((entry) => entry.address.family === family)
    .map((entry) => ({ ...entry, interface: entry.interface.name }))
