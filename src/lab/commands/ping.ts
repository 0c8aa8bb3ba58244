import {
  after,
  between,
  bytesEqual,
  type Duration,
  type Instant,
  type IpAddress,
  microseconds,
  parseIpAddress,
  readUint16,
  readUint32,
  seconds,
  toMilliseconds,
} from '../../base/index.js'
import type { NetworkInterface } from '../../stack/index.js'
import type { CommandContext, LabCommand } from '../command.js'
import { echoRequest, PING_HEADER, TIME_STAMP } from './net/echo.js'
import { type ResolvedHost, resolveHost, sendError } from './net/hosts.js'
import { zoned } from './net/ifconfig-show.js'
import { errorText, PingStatistics, replyLine } from './net/ping-text.js'
import { CommandFailure, getopt, guard, meant, type Options, refuseOptions, strtonum } from './net/words.js'

/** ping(8) and ping6(8). */

const USAGE = {
  4:
    'usage: ping [-DdEefHLnqRv] [-c count] [-I ifaddr] [-i wait] [-l preload]\n' +
    '\t[-p pattern] [-s packetsize] [-T toskeyword] [-t ttl]\n' +
    '\t[-V rtable] [-w maxwait] host',
  6:
    'usage: ping6 [-dEefHLmnqv] [-c count] [-h hoplimit] [-I sourceaddr]\n' +
    '\t[-i wait] [-l preload] [-p pattern] [-s packetsize] [-T toskeyword]\n' +
    '\t[-V rtable] [-w maxwait] host',
} as const

const NOT_HERE = { E: 'report of missing replies', R: 'record route option', V: 'further routing table' }

/** MAXTTL: echo requests of IPv4 leave with the highest; IPv6 takes the stack's default. */
const DEFAULT_TTL = 255
const DEFAULT_DATA = 56
const MAX_DATA = { 4: 65_535 - 20 - PING_HEADER, 6: 65_535 - PING_HEADER } as const

export const ping: LabCommand = (args, context) => run(4, args, context)
export const ping6: LabCommand = (args, context) => run(6, args, context)

interface Plan {
  readonly program: 'ping' | 'ping6'
  readonly family: 4 | 6
  readonly host: string
  readonly target: ResolvedHost
  readonly source: IpAddress | undefined
  readonly count: number
  readonly interval: Duration
  readonly maxWait: Duration
  readonly dataLength: number
  readonly hopLimit: number
  readonly dontFragment: boolean
  readonly quiet: boolean
  readonly verbose: boolean
  readonly preload: number
  readonly trafficClass: number
  readonly pattern: Uint8Array | undefined
}

const run = (family: 4 | 6, args: string[], context: CommandContext): ReturnType<LabCommand> =>
  guard(async () => {
    const plan = await planOf(family, args, context)
    return new Pinger(plan, context).run()
  })

async function planOf(family: 4 | 6, args: string[], context: CommandContext): Promise<Plan> {
  const program = family === 4 ? 'ping' : 'ping6'
  const letters = family === 4 ? 'DEI:LRT:V:c:defHi:l:np:qs:t:vw:' : 'EI:LT:V:c:defHh:i:l:mnp:qs:vw:'
  const options = getopt(program, args, letters, USAGE[family])
  refuseOptions(program, options, NOT_HERE)
  const { given, operands } = options
  const [host, extra] = operands
  if (host === undefined || extra !== undefined) {
    const why = extra === undefined ? '' : `${program}: unexpected word after the host: ${extra}\n`
    throw new CommandFailure(`${why}${USAGE[family]}`)
  }
  const target = await resolveHost(context, host, family)
  if (target === undefined) throw new CommandFailure(`${program}: ${unresolved(host, family)}`)
  const number = (letter: string, least: number, most: number, what: string): number | undefined =>
    numericOption(program, options, letter, least, most, what)
  const source = given.get('I')
  return {
    program,
    family,
    host,
    target,
    source: source === undefined ? undefined : sourceAddress(program, source, family, context),
    count: number('c', 0, Number.MAX_SAFE_INTEGER, 'number of packets to transmit') ?? 0,
    interval: intervalOf(program, given.get('i')) ?? seconds(given.has('f') ? 0.01 : 1),
    maxWait: seconds(number('w', 1, 0x7fffffff, 'maxwait value') ?? 10),
    dataLength: number('s', 0, MAX_DATA[family], 'packet size') ?? DEFAULT_DATA,
    hopLimit:
      number('t', 0, 255, 'ttl value') ?? number('h', 0, 255, 'hoplimit') ?? (family === 4 ? DEFAULT_TTL : 0),
    dontFragment: given.has('D') || given.has('m'),
    quiet: given.has('q'),
    verbose: given.has('v'),
    preload: number('l', 1, 65_536, 'preload value') ?? 1,
    trafficClass: trafficClassOf(program, given.get('T')),
    pattern: patternOf(program, given.get('p')),
  }
}

function unresolved(host: string, family: 4 | 6): string {
  const address = parseIpAddress(host.split('%')[0] ?? '')
  if (address !== undefined && address.family !== family)
    return `no address associated with name (${host} is an IPv${address.family} address: use ${
      address.family === 6 ? 'ping6' : 'ping'
    })`
  return 'no address associated with name'
}

function numericOption(
  program: string,
  { given }: Options,
  letter: string,
  least: number,
  most: number,
  what: string,
): number | undefined {
  const text = given.get(letter)
  if (text === undefined) return undefined
  const value = strtonum(text, least, most)
  if (typeof value === 'string') throw new CommandFailure(`${program}: ${what} is ${value}: ${text}`)
  return value
}

function intervalOf(program: string, text: string | undefined): Duration | undefined {
  if (text === undefined) return undefined
  const value = /^\d*\.?\d+$/.test(text) ? Number(text) : 0
  if (!(value > 0)) throw new CommandFailure(`${program}: illegal timing interval ${text}`)
  return microseconds(value * 1e6)
}

/** Names of `-T`: the old type of service, and the code points of RFC 2474, 2597 and 3246. */
const TOS_KEYWORDS: Readonly<Record<string, number>> = {
  lowdelay: 0x10,
  throughput: 0x08,
  reliability: 0x04,
  congestion: 0x01,
  ect: 0x02,
  ef: 0xb8,
  ...Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`cs${i}`, i << 5])),
  ...Object.fromEntries(
    [1, 2, 3, 4].flatMap((group) =>
      [1, 2, 3].map((drop): [string, number] => [`af${group}${drop}`, (group << 5) | (drop << 3)]),
    ),
  ),
}

function trafficClassOf(program: string, text: string | undefined): number {
  if (text === undefined) return 0
  const value = Object.hasOwn(TOS_KEYWORDS, text)
    ? TOS_KEYWORDS[text]!
    : /^(0x[0-9a-f]+|\d+)$/i.test(text)
      ? Number(text)
      : Number.NaN
  if (!(value <= 255))
    throw new CommandFailure(`${program}: illegal tos value ${text}${meant(text, Object.keys(TOS_KEYWORDS))}`)
  return value
}

function patternOf(program: string, text: string | undefined): Uint8Array | undefined {
  if (text === undefined) return undefined
  if (!/^[0-9a-fA-F]{1,32}$/.test(text))
    throw new CommandFailure(`${program}: patterns must be specified as hex digits`)
  return Uint8Array.from(text.match(/.{1,2}/g) ?? [], (pair) => Number.parseInt(pair, 16))
}

/** `-I`: an address of ours, or an interface's name, whose first address of the family it is. */
function sourceAddress(program: string, text: string, family: 4 | 6, context: CommandContext): IpAddress {
  const { stack } = context.host
  const ifc = stack.interfaces.get(text)
  const address =
    ifc === undefined
      ? parseIpAddress(text)
      : ifc.addresses.find((own) => own.address.family === family && !isLinkLocal(own.address))?.address
  if (address === undefined || address.family !== family)
    throw new CommandFailure(`${program}: ${text}: no address associated with name`)
  if (!stack.isLocal(address)) throw new CommandFailure(`${program}: bind: Can't assign requested address`)
  return address
}

const isLinkLocal = (address: IpAddress): boolean => address.family === 6 && address.isLinkLocal

/** An answer that came, kept until the command looks. */
interface Arrival {
  readonly at: Instant
  readonly type: number
  readonly code: number
  readonly source: IpAddress
  readonly interface: NetworkInterface
  readonly ttl: number
  readonly bytes: Uint8Array
}

class Pinger {
  readonly #plan: Plan
  readonly #context: CommandContext
  readonly #identifier: number
  readonly #statistics = new PingStatistics()
  /** Sequence number to what was sent and when; as many as the 16-bit number tells apart. */
  readonly #sent = new Map<number, { at: Instant; message: Uint8Array; answered: boolean }>()
  readonly #arrivals: Arrival[] = []
  /** XORed over the time stamp, so that a packet tells nobody what time it is here. */
  readonly #mask: Uint8Array
  #notify: (() => void) | undefined

  constructor(plan: Plan, context: CommandContext) {
    this.#plan = plan
    this.#context = context
    this.#identifier = context.host.random.below(0x10000)
    this.#mask = context.host.random.fill(new Uint8Array(TIME_STAMP))
  }

  /** The exit status: 0 if at least one answer came. */
  async run(): Promise<number> {
    const { host, target, dataLength, pattern, quiet } = this.#plan
    const { stack } = this.#context.host
    if (pattern !== undefined && !quiet)
      this.#context.print(
        `PATTERN: 0x${[...pattern].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`,
      )
    this.#context.print(`PING ${host} (${target.text}): ${dataLength} data bytes`)
    const stop = stack.onIcmp((message, now) => {
      if (message.family !== this.#plan.family || !this.#concerns(message.type, message.bytes)) return
      this.#arrivals.push({ ...message, at: now })
      this.#notify?.()
    })
    try {
      await this.#loop()
    } finally {
      stop()
    }
    this.#context.print('')
    for (const line of this.#statistics.summary(host).split('\n')) this.#context.print(line)
    return this.#statistics.received > 0 ? 0 : 1
  }

  async #loop(): Promise<void> {
    const { count, preload } = this.#plan
    const { host } = this.#context
    if (count === 0) this.#context.endless()
    for (let i = 0; i < preload && !this.#all(); i++) this.#send()
    let next = after(host.now(), this.#pause())
    for (;;) {
      this.#look()
      if (count > 0 && this.#statistics.received >= count) return
      if (this.#context.interrupted) return
      const now = host.now()
      if (now >= next) {
        if (this.#all()) return
        this.#send()
        next = after(now, this.#pause())
        continue
      }
      await this.#context.wait<true>(
        (resolve) => {
          this.#notify = () => resolve(true)
          return () => {
            this.#notify = undefined
          }
        },
        between(now, next),
      )
    }
  }

  /** All requests are out. */
  #all(): boolean {
    return this.#plan.count > 0 && this.#statistics.transmitted >= this.#plan.count
  }

  /**
   * Until the next request. After the last one ping waits for twice the longest round trip (a second at least), or
   * `-w` seconds where nothing has come back at all.
   */
  #pause(): Duration {
    if (!this.#all()) return this.#plan.interval
    if (this.#statistics.received === 0) return this.#plan.maxWait
    return seconds(Math.max(1, (2 * this.#statistics.longest) / 1_000))
  }

  #send(): void {
    const {
      family,
      target,
      source,
      hopLimit,
      dontFragment,
      trafficClass,
      dataLength,
      pattern,
      program,
      host,
    } = this.#plan
    const { stack } = this.#context.host
    const now = this.#context.host.now()
    const sequence = this.#statistics.transmitted & 0xffff
    const message = echoRequest({
      family,
      identifier: this.#identifier,
      sequence,
      dataLength,
      time: this.#context.lab.clock.toUnix(now),
      mask: this.#mask,
      mac: this.#context.host.random.fill(new Uint8Array(8)),
      ...(pattern === undefined ? {} : { pattern }),
      source: source ?? stack.sourceFor(target.address),
      destination: target.address,
    })
    this.#sent.set(sequence, { at: now, message, answered: false })
    this.#statistics.transmitted++
    const result = stack.send(
      {
        protocol: family === 4 ? 1 : 58,
        destination: target.address,
        payload: message,
        ttl: hopLimit,
        ...(source === undefined ? {} : { source }),
        ...(dontFragment ? { dontFragment } : {}),
        ...(trafficClass === 0 ? {} : { trafficClass }),
        ...(target.zone === undefined ? {} : { interface: target.zone }),
      },
      now,
    )
    if (result === 'ok') return
    this.#context.warn(`${program}: sendmsg: ${sendError(result)}`)
    this.#context.print(`${program}: wrote ${host} ${message.length} chars, ret=-1`)
  }

  /** An echo reply to us, or an error about one of our requests. */
  #concerns(type: number, bytes: Uint8Array): boolean {
    const { family } = this.#plan
    if (type === (family === 4 ? 0 : 129))
      return bytes.length >= 8 && readUint16(bytes, 4) === this.#identifier
    const inner = quotedEcho(bytes, family)
    return inner !== undefined && readUint16(bytes, inner + 4) === this.#identifier
  }

  #look(): void {
    for (let arrival = this.#arrivals.shift(); arrival !== undefined; arrival = this.#arrivals.shift())
      if (arrival.type === (this.#plan.family === 4 ? 0 : 129)) this.#reply(arrival)
      else this.#error(arrival)
  }

  #reply({ at, source, interface: ifc, ttl, bytes }: Arrival): void {
    const sequence = readUint16(bytes, 6)
    const sent = this.#sent.get(sequence)
    if (sent === undefined) return
    const timed = this.#plan.dataLength >= TIME_STAMP + 8
    // The time stamp and its MAC must be the ones that went out: nobody else can answer for the peer.
    const [from, to] = [PING_HEADER, PING_HEADER + TIME_STAMP + 8]
    if (timed && !bytesEqual(bytes.subarray(from, to), sent.message.subarray(from, to))) {
      this.#context.print('signature mismatch!')
      return
    }
    const duplicate = sent.answered
    sent.answered = true
    if (duplicate) this.#statistics.duplicates++
    else this.#statistics.received++
    const time = toMilliseconds(between(sent.at, at))
    if (timed) this.#statistics.roundTrip(time)
    if (this.#plan.quiet) return
    let line = replyLine({
      length: bytes.length,
      source: zoned(source, ifc.name),
      family: source.family,
      sequence,
      hopLimit: ttl,
      duplicate,
      ...(timed ? { time } : {}),
    })
    if (bytes.length < sent.message.length) line += ` (TRUNC!)`
    else {
      const wrong = firstDifference(bytes, sent.message, PING_HEADER)
      if (wrong >= 0)
        line += `\nwrong data byte #${wrong - PING_HEADER} should be 0x${sent.message[wrong]!.toString(16)} but was 0x${bytes[wrong]!.toString(16)}`
    }
    this.#context.print(line)
  }

  #error({ type, code, source, bytes }: Arrival): void {
    if (!this.#plan.verbose || this.#plan.quiet) return
    const { family } = this.#plan
    const mtu = family === 4 ? readUint16(bytes, 6) : readUint32(bytes, 4)
    const text = errorText(family, type, code, mtu)
    if (text !== undefined) this.#context.print(`${bytes.length} bytes from ${source}: ${text}`)
  }
}

function firstDifference(a: Uint8Array, b: Uint8Array, from: number): number {
  for (let i = from; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) return i
  return -1
}

/** Where the echo request that an ICMP error quotes begins, if it quotes one. */
function quotedEcho(bytes: Uint8Array, family: 4 | 6): number | undefined {
  if (family === 6) {
    if (bytes.length < 56 || bytes[8]! >> 4 !== 6 || bytes[14] !== 58 || bytes[48] !== 128) return undefined
    return 48
  }
  if (bytes.length < 36 || bytes[8]! >> 4 !== 4 || bytes[17] !== 1) return undefined
  const inner = 8 + 4 * (bytes[8]! & 15)
  return bytes.length >= inner + 8 && bytes[inner] === 8 ? inner : undefined
}
