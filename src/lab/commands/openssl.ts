/**
 * openssl(1), as far as keys and certificates of IKE want it: what rc(8) and the manual of iked.conf(5) call, in
 * LibreSSL's words. New keys are real ones; the lab's clock stands while they are made.
 */
import { WarrenError } from '../../base/index.js'
import {
  type Certificate,
  formatName,
  generateKey,
  type KeyKind,
  loadPrivateKey,
  parseCertificate,
  readPem,
  sha1,
  traditionalPrivateKey,
  writePem,
} from '../../crypto/index.js'
import { type CommandContext, type CommandResult, type LabCommand, succeed } from '../command.js'
import { CommandFailure, guard, meant } from './net/words.js'

type Work = (words: Words, context: CommandContext) => Promise<CommandResult> | CommandResult

/** Options with a value, those without, and what follows them. */
interface Words {
  readonly values: ReadonlyMap<string, string>
  readonly operands: readonly string[]
}

/** Each with the options that take a value, and those that take none. */
const COMMANDS: Readonly<
  Record<
    string,
    { readonly valued: readonly string[]; readonly plain: readonly string[]; readonly work: Work }
  >
> = {
  genrsa: { valued: ['out'], plain: [], work: genrsa },
  rsa: {
    valued: ['in', 'out'],
    plain: ['pubout'],
    work: (words, context) => publicOf('RSA', words, context),
  },
  ecparam: { valued: ['name', 'out'], plain: ['genkey', 'noout'], work: ecparam },
  ec: { valued: ['in', 'out'], plain: ['pubout'], work: (words, context) => publicOf('EC', words, context) },
  rand: { valued: ['out'], plain: ['hex', 'base64'], work: rand },
  x509: { valued: ['in'], plain: ['noout', 'subject', 'issuer', 'fingerprint', 'dates'], work: x509 },
}

const CURVES: Readonly<Record<string, KeyKind>> = {
  prime256v1: 'ecdsa256',
  secp384r1: 'ecdsa384',
  secp521r1: 'ecdsa521',
}

export const openssl: LabCommand = ([name = '', ...args], context) =>
  guard(async () => {
    if (name === 'version') return succeed('LibreSSL 3.0.2\n')
    const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
    if (command === undefined)
      throw new CommandFailure(
        `openssl:Error: '${name}' is an invalid command${meant(name, Object.keys(COMMANDS))} (the lab has ${Object.keys(COMMANDS).join(', ')})`,
      )
    const values = new Map<string, string>()
    let at = 0
    for (; args[at]?.startsWith('-'); at++) {
      const option = args[at]!.slice(1)
      if (command.plain.includes(option)) values.set(option, '')
      else if (command.valued.includes(option) && args[at + 1] !== undefined) values.set(option, args[++at]!)
      else {
        const known = [...command.plain, ...command.valued]
        throw new CommandFailure(
          known.includes(option)
            ? `${name}: -${option} needs a value`
            : `unknown option '-${option}'${meant(option, known)}\nusage: ${name} ${known.map((one) => `[-${one}]`).join(' ')}`,
        )
      }
    }
    return await command.work({ values, operands: args.slice(at) }, context)
  })

async function write(
  { values }: Words,
  { fs, cwd }: CommandContext,
  text: string,
  mode: number,
): Promise<string> {
  const name = values.get('out')
  if (name === undefined) return text
  const path = fs.resolvePath(cwd, name)
  const existed = await fs.exists(path)
  const folder = path.slice(0, path.lastIndexOf('/')) || '/'
  if (!(await fs.exists(folder)))
    throw new CommandFailure(`${name}: No such file or directory\nopenssl: Can't open output file ${name}`)
  await fs.writeFile(path, text)
  if (!existed) await fs.chmod(path, mode)
  return ''
}

async function read({ values }: Words, { fs, cwd, stdin }: CommandContext, what: string): Promise<string> {
  const name = values.get('in')
  if (name === undefined) return stdin
  const path = fs.resolvePath(cwd, name)
  if (await fs.exists(path)) return await fs.readFile(path)
  throw new CommandFailure(`${name}: No such file or directory\nunable to load ${what}`)
}

async function genrsa(words: Words, context: CommandContext): Promise<CommandResult> {
  const bits = words.operands[0] ?? '2048'
  if (!['2048', '3072', '4096'].includes(bits))
    throw new CommandFailure(`genrsa: ${bits} bits: keys of 2048, 3072 or 4096 bits are made`)
  const pair = await generateKey(`rsa${bits}` as KeyKind)
  const stdout = await write(words, context, traditionalPrivateKey(pair.privateKey), 0o644)
  const stderr = `Generating RSA private key, ${bits} bit long modulus\n....................+++++\n....+++++\ne is 65537 (0x10001)\n`
  return { stdout, stderr, exitCode: 0 }
}

async function ecparam(words: Words, context: CommandContext): Promise<CommandResult> {
  const curve = words.values.get('name') ?? ''
  const kind = Object.hasOwn(CURVES, curve) ? CURVES[curve] : undefined
  if (kind === undefined)
    throw new CommandFailure(`unknown curve name (${curve})${meant(curve, Object.keys(CURVES))}`)
  if (!words.values.has('genkey'))
    throw new CommandFailure('ecparam: nothing but -genkey is played in the lab')
  const pair = await generateKey(kind)
  return succeed(await write(words, context, traditionalPrivateKey(pair.privateKey), 0o644))
}

async function publicOf(type: 'RSA' | 'EC', words: Words, context: CommandContext): Promise<CommandResult> {
  const text = await read(words, context, 'Private Key')
  try {
    const key = loadPrivateKey(text)
    const isType = key.type.toUpperCase().startsWith(type === 'EC' ? 'EC' : 'RSA')
    if (!isType) throw new CommandFailure(`unable to load Private Key: it is one of ${key.type}`)
    const pem = words.values.has('pubout')
      ? writePem('PUBLIC KEY', key.publicKey.spki)
      : traditionalPrivateKey(text)
    const stdout = await write(words, context, pem, 0o644)
    return { stdout, stderr: `${type === 'EC' ? 'read EC key\n' : ''}writing ${type} key\n`, exitCode: 0 }
  } catch (error) {
    if (error instanceof WarrenError) throw new CommandFailure(`unable to load Private Key: ${error.summary}`)
    throw error
  }
}

async function rand(words: Words, context: CommandContext): Promise<CommandResult> {
  const count = Number(words.operands[0])
  if (!Number.isInteger(count) || count < 1 || count > 65_536)
    throw new CommandFailure('usage: rand [-base64 | -hex] [-out file] num')
  const bytes = context.host.random.fill(new Uint8Array(count))
  const isHex = words.values.has('hex')
  if (!isHex && !words.values.has('base64')) throw new CommandFailure('rand: say -hex or -base64')
  const text = isHex ? hex(bytes, '') : writePem('', bytes).split('\n').slice(1, -2).join('\n')
  return succeed(await write(words, context, `${text}\n`, 0o644))
}

async function x509(words: Words, context: CommandContext): Promise<CommandResult> {
  const text = await read(words, context, 'certificate')
  const certificate = readCertificate(text)
  const has = (option: string): boolean => words.values.has(option)
  const lines = describeCertificate(certificate).filter(([option]) => has(option))
  return succeed(
    `${lines.map(([, line]) => `${line}\n`).join('')}${has('noout') ? '' : writePem('CERTIFICATE', certificate.der)}`,
  )
}

/** @throws CommandFailure */
export function readCertificate(text: string): Certificate {
  const block = readPem(text).find(({ label }) => label === 'CERTIFICATE')
  const certificate =
    block === undefined ? { refused: 'no CERTIFICATE in PEM' } : parseCertificate(block.bytes)
  if (!('refused' in certificate)) return certificate
  throw new CommandFailure(`unable to load certificate: ${certificate.refused}`)
}

/** The lines of `openssl x509`, each by the option that asks for it. */
export function describeCertificate(certificate: Certificate): [option: string, line: string][] {
  const { subject, issuer, notBefore, notAfter, der } = certificate
  return [
    ['subject', `subject= ${formatName(subject)}`],
    ['issuer', `issuer= ${formatName(issuer)}`],
    ['fingerprint', `SHA1 Fingerprint=${hex(sha1(der), ':').toUpperCase()}`],
    ['dates', `notBefore=${asn1Time(notBefore)}`],
    ['dates', `notAfter=${asn1Time(notAfter)}`],
  ]
}

const hex = (bytes: Uint8Array, between: string): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(between)

/** `Nov 24 20:26:57 2026 GMT`. */
export function asn1Time(at: number): string {
  const [, day = '', month, year, time] = new Date(at).toUTCString().split(/,? /)
  return `${month} ${String(Number(day)).padStart(2)} ${time} ${year} GMT`
}
