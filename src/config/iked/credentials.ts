/**
 * Keys and certificates where iked(8) has them, below `/etc/iked`: `private/local.key`, `local.pub`, the public keys of
 * peers in `pubkeys/{ipv4,ipv6,fqdn,ufqdn}/ID`, certificates in `certs`, authorities in `ca`, lists of revoked
 * certificates in `crls`. Files come through a reader, so that the lab's file system serves as a real one does.
 */
import { WarrenError } from '../../base/index.js'
import {
  buildChain,
  type Certificate,
  CHAIN_COUNT_MAX,
  formatName,
  loadPrivateKey,
  loadPublicKey,
  type PrivateKey,
  type PublicKey,
  parseCertificate,
  parseRevocationList,
  type Refused,
  type RevocationList,
  readPem,
  sameName,
  sha1,
} from '../../crypto/index.js'
import type { CertificateData, Credentials, Distrust } from '../../proto/ikev2/context.js'
import { formatIdentity, type Identity } from '../../proto/ikev2/identity.js'
import { CertEncoding, IdType } from '../../wire/ike/index.js'
import { checkSecretMode } from '../grammar/permissions.js'
import { isNamed, namesOf } from './names.js'
import { rawKeyData, readRawKey } from './raw-keys.js'

/** How files are had. */
export interface CredentialsReader {
  /** Undefined: there is none, or it may not be read. */
  read(path: string): Uint8Array | undefined
  /** Names of the files in a folder; none where there is no folder. */
  list(path: string): readonly string[]
  /** stat(2)'s mode, where the system has one. */
  mode?(path: string): number | undefined
}

export interface CredentialsOptions {
  readonly reader: CredentialsReader
  /** Wall-clock time in milliseconds since 1970: certificates end. */
  readonly wallClock: () => number
  /** Absent: `/etc/iked`. */
  readonly folder?: string
  /** `set cert_partial_chain`. */
  readonly partialChain?: boolean
}

/** A file that was not taken. */
export interface CredentialsProblem {
  readonly text: string
  readonly mend: string
}

const text = new TextDecoder('latin1')
const FOLDERS: Readonly<Record<number, string>> = {
  [IdType.ipv4]: 'ipv4',
  [IdType.ipv6]: 'ipv6',
  [IdType.fqdn]: 'fqdn',
  [IdType.rfc822]: 'ufqdn',
}

export class IkedCredentials implements Credentials {
  readonly #reader: CredentialsReader
  readonly #wallClock: () => number
  readonly #folder: string
  readonly #partialChain: boolean
  #key: PrivateKey | undefined
  #certificates: readonly Certificate[] = []
  #authorities: readonly Certificate[] = []
  #revocationLists: readonly RevocationList[] = []
  #problems: readonly CredentialsProblem[] = []

  constructor({ reader, wallClock, folder = '/etc/iked', partialChain = false }: CredentialsOptions) {
    this.#reader = reader
    this.#wallClock = wallClock
    this.#folder = folder
    this.#partialChain = partialChain
    this.reload()
  }

  /** What was wrong with files at the last reading, in the order of reading. */
  get problems(): readonly CredentialsProblem[] {
    return this.#problems
  }

  /** What is trusted, and what we have to show or know of peers. */
  get store(): {
    readonly authorities: readonly Certificate[]
    readonly certificates: readonly Certificate[]
  } {
    return { authorities: this.#authorities, certificates: this.#certificates }
  }

  /** Reads everything again; what peers' keys are is read each time it is asked for, as iked does. */
  reload(): void {
    const problems: CredentialsProblem[] = []
    this.#key?.destroy()
    this.#key = this.#readKey(problems)
    this.#certificates = this.#readAll('certs', 'CERTIFICATE', 'cert', parseCertificate, problems)
    this.#authorities = this.#readAll('ca', 'CERTIFICATE', 'ca', parseCertificate, problems)
    this.#revocationLists = this.#readAll('crls', 'X509 CRL', 'crl', parseRevocationList, problems)
    this.#problems = problems
  }

  #readKey(problems: CredentialsProblem[]): PrivateKey | undefined {
    const path = `${this.#folder}/private/local.key`
    const bytes = this.#reader.read(path)
    if (bytes === undefined) return undefined
    try {
      const mode = this.#reader.mode?.(path)
      if (mode !== undefined) checkSecretMode(path, mode)
      return loadPrivateKey(text.decode(bytes))
    } catch (error) {
      if (!(error instanceof WarrenError)) throw error
      problems.push({
        text: `could not load private key ${path}: ${error.summary}`,
        mend: error.details.mend ?? 'make one with `warren keygen`',
      })
      return undefined
    }
  }

  #readAll<T extends object>(
    folder: string,
    label: string,
    what: string,
    parse: (bytes: Uint8Array) => T | Refused,
    problems: CredentialsProblem[],
  ): T[] {
    const found: T[] = []
    for (const name of [...this.#reader.list(`${this.#folder}/${folder}`)].sort()) {
      if (name.startsWith('.')) continue
      const path = `${this.#folder}/${folder}/${name}`
      const bytes = this.#reader.read(path)
      if (bytes === undefined) continue
      const blocks = readPem(text.decode(bytes)).filter((one) => one.label === label)
      if (blocks.length === 0)
        problems.push({
          text: `failed to load ${what} file ${name}: no ${label} in PEM`,
          mend: `openssl x509 -inform der -in ${name} makes PEM of DER`,
        })
      for (const block of blocks) {
        const one = parse(block.bytes)
        if ('refused' in one)
          problems.push({
            text: `failed to load ${what} file ${name}: ${one.refused}`,
            mend: `replace ${path}, or take it away`,
          })
        else found.push(one)
      }
    }
    return found
  }

  authorities(): Uint8Array {
    const hashes = new Uint8Array(this.#authorities.length * 20)
    this.#authorities.forEach(({ publicKey }, i) => {
      hashes.set(sha1(publicKey.spki), i * 20)
    })
    return hashes
  }

  authorityCertificates(): readonly Uint8Array[] {
    return this.#authorities.map(({ der }) => der)
  }

  /** As iked: a key of the kind that ours is. */
  rawEncoding(): number | undefined {
    return this.#key === undefined ? undefined : rawKeyData(this.#key.publicKey, []).encoding
  }

  /**
   * A certificate of this identity whose key is ours, with those between it and the authority; else the key itself, as
   * the peer asked for it (`requests`: its CERTREQ payloads) or as iked sends it.
   */
  own(id: Identity, requests: readonly CertificateData[] = []): ReturnType<Credentials['own']> {
    const key = this.#key
    if (key === undefined) return undefined
    const ours = this.#certificates.filter((one) => sameBytes(one.publicKey.spki, key.publicKey.spki))
    const fitting = ours.filter((one) => isNamed(one, id))
    const wanted = requests.find(({ encoding }) => encoding === CertEncoding.x509)?.data ?? new Uint8Array(0)
    const chains = fitting.map((leaf) => ({ leaf, chain: this.#above(leaf) }))
    // One of an authority that the peer trusts, if there is.
    const chosen =
      chains.find(({ chain }) => chain.some(({ publicKey }) => includesHash(wanted, sha1(publicKey.spki)))) ??
      chains[0]
    if (chosen === undefined) {
      const names = ours.flatMap(namesOf).join(', ')
      const unfit = `no certificate was shown: found ${names} in ${this.#folder}/certs, expected ${formatIdentity(id)}`
      const certificates = [rawKeyData(key.publicKey, requests)]
      return { key, certificates, ...(ours.length === 0 ? {} : { unfit }) }
    }
    const { leaf, chain } = chosen
    // The authority itself is the peer's to have.
    const shown = [leaf, ...chain.filter(({ subject, issuer }) => !sameName(subject, issuer))]
    return { key, certificates: shown.map(({ der }) => ({ encoding: CertEncoding.x509, data: der })) }
  }

  /** Authorities above a certificate, as far as they are here. */
  #above(leaf: Certificate): Certificate[] {
    const chain: Certificate[] = []
    for (let below = leaf; chain.length < 7; ) {
      const issuer = this.#authorities.find(
        (one) =>
          !chain.includes(one) &&
          sameName(one.subject, below.issuer) &&
          below.signedBy(one.publicKey) === true,
      )
      if (issuer === undefined) break
      chain.push(issuer)
      below = issuer
    }
    return chain
  }

  /** Nothing is fetched: of hash and URL (CVE-2022-40617) nothing is known here. */
  peer(id: Identity, certificates: readonly CertificateData[]): PublicKey | Distrust {
    if (certificates.length > CHAIN_COUNT_MAX)
      return { refused: `${certificates.length} certificates shown`, mend: 'mend the peer' }
    const known = this.#knownKey(id)
    const x509 = certificates.filter(({ encoding }) => encoding === CertEncoding.x509)
    if (x509.length > 0) return this.#certified(id, x509, known.key)
    const raw = certificates.map(readRawKey).find((one) => one !== undefined)
    if (known.key === undefined) return this.#pinned(id) ?? known.distrust
    if (raw !== undefined && ('refused' in raw || !sameBytes(raw.key.spki, known.key.spki)))
      return {
        refused: `the public key that ${formatIdentity(id)} shows ${'refused' in raw ? raw.refused : `is not the one in ${known.path}`}`,
        mend: `copy its local.pub to ${known.path}`,
      }
    return known.key
  }

  /** The key of `pubkeys`. */
  #knownKey(
    id: Identity,
  ):
    | { readonly key: PublicKey; readonly path: string }
    | { readonly key?: undefined; readonly distrust: Distrust } {
    const path = this.#keyPath(id)
    const who = formatIdentity(id)
    if (path === undefined)
      return {
        distrust: {
          refused: `${who} showed no certificate, and public keys are not looked for by such an identity`,
          mend: 'let it show a certificate, or use an address or a name as its srcid',
        },
      }
    const bytes = this.#reader.read(path)
    if (bytes === undefined)
      return {
        distrust: {
          refused: `no public key of ${who} is known: could not open public key ${path}`,
          mend: `copy its /etc/iked/local.pub to ${path}`,
        },
      }
    try {
      return { key: loadPublicKey(text.decode(bytes)), path }
    } catch (error) {
      if (!(error instanceof WarrenError)) throw error
      return {
        distrust: { refused: `${path}: ${error.message}`, mend: `copy its /etc/iked/local.pub to ${path}` },
      }
    }
  }

  /** A stranger says who it is: what it says must not lead out of the folder. */
  #keyPath({ type, data }: Identity): string | undefined {
    const folder = FOLDERS[type]
    if (folder === undefined) return undefined
    const shown = formatIdentity({ type, data })
    const name = shown.slice(shown.indexOf('/') + 1)
    if (!/^[^./\\\s(][^/\\\s]{0,254}$/.test(name)) return undefined
    return `${this.#folder}/pubkeys/${folder}/${name}`
  }

  /** A peer's certificate that lies in `certs` is trusted as it lies there. */
  #pinned(id: Identity): PublicKey | undefined {
    const at = this.#wallClock()
    return this.#certificates.find((one) => isNamed(one, id) && at >= one.notBefore && at <= one.notAfter)
      ?.publicKey
  }

  #certified(
    id: Identity,
    [first, ...rest]: readonly CertificateData[],
    known: PublicKey | undefined,
  ): PublicKey | Distrust {
    const who = formatIdentity(id)
    const leaf = parseCertificate(first!.data)
    if ('refused' in leaf) return { refused: `${who} shows ${leaf.refused}`, mend: 'replace its certificate' }
    if (known !== undefined && sameBytes(known.spki, leaf.publicKey.spki)) return known
    const pinned = this.#pinned(id)
    if (pinned !== undefined) return pinned
    if (!isNamed(leaf, id))
      return {
        refused: `the certificate of ${formatName(leaf.subject)} has not the identity ${who}: its names are ${namesOf(leaf).join(', ')}`,
        mend: `write srcid ${namesOf(leaf)[0]} at the peer, or make it a certificate with ${who} as subjectAltName`,
      }
    const shown: Certificate[] = []
    for (const { data } of rest) {
      const one = parseCertificate(data)
      if (!('refused' in one)) shown.push(one)
    }
    const store = {
      authorities: this.#authorities,
      revocationLists: this.#revocationLists,
      partialChain: this.#partialChain,
    }
    const found = buildChain(leaf, shown, store, this.#wallClock())
    return 'chain' in found
      ? leaf.publicKey
      : { refused: `${who}: ${found.refused}`, mend: this.#mendOf(found.refused) }
  }

  #mendOf(refused: string): string {
    if (/ended at|valid only from/.test(refused))
      return refused.includes('list of revoked')
        ? `put a newer list into ${this.#folder}/crls, or set the clock`
        : 'make a new certificate, or set the clock'
    if (/no list of revoked/.test(refused)) return `put its list into ${this.#folder}/crls`
    if (/was revoked/.test(refused)) return 'make it a new certificate'
    if (/no certificate of|not by the key/.test(refused))
      return `put the certificate of the authority that issued it into ${this.#folder}/ca`
    return 'make a new certificate, as `ikectl ca` does'
  }
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i])

function includesHash(hashes: Uint8Array, hash: Uint8Array): boolean {
  for (let at = 0; at + hash.length <= hashes.length; at += hash.length)
    if (sameBytes(hashes.subarray(at, at + hash.length), hash)) return true
  return false
}
