/** Authorities and certificates for tests. */
import { generateKey, type KeyKind } from '../node/generate.js'
import { type CertificateContents, issueCertificate, issueRevocationList } from '../node/issue.js'
import { loadPrivateKey } from '../node/signature.js'
import type { PrivateKey } from '../signature.js'
import { type Certificate, KeyUsage, parseCertificate } from './certificate.js'
import { parseRevocationList, type RevocationList } from './crl.js'
import { parseName } from './name.js'

export const DAY = 86_400_000
/** 2026-01-01. */
export const TODAY: number = Date.UTC(2026, 0, 1)

export interface TestEntity {
  readonly key: PrivateKey
  readonly privatePem: string
  readonly publicPem: string
  readonly certificate: Certificate
  readonly der: Uint8Array
}

export function name(text: string): Uint8Array {
  const der = parseName(text)
  if (der === undefined) throw new Error(`no name: ${text}`)
  return der
}

let serial = 0x1000

/** A certificate by `issuer`, or by itself. */
export async function entity(
  subject: string,
  options: Partial<CertificateContents> & { readonly issuer?: TestEntity; readonly kind?: KeyKind } = {},
): Promise<TestEntity> {
  const { issuer, kind = 'ecdsa256', ...contents } = options
  const pair = await generateKey(kind)
  const key = loadPrivateKey(pair.privateKey)
  serial++
  const der = issueCertificate(
    {
      serial: Uint8Array.of(serial >> 8, serial & 0xff),
      subject: name(subject),
      spki: key.publicKey.spki,
      notBefore: TODAY - DAY,
      notAfter: TODAY + 365 * DAY,
      ...contents,
    },
    issuer === undefined
      ? { name: name(subject), key }
      : { name: issuer.certificate.subject, key: issuer.key },
  )
  const certificate = parseCertificate(der)
  if ('refused' in certificate) throw new Error(certificate.refused)
  return { key, privatePem: pair.privateKey, publicPem: pair.publicKey, certificate, der }
}

export const authority = (
  subject: string,
  options: Partial<CertificateContents> & { readonly issuer?: TestEntity; readonly kind?: KeyKind } = {},
): Promise<TestEntity> =>
  entity(subject, { authority: {}, keyUsage: KeyUsage.keyCertSign | KeyUsage.crlSign, ...options })

export function revocationList(
  { certificate, key }: TestEntity,
  revoked: readonly Certificate[],
  options: { readonly thisUpdate?: number; readonly nextUpdate?: number } = {},
): { readonly der: Uint8Array; readonly list: RevocationList } {
  const der = issueRevocationList(
    {
      thisUpdate: TODAY - DAY,
      nextUpdate: TODAY + 30 * DAY,
      revoked: revoked.map((one) => ({ serial: one.serial, at: TODAY - DAY })),
      ...options,
    },
    { name: certificate.subject, key },
  )
  const list = parseRevocationList(der)
  if ('refused' in list) throw new Error(list.refused)
  return { der, list }
}
