import type { LabCommand } from '../command.js'
import { succeed } from '../command.js'
import { getopt, guard } from './net/words.js'

/** uname(1) and hostname(1): OpenBSD 6.6 on amd64, the article's kernel. */

export const KERNEL = { system: 'OpenBSD', release: '6.6', version: 'GENERIC#353', machine: 'amd64' } as const

export const uname: LabCommand = (args, context) =>
  guard(() => {
    const { given } = getopt('uname', args, 'amnprsv', 'usage: uname [-amnprsv]')
    const all = given.has('a')
    const words: string[] = []
    if (all || given.has('s') || given.size === 0) words.push(KERNEL.system)
    if (all || given.has('n')) words.push(context.host.hostname)
    if (all || given.has('r')) words.push(KERNEL.release)
    if (all || given.has('v')) words.push(KERNEL.version)
    if (all || given.has('m')) words.push(KERNEL.machine)
    // -p names the processor's architecture; -a leaves it out.
    if (given.has('p')) words.push(KERNEL.machine)
    return succeed(`${words.join(' ')}\n`)
  })

export const hostname: LabCommand = (args, context) =>
  guard(() => {
    const { given, operands } = getopt('hostname', args, 's', 'usage: hostname [-s] [name-of-host]')
    const [name] = operands
    if (name !== undefined) {
      context.host.hostname = name
      return succeed()
    }
    const full = context.host.hostname
    return succeed(`${given.has('s') ? full.split('.')[0] : full}\n`)
  })
