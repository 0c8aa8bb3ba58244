import { parseIpAddress } from '../../base/index.js'
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
  letters: 'ad:nV:F',
  usage: 'usage: arp [-adn] [-V rdomain] hostname\n       arp -ad\n       arp [-adn] [-V rdomain] hostname',
}

const NDP: Program = {
  name: 'ndp',
  family: 6,
  letters: 'acd:nV:t',
  usage: 'usage: ndp [-acnt] [-d hostname] [-V rdomain] [hostname]',
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
    if (found.length === 0) throw new CommandFailure(`${host} (${host}) -- no entry`)
    printText(context, print(found, now))
    return 0
  })

function remove(program: Program, hosts: readonly string[], context: CommandContext): number {
  let failures = 0
  for (const host of hosts) {
    const address = parseIpAddress(host)
    if (address === undefined || address.family !== program.family)
      throw new CommandFailure(`${program.name}: ${host}: bad ${program.family === 4 ? '' : 'IPv6 '}address`)
    if (context.host.stack.neighbours.remove(address)) context.print(`${host} (${host}) deleted`)
    else {
      context.warn(
        program.family === 4
          ? `arp: delete ${host}: No such file or directory`
          : `ndp: delete ${host}: cannot locate`,
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
