/** Keys and packets of Linux as this folder's tests and those beside Wireshark take them. */
import type { EncryptionName, MacName } from '../../crypto/names.js'
import { type LinuxVector, linuxVectors } from '../../proto/esp/linux.testdata.js'
import type { SaKeys } from './esp-sa.js'

export const hexBytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))

export function keysOf(vector: LinuxVector): SaKeys {
  const { family, spi, encryption, integrity, encryptionKey, integrityKey } = vector
  return {
    family,
    source: '*',
    destination: '*',
    spi: `0x${spi.toString(16).padStart(8, '0')}`,
    encryption: (encryption ?? 'ENCR_NULL') as EncryptionName,
    encryptionKey: hexBytes(encryptionKey),
    ...(integrity === undefined ? {} : { integrity: integrity as MacName }),
    integrityKey: hexBytes(integrityKey),
  }
}

export const vectorName = (vector: LinuxVector): string =>
  [
    vector.protocol,
    vector.mode,
    vector.encryption,
    vector.integrity,
    `over IPv${vector.family}`,
    vector.esn ? 'extended numbers' : '',
    vector.encap ? 'in UDP' : '',
    `SPI ${vector.spi}`,
  ]
    .filter(Boolean)
    .join(' ')

export { type LinuxVector, linuxVectors }
