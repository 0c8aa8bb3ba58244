/** Names of IKE version 1, whose payloads are not looked into: RFC 2408 sections 3.1, 3.4 and RFC 2409 appendix A. */
import { ikeExchangeNames } from '../../wire/ike/index.js'

const PAYLOADS: Readonly<Record<number, string>> = {
  0: 'none',
  1: 'Security association',
  2: 'Proposal',
  3: 'Transform',
  4: 'Key exchange',
  5: 'Identification',
  6: 'Certificate',
  7: 'Certificate request',
  8: 'Hash',
  9: 'Signature',
  10: 'Nonce',
  11: 'Notification',
  12: 'Delete',
  13: 'Vendor ID',
  14: 'Attributes (mode config)',
  20: 'NAT discovery',
  21: 'NAT original address',
}

export const payloadName1 = (type: number): string => PAYLOADS[type] ?? 'unknown'
export const exchangeText1 = (type: number): string => ikeExchangeNames[type] ?? 'unknown'
