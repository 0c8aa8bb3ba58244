/**
 * GRE: RFC 2784 (version 0, checksum) with the key and sequence number of RFC 2890, and RFC 1701's bits known by
 * name so that they can be refused by name. Version 1 is PPTP's (RFC 2637) and, in a form of its own, EoIP's: eoip.ts.
 */
import { ParseError } from '../base/index.js'
import { type ChecksumMismatch, checksumMismatch, sealChecksum } from './checksum.js'
import { defineHeader, flag, type Header, uint } from './layout.js'
import { etherTypeNames } from './numbers.js'

export interface GreHeader {
  checksumPresent?: boolean
  /** RFC 1701 only; RFC 2784 section 2.3 has a receiver discard what sets it. */
  routingPresent?: boolean
  keyPresent?: boolean
  sequencePresent?: boolean
  /** RFC 1701 only. */
  strictSourceRoute?: boolean
  recursionControl?: number
  flags?: number
  /** 0; another is not this header. */
  version?: number
  /** EtherType of the payload. */
  protocol: number
  checksum?: number
  /** Present exactly where the checksum is (RFC 2784 section 2.5). */
  reserved1?: number
  key?: number
  sequence?: number
}

export const GRE_HEADER_LENGTH = 4

export const gre: Header<GreHeader> = defineHeader<GreHeader>({
  name: 'gre',
  title: 'Generic Routing Encapsulation',
  ref: 'RFC 2784 section 2.1',
  fields: {
    checksumPresent: flag('Checksum present (C)'),
    routingPresent: flag('Routing present (R)', {
      ref: 'RFC 1701',
      meaning: (bit) => (bit ? 'obsolete: a receiver discards it' : undefined),
    }),
    keyPresent: flag('Key present (K)', { ref: 'RFC 2890 section 2' }),
    sequencePresent: flag('Sequence number present (S)', { ref: 'RFC 2890 section 2' }),
    strictSourceRoute: flag('Strict source route (s)', { ref: 'RFC 1701' }),
    recursionControl: uint(3, 'Recursion control', { ref: 'RFC 1701' }),
    flags: uint(5, 'Reserved flags', { meaning: (bits) => (bits ? 'must be zero' : undefined) }),
    version: uint(3, 'Version', { codes: { 0: 'GRE', 1: 'enhanced GRE (PPTP) or EoIP' }, must: 0 }),
    protocol: uint(16, 'Protocol type', { show: 'hex', codes: etherTypeNames }),
    checksum: uint(16, 'Checksum', { show: 'hex', when: 'checksumPresent', ref: 'RFC 2784 section 2.5' }),
    reserved1: uint(16, 'Reserved', { when: 'checksumPresent', ref: 'RFC 2784 section 2.5' }),
    key: uint(32, 'Key', { when: 'keyPresent', ref: 'RFC 2890 section 2.1' }),
    sequence: uint(32, 'Sequence number', { when: 'sequencePresent', ref: 'RFC 2890 section 2.2' }),
  },
  derive: (value) => (value.checksum === undefined ? {} : { reserved1: value.reserved1 ?? 0 }),
  check: (view) => {
    // RFC 2784 section 2.3: bits 1 to 5 set and RFC 1701 not implemented: discard.
    if (view.routingPresent || view.strictSourceRoute || view.recursionControl !== 0)
      return new ParseError(
        'gre',
        'routingPresent',
        view.start,
        `0x${view.bytes[view.start]!.toString(16)}`,
        'no bits of RFC 1701',
      )
    return undefined
  },
})

/**
 * What is wrong with the checksum of the GRE packet `bytes[start, end)`, header and payload (RFC 2784 section 2.5);
 * `undefined` if nothing is, or if it has none.
 */
export const greChecksum = (bytes: Uint8Array, start: number, end: number): ChecksumMismatch | undefined =>
  (bytes[start]! & 0x80) === 0 ? undefined : checksumMismatch(bytes, start, end, start + 4)

/** Computes and writes the checksum of the GRE packet `bytes[start, end)`, whose header has the field. */
export const sealGreChecksum = (bytes: Uint8Array, start: number, end: number): void =>
  sealChecksum(bytes, start, end, start + 4)
