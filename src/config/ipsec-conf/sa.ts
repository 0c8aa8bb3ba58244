/** From the words of an SA rule to its one or two security associations, checked (ipsec.conf(5), MANUAL SETUP). */
import type { IpAddress } from '../../base/index.js'
import type { ManualSa, SaProtocol } from '../../engine/index.js'
import { refuse, type Token, whereOf } from '../grammar/tokens.js'
import { checkKeyLength } from './keys.js'
import { ENCRYPTIONS, type EncryptionChoice, INTEGRITIES, type IntegrityChoice } from './transforms.js'

interface Keys {
  readonly out: Uint8Array
  readonly in: Uint8Array | undefined
  readonly token: Token
}

/** What was written, before anything is filled in. */
export interface SaParts {
  readonly start: Token
  readonly protocol: SaProtocol
  readonly mode: 'tunnel' | 'transport'
  spis?: { readonly out: number; readonly in: number | undefined; readonly token: Token }
  udpPort?: number
  encryption?: EncryptionChoice
  authentication?: IntegrityChoice | 'none'
  authkey?: Keys
  enckey?: Keys
}

/** The SA of the rule, and the one back where the rule gives a second SPI or key. Fills defaults into `parts`. */
export function saOf(
  parts: SaParts,
  source: IpAddress,
  destination: IpAddress,
  staticCounters: 'warn' | 'refuse',
): ManualSa[] {
  fillIn(parts, staticCounters)
  const { spis, authkey, enckey, start } = parts
  if (spis === undefined)
    return refuse(start, 'CONFIG_MISSING_VALUE', 'no SPI specified', {
      expected: 'spi 0x…:0x…',
      mend: 'give an SPI for each direction; the peer has them the other way round',
    })
  const there = oneWay(parts, source, destination, spis.out, authkey?.out, enckey?.out)
  const back = [spis.in, authkey?.in, enckey?.in].some((one) => one !== undefined)
  if (!back) return [there]
  if (spis.in === undefined)
    refuse(spis.token, 'CONFIG_MISSING_VALUE', 'no SPI specified for the way back', {
      found: 'keys for both directions',
      expected: `spi 0x${spis.out.toString(16)}:0x…`,
    })
  return [there, oneWay(parts, destination, source, spis.in!, authkey?.in, enckey?.in)]
}

function fillIn(parts: SaParts, staticCounters: 'warn' | 'refuse'): void {
  const { protocol, start, authkey, enckey, udpPort } = parts
  if (udpPort !== undefined && protocol !== 'esp')
    refuse(start, 'CONFIG_BAD_VALUE', 'udpencap', {
      found: protocol,
      expected: 'esp: RFC 3948 knows no other',
    })
  if (protocol === 'ipip') {
    if (parts.encryption ?? parts.authentication ?? authkey ?? enckey)
      refuse(start, 'CONFIG_BAD_VALUE', 'no encryption, authentication or compression with ipip', {
        mend: 'remove auth, enc and the keys, or write esp',
      })
    return
  }
  if (protocol === 'ah') {
    if (parts.encryption !== undefined || enckey !== undefined)
      refuse(start, 'CONFIG_BAD_VALUE', 'ah does not provide encryption', {
        mend: 'write esp, or remove enc and enckey',
      })
    parts.authentication ??= INTEGRITIES.get('hmac-sha2-256')!
    if (parts.authentication === 'none')
      refuse(start, 'CONFIG_BAD_VALUE', 'ah without authentication', {
        mend: 'name an algorithm: auth hmac-sha2-256',
      })
    return
  }
  parts.encryption ??= ENCRYPTIONS.get('aes')!
  const { encryption } = parts
  if (encryption.counter && staticCounters === 'refuse')
    refuse(start, 'CONFIG_BAD_VALUE', `${encryption.name} is disallowed with static keys`, {
      mend: 'use enc aes with auth hmac-sha2-256',
    })
  if (encryption.combined) {
    if (parts.authentication !== undefined || authkey !== undefined)
      refuse(start, 'CONFIG_BAD_VALUE', `authentication is implicit for ${encryption.name}`, {
        mend: 'remove auth and authkey',
      })
    return
  }
  parts.authentication ??= INTEGRITIES.get('hmac-sha2-256')!
  // Two of them that do nothing, or a cipher whose every bit can be flipped: not even by name.
  if (parts.authentication === 'none' && (encryption.id === 'ENCR_NULL' || encryption.id === 'ENCR_AES_CTR'))
    refuse(start, 'CONFIG_BAD_VALUE', `enc ${encryption.name} without authentication`, {
      expected: 'auth hmac-sha2-256 or another (RFC 4303 section 3.2, RFC 3686 section 7)',
    })
}

function oneWay(
  parts: SaParts,
  source: IpAddress,
  destination: IpAddress,
  spi: number,
  authkey: Uint8Array | undefined,
  enckey: Uint8Array | undefined,
): ManualSa {
  const { protocol, mode, start, udpPort, encryption } = parts
  const authentication = parts.authentication === 'none' ? undefined : parts.authentication
  const way = `from ${source} to ${destination}`
  if (authentication !== undefined && authkey === undefined)
    refuse(start, 'CONFIG_MISSING_VALUE', `no authentication key specified ${way}`, {
      expected: `authkey 0x… of ${8 * authentication.keyLengths[0]!} bits`,
      mend: `make one with: openssl rand -hex ${authentication.keyLengths[0]}`,
    })
  if (authentication === undefined && authkey !== undefined)
    refuse(parts.authkey!.token, 'CONFIG_BAD_VALUE', 'an authkey with auth none', {
      mend: 'remove one of them',
    })
  if (encryption !== undefined && enckey === undefined && encryption.id !== 'ENCR_NULL')
    refuse(start, 'CONFIG_MISSING_VALUE', `no encryption key specified ${way}`, {
      expected: `enckey 0x… of ${encryption.keyLengths.map((length) => 8 * length).join(' or ')} bits`,
      mend: `make one with: openssl rand -hex ${encryption.keyLengths.at(-1)}`,
    })
  if (authentication !== undefined && authkey !== undefined)
    checkKeyLength(authkey, authentication, 'authkey', parts.authkey!.token)
  if (encryption !== undefined && enckey !== undefined)
    checkKeyLength(enckey, encryption, 'enckey', parts.enckey!.token)
  return {
    protocol,
    mode,
    source,
    destination,
    spi,
    ...(encryption === undefined
      ? {}
      : { encryption: { name: encryption.name, id: encryption.id, key: enckey ?? new Uint8Array(0) } }),
    ...(authentication === undefined || authkey === undefined
      ? {}
      : { authentication: { name: authentication.name, id: authentication.id, key: authkey } }),
    unauthenticated: protocol === 'esp' && authentication === undefined && encryption?.combined !== true,
    ...(udpPort === undefined ? {} : { udpPort }),
    where: whereOf(start),
  }
}
