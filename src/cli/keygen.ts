/** `warren keygen`: the key pair that OpenBSD's rc makes for iked at the first boot. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { suggest, WarrenError } from '../base/index.js'
import { generateKey, KEY_KINDS, type KeyKind, loadPrivateKey, writePem } from '../crypto/index.js'
import type { CliIo } from './io.js'
import { checkSecret } from './secret-file.js'

export const help: string = `usage: warren keygen [--type TYPE] [--folder FOLDER] [--json]

Makes a key pair for IKE where iked has it: FOLDER/private/local.key, for its owner alone, and FOLDER/local.pub. A key
that is there is never replaced; where only local.pub is missing, it is made of the key.

  --type TYPE      ${KEY_KINDS.join(', ')} (default: rsa2048, as OpenBSD makes at boot)
  --folder FOLDER  default: /etc/iked
  --json           where the files are, one JSON value

Example:
  warren keygen --type ecdsa256
  scp /etc/iked/local.pub bob:/etc/iked/pubkeys/ipv4/192.168.1.1
`

export async function run(args: string[], io: CliIo): Promise<number> {
  const wrong = (text: string): number => {
    io.stderr.write(`warren keygen: ${text}\n`)
    return 2
  }
  let values: { type?: string; folder?: string; json?: boolean }
  try {
    values = parseArgs({
      args,
      options: { type: { type: 'string' }, folder: { type: 'string' }, json: { type: 'boolean' } },
    }).values
  } catch (error) {
    return wrong((error as Error).message.split('\n', 1)[0]!)
  }
  const kind = values.type ?? 'rsa2048'
  if (!isKind(kind)) {
    const meant = suggest(kind, KEY_KINDS)
    return wrong(
      `no type "${kind}"${meant === undefined ? '' : `: did you mean "${meant}"?`} There are ${KEY_KINDS.join(', ')}`,
    )
  }
  const folder = values.folder ?? '/etc/iked'
  const [key, pub] = [join(folder, 'private', 'local.key'), join(folder, 'local.pub')]
  const made = await makeKeys(kind, key, pub)
  if (values.json) io.stdout.write(`${JSON.stringify({ ...made, key, pub })}\n`)
  else {
    if (made.madeKey) io.stdout.write(`private key (${made.type}): ${key}\n`)
    io.stdout.write(`public key: ${pub}\n`)
    io.stdout.write(
      'copy the public key to the peer, as /etc/iked/pubkeys/ipv4/ADDRESS, or fqdn/NAME for srcid NAME\n',
    )
  }
  return 0
}

const isKind = (kind: string): kind is KeyKind => (KEY_KINDS as readonly string[]).includes(kind)

async function makeKeys(
  kind: KeyKind,
  key: string,
  pub: string,
): Promise<{ type: string; madeKey: boolean }> {
  if (existsSync(key)) {
    if (existsSync(pub))
      throw new WarrenError('KEYGEN_EXISTS', 'there is a key already', {
        where: key,
        mend: `move ${key} and ${pub} away, if peers are to get another one`,
      })
    checkSecret(key, key)
    const { publicKey } = loadPrivateKey(readFileSync(key, 'latin1'))
    write(pub, writePem('PUBLIC KEY', publicKey.spki), 0o644)
    return { type: publicKey.type, madeKey: false }
  }
  if (existsSync(pub))
    throw new WarrenError('KEYGEN_EXISTS', 'there is a public key whose private key is not here', {
      where: pub,
      mend: `move ${pub} away, or bring ${key} back`,
    })
  const pair = await generateKey(kind)
  write(key, pair.privateKey, 0o600)
  write(pub, pair.publicKey, 0o644)
  return { type: kind, madeKey: true }
}

function write(path: string, text: string, mode: number): void {
  try {
    mkdirSync(join(path, '..'), { recursive: true, mode: mode === 0o600 ? 0o700 : 0o755 })
    // A new file: whatever came there since it was looked for stays.
    writeFileSync(path, text, { mode, flag: 'wx' })
  } catch (error) {
    throw new WarrenError('KEYGEN_FILE', 'could not write a key', {
      where: path,
      found: (error as NodeJS.ErrnoException).code ?? String(error),
      mend: 'run it as root, or name another --folder',
    })
  }
}
