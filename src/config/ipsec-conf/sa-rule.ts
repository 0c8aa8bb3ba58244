/** Rules of ipsec.conf(5) that make security associations, and their keys. */
import type { ManualSa } from '../../engine/index.js'
import { checkSecretMode } from '../grammar/permissions.js'
import { type Reader, refuse, shown, type Token, whereOf } from '../grammar/tokens.js'
import { isPatterned, parseKey, parseKeyFile } from './keys.js'
import type { RuleOperands } from './rule-operands.js'
import { type SaParts, saOf } from './sa.js'
import { encryptionNamed, integrityNamed } from './transforms.js'

export interface SaContext {
  /** Key files; without it a rule can name none. */
  readonly read: Reader | undefined
  readonly staticCounters: 'warn' | 'refuse'
}

export interface ParsedSas {
  readonly sas: readonly ManualSa[]
  readonly warnings: readonly string[]
}

/** An `esp`, `ah` or `ipip` rule: its SAs, and what is to be said of them. */
export function parseSa(operands: RuleOperands, start: Token, context: SaContext): ParsedSas {
  const sas: ManualSa[] = []
  const { stream } = operands
  const protocol = operands.protocolWord()
  const mode = stream.take('transport') ? 'transport' : 'tunnel'
  if (mode === 'tunnel') stream.take('tunnel')
  const hosts = operands.ruleHosts()
  if (hosts.fromPorts !== undefined || hosts.toPorts !== undefined)
    refuse(start, 'CONFIG_SYNTAX', 'an SA has no ports', { mend: 'name them in the flow' })
  const seen = new Map<string, string>()
  const parts: SaParts = { start, protocol, mode }
  for (;;) {
    const token = stream.peek()
    if (token.text === '\n') break
    const word = ['spi', 'udpencap', 'auth', 'enc', 'authkey', 'enckey', 'comp'].find((one) =>
      stream.take(one),
    )
    if (word === undefined)
      refuse(token, 'CONFIG_SYNTAX', 'syntax error', {
        found: shown(token),
        expected: 'spi, udpencap, auth, enc, authkey or enckey',
        ...saMend(operands, token),
      })
    operands.once(seen, word!, token)
    saWord(operands, word!, token, parts, context)
  }
  operands.pairs(hosts, start, (from, to) => {
    for (const { prefix, token } of [from, to])
      if (prefix.length !== 8 * prefix.address.bytes.length)
        refuse(token, 'CONFIG_BAD_VALUE', 'an end of an SA', {
          found: `${prefix}`,
          expected: 'the address of one host',
          mend: 'from and to of an SA are the gateways; the networks behind them stand in a flow',
        })
    sas.push(...saOf(parts, from.prefix.address, to.prefix.address, context.staticCounters))
  })
  return { sas, warnings: judge(parts) }
}

function saWord(
  operands: RuleOperands,
  word: string,
  token: Token,
  parts: SaParts,
  context: SaContext,
): void {
  if (word === 'spi') parts.spis = operands.spis()
  else if (word === 'udpencap')
    parts.udpPort = operands.stream.take('port') ? operands.number('a port', 1, 65_535) : 4500
  else if (word === 'enc') parts.encryption = encryptionNamed(operands.word('a cipher'))
  else if (word === 'auth') {
    if (operands.stream.take('none')) parts.authentication = 'none'
    else parts.authentication = integrityNamed(operands.word('an algorithm'))
  } else if (word === 'authkey' || word === 'enckey') parts[word] = keysOf(operands, word, context)
  else
    refuse(token, 'CONFIG_UNSUPPORTED', `${parts.protocol} does not provide compression`, {
      mend: 'remove comp',
    })
}

function saMend(operands: RuleOperands, token: Token): { mend?: string } {
  if (token.text === 'peer' || token.text === 'local')
    return { mend: 'from and to of an SA are its ends already; peer and local stand in a flow' }
  return operands.meant(token, ['spi', 'udpencap', 'auth', 'enc', 'authkey', 'enckey'])
}

/** `0x…`, `0x…:0x…`, `file "NAME:NAME"`, `file "NAME":"NAME"`. */
function keysOf(
  operands: RuleOperands,
  word: 'authkey' | 'enckey',
  context: SaContext,
): NonNullable<SaParts['authkey']> {
  const { stream } = operands
  const isFile = stream.take('file')
  const token = operands.word(isFile ? 'the name of a key file' : 'a key in hexadecimal, or file "NAME"')
  let text = token.text
  // "a":"b" are three words.
  if (isFile && token.quoted && stream.peek().text.startsWith(':') && !stream.peek().quoted) {
    const rest = stream.next().text
    text += rest === ':' ? `:${operands.word('the name of the other key file').text}` : rest
  }
  const [out = '', back, ...more] = text.split(':')
  if (more.length > 0)
    refuse(token, 'CONFIG_KEY', `${word} has more than two parts`, {
      expected: 'one key, or two with a colon between',
    })
  const read = (part: string): Uint8Array =>
    isFile ? keyFile(part, word, token, context) : parseKey(part, word, token)
  return { out: read(out), in: back === undefined ? undefined : read(back), token }
}

function keyFile(name: string, word: string, token: Token, { read }: SaContext): Uint8Array {
  if (read === undefined)
    refuse(token, 'CONFIG_UNSUPPORTED', 'no key file can be read here', { found: `file "${name}"` })
  const { text, mode } = read!(name, whereOf(token))
  if (mode !== undefined) checkSecretMode(name, mode, whereOf(token))
  return parseKeyFile(text, word, token)
}

/** Said once a rule, however many SAs it makes. */
function judge({ start, encryption, authentication, authkey, enckey, protocol }: SaParts): string[] {
  const warnings: string[] = []
  const warn = (text: string): void => {
    warnings.push(`${whereOf(start)}: warning: ${text}`)
  }
  if (protocol === 'ipip') warn('ipip: nothing is encrypted and nothing authenticated')
  if (encryption?.weakness !== undefined) warn(`enc ${encryption.name}: ${encryption.weakness}`)
  if (encryption?.counter)
    warn(
      `enc ${encryption.name} with keys in a file: a number that is used again under one key gives the packets away; ` +
        'change the keys whenever the SA is set up anew (OpenBSD refuses this)',
    )
  if (authentication === 'none' && !encryption?.combined)
    warn(
      'auth none: what arrives may be forged, and what leaves may be read by whoever forges (CVE-2005-0039)',
    )
  for (const [word, keys] of [
    ['authkey', authkey],
    ['enckey', enckey],
  ] as const) {
    if (keys === undefined) continue
    if (isPatterned(keys.out) || (keys.in !== undefined && isPatterned(keys.in)))
      warn(
        `${word} follows a pattern: anybody can guess it; make one with openssl rand -hex ${keys.out.length}`,
      )
    if (keys.in !== undefined && same(keys.out, keys.in)) warn(`${word} is the same in both directions`)
  }
  if (authkey !== undefined && enckey !== undefined && same(authkey.out, enckey.out))
    warn('authkey and enckey are the same')
  return warnings
}

const same = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length > 0 && a.length === b.length && a.every((byte, i) => byte === b[i])
