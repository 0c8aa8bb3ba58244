/** EtherIP (RFC 3378): version 3, and the 2 of an old OpenBSD whose header was one byte. */
import { printEthernet } from './ethernet.js'
import { has, type Printing } from './printing.js'

/** `addresses` are the outer ones, `a > b`. */
export function printEtherip(p: Printing, at: number, length: number, addresses: string): void {
  if (!has(p, at, 2)) {
    p.out += '[|etherip]'
    return
  }
  const first = p.bytes[at]!
  // RFC 3378 section 3: the version is in the high four bits. The old version 2 wrote it into the low ones.
  const version = first >> 4 === 3 ? 3 : (first & 15) === 2 ? 2 : undefined
  p.out += `etherip ${addresses} ver ${version ?? 'unknown'} len ${length}`
  if (version === undefined) return
  p.out += ': '
  const headerLength = version === 3 ? 2 : 1
  printEthernet(p, at + headerLength, length - headerLength)
}
