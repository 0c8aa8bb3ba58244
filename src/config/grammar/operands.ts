/** What rules of ipsec.conf(5) and iked.conf(5) name: hosts, protocols, ports, numbers. */
import { didYouMean, type IpAddress, IpPrefix, Ipv4Address, Ipv6Address } from '../../base/index.js'
import type { PortRange } from '../../engine/index.js'
import { refuse, shown, type Token, type TokenStream } from './tokens.js'

/** Members of a list, and what rules expand to. */
export const EXPANSION_LIMIT = 4096

const protocols: Readonly<Record<string, number>> = {
  icmp: 1,
  igmp: 2,
  ipip: 4,
  ipencap: 4,
  tcp: 6,
  udp: 17,
  ipv6: 41,
  gre: 47,
  esp: 50,
  ah: 51,
  'ipv6-icmp': 58,
  icmp6: 58,
  ospf: 89,
  etherip: 97,
  carp: 112,
  l2tp: 115,
  sctp: 132,
}

const services: Readonly<Record<string, number>> = {
  'ftp-data': 20,
  ftp: 21,
  ssh: 22,
  telnet: 23,
  smtp: 25,
  domain: 53,
  tftp: 69,
  http: 80,
  www: 80,
  pop3: 110,
  sunrpc: 111,
  ntp: 123,
  imap: 143,
  snmp: 161,
  bgp: 179,
  ldap: 389,
  https: 443,
  isakmp: 500,
  syslog: 514,
  tinc: 655,
  openvpn: 1194,
  l2tp: 1701,
  nfs: 2049,
  'ipsec-nat-t': 4500,
}

/** `tcp`, as /etc/protocols has it; the number where it has none. */
export const protocolName = (number: number): string =>
  Object.entries({ ...protocols, ipencap: 4 }).find(
    ([name, value]) => value === number && name !== 'ipip',
  )?.[0] ?? String(number)
export const serviceName = (port: number): string =>
  Object.entries(services).find(([name, value]) => value === port && name !== 'http')?.[0] ?? String(port)

const named = (table: Readonly<Record<string, number>>, name: string): number | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined

export class Operands {
  readonly stream: TokenStream

  constructor(stream: TokenStream) {
    this.stream = stream
  }

  /** A word that is an operand: not punctuation, and not the end of the line. */
  word(what: string): Token {
    const token = this.stream.peek()
    if (token.text === '\n' || (!token.quoted && '{}(),=!<>'.includes(token.text)))
      refuse(token, 'CONFIG_SYNTAX', 'syntax error', { found: shown(token), expected: what })
    return this.stream.next()
  }

  /** One, or several in braces with commas or blanks between them. `any` is both families' whole. */
  hosts(): readonly { readonly prefix: IpPrefix; readonly token: Token }[] {
    const { stream } = this
    if (!stream.take('{')) return this.#host()
    const hosts: { prefix: IpPrefix; token: Token }[] = []
    for (;;) {
      while (stream.take(','));
      const token = stream.peek()
      if (stream.take('}')) break
      if (token.text === '\n')
        refuse(token, 'CONFIG_SYNTAX', 'a list is not closed on its line', {
          found: shown(token),
          expected: '}',
          mend: 'end the line with a backslash to go on with the list on the next',
        })
      hosts.push(...(token.text === '{' && !token.quoted ? this.hosts() : this.#host()))
      if (hosts.length > EXPANSION_LIMIT)
        refuse(token, 'CONFIG_LIMIT', 'the list is too long', {
          expected: `at most ${EXPANSION_LIMIT} members`,
        })
    }
    if (hosts.length === 0)
      refuse(stream.last, 'CONFIG_SYNTAX', 'the list is empty', { expected: 'at least one address' })
    return hosts
  }

  /** A prefix, an address, or `any`. */
  #host(): { prefix: IpPrefix; token: Token }[] {
    const token = this.word('an address, a network, a list in braces, or any')
    if (token.text === 'any' && !token.quoted)
      return [
        { prefix: new IpPrefix(Ipv4Address.unspecified, 0), token },
        { prefix: new IpPrefix(Ipv6Address.unspecified, 0), token },
      ]
    const prefix = IpPrefix.parse(token.text) ?? this.badHost(token)
    const next = this.stream.peek()
    if (next.text === '(' && !next.quoted)
      refuse(next, 'CONFIG_UNSUPPORTED', 'a flow with NAT is not offered', {
        mend: 'translate the addresses before they reach IPsec',
      })
    const [address = ''] = token.text.split('/')
    const whole = IpPrefix.parse(address)
    if (whole !== undefined && !whole.address.equals(prefix.address))
      refuse(token, 'CONFIG_BAD_VALUE', 'a network with host bits', {
        found: shown(token),
        expected: 'zeros behind the prefix length',
        mend: `write ${prefix}, or ${address} for the one host`,
      })
    return [{ prefix, token }]
  }

  /** One host's address; undefined for `any`, where that may stand. */
  address(what: string, anyAllowed = false): { address: IpAddress | undefined; token: Token } {
    const token = this.word(what)
    if (anyAllowed && token.text === 'any') return { address: undefined, token }
    const prefix = IpPrefix.parse(token.text) ?? this.badHost(token)
    if (prefix.length !== 8 * prefix.address.bytes.length)
      refuse(token, 'CONFIG_BAD_VALUE', what, { found: shown(token), expected: 'the address of one host' })
    return { address: prefix.address, token }
  }

  /** What stands there is no address; a name is not looked up. */
  badHost(token: Token): never {
    if (/^[\d./]+$/.test(token.text) || token.text.includes(':'))
      refuse(token, 'CONFIG_BAD_VALUE', 'could not parse host specification', {
        found: shown(token),
        expected: 'ADDRESS or ADDRESS/LENGTH',
      })
    const isName = /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(token.text)
    return refuse(token, 'CONFIG_HOST_NAME', isName ? 'a name where an address belongs' : 'not an address', {
      found: shown(token),
      expected: 'an address, a network, or any',
      ...(isName
        ? {
            mend: `look the address of ${token.text} up and write it: whoever answers DNS would choose the peer`,
          }
        : {}),
    })
  }

  protocol(): number {
    const token = this.word('a protocol')
    const number = /^\d{1,3}$/.test(token.text) ? Number(token.text) : named(protocols, token.text)
    if (number !== undefined && number <= 255) return number
    const mend = didYouMean(token.text, Object.keys(protocols))
    return refuse(token, 'CONFIG_BAD_VALUE', `unknown protocol: ${token.text}`, {
      found: shown(token),
      expected: 'a name of /etc/protocols, or 0 to 255',
      ...(mend === undefined ? {} : { mend }),
    })
  }

  /** `80`, `ssh`, `1024:2048`. */
  ports(): PortRange {
    const token = this.word('a port')
    const parts = token.text.split(':').map((part) => this.#port(part))
    const [first, last = first] = parts
    if (parts.length <= 2 && first !== undefined && last !== undefined && first <= last)
      return { first, last }
    const mend = didYouMean(token.text, Object.keys(services))
    return refuse(token, 'CONFIG_BAD_VALUE', `unknown port: ${token.text}`, {
      found: shown(token),
      expected: 'a number from 0 to 65535, a service, or FIRST:LAST',
      ...(mend === undefined ? {} : { mend }),
    })
  }

  #port(text: string): number | undefined {
    const number = /^\d{1,5}$/.test(text) ? Number(text) : named(services, text)
    return number !== undefined && number <= 65_535 ? number : undefined
  }

  number(what: string, least: number, most: number): number {
    const token = this.word(what)
    const value = /^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(token.text) ? Number(token.text) : Number.NaN
    if (value >= least && value <= most) return value
    return refuse(token, 'CONFIG_BAD_VALUE', what, {
      found: shown(token),
      expected: `a number from ${least} to ${most}`,
    })
  }

  /** `0x1000`, or two with a colon: there and back. */
  spis(): { readonly out: number; readonly in: number | undefined; readonly token: Token } {
    const token = this.word('an SPI, or two with a colon between')
    const [out = '', back, ...more] = token.text.split(':')
    const bad = (text: string): never =>
      refuse(token, 'CONFIG_BAD_VALUE', `${text} not a valid spi`, {
        found: shown(token),
        expected: 'a number from 0x100 to 0xffffffff, or two of them with a colon between',
      })
    if (more.length > 0) bad(token.text)
    const read = (text: string): number => {
      const value = /^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(text) ? Number(text) : bad(text)
      if (value > 0xffffffff) bad(text)
      // RFC 4303 section 2.1: 1 to 255 are reserved, 0 is for local use.
      if (value <= 255)
        refuse(token, 'CONFIG_BAD_VALUE', `${text} within reserved spi range`, {
          found: shown(token),
          expected: '0x100 or more (RFC 4303 section 2.1)',
        })
      return value
    }
    return { out: read(out), in: back === undefined ? undefined : read(back), token }
  }
}
