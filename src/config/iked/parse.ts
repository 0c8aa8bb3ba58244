/**
 * iked.conf(5) of OpenIKED 7.2.
 *
 * Every error names file, line and column, what was found and what may stand there; of a file with an error nothing is
 * used.
 */
import { WarrenError } from '../../base/index.js'
import type { EapUser } from '../../proto/ikev2/index.js'
import { defineMacro, fixMacros } from '../grammar/macros.js'
import { checkSecretMode } from '../grammar/permissions.js'
import { type Reader, refuse, shown, type Token, TokenStream } from '../grammar/tokens.js'
import { DEFAULT_OPTIONS, type IkedConf, type IkedOptions, type IkedPolicy } from './conf.js'
import { IkedOperands, shownClosed } from './operands.js'
import { parsePolicy } from './policy-rule.js'

export interface IkedConfOptions {
  /** Reads included files and files of keys; without it a file can name none. */
  readonly read?: Reader
  /** Permission bits of the file itself, where they are known. */
  readonly mode?: number
  /** Values of macros that the caller gives (`-D`); they win over the file's. */
  readonly macros?: ReadonlyMap<string, string>
}

/** Policies of a configuration, and users. */
const RULE_LIMIT = 10_000
/** iked's own limits, in bytes without the zero behind. */
const USER_LIMIT = 1023
const PASSWORD_LIMIT = 255

export const STATEMENTS: readonly string[] = ['ikev2', 'set', 'user', 'include']
/** Of ipsec.conf(5): iked reads over them. */
const OTHER_RULES = ['ike', 'flow', 'sa', 'tcpmd5', 'from', 'to', 'tunnel', 'transport']

const SWITCHES: Readonly<Record<string, Partial<IkedOptions>>> = {
  active: { passive: false },
  passive: { passive: true },
  couple: { decouple: false },
  decouple: { decouple: true },
  fragmentation: { fragmentation: true },
  nofragmentation: { fragmentation: false },
  mobike: { mobike: true },
  nomobike: { mobike: false },
  vendorid: { vendorId: true },
  novendorid: { vendorId: false },
  enforcesingleikesa: { enforceSingleIkeSa: true },
  noenforcesingleikesa: { enforceSingleIkeSa: false },
  stickyaddress: { stickyAddress: true },
  nostickyaddress: { stickyAddress: false },
  cert_partial_chain: { certPartialChain: true },
}
const SETTINGS = [...Object.keys(SWITCHES), 'ocsp', 'dpd_check_interval']

/** `file` is the name that messages show. Throws `WarrenError` CONFIG_*. */
export function parseIkedConf(text: string, file: string, options: IkedConfOptions = {}): IkedConf {
  if (options.mode !== undefined) checkSecretMode(file, options.mode)
  return new Parser(text, file, options).parse()
}

class Parser extends IkedOperands {
  readonly #read: Reader | undefined
  readonly #macros: ReadonlyMap<string, string>
  readonly #policies: IkedPolicy[] = []
  readonly #users = new Map<string, EapUser>()
  #options: IkedOptions = DEFAULT_OPTIONS
  /** The file that the line names: read when the line has ended. */
  #included: Token | undefined

  constructor(text: string, file: string, { read, macros = new Map() }: IkedConfOptions) {
    super(new TokenStream(text, file, read, true))
    this.#read = read
    this.#macros = macros
    fixMacros(this.stream, macros, file)
  }

  parse(): IkedConf {
    const { stream } = this
    for (;;) {
      while (stream.take('\n'));
      const token = stream.peek()
      if (token.text === '' && !token.quoted) break
      this.#statement(token)
      const end = stream.peek()
      if (end.quoted || !stream.take('\n'))
        refuse(end, 'CONFIG_SYNTAX', 'syntax error', {
          found: shownClosed(end),
          expected: 'the end of the line',
        })
      if (this.#included !== undefined) stream.include(this.#included)
      this.#included = undefined
      if (this.#policies.length + this.#users.size > RULE_LIMIT)
        refuse(token, 'CONFIG_LIMIT', 'too many rules', { expected: `at most ${RULE_LIMIT}` })
    }
    this.#review()
    return {
      policies: this.#policies,
      options: this.#options,
      users: [...this.#users.values()],
      warnings: this.warnings,
    }
  }

  #statement(token: Token): void {
    const { stream } = this
    if (stream.definesMacro) defineMacro(stream, this.#macros)
    else if (stream.take('ikev2'))
      this.#policies.push(parsePolicy(this, token, this.#policies.length + 1, this.#read))
    else if (stream.take('set')) this.#set()
    else if (stream.take('user')) this.#user()
    else if (stream.take('include')) this.#included = this.string('the name of a file')
    else if (!token.quoted && OTHER_RULES.includes(token.text)) this.#skip(token)
    else
      refuse(token, 'CONFIG_SYNTAX', 'syntax error', {
        found: shownClosed(token),
        expected: 'ikev2, set, user, include, or NAME = "VALUE"',
        ...this.meant(token, STATEMENTS),
      })
  }

  #set(): void {
    const { stream } = this
    const token = stream.peek()
    if (stream.take('ocsp')) this.#ocsp()
    else if (stream.take('dpd_check_interval'))
      this.#options = { ...this.#options, dpdCheckInterval: this.number('timeout outside range', 0, 2 ** 31) }
    else {
      const change = token.quoted || !Object.hasOwn(SWITCHES, token.text) ? undefined : SWITCHES[token.text]
      if (change === undefined)
        refuse(token, 'CONFIG_SYNTAX', 'syntax error', {
          found: shownClosed(token),
          expected: SETTINGS.join(', '),
          ...this.meant(token, SETTINGS),
        })
      stream.next()
      this.#options = { ...this.#options, ...change }
    }
  }

  #ocsp(): void {
    const { stream } = this
    const token = this.string('the URL of an OCSP responder')
    if (!/^https?:\/\/[^\s/]+/.test(token.text))
      refuse(token, 'CONFIG_BAD_VALUE', 'no URL of an OCSP responder', {
        found: shown(token),
        expected: '"http://HOST/…"',
      })
    const tolerate = stream.take('tolerate') ? this.time() : undefined
    const maxAge = tolerate !== undefined && stream.take('maxage') ? this.time() : undefined
    if (tolerate === undefined && stream.peek().text === 'maxage')
      refuse(stream.peek(), 'CONFIG_SYNTAX', 'syntax error', {
        found: '"maxage"',
        expected: 'tolerate, or the end of the line',
        mend: 'write tolerate TIME before maxage',
      })
    this.warn(token, 'ocsp is not asked: certificates are checked against /etc/iked/crls/ alone')
    const ocsp = { url: token.text, tolerate: tolerate ?? 0, ...(maxAge === undefined ? {} : { maxAge }) }
    this.#options = { ...this.#options, ocsp }
  }

  #user(): void {
    const name = this.string('invalid user name', USER_LIMIT)
    const password = this.stream.peek()
    const { text } = password
    if (!password.quoted && text !== '\n' && /^\d+$/.test(text))
      refuse(password, 'CONFIG_SYNTAX', 'syntax error', {
        found: 'a number',
        expected: 'a password in quotes',
        mend: 'put the password in quotes',
      })
    this.string('invalid password', PASSWORD_LIMIT)
    const end = this.stream.peek()
    if (end.quoted || end.text !== '\n')
      refuse(end, 'CONFIG_SYNTAX', 'syntax error', {
        found: 'another word',
        expected: 'the end of the line behind the password',
        mend: 'a password with blanks in it has to stand in quotes',
      })
    if (this.#users.has(name.text))
      this.warn(name, `user ${name.text} is there twice: this password is taken`)
    this.#users.set(name.text, { name: name.text, password: text })
  }

  #skip(token: Token): void {
    const { stream } = this
    this.warn(token, `${token.text} is a rule of ipsec.conf(5): read over, as iked does`)
    while (stream.peek().quoted || (stream.peek().text !== '\n' && stream.peek().text !== '')) stream.next()
  }

  /** What can only be judged of the whole file. */
  #review(): void {
    const names = new Map<string, IkedPolicy>()
    let standard: IkedPolicy | undefined
    for (const policy of this.#policies) {
      const before = names.get(policy.name)
      if (before !== undefined)
        throw new WarrenError('CONFIG_DUPLICATE', 'two policies of one name', {
          where: policy.where,
          found: `"${policy.name}"`,
          expected: `it once (${before.where})`,
          mend: 'give one another name',
        })
      names.set(policy.name, policy)
      if (policy.evaluation !== 'default') continue
      if (standard !== undefined)
        this.warnings.push(`${policy.where}: a second default policy: ${standard.where} is none any more`)
      standard = policy
    }
    const needsUsers = this.#policies.find(({ auth }) => auth.kind === 'eap' && auth.method !== 'tls')
    if (needsUsers !== undefined && this.#users.size === 0)
      this.warnings.push(`${needsUsers.where}: eap, and no user in the file: nobody can log in`)
  }
}
