/**
 * What ikectl(8)'s `ca` makes: an authority, certificates by it, the list of those that it took back. As text in PEM; who
 * calls keeps the files.
 */
import { parseIpAddress, type Random, WarrenError } from '../../base/index.js'
import {
  type AlternativeName,
  type Certificate,
  generateKey,
  type KeyKind,
  KeyUsage,
  loadPrivateKey,
  loadPublicKey,
  type PrivateKey,
  parseCertificate,
  parseName,
  readPem,
  writePem,
} from '../../crypto/index.js'
import { issueCertificate, issueRevocationList } from '../../crypto/node/issue.js'

/** ikectl: a year. */
export const CA_DAYS = 365
const DAY = 86_400_000

const PURPOSES = {
  server: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.17'],
  client: ['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.17'],
  ocsp: ['1.3.6.1.5.5.7.3.9'],
} as const

/** When, in milliseconds since 1970, and for how long. */
export interface Validity {
  readonly at: number
  /** Absent: CA_DAYS. */
  readonly days?: number
}

export interface HostCertificate extends Validity {
  /** An address, a name or `user@host`: what its srcid will be. */
  readonly host: string
  /** SubjectPublicKeyInfo in PEM, as in local.pub. */
  readonly publicKey: string
  /** Absent: server and client. */
  readonly purpose?: 'server' | 'client' | 'ocsp'
  /** Serial numbers are drawn from it. */
  readonly random: Random
}

export class CertificateAuthority {
  /** PEM. */
  readonly certificate: string
  readonly #own: Certificate
  readonly #key: PrivateKey

  /** Of `ca.crt` and `ca.key`. Throws `CONFIG_CERTIFICATE` and `CRYPTO_KEY`. */
  constructor(certificate: string, privateKey: string) {
    this.certificate = certificate
    this.#own = readOne(certificate)
    this.#key = loadPrivateKey(privateKey)
    const spki = this.#own.publicKey.spki
    if (!this.#key.publicKey.spki.every((byte, i) => byte === spki[i]))
      throw new WarrenError('CONFIG_CERTIFICATE', 'the key is not the one of the certificate', {
        mend: 'use the ca.crt and ca.key that were made together',
      })
  }

  /** A new one, whose subject is `/O=OpenBSD/OU=iked/CN=NAME`. The second is `ca.key`, PEM. */
  static async create(
    name: string,
    {
      at,
      days = CA_DAYS,
      random,
      kind = 'rsa2048',
    }: Validity & { readonly random: Random; readonly kind?: KeyKind },
  ): Promise<{ readonly authority: CertificateAuthority; readonly privateKey: string }> {
    const pair = await generateKey(kind)
    const key = loadPrivateKey(pair.privateKey)
    const subject = subjectOf(name)
    const der = issueCertificate(
      {
        serial: serialOf(random),
        subject,
        spki: key.publicKey.spki,
        notBefore: at,
        notAfter: at + days * DAY,
        authority: {},
        keyUsage: KeyUsage.keyCertSign | KeyUsage.crlSign,
      },
      { name: subject, key },
    )
    const authority = new CertificateAuthority(writePem('CERTIFICATE', der), pair.privateKey)
    return { authority, privateKey: pair.privateKey }
  }

  /** PEM: what goes to `/etc/iked/certs` of that host. */
  issue({ host, publicKey, purpose, at, days = CA_DAYS, random }: HostCertificate): string {
    const purposes =
      purpose === undefined ? [...new Set([...PURPOSES.server, ...PURPOSES.client])] : PURPOSES[purpose]
    return writePem(
      'CERTIFICATE',
      issueCertificate(
        {
          serial: serialOf(random),
          subject: subjectOf(host),
          spki: loadPublicKey(publicKey).spki,
          notBefore: at,
          notAfter: at + days * DAY,
          alternativeNames: [alternativeNameOf(host)],
          keyUsage: KeyUsage.digitalSignature,
          purposes,
        },
        { name: this.#own.subject, key: this.#key },
      ),
    )
  }

  /** PEM: what goes to `/etc/iked/crls`. Whole each time: every certificate that was ever taken back. */
  revocationList(
    revoked: readonly { readonly certificate: string; readonly at: number }[],
    { at, days = CA_DAYS }: Validity,
  ): string {
    const contents = {
      thisUpdate: at,
      nextUpdate: at + days * DAY,
      revoked: revoked.map((one) => ({ serial: readOne(one.certificate).serial, at: one.at })),
    }
    return writePem('X509 CRL', issueRevocationList(contents, { name: this.#own.subject, key: this.#key }))
  }
}

function readOne(pem: string): Certificate {
  const block = readPem(pem).find(({ label }) => label === 'CERTIFICATE')
  const certificate =
    block === undefined ? { refused: 'no CERTIFICATE in PEM' } : parseCertificate(block.bytes)
  if ('refused' in certificate)
    throw new WarrenError('CONFIG_CERTIFICATE', 'a certificate that cannot be read', {
      found: certificate.refused,
    })
  return certificate
}

function subjectOf(name: string): Uint8Array {
  // A slash would begin another part of the name.
  const subject = parseName(`/O=OpenBSD/OU=iked/CN=${name.replaceAll('/', '\\x2f')}`)
  if (subject === undefined || name === '')
    throw new WarrenError('CONFIG_CERTIFICATE', 'a name that no certificate can have', { found: name })
  return subject
}

function alternativeNameOf(host: string): AlternativeName {
  const address = parseIpAddress(host)
  if (address !== undefined) return { kind: 'address', address: Uint8Array.from(address.bytes) }
  if (!/^[\x21-\x7e]+$/.test(host))
    throw new WarrenError('CONFIG_CERTIFICATE', 'a name that no certificate can have', { found: host })
  return { kind: host.includes('@') ? 'email' : 'dns', name: host }
}

/** RFC 5280 section 4.1.2.2: positive, and no two alike. */
function serialOf(random: Random): Uint8Array {
  const serial = random.fill(new Uint8Array(16))
  serial[0] = (serial[0]! & 0x7f) | 0x40
  return serial
}
