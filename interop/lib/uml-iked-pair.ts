/** Warren and OpenIKED for the cases of one file: one boot, then one pair of configurations after another. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { INSIDE, type Inside, WarrenIke, warrenFolder } from './uml-ike-case.js'
import { PEER, UmlIkeNet, WARREN } from './uml-ike-net.js'
import { UmlIked } from './uml-iked.js'
import { WARREN as COMMAND } from './warren.js'

export type Role = 'initiator' | 'responder'
export const ROLES: readonly Role[] = ['initiator', 'responder']

/** What the policies of both ends have in common; what each has in front of the other comes in pairs, Warren's first. */
export interface Two {
  readonly mode?: 'transport'
  readonly outer?: 4 | 6
  /** The networks of the flow; none: `from` and `to` are in `flows`. */
  readonly inside?: Inside
  readonly flows?: readonly [string, string]
  /** Lines above the policy. */
  readonly set?: readonly [string, string]
  /** `ikesa …`, `childsa …`. */
  readonly suite?: readonly [string, string]
  readonly ids?: readonly [string, string]
  /** `ikelifetime …`, `lifetime …`, authentication, configuration. */
  readonly rest?: readonly [string, string]
  /** Of Warren's policy, where it is not `WARREN.outer`; what iked sees then is `any`. */
  readonly local?: string
}

const SECRET = 'psk "keys of two hosts"'

const same = (text: string): readonly [string, string] => [text, text]

function policy(i: 0 | 1, mode: 'active' | 'passive', two: Two): string {
  const { outer = 4, inside = INSIDE[4], set = same(''), suite = same(''), rest = same(SECRET) } = two
  const j = (1 - i) as 0 | 1
  const [local, peer] = [
    [two.local ?? WARREN.outer[outer], PEER.outer[outer]],
    [PEER.outer[outer], two.local === undefined ? WARREN.outer[outer] : 'any'],
  ][i]!
  const [from, to] = i === 0 ? [inside.near, inside.far] : [inside.far, inside.near]
  const flows = two.flows?.[i] ?? `from ${from} to ${to}`
  const ids = two.ids ?? [WARREN.outer[outer], PEER.outer[outer]]
  return `${set[i]}
ikev2 "t" ${mode} ${two.mode ?? ''} esp ${flows} local ${local} peer ${peer} \\
  ${suite[i]} srcid ${ids[i]} dstid ${ids[j]} ${rest[i]}`
}

export interface Folders {
  /** Where Warren's iked.conf will be; its keys are in `iked` below. */
  readonly warren: string
  /** What will be /etc/iked of the other. */
  readonly iked: string
}

export class IkedPair {
  readonly host: UmlIkeNet
  readonly iked: UmlIked
  #warren: WarrenIke | undefined
  #count = 0

  private constructor(host: UmlIkeNet) {
    this.host = host
    this.iked = new UmlIked(host)
  }

  static async boot(prefix: string): Promise<IkedPair> {
    return new IkedPair(await UmlIkeNet.boot(prefix))
  }

  /** New folders for the files of one case. */
  folders(): Folders {
    return { warren: warrenFolder(this.host, String(++this.#count)), iked: this.iked.folder() }
  }

  /** Starts Warren alone. */
  async warren(
    text: string,
    folder: string = this.folders().warren,
    namespace: string = this.host.w,
  ): Promise<WarrenIke> {
    this.#warren = await WarrenIke.start(this.host, namespace, {
      text,
      folder,
      peerLog: () => this.iked.log(),
      peerUp: () => this.iked.until(/sa_state: .* -> ESTABLISHED/),
    })
    return this.#warren
  }

  /** Starts both, first the one that waits. */
  async both(
    role: Role,
    two: Two,
    folders: Folders = this.folders(),
    namespace: string = this.host.w,
  ): Promise<WarrenIke> {
    const [ours, theirs] =
      role === 'initiator' ? (['active', 'passive'] as const) : (['passive', 'active'] as const)
    if (role === 'initiator') await this.iked.start(policy(1, theirs, two), folders.iked)
    const warren = await this.warren(policy(0, ours, two), folders.warren, namespace)
    if (role === 'responder') await this.iked.start(policy(1, theirs, two), folders.iked)
    return warren
  }

  /** Ends both, Warren by SIGTERM. */
  async end(): Promise<void> {
    const warren = this.#warren
    this.#warren = undefined
    try {
      await warren?.process.stop()
    } finally {
      await this.iked.stop()
    }
  }

  async close(): Promise<void> {
    await this.host.close()
  }
}

/**
 * What OpenBSD's boot does, and scp(1) after it: a key pair for each, and the public key at the other end under `known`, the
 * path below pubkeys of Warren's key there and of the other's here.
 */
export function exchangeKeys(type: string, folders: Folders, known: readonly [string, string]): void {
  const ours = join(folders.warren, 'iked')
  const made = join(folders.iked, 'new')
  for (const folder of [ours, made])
    execFileSync(process.execPath, [COMMAND, 'keygen', '--type', type, '--folder', folder], { stdio: 'pipe' })
  copyFileSync(join(made, 'private/local.key'), join(folders.iked, 'private/local.key'))
  copyFileSync(join(made, 'local.pub'), join(folders.iked, 'local.pub'))
  copyFileSync(join(ours, 'local.pub'), join(folders.iked, 'pubkeys', known[0]))
  mkdirSync(join(ours, 'pubkeys', known[1], '..'), { recursive: true })
  copyFileSync(join(made, 'local.pub'), join(ours, 'pubkeys', known[1]))
}

/** A certificate each of one authority, made by openssl(1), with a DNS name as its subject's other name. */
export function certify(type: 'rsa' | 'ec', folders: Folders, ids: readonly [string, string]): void {
  const scratch = join(folders.warren, 'pki')
  const ours = join(folders.warren, 'iked')
  for (const name of ['ca', 'certs', 'private']) mkdirSync(join(ours, name), { recursive: true, mode: 0o700 })
  mkdirSync(scratch)
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: scratch, stdio: ['ignore', 'ignore', 'pipe'] })
  }
  const newKey =
    type === 'rsa' ? ['-newkey', 'rsa:2048'] : ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
  openssl(
    ...['req', '-x509', ...newKey, '-nodes', '-keyout', 'ca.key', '-out', 'ca.crt', '-days', '2'],
    ...['-subj', '/CN=Test CA'],
  )
  for (const [i, folder] of [ours, folders.iked].entries()) {
    const id = ids[i]!
    openssl('req', ...newKey, '-nodes', '-keyout', `${id}.key`, '-out', `${id}.csr`, '-subj', `/CN=${id}`)
    const extensions = `subjectAltName=DNS:${id}`
    execFileSync('sh', ['-c', `echo ${extensions} > ${id}.ext`], { cwd: scratch })
    openssl(
      ...['x509', '-req', '-in', `${id}.csr`, '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial'],
      ...['-days', '2', '-extfile', `${id}.ext`, '-out', `${id}.crt`],
    )
    copyFileSync(join(scratch, 'ca.crt'), join(folder, 'ca/ca.crt'))
    copyFileSync(join(scratch, `${id}.crt`), join(folder, `certs/${id}.crt`))
    copyFileSync(join(scratch, `${id}.key`), join(folder, 'private/local.key'))
    execFileSync('openssl', ['pkey', '-in', 'private/local.key', '-pubout', '-out', 'local.pub'], {
      cwd: folder,
    })
  }
}
