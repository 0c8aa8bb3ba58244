/**
 * `ikectl ca`: a small authority below /etc/ssl, as ikectl(8) keeps it, and its certificates put where iked(8) looks for
 * them. Where the original asks, it takes what stands on standard input, or its default.
 */
import { parseIpAddress, WarrenError } from '../../base/index.js'
import { CertificateAuthority } from '../../config/iked/ca.js'
import {
  decryptPrivateKey,
  encryptPrivateKey,
  formatName,
  generateKey,
  loadPrivateKey,
  traditionalPrivateKey,
  writePem,
} from '../../crypto/index.js'
import { type CommandContext, type CommandResult, succeed } from '../command.js'
import { CommandFailure } from './net/words.js'
import { describeCertificate, readCertificate } from './openssl.js'

const IKED = '/etc/iked'
/** ikectl's: the authority itself lasts longer than what it issues. */
const AUTHORITY_DAYS = 4_500
/** What stands below /etc/iked, with its modes. */
const HIERARCHY: readonly (readonly [string, number])[] = [
  ['', 0o755],
  ['/ca', 0o755],
  ['/certs', 0o755],
  ['/crls', 0o755],
  ['/export', 0o755],
  ['/private', 0o700],
]

export type Purpose = 'server' | 'client' | 'ocsp'

/** The folder of an authority on one machine, and what is done with it. */
export class AuthorityFolder {
  readonly #name: string
  readonly #context: CommandContext
  readonly #path: string

  private constructor(name: string, context: CommandContext) {
    if (/[/\0]/.test(name) || name.startsWith('.'))
      throw new CommandFailure(`ikectl: ${name}: no name of a CA`)
    this.#name = name
    this.#context = context
    this.#path = `/etc/ssl/${name}`
  }

  /** One that is there. @throws CommandFailure */
  static async open(name: string, context: CommandContext): Promise<AuthorityFolder> {
    const folder = new AuthorityFolder(name, context)
    if (!(await context.fs.exists(folder.#path)))
      throw new CommandFailure(`ikectl: CA '${name}' does not exist`)
    return folder
  }

  /** `ca NAME create`. */
  static async create(name: string, context: CommandContext, password?: string): Promise<CommandResult> {
    const folder = new AuthorityFolder(name, context)
    const { fs, host } = context
    await folder.#folder(folder.#path, 0o755)
    await folder.#folder(folder.#of('private'), 0o700)
    if (!(await fs.exists(folder.#of('ikeca.passwd')))) {
      const given = password ?? folder.#ask('CA passphrase:')
      // Nobody is there to be asked: it is needed by nobody but this program.
      const phrase =
        given ?? host.random.below(2 ** 31).toString(36) + host.random.below(2 ** 31).toString(36)
      await folder.#write('ikeca.passwd', `${phrase}\n${phrase}\n`, 0o600)
    }
    const { authority, privateKey } = await CertificateAuthority.create('VPN CA', {
      at: folder.#now(),
      days: AUTHORITY_DAYS,
      random: host.random,
    })
    const phrase = await folder.#phrase()
    await folder.#write('private/ca.key', encryptPrivateKey(privateKey, phrase), 0o600)
    await folder.#write('ca.crt', authority.certificate, 0o644)
    context.warn('Signature ok')
    context.warn(`subject=${formatName(readCertificate(authority.certificate).subject)}`)
    context.warn('Getting Private key')
    await folder.#writeList(authority)
    return succeed()
  }

  /** `ca NAME delete`. */
  async delete(): Promise<CommandResult> {
    await this.#context.fs.rm(this.#path, { recursive: true, force: true })
    return succeed()
  }

  /** `ca NAME install [PATH]`. */
  async install(path?: string): Promise<CommandResult> {
    const { fs } = this.#context
    // As the original: said, and no failure.
    if (!(await fs.exists(this.#of('ca.crt')))) return succeed(`CA '${this.#name}' does not exist\n`)
    const to = await this.#hierarchy(path)
    await this.#copy(this.#of('ca.crt'), `${to}/ca/ca.crt`, 0o644)
    let text = `certificate for CA '${this.#name}' installed into ${to}/ca/ca.crt\n`
    if (await fs.exists(this.#of('ca.crl'))) {
      await this.#copy(this.#of('ca.crl'), `${to}/crls/ca.crl`, 0o644)
      text += `CRL for CA '${this.#name}' installed to ${to}/crls/ca.crl\n`
    }
    return succeed(text)
  }

  /** `ca NAME certificate HOST create [server | client | ocsp]`. */
  async certify(host: string, purpose?: Purpose): Promise<CommandResult> {
    const { host: machine, warn, print } = this.#context
    const authority = await this.#authority()
    await this.createKey(host)
    const key = loadPrivateKey(await this.#read(`private/${host}.key`))
    const at = this.#now()
    const pem = authority.issue({
      // `local` is this machine.
      host: host === 'local' ? machine.hostname : host,
      publicKey: writePem('PUBLIC KEY', key.publicKey.spki),
      at,
      random: machine.random,
      ...(purpose === undefined ? {} : { purpose }),
    })
    const certificate = readCertificate(pem)
    const serial = serialText(certificate.serial)
    await this.#write(`${host}.crt`, pem, 0o644)
    await this.#write(`${serial}.pem`, pem, 0o644)
    const line = ['V', dateText(certificate.notAfter), '', serial, 'unknown', formatName(certificate.subject)]
    await this.#write('index.txt', `${await this.#index()}${line.join('\t')}\n`, 0o644)
    warn(`Using configuration from ${this.#of(`${host}-ssl.cnf`)}`)
    warn('Check that the request matches the signature')
    warn('Signature ok')
    print(`The Subject's Distinguished Name is as follows`)
    print(formatName(certificate.subject))
    const [, until] = describeCertificate(certificate).filter(([option]) => option === 'dates')
    print(`Certificate is to be certified until ${until?.[1].replace('notAfter=', '')} (365 days)`)
    print('')
    print('Write out database with 1 new entries')
    return succeed('Data Base Updated\n')
  }

  /** `ca NAME certificate HOST delete`. */
  async deleteCertificate(host: string): Promise<CommandResult> {
    await this.#remove(`${host}.crt`)
    return await this.deleteKey(host)
  }

  /** `ca NAME certificate HOST install [PATH]`: its key, and its certificate. */
  async installCertificate(host: string, path?: string): Promise<CommandResult> {
    const installed = await this.installKey(host, path)
    if (installed.stdout !== '') return installed
    await this.#copy(this.#of(`${host}.crt`), `${this.#target(path)}/certs/${host}.crt`, 0o644)
    return installed
  }

  /** `ca NAME certificate HOST revoke`: its number goes into the list, which is to be installed anew. */
  async revoke(host: string): Promise<CommandResult> {
    const { fs, warn } = this.#context
    if (!(await fs.exists(this.#of(`${host}.crt`)))) {
      warn(`ikectl: Problem with certificate for '${host}': No such file or directory`)
      return succeed()
    }
    const serial = serialText(readCertificate(await this.#read(`${host}.crt`)).serial)
    const lines = (await this.#index()).split('\n').slice(0, -1)
    const configuration = `Using configuration from ${this.#of('ca-revoke-ssl.cnf')}`
    warn(configuration)
    const at = lines.findIndex((line) => line.split('\t')[3] === serial)
    if (lines[at]?.startsWith('R') === true) warn(`ERROR:Already revoked, serial number ${serial}`)
    else {
      const fields = (lines[at] ?? `V\t\t\t${serial}\tunknown\t`).split('\t')
      const changed = ['R', fields[1], dateText(this.#now()), ...fields.slice(3)].join('\t')
      if (at < 0) lines.push(changed)
      else lines[at] = changed
      await this.#write('index.txt', lines.map((line) => `${line}\n`).join(''), 0o644)
      warn(`Revoking Certificate ${serial}.`)
      warn('Data Base Updated')
    }
    warn(configuration)
    await this.#writeList(await this.#authority())
    return succeed()
  }

  /** `ca NAME key HOST create`; one that is there stays. */
  async createKey(host: string): Promise<CommandResult> {
    this.#checkHost(host)
    const { fs, warn } = this.#context
    if (await fs.exists(this.#of(`private/${host}.key`))) return succeed()
    warn('Generating RSA private key, 2048 bit long modulus')
    const pair = await generateKey('rsa2048')
    await this.#write(`private/${host}.key`, traditionalPrivateKey(pair.privateKey), 0o600)
    return succeed()
  }

  async deleteKey(host: string): Promise<CommandResult> {
    await this.#remove(`private/${host}.key`)
    return succeed()
  }

  async importKey(host: string, file: string): Promise<CommandResult> {
    this.#checkHost(host)
    const { fs, cwd, warn } = this.#context
    const path = fs.resolvePath(cwd, file)
    if (await fs.exists(path)) await this.#copy(path, this.#of(`private/${host}.key`), 0o600)
    else warn(`ikectl: could not access keyfile ${file}: No such file or directory`)
    return succeed()
  }

  /** `ca NAME key HOST install [PATH]`: as local.key, with its local.pub. */
  async installKey(host: string, path?: string): Promise<CommandResult> {
    this.#checkHost(host)
    const { fs, warn } = this.#context
    if (!(await fs.exists(this.#of(`private/${host}.key`))))
      return succeed(`key for '${this.#name}' does not exist\n`)
    const to = await this.#hierarchy(path)
    await this.#copy(this.#of(`private/${host}.key`), `${to}/private/local.key`, 0o600)
    const { publicKey } = loadPrivateKey(await this.#read(`private/${host}.key`))
    await fs.writeFile(`${to}/local.pub`, writePem('PUBLIC KEY', publicKey.spki))
    warn('writing RSA key')
    return succeed()
  }

  /** `ca NAME export` and `certificate HOST export`: NAME.tgz here. Without PKCS #12, which nothing in the lab reads. */
  async export(host?: string, peer?: string): Promise<CommandResult> {
    const { fs, cwd, exec, warn } = this.#context
    const name = (host ?? 'ca').replaceAll(':', '_')
    let from = this.#path
    if (host !== undefined) {
      this.#checkHost(host)
      from = `/tmp/ikectl.${this.#context.host.random.below(2 ** 31).toString(36)}`
      await this.install(from)
      if (!(await fs.exists(this.#of(`${host}.crt`))))
        throw new CommandFailure(`ikectl: open ${this.#of(`${host}.crt`)}: No such file or directory`)
      await this.installCertificate(host, from)
      await this.#copy(this.#of(`private/${host}.key`), `${from}/private/${host}.key`, 0o600)
    }
    if (peer !== undefined) {
      await this.#folder(`${from}/export`, 0o755)
      await fs.writeFile(`${from}/export/peer.txt`, peer)
    }
    const { exitCode, stderr } = await exec(`tar -zcf '${name}.tgz' -C '${from}' .`)
    if (host !== undefined) await fs.rm(from, { recursive: true, force: true })
    if (exitCode !== 0) throw new CommandFailure(stderr)
    warn('ikectl: no .pfx in it: PKCS #12 is not played in the lab')
    return succeed(`exported files in ${fs.resolvePath(cwd, `${name}.tgz`)}\n`)
  }

  /** `show ca NAME certificates [HOST]`. */
  async show(host?: string): Promise<CommandResult> {
    const { fs } = this.#context
    if (host !== undefined) {
      if (!(await fs.exists(this.#of(`${host}.crt`))))
        throw new CommandFailure(`ikectl: could not open file ${host}.crt: No such file or directory`)
      return succeed(`${described(readCertificate(await this.#read(`${host}.crt`)), true)}\n`)
    }
    const names = (await fs.readdir(this.#path)).filter((name) => name.endsWith('.crt'))
    const texts = await Promise.all(
      names.map(async (name) => described(readCertificate(await this.#read(name)), false)),
    )
    return succeed(texts.map((text) => `${text}\n`).join(''))
  }

  async #authority(): Promise<CertificateAuthority> {
    const { fs } = this.#context
    if (!(await fs.exists(this.#of('ca.crt'))))
      throw new CommandFailure(`ikectl: ${this.#of('ca.crt')}: No such file or directory`)
    try {
      const key = decryptPrivateKey(await this.#read('private/ca.key'), await this.#phrase())
      return new CertificateAuthority(await this.#read('ca.crt'), key)
    } catch (error) {
      if (error instanceof WarrenError) throw new CommandFailure(`ikectl: ${error.message}`)
      throw error
    }
  }

  /** Every certificate that was ever taken back, in a new list. */
  async #writeList(authority: CertificateAuthority): Promise<void> {
    const revoked = []
    for (const line of (await this.#index()).split('\n')) {
      const [state, , at = '', serial] = line.split('\t')
      if (state !== 'R' || !(await this.#context.fs.exists(this.#of(`${serial}.pem`)))) continue
      revoked.push({ certificate: await this.#read(`${serial}.pem`), at: timeOf(at) })
    }
    await this.#write('ca.crl', authority.revocationList(revoked, { at: this.#now() }), 0o644)
  }

  #ask(prompt: string): string | undefined {
    const { stdin, warn } = this.#context
    const [first = '', second = first] = stdin.split('\n').filter((line) => line !== '')
    if (first === '') return undefined
    warn(prompt)
    warn(`Retype ${prompt}`)
    if (first !== second) throw new CommandFailure('ikectl: passphrase does not match!')
    return first
  }

  async #phrase(): Promise<string> {
    if (!(await this.#context.fs.exists(this.#of('ikeca.passwd'))))
      throw new CommandFailure(`ikectl: could not open passfile ${this.#of('ikeca.passwd')}`)
    return (await this.#read('ikeca.passwd')).split('\n')[0] ?? ''
  }

  #checkHost(host: string): void {
    if (!/^[\w.:@-]+$/.test(host) || (parseIpAddress(host) === undefined && host.startsWith('.')))
      throw new CommandFailure(`ikectl: ${host}: no address and no name`)
  }

  async #hierarchy(path?: string): Promise<string> {
    const to = this.#target(path)
    for (const [folder, mode] of HIERARCHY) await this.#folder(`${to}${folder}`, mode)
    return to
  }

  #target(path = IKED): string {
    const { fs, cwd } = this.#context
    return fs.resolvePath(cwd, path)
  }

  async #index(): Promise<string> {
    return (await this.#context.fs.exists(this.#of('index.txt'))) ? await this.#read('index.txt') : ''
  }

  /** The lab's wall clock. */
  #now(): number {
    return Math.floor(this.#context.lab.clock.toUnix() / 1_000)
  }

  #of(name: string): string {
    return `${this.#path}/${name}`
  }

  #read(name: string): Promise<string> {
    return this.#context.fs.readFile(this.#of(name))
  }

  async #write(name: string, text: string, mode: number): Promise<void> {
    await this.#context.fs.writeFile(this.#of(name), text)
    await this.#context.fs.chmod(this.#of(name), mode)
  }

  async #remove(name: string): Promise<void> {
    await this.#context.fs.rm(this.#of(name), { force: true })
  }

  async #copy(from: string, to: string, mode: number): Promise<void> {
    const { fs } = this.#context
    if (!(await fs.exists(from))) throw new CommandFailure(`ikectl: open ${from}: No such file or directory`)
    await fs.writeFile(to, await fs.readFile(from))
    await fs.chmod(to, mode)
  }

  async #folder(path: string, mode: number): Promise<void> {
    const { fs } = this.#context
    if (await fs.exists(path)) return
    await fs.mkdir(path, { recursive: true })
    await fs.chmod(path, mode)
  }
}

function described(certificate: ReturnType<typeof readCertificate>, whole: boolean): string {
  const lines = describeCertificate(certificate).filter(([option]) => whole || option !== 'issuer')
  return `${lines.map(([, line]) => `${line}\n`).join('')}${whole ? writePem('CERTIFICATE', certificate.der) : ''}`
}

const serialText = (serial: Uint8Array): string =>
  Array.from(serial, (byte) => byte.toString(16).padStart(2, '0'))
    .join('')
    .toUpperCase()

/** As index.txt has times: `271124202657Z`. */
const dateText = (at: number): string => `${new Date(at).toISOString().replace(/\D/g, '').slice(2, 14)}Z`

function timeOf(text: string): number {
  const [year = 0, month = 1, ...rest] = (text.match(/\d\d/g) ?? []).map(Number)
  return Date.UTC(2000 + year, month - 1, ...rest)
}
