/** A certification authority for one test: keys on P-256 in a folder that goes with it, made by openssl(1). */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Files in PEM. */
export interface Certified {
  readonly certificate: string
  readonly key: string
}

export class Pki {
  readonly #folder: string
  /** The authority's certificate, a file. */
  readonly ca: string

  constructor(folder: string) {
    this.#folder = folder
    this.ca = join(folder, 'ca.pem')
    this.#openssl(
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=Test CA'],
    )
  }

  /** A key and its certificate, for `name` as its subject and its DNS name. */
  issue(name: string, usage: 'server' | 'client'): Certified {
    const extensions = `${name}.ext`
    writeFileSync(
      join(this.#folder, extensions),
      `basicConstraints=CA:FALSE\nkeyUsage=digitalSignature,keyAgreement\nextendedKeyUsage=${usage}Auth\nsubjectAltName=DNS:${name}\n`,
    )
    this.#openssl(
      ...['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`],
    )
    this.#openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'],
      ...['-days', '2', '-extfile', extensions, '-out', `${name}.pem`],
    )
    return { certificate: join(this.#folder, `${name}.pem`), key: join(this.#folder, `${name}.key`) }
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { cwd: this.#folder, stdio: ['ignore', 'ignore', 'pipe'] })
  }
}
