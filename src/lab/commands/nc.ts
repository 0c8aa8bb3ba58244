import { type Duration, type IpAddress, seconds, WarrenError } from '../../base/index.js'
import { type CommandContext, type CommandResult, type LabCommand, succeed } from '../command.js'
import { type Conversation, TcpConversation, UdpConversation } from './net/conversation.js'
import { resolveHost } from './net/hosts.js'
import { CommandFailure, getopt, guard, type Options, refuseOptions, strtonum } from './net/words.js'

/** nc(1): TCP and UDP through the machine's own stack. */

const USAGE =
  'usage: nc [-46cDdFhklNnrStUuvz] [-C certfile] [-e name] [-H hash] [-I length]\n' +
  '\t  [-i interval] [-K keyfile] [-M ttl] [-m minttl] [-O length]\n' +
  '\t  [-o staplefile] [-P proxy_username] [-p source_port] [-R CAfile]\n' +
  '\t  [-s sourceaddr] [-T keyword] [-V rtable] [-W recvlimit] [-w timeout]\n' +
  '\t  [-X proxy_protocol] [-x proxy_address[:port]] [-Z peercertfile]\n' +
  '\t  [destination] [port]'

const NOT_HERE = {
  c: 'TLS',
  C: 'TLS certificates',
  F: 'passing of descriptors',
  i: 'delay between lines',
  m: 'minimal TTL',
  t: 'TELNET negotiation',
  U: 'UNIX-domain sockets',
  x: 'proxies',
  X: 'proxies',
}

export interface NcPlan {
  readonly family: 0 | 4 | 6
  readonly udp: boolean
  readonly verbose: boolean
  /** Ends the sending half when standard input has ended. */
  readonly shutdown: boolean
  readonly keepListening: boolean
  readonly noInput: boolean
  readonly timeout: Duration | undefined
  readonly source: IpAddress | undefined
  readonly sourcePort: number | undefined
}

export const nc: LabCommand = (args, context) =>
  guard(async () => {
    const options = getopt('nc', args, '46cC:DdFhi:klm:Nnp:rs:tUuvw:X:x:z', USAGE)
    const { given, operands } = options
    if (given.has('h')) throw new CommandFailure(USAGE, 0)
    refuseOptions('nc', options, NOT_HERE)
    const plan = await planOf(options, context)
    if (given.has('l')) {
      if (given.has('p') && operands.length > 0) throw new CommandFailure(USAGE)
      if (given.has('s') || given.has('z'))
        throw new CommandFailure(`nc: cannot use -${given.has('s') ? 's' : 'z'} and -l`)
      const words = given.has('p') ? [given.get('p')!] : operands
      const [first, second, extra] = words
      if (first === undefined || extra !== undefined) throw new CommandFailure(USAGE)
      return listen(second === undefined ? undefined : first, second ?? first, plan, context)
    }
    if (given.has('k')) throw new CommandFailure('nc: must use -l with -k')
    const [host, port, extra] = operands
    if (host === undefined || port === undefined || extra !== undefined) throw new CommandFailure(USAGE)
    return connect(host, port, given.has('z'), plan, context)
  })

async function planOf({ given }: Options, context: CommandContext): Promise<NcPlan> {
  if (given.has('4') && given.has('6')) throw new CommandFailure(`nc: -4 and -6 exclude each other\n${USAGE}`)
  const family = given.has('6') ? 6 : given.has('4') ? 4 : 0
  const timeoutText = given.get('w')
  const timeout = timeoutText === undefined ? undefined : strtonum(timeoutText, 0, 2_147_483)
  if (typeof timeout === 'string') throw new CommandFailure(`nc: timeout ${timeout}: ${timeoutText}`)
  const sourceText = given.get('s')
  const source = sourceText === undefined ? undefined : await resolveHost(context, sourceText, family)
  if (sourceText !== undefined && source === undefined)
    throw new CommandFailure('nc: getaddrinfo: no address associated with name')
  const sourcePort = given.get('p')
  return {
    family,
    udp: given.has('u'),
    verbose: given.has('v'),
    shutdown: given.has('N'),
    keepListening: given.has('k'),
    noInput: given.has('d'),
    timeout: timeout === undefined ? undefined : seconds(timeout),
    source: source?.address,
    sourcePort: sourcePort === undefined ? undefined : await portOf(sourcePort, given.has('u'), context),
  }
}

/** A number, or a name of /etc/services. */
async function portOf(text: string, udp: boolean, context: CommandContext): Promise<number> {
  const number = strtonum(text, 1, 65_535)
  if (typeof number === 'number') return number
  if (number !== 'invalid') throw new CommandFailure(`nc: port number ${number}: ${text}`)
  const service = (await services(context)).find((one) => one.udp === udp && one.names.includes(text))
  if (service === undefined) throw new CommandFailure(`nc: service "${text}" unknown`)
  return service.port
}

async function services(context: CommandContext): Promise<{ names: string[]; port: number; udp: boolean }[]> {
  let text = ''
  try {
    text = await context.fs.readFile('/etc/services')
  } catch {
    return []
  }
  return text.split('\n').flatMap((line) => {
    const match = /^(\S+)\s+(\d+)\/(tcp|udp)\s*(.*)$/.exec(line.replace(/#.*/, '').trimEnd())
    if (match === null) return []
    const [, name = '', port = '', protocol = '', aliases = ''] = match
    return [{ names: [name, ...aliases.split(/\s+/)], port: Number(port), udp: protocol === 'udp' }]
  })
}

async function listen(
  hostText: string | undefined,
  portText: string,
  plan: NcPlan,
  context: CommandContext,
): Promise<CommandResult> {
  const port = await portOf(portText, plan.udp, context)
  const host = hostText === undefined ? undefined : await resolveHost(context, hostText, plan.family)
  if (hostText !== undefined && host === undefined)
    throw new CommandFailure('nc: getaddrinfo: no address associated with name')
  const family = host?.address.family ?? (plan.family === 0 ? 4 : plan.family)
  const shown = host?.address ?? (family === 6 ? '::' : '0.0.0.0')
  const accept = plan.udp ? UdpConversation.listen : TcpConversation.listen
  let listener: { next(): Promise<Conversation | undefined>; close(): void }
  try {
    listener = accept({ family, port, ...(host === undefined ? {} : { address: host.address }) }, context)
  } catch (error) {
    if (error instanceof WarrenError) throw new CommandFailure(`nc: ${error.summary}`)
    throw error
  }
  const heard = new Heard(context)
  if (plan.verbose) context.warn(`Listening on ${shown} ${port}`)
  try {
    do {
      const conversation = await listener.next()
      if (conversation === undefined) break // interrupted
      if (!plan.keepListening && !plan.udp) listener.close()
      if (plan.verbose)
        context.warn(`Connection received on ${conversation.remoteAddress} ${conversation.remotePort}`)
      await converse(conversation, plan, heard, context)
    } while (plan.keepListening && !context.interrupted)
    return succeed(heard.rest())
  } finally {
    listener.close()
  }
}

async function connect(
  hostText: string,
  portText: string,
  scan: boolean,
  plan: NcPlan,
  context: CommandContext,
): Promise<CommandResult> {
  const host = await resolveHost(context, hostText, plan.family)
  if (host === undefined) throw new CommandFailure(`nc: getaddrinfo: no address associated with name`)
  const protocol = plan.udp ? 'udp' : 'tcp'
  const list = await services(context)
  const heard = new Heard(context)
  let status = 1
  for (const port of await portsOf(portText, plan, context)) {
    let conversation: Conversation
    try {
      conversation = await (plan.udp ? UdpConversation : TcpConversation).connect(
        host.address,
        port,
        plan,
        context,
      )
    } catch (error) {
      if (!(error instanceof WarrenError)) throw error
      if (plan.verbose || error.code !== 'ECONNREFUSED')
        context.warn(`nc: connect to ${hostText} port ${port} (${protocol}) failed: ${error.summary}`)
      continue
    }
    status = 0
    if (plan.verbose) {
      const name = list.find((one) => one.port === port && one.udp === plan.udp)?.names[0] ?? '*'
      context.warn(`Connection to ${hostText} ${port} port [${protocol}/${name}] succeeded!`)
    }
    if (scan) conversation.close()
    else await converse(conversation, plan, heard, context)
  }
  return { ...succeed(heard.rest()), exitCode: status }
}

/** One port, or a range: `20-25`, counted up. */
async function portsOf(text: string, plan: NcPlan, context: CommandContext): Promise<number[]> {
  const range = /^(\d+)-(\d+)$/.exec(text)
  if (range === null) return [await portOf(text, plan.udp, context)]
  const [low, high] = [Number(range[1]), Number(range[2])].sort((a, b) => a - b) as [number, number]
  if (low < 1 || high > 65_535)
    throw new CommandFailure(`nc: port number ${low < 1 ? 'too small' : 'too large'}: ${text}`)
  return Array.from({ length: high - low + 1 }, (_, i) => low + i)
}

/**
 * Standard input to the peer, the peer to standard output, until the peer has ended (or `-w` idle time is over).
 */
async function converse(
  conversation: Conversation,
  plan: NcPlan,
  heard: Heard,
  context: CommandContext,
): Promise<void> {
  if (!plan.noInput) conversation.send(context.stdinBytes, plan.shutdown)
  for (;;) {
    const data = await conversation.receive(plan.timeout)
    if (data === undefined) break
    heard.take(data)
  }
  conversation.close()
}

/** What came in, as text: whole lines are printed as they come, the rest is kept for the end. */
class Heard {
  readonly #context: CommandContext
  readonly #decoder = new TextDecoder()
  #line: string[] = []

  constructor(context: CommandContext) {
    this.#context = context
  }

  take(data: Uint8Array): void {
    const [first = '', ...others] = this.#decoder.decode(data, { stream: true }).split('\n')
    this.#line.push(first)
    for (const next of others) {
      this.#context.print(this.#line.join(''))
      this.#line = [next]
    }
  }

  /** The last line, if no newline ended it. */
  rest(): string {
    return this.#line.join('') + this.#decoder.decode()
  }
}
