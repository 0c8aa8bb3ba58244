/** `ikev2 …`: one policy. Its parts have one order; what stands out of it is told where it belongs. */
import type { ConfigurationOption } from '../../proto/ikev2/index.js'
import { checkSecretMode } from '../grammar/permissions.js'
import { type Reader, refuse, shown, type Token, whereOf } from '../grammar/tokens.js'
import { parseKey, parseKeyFile } from '../ipsec-conf/keys.js'
import {
  DEFAULT_LIFETIME,
  type IkedAuth,
  type IkedConfigurationValue,
  type IkedFlow,
  type IkedHost,
  type IkedPolicy,
  type IkedPpk,
} from './conf.js'
import { parseFlows } from './flows.js'
import { endOf, familyOf, hostText, isNetwork } from './hosts.js'
import { type IkedOperands, needsQuotes, shownClosed } from './operands.js'
import { parseProposals } from './proposals.js'

/** The parts of a policy in their order, each with the words that begin it. */
const PARTS = [
  ['quick', 'skip', 'default'],
  ['active', 'passive'],
  ['ipcomp'],
  ['tunnel', 'transport'],
  ['esp', 'ah'],
  ['inet', 'inet6'],
  ['proto'],
  ['rdomain'],
  ['from', 'to'],
  ['local', 'peer'],
  ['ikesa'],
  ['childsa'],
  ['srcid', 'dstid'],
  ['ikelifetime'],
  ['lifetime'],
  ['psk', 'eap', 'rsa', 'ecdsa256', 'ecdsa384', 'ecdsa521', 'rfc7427', 'signature'],
  ['ppk'],
  ['config', 'request'],
  ['iface'],
  ['tag', 'tap'],
] as const
type Word = (typeof PARTS)[number][number]
const WORDS: readonly string[] = PARTS.flat()
const FROM = PARTS.findIndex((words) => words.some((one) => one === 'from'))
const partOf = (word: string): number => PARTS.findIndex((words) => words.some((one) => one === word))

const METHODS = ['rsa', 'ecdsa256', 'ecdsa384', 'ecdsa521', 'rfc7427', 'signature'] as const
const OPTIONS: readonly ConfigurationOption[] = [
  'address',
  'netmask',
  'name-server',
  'netbios-server',
  'dhcp-server',
  'protected-subnet',
  'access-server',
]
/** Values of config and request in one policy: iked's own limit. */
const CONFIGURATION_LIMIT = 16
const PSK_LIMIT = 1024
/** Post-quantum pre-shared keys of one policy. */
const PPK_LIMIT = 64
/** RFC 8784 section 5.1: at least 256 bits, so that half of them are left. */
const PPK_SHORT = 32

/** `start` is the word `ikev2`, taken already; `number` counts the policies of the file. */
export function parsePolicy(
  operands: IkedOperands,
  start: Token,
  number: number,
  read: Reader | undefined,
): IkedPolicy {
  return new PolicyRule(operands, start, read).parse(number)
}

class PolicyRule {
  readonly #operands: IkedOperands
  readonly #start: Token
  readonly #read: Reader | undefined
  /** The part that was read last, and its word. */
  #part = -1
  #last = 'ikev2'

  constructor(operands: IkedOperands, start: Token, read: Reader | undefined) {
    this.#operands = operands
    this.#start = start
    this.#read = read
  }

  parse(number: number): IkedPolicy {
    const operands = this.#operands
    const name = this.#name() ?? `policy${number}`
    const evaluation = this.#take('quick', 'skip', 'default')
    const active = this.#take('active', 'passive') === 'active'
    const ipcomp = this.#take('ipcomp') !== undefined
    const mode = this.#take('tunnel', 'transport') ?? 'tunnel'
    const protocol = this.#take('esp', 'ah') ?? 'esp'
    const family = this.#take('inet', 'inet6')
    const protocols = this.#take('proto') === undefined ? [] : operands.protocols()
    const rdomain = this.#take('rdomain') === undefined ? undefined : operands.number('rdomain', 0, 255)
    const flows = this.#flows(protocols)
    const ends = this.#ends(flows, active, family === undefined ? undefined : family === 'inet' ? 4 : 6)
    const ikesa = this.#proposals('ikesa', false)
    const childsa = this.#proposals('childsa', protocol === 'ah')
    const ids = this.#pair('srcid', 'dstid', (word) => operands.string(`an identity behind ${word}`).text)
    const ikeLifetime = this.#take('ikelifetime') === undefined ? 0 : operands.time()
    const lifetime = this.#lifetime()
    const auth = this.#auth()
    const ppks = this.#ppks(auth)
    const configuration = this.#configuration()
    const iface = this.#take('iface') === undefined ? undefined : operands.string('an interface', 15).text
    const filters = this.#filters()
    if (operands.stream.peek().text !== '\n' || operands.stream.peek().quoted) this.#bad()
    if (ipcomp) operands.warn(this.#start, 'ipcomp is not offered to peers: packets are not compressed')
    return {
      number,
      name,
      ...(evaluation === undefined ? {} : { evaluation }),
      active,
      ipcomp,
      mode,
      protocol,
      protocols,
      ...(rdomain === undefined ? {} : { rdomain }),
      flows,
      ...ends,
      ikesa,
      childsa,
      ...(ids.srcid === undefined ? {} : { srcid: ids.srcid }),
      ...(ids.dstid === undefined ? {} : { dstid: ids.dstid }),
      ikeLifetime,
      lifetime,
      auth,
      ...(ppks.length === 0 ? {} : { ppks }),
      configuration,
      ...(iface === undefined ? {} : { iface }),
      ...filters,
      where: whereOf(this.#start),
    }
  }

  #take<T extends Word>(...words: readonly T[]): T | undefined {
    const word = words.find((one) => this.#operands.stream.take(one))
    if (word === undefined) return undefined
    this.#part = partOf(word)
    this.#last = word
    return word
  }

  /** What stands there is none of what may stand there. */
  #bad(): never {
    const token = this.#operands.stream.peek()
    const part = token.quoted ? -1 : partOf(token.text)
    const needsFlow = this.#part < FROM
    const allowed = [
      ...(this.#part >= 0 && !needsFlow ? PARTS[this.#part]! : []),
      ...PARTS.slice(this.#part + 1).flat(),
    ]
    const mend =
      part >= 0 && needsFlow && part > FROM
        ? `write from … to … before ${token.text}`
        : part >= 0 && part < this.#part
          ? `write ${token.text} before ${this.#last}: the parts of a policy have one order`
          : part >= 0 && part === this.#part
            ? `write ${token.text} once`
            : this.#isBehindKey && part < 0 && token.text !== '{'
              ? 'a key with blanks in it has to stand in quotes'
              : this.#operands.meant(token, [...allowed, ...WORDS]).mend
    return refuse(token, 'CONFIG_SYNTAX', 'syntax error', {
      // Behind a key stands what may be the rest of it.
      found: this.#isBehindKey && part < 0 && token.text !== '\n' ? 'another word' : shownClosed(token),
      expected: needsFlow
        ? PARTS.slice(this.#part + 1, FROM + 1)
            .flat()
            .join(', ')
        : ['the end of the line', ...new Set(allowed)].join(', '),
      ...(mend === undefined ? {} : { mend }),
    })
  }

  /** What stands there may be the rest of a key. */
  get #isBehindKey(): boolean {
    return this.#last === 'psk' || this.#last === 'ppk'
  }

  #name(): string | undefined {
    const token = this.#operands.stream.peek()
    if (!token.quoted && needsQuotes(token.text)) return undefined
    if (!token.quoted && METHODS.some((one) => one === token.text)) return undefined
    const name = this.#operands.string('the name of the policy')
    const mend = name.quoted ? undefined : this.#operands.meant(name, PARTS.slice(0, FROM + 1).flat()).mend
    if (mend !== undefined)
      this.#operands.warn(name, `the policy is called ${name.text}: ${mend} Else quote it: "${name.text}"`)
    return name.text
  }

  #flows(protocols: readonly number[]): IkedFlow[] {
    const flows = parseFlows(this.#operands, protocols)
    if (flows.length === 0) this.#bad()
    this.#part = FROM
    this.#last = 'from'
    return flows
  }

  /** Of two words each once, in either order. */
  #pair<T, W extends Word>(first: W, second: W, readOne: (word: W) => T): Partial<Record<W, T>> {
    const found: Partial<Record<W, T>> = {}
    for (let word = this.#take(first, second); word !== undefined; ) {
      found[word] = readOne(word)
      const other = word === first ? second : first
      word = found[other] === undefined ? this.#take(other) : undefined
    }
    return found
  }

  #ends(
    flows: readonly IkedFlow[],
    active: boolean,
    asked: 4 | 6 | undefined,
  ): Pick<IkedPolicy, 'local' | 'peer' | 'family'> {
    const start = this.#start
    const written = this.#pair('local', 'peer', (word) => this.#operands.end(`an address behind ${word}`))
    const isWritten = written.local !== undefined || written.peer !== undefined
    const [flow, ...others] = flows
    if (!isWritten && others.length > 0)
      refuse(start, 'CONFIG_MISSING_VALUE', 'could not get local/peer specification', {
        found: `${flows.length} flows and neither local nor peer`,
        expected: 'local ADDRESS peer ADDRESS behind the flows',
        mend: 'write peer any for a gateway that everybody may come to',
      })
    const anyHost: IkedHost = { kind: 'any' }
    const local = written.local ?? (isWritten ? anyHost : endOf(flow!.from))
    const peer = written.peer ?? (isWritten ? anyHost : endOf(flow!.to))
    if (active && (isNetwork(peer) || (local.kind === 'prefix' && isNetwork(local))))
      refuse(start, 'CONFIG_MISSING_VALUE', 'active mode requires local/peer address', {
        found: `local ${hostText(local)} peer ${hostText(peer)}`,
        expected: 'the addresses of two hosts',
        mend: 'name the peer, or write passive and wait for it',
      })
    const families = [asked, familyOf(local), familyOf(peer)].filter((one) => one !== undefined)
    if (new Set(families).size > 1)
      refuse(start, 'CONFIG_BAD_VALUE', 'peer address family mismatch', {
        found: `local ${hostText(local)} peer ${hostText(peer)}${asked === undefined ? '' : asked === 4 ? ' and inet' : ' and inet6'}`,
        expected: 'all of one family',
      })
    const [family] = families
    return { local, peer, ...(family === undefined ? {} : { family }) }
  }

  #proposals(phase: 'ikesa' | 'childsa', ah: boolean): IkedPolicy['ikesa'] {
    if (this.#operands.stream.peek().text === phase) {
      this.#part = partOf(phase)
      this.#last = phase
    }
    return parseProposals(this.#operands, phase, ah)
  }

  #lifetime(): IkedPolicy['lifetime'] {
    if (this.#take('lifetime') === undefined) return DEFAULT_LIFETIME
    const seconds = this.#operands.time()
    const bytes = this.#operands.stream.take('bytes') ? this.#operands.bytes() : DEFAULT_LIFETIME.bytes
    return { seconds, bytes }
  }

  #auth(): IkedAuth {
    const operands = this.#operands
    const method = this.#take(...METHODS)
    if (method !== undefined) return { kind: 'signature', method }
    if (this.#take('psk') !== undefined) return { kind: 'psk', secret: this.#secret() }
    if (this.#take('eap') === undefined) return { kind: 'signature', method: 'signature' }
    const token = operands.string('an EAP method')
    const written = token.text.toLowerCase().replaceAll('_', '-')
    // Ours: iked has MSCHAPv2 alone.
    if (written === 'tls') return { kind: 'eap', method: 'tls' }
    if (written !== 'mschap-v2')
      refuse(token, 'CONFIG_UNSUPPORTED', `unsupported EAP method: ${token.text}`, {
        found: shown(token),
        expected: '"mschap-v2" or "tls"',
        ...operands.meant(token, ['mschap-v2', 'tls']),
      })
    return { kind: 'eap', method: 'mschap-v2' }
  }

  #secret(): Uint8Array {
    const { stream } = this.#operands
    if (stream.take('file')) {
      const token = this.#operands.string('the name of a file')
      if (this.#read === undefined)
        refuse(token, 'CONFIG_UNSUPPORTED', 'no file can be read here', { found: shown(token) })
      const { text, mode } = this.#read!(token.text, whereOf(token))
      if (mode !== undefined) checkSecretMode(token.text, mode, whereOf(token))
      return parseKeyFile(text, 'the pre-shared key', token)
    }
    const token = stream.peek()
    const written = token.text
    if (!token.quoted && needsQuotes(written) && !written.startsWith('0x'))
      refuse(token, 'CONFIG_SYNTAX', 'syntax error', {
        found: written === '\n' ? shown(token) : 'a word that is no string',
        expected: 'a pre-shared key in quotes, 0x and hexadecimal digits, or file "NAME"',
        mend: 'put the key in quotes',
      })
    stream.next()
    const secret = written.startsWith('0x')
      ? parseKey(written, 'the pre-shared key', token)
      : new TextEncoder().encode(written)
    if (secret.length === 0 || secret.length > PSK_LIMIT)
      refuse(token, 'CONFIG_KEY', secret.length === 0 ? 'the pre-shared key is empty' : 'psk too long', {
        found: `${secret.length} bytes`,
        expected: `1 to ${PSK_LIMIT}`,
      })
    return secret
  }

  /** `ppk [optional] "NAME" KEY`, each of another name. */
  #ppks(auth: IkedAuth): IkedPpk[] {
    const operands = this.#operands
    const list: IkedPpk[] = []
    for (
      let token = operands.stream.peek();
      this.#take('ppk') !== undefined;
      token = operands.stream.peek()
    ) {
      if (auth.kind === 'eap')
        refuse(token, 'CONFIG_UNSUPPORTED', 'ppk is not offered beside eap', {
          found: 'eap … ppk',
          expected: 'psk or a signature beside ppk',
          mend: 'remove ppk from this policy',
        })
      const optional = operands.stream.take('optional')
      const name = operands.string('the name of a ppk', 255)
      if (list.some((one) => one.name === name.text))
        refuse(name, 'CONFIG_DUPLICATE', 'two ppks of one name', {
          found: shown(name),
          expected: 'it once',
          mend: 'give one another name',
        })
      if (list.length === PPK_LIMIT)
        refuse(token, 'CONFIG_LIMIT', 'too many ppks', { expected: `at most ${PPK_LIMIT} in a policy` })
      const secret = this.#secret()
      if (secret.length < PPK_SHORT)
        operands.warn(
          name,
          `ppk ${name.text} has ${secret.length} bytes: at least ${PPK_SHORT} are needed (RFC 8784 section 5.1); make one with: openssl rand -hex ${PPK_SHORT}`,
        )
      list.push({ name: name.text, secret, optional })
    }
    return list
  }

  #configuration(): IkedConfigurationValue[] {
    const operands = this.#operands
    const list: IkedConfigurationValue[] = []
    for (let action = this.#take('config', 'request'); action !== undefined; ) {
      const token = operands.word('an option of configuration')
      const option =
        OPTIONS.find((one) => one === token.text) ?? OPTIONS.find((one) => one.startsWith(token.text))
      if (option === undefined)
        refuse(token, 'CONFIG_BAD_VALUE', 'not a valid ikecfg option', {
          found: shown(token),
          expected: OPTIONS.join(', '),
          ...operands.meant(token, OPTIONS),
        })
      const isAny = action === 'request' && operands.stream.take('any')
      const value = isAny ? undefined : operands.addressWithLength(`an address behind ${option}`)
      const family = value?.address.family ?? 4
      if (option === 'netmask' && family === 6)
        refuse(operands.stream.last, 'CONFIG_BAD_VALUE', 'not a valid ikecfg option', {
          found: shown(operands.stream.last),
          expected: 'an IPv4 netmask: IPv6 has none',
        })
      if (list.length === CONFIGURATION_LIMIT)
        operands.warn(token, `more than ${CONFIGURATION_LIMIT} values of config and request (left out)`)
      if (list.length < CONFIGURATION_LIMIT) list.push({ action, option: option!, family, ...value })
      action = this.#take('config', 'request')
    }
    return list
  }

  #filters(): Pick<IkedPolicy, 'tag' | 'tap'> {
    let found: Pick<IkedPolicy, 'tag' | 'tap'> = {}
    for (let word = this.#take('tag', 'tap'); word !== undefined; word = this.#take('tag', 'tap')) {
      if (word === 'tag') found = { ...found, tag: this.#operands.string('a tag', 63).text }
      else {
        const token = this.#operands.string('an enc interface')
        const [, unit] = /^enc(\d{1,9})$/.exec(token.text) ?? []
        if (unit === undefined)
          refuse(token, 'CONFIG_BAD_VALUE', `invalid tap interface name: ${token.text}`, {
            found: shown(token),
            expected: 'enc and a number: "enc1"',
          })
        found = { ...found, tap: Number(unit) }
      }
    }
    return found
  }
}
