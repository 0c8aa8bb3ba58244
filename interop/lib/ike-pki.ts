/** Certification authorities for tests of IKE, made by openssl(1): roots, those beneath them, and lists of what was revoked. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export type KeyType = 'rsa2048' | 'rsa4096' | 'ecdsa256' | 'ecdsa384' | 'ed25519'

const KEYS: Readonly<Record<KeyType, readonly string[]>> = {
  rsa2048: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  rsa4096: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:4096'],
  ecdsa256: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  ecdsa384: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  ed25519: ['-algorithm', 'ed25519'],
}

/** ca(1)'s configuration: what it needs beside its options. */
const CONFIGURATION = `[ca]
default_ca = this
[this]
database = index.txt
serial = serial
crlnumber = crlnumber
new_certs_dir = .
default_md = default
default_days = 2
default_crl_days = 2
unique_subject = no
crl_extensions = list
policy = names
[names]
commonName = supplied
[list]
authorityKeyIdentifier = keyid
`

/** It takes seconds to find primes of 4096 bits, and authorities have nothing of it. */
const OF_AUTHORITIES: Readonly<Partial<Record<KeyType, KeyType>>> = { rsa4096: 'rsa2048' }

/** PEM files. */
export interface Certified {
  readonly certificate: string
  readonly key: string
}

export class IkeAuthority implements Certified {
  readonly certificate: string
  readonly key: string
  readonly #folder: string
  readonly #type: KeyType
  #issued = 0

  private constructor(folder: string, type: KeyType, { certificate, key }: Certified) {
    this.#folder = folder
    this.#type = type
    this.certificate = certificate
    this.key = key
    writeFileSync(join(folder, 'ca.conf'), CONFIGURATION)
    writeFileSync(join(folder, 'index.txt'), '')
    writeFileSync(join(folder, 'serial'), '1000\n')
    writeFileSync(join(folder, 'crlnumber'), '01\n')
  }

  /** `folder` is made; an authority has one of its own. */
  static root(folder: string, name: string, type: KeyType): IkeAuthority {
    mkdirSync(folder, { recursive: true })
    const files = {
      certificate: join(folder, 'ca.crt'),
      key: makeKey(folder, 'ca', OF_AUTHORITIES[type] ?? type),
    }
    openssl(folder, [
      ...['req', '-x509', '-new', '-key', files.key, '-out', files.certificate, '-days', '2'],
      ...['-subj', `/CN=${name}`, '-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
    ])
    return new IkeAuthority(folder, type, files)
  }

  /** An authority that this one vouches for. */
  below(folder: string, name: string): IkeAuthority {
    mkdirSync(folder, { recursive: true })
    const files = {
      certificate: join(folder, 'ca.crt'),
      key: makeKey(folder, 'ca', OF_AUTHORITIES[this.#type] ?? this.#type),
    }
    this.#certify(
      files,
      name,
      'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash',
    )
    return new IkeAuthority(folder, this.#type, files)
  }

  /** A certificate for a host, its name a DNS name. `valid`: from and to, as ca(1) takes them; default: from now on. */
  issue(name: string, valid?: readonly [from: string, to: string]): Certified {
    const file = `${name}-${++this.#issued}`
    const files = {
      certificate: join(this.#folder, `${file}.crt`),
      key: makeKey(this.#folder, file, this.#type),
    }
    this.#certify(
      files,
      name,
      `basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=DNS:${name}`,
      valid === undefined ? [] : ['-startdate', valid[0], '-enddate', valid[1]],
    )
    return files
  }

  revoke({ certificate }: Certified): void {
    this.#ca(['-revoke', certificate])
  }

  /** The list of what was revoked until now, a file. */
  list(): string {
    const file = join(this.#folder, 'ca.crl')
    this.#ca(['-gencrl', '-out', file])
    return file
  }

  #certify({ certificate, key }: Certified, name: string, extensions: string, dates: string[] = []): void {
    writeFileSync(join(this.#folder, 'extensions'), `${extensions}\n`)
    const request = join(this.#folder, 'request')
    openssl(this.#folder, ['req', '-new', '-key', key, '-out', request, '-subj', `/CN=${name}`])
    this.#ca(['-batch', '-notext', '-in', request, '-out', certificate, '-extfile', 'extensions', ...dates])
  }

  #ca(args: string[]): void {
    openssl(this.#folder, [
      'ca',
      '-config',
      'ca.conf',
      '-cert',
      this.certificate,
      '-keyfile',
      this.key,
      ...args,
    ])
  }
}

function makeKey(folder: string, name: string, type: KeyType): string {
  const file = join(folder, `${name}.key`)
  openssl(folder, ['genpkey', ...KEYS[type], '-out', file])
  return file
}

function openssl(cwd: string, args: readonly string[]): void {
  execFileSync('openssl', args, { cwd, stdio: ['ignore', 'ignore', 'pipe'] })
}
