import type { LabCommand } from '../command.js'
import { showInterfaceCounters, showSockets } from './net/netstat-show.js'
import { routeViews } from './net/route-views.js'
import { showRoutes } from './net/routes-show.js'
import { socketsOf } from './net/sockets.js'
import { showStatistics } from './net/statistics-show.js'
import { CommandFailure, getopt, guard, meant, printText, refuseOptions } from './net/words.js'

/** netstat(1): `-r`, `-i`, `-s`, `-a`, each with `-n` and `-f FAMILY`; `-p PROTOCOL`. */

const USAGE = [
  'usage: netstat [-AaBln] [-M core] [-N system] [-p protocol] [-T rtable]',
  '       netstat -W interface',
  '       netstat -m',
  '       netstat -I interface | -i [-bdehnq]',
  '       netstat -w wait [-bdehnq] [-c count] [-I interface]',
  '       netstat -M core [-N system] [-ghimnrsv] [-f address_family] [-p protocol]',
  '       netstat -R',
  '       netstat -r [-AFnu] [-f address_family] [-T rtable]',
  '       netstat -P pcbaddr [-v]',
  '       netstat -s [-gru] [-f address_family] [-p protocol] [-T rtable]',
].join('\n')

const NOT_HERE = {
  B: 'list of bpf devices',
  c: 'repetition',
  g: 'multicast routing',
  m: 'mbufs',
  M: 'kernel memory',
  N: 'kernel memory',
  P: 'kernel memory',
  R: 'rdomains',
  w: 'repetition',
  W: 'wireless interfaces',
}

const FAMILIES: Readonly<Record<string, 4 | 6>> = { inet: 4, inet6: 6 }

export const netstat: LabCommand = (args, context) =>
  guard(() => {
    const options = getopt('netstat', args, 'AaBbc:dFf:ghI:ilM:mN:np:qP:RrsT:tuvW:w:', USAGE)
    const { given, operands } = options
    refuseOptions('netstat', options, NOT_HERE)
    const [extra] = operands
    if (extra !== undefined) throw new CommandFailure(`netstat: unexpected word: ${extra}\n${USAGE}`)
    const familyName = given.get('f')
    const family = familyName === undefined ? undefined : FAMILIES[familyName]
    if (familyName !== undefined && family === undefined)
      throw new CommandFailure(
        `netstat: ${familyName}: unknown address family${meant(familyName, Object.keys(FAMILIES))}`,
      )
    const families: readonly (4 | 6)[] = family === undefined ? [4, 6] : [family]
    const { stack } = context.host
    const show = (text: string): number => {
      printText(context, text)
      return 0
    }
    if (given.has('r')) return show(showRoutes(routeViews(stack), families))
    const only = given.get('I')
    if (only !== undefined && !stack.interfaces.has(only))
      throw new CommandFailure(`netstat: ${only}: no such interface${meant(only, stack.interfaces.keys())}`)
    if (given.has('i') || only !== undefined) {
      const shown = [...stack.interfaces.values()].filter((ifc) => only === undefined || ifc.name === only)
      return show(showInterfaceCounters(shown, given.has('b')))
    }
    if (given.has('s')) return show(showStatistics(context.host, given.get('p')))
    return show(showSockets(socketsOf(stack), families, given.has('a')))
  })
