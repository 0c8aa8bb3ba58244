/** What rules of pf.conf(5) name: hosts, ports, protocols, types, flags. */
import { IpPrefix } from '../../base/index.js'
import { type PfAddress, type PfHost, type PfPorts, type PfRule, protocolNumber } from './rules.js'
import { syntax, TokenReader } from './tokens.js'

/** Ports by name, as /etc/services has those that pf.conf examples use. */
const services: Readonly<Record<string, number>> = {
  'ftp-data': 20,
  ftp: 21,
  ssh: 22,
  telnet: 23,
  smtp: 25,
  domain: 53,
  tftp: 69,
  www: 80,
  http: 80,
  ntp: 123,
  https: 443,
  isakmp: 500,
  tinc: 655,
  openvpn: 1194,
  'ipsec-nat-t': 4500,
}

export abstract class OperandReader extends TokenReader {
  protected tableName(): string {
    this.expect('<')
    const name = this.word('a table name')
    this.expect('>')
    return name
  }

  protected host(): PfHost {
    const not = this.take('!')
    if (this.take('(')) {
      const address = this.interfaceAddress(this.word('an interface'))
      this.expect(')')
      return { not, address }
    }
    if (this.peek().text === '<') return { not, address: { kind: 'table', name: this.tableName() } }
    const token = this.peek()
    const text = this.word('an address, an interface, a <table> or any')
    if (text === 'any') return { not, address: { kind: 'any' } }
    if (text === 'self' || text === 'no-route') return { not, address: { kind: text } }
    const prefix = IpPrefix.parse(text)
    if (prefix !== undefined) {
      if (!this.take('-')) return { not, address: { kind: 'prefix', prefix } }
      const last = IpPrefix.parse(this.word('the last address'))
      if (last === undefined || last.family !== prefix.family) this.refuse('the last address of the range')
      return { not, address: { kind: 'range', first: prefix, last: last! } }
    }
    if (!/^[a-z]+\d*(:network)?$/.test(text))
      throw syntax(this.file, token.line, text, 'an address, an interface, a <table> or any')
    return { not, address: this.interfaceAddress(text) }
  }

  protected interfaceAddress(text: string): PfAddress {
    const [name = text, modifier] = text.split(':')
    return { kind: 'interface', name, network: modifier === 'network' }
  }

  protected ports(): PfPorts {
    const operator = ['=', '!=', '<', '>', '<=', '>='].includes(this.peek().text) ? this.next().text : ''
    const token = this.peek()
    const text = this.word('a port')
    const port = (name: string): number => {
      const number = /^\d{1,5}$/.test(name) ? Number(name) : services[name]
      if (number === undefined || number > 65_535)
        throw syntax(this.file, token.line, name, 'a port, 0 to 65535')
      return number
    }
    const [first = text, second] = text.split(':')
    if (second !== undefined)
      return { not: false, low: port(first), high: second === '' ? 65_535 : port(second), text }
    const value = port(first)
    if (this.take('><')) {
      const high = port(this.word('a port'))
      return { not: false, low: value + 1, high: high - 1, text: `${value} >< ${high}` }
    }
    if (this.take('<>')) {
      const high = port(this.word('a port'))
      return { not: true, low: value, high, text: `${value} <> ${high}` }
    }
    const shown = `${operator || '='} ${value}`
    if (operator === '<') return { not: false, low: 0, high: value - 1, text: shown }
    if (operator === '<=') return { not: false, low: 0, high: value, text: shown }
    if (operator === '>') return { not: false, low: value + 1, high: 65_535, text: shown }
    if (operator === '>=') return { not: false, low: value, high: 65_535, text: shown }
    return { not: operator === '!=', low: value, high: value, text: shown }
  }

  protected protocol(): number {
    const token = this.peek()
    const text = this.word('a protocol')
    const number = protocolNumber(text)
    if (number === undefined)
      throw syntax(this.file, token.line, text, 'tcp, udp, icmp, icmp6, gre, esp, … or a number')
    return number
  }

  protected icmpType(names: Readonly<Record<string, number>>): number {
    const token = this.peek()
    const text = this.word('a type')
    const number = /^\d{1,3}$/.test(text) ? Number(text) : names[text]
    if (number === undefined || number > 255)
      throw syntax(this.file, token.line, text, `${Object.keys(names).join(', ')} or a number`)
    if (this.take('code')) this.word('a code')
    return number
  }

  protected flags(): PfRule['flags'] {
    const token = this.peek()
    const text = this.word('flags')
    if (text === 'any') return undefined
    const letters = 'FSRPAUEW'
    const [set = '', of = letters] = text.split('/')
    const bits = (part: string): number => {
      let value = 0
      for (const letter of part) {
        const bit = letters.indexOf(letter)
        if (bit < 0) throw syntax(this.file, token.line, text, 'flags as in S/SA')
        value |= 1 << bit
      }
      return value
    }
    return { set: bits(set), of: bits(of), text }
  }
}
