/** `--keys`: where `dump` and `explain` have the keys of ESP, AH and IKE from, and where `-w` and `--pcap` put them. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseIpAddress, WarrenError } from '../base/index.js'
import type { MacName } from '../crypto/names.js'
import { nodeProvider } from '../crypto/node-provider.js'
import { joinKeys, KeyOpener, type Keys, parseKeys } from '../inspect/keys/both.js'
import { formatEspSa, saKeysOf } from '../inspect/keys/esp-sa.js'
import { formatIkev2Table, type IkeSaKeys } from '../inspect/keys/ikev2-table.js'
import type { DaemonIkeKeys, DaemonSaKeys } from '../linux/daemon.js'
import { checkSecret } from './secret-file.js'

/** In the place of a file: the keys of the running `warren up`, with its socket where that is another. */
const RUNNING = /^running(?::(.+))?$/

export interface KeyOptions {
  /** Files, or `running`; none: no keys were asked for. */
  readonly keys: readonly string[]
  readonly unverified?: boolean
}

/** Throws `WarrenError` KEYS_FILE, CONFIG_PERMISSIONS, INSPECT_KEYS; of the running one LINUX_*. */
export async function loadKeys(sources: readonly string[]): Promise<Keys> {
  const all: Keys[] = []
  for (const source of sources) all.push(await loadFrom(source))
  return joinKeys(all)
}

async function loadFrom(source: string): Promise<Keys> {
  const running = RUNNING.exec(source)
  if (running === null) return parseKeys(readKeys(source), source)
  const { askControl, DEFAULT_SOCKET } = await import('../linux/control-socket.js')
  const all = (await askControl(running[1] ?? DEFAULT_SOCKET, 'keys')) as (DaemonSaKeys | DaemonIkeKeys)[]
  const sas = all.filter((one) => one.protocol !== 'ike')
  const known = sas.map(({ spi, source: from, destination, encryption, authentication }) =>
    saKeysOf({
      spi,
      source: parseIpAddress(from)!,
      destination: parseIpAddress(destination)!,
      ...(encryption === undefined ? {} : { encryption: secret(encryption) }),
      ...(authentication === undefined ? {} : { authentication: secret(authentication) }),
    }),
  )
  return { sas: known, ikeSas: all.filter((one) => one.protocol === 'ike').map(ikeSecrets) }
}

function ikeSecrets(one: DaemonIkeKeys): IkeSaKeys {
  const bytes = (text: string): Uint8Array => Buffer.from(text, 'hex')
  return {
    initiatorSpi: bytes(one.initiatorSpi),
    responderSpi: bytes(one.responderSpi),
    encryption: one.encryption as IkeSaKeys['encryption'],
    encryptionKeys: [bytes(one.ei), bytes(one.er)],
    ...(one.integrity === undefined ? {} : { integrity: one.integrity as MacName }),
    integrityKeys: [bytes(one.ai), bytes(one.ar)],
  }
}

const secret = <Id extends string>({
  id,
  key,
}: {
  readonly id: string
  readonly key: string
}): { id: Id; key: Uint8Array } => ({
  id: id as Id,
  key: Buffer.from(key, 'hex'),
})

function readKeys(file: string): string {
  try {
    if (process.platform !== 'win32') checkSecret(file, file)
    return readFileSync(file, 'latin1')
  } catch (error) {
    if (error instanceof WarrenError) throw error
    throw new WarrenError('KEYS_FILE', 'could not read the keys', {
      where: file,
      found: (error as NodeJS.ErrnoException).code ?? String(error),
      mend: 'check its name and rights',
    })
  }
}

/** Undefined: no keys were asked for. */
export async function openerOf({ keys, unverified }: KeyOptions): Promise<KeyOpener | undefined> {
  if (keys.length === 0) return undefined
  return new KeyOpener(await loadKeys(keys), nodeProvider, { unverified: unverified ?? false })
}

/** Wireshark's files of a profile, with what it has to be told. */
const ESP_OPTIONS = '-o esp.enable_encryption_decode:TRUE -o esp.enable_authentication_check:TRUE '
const PROFILE = '~/.config/wireshark/profiles/warren'

/**
 * Writes the keys beside a capture, as `CAPTURE.esp_sa` and `CAPTURE.ikev2_decryption_table`, for its owner alone, and
 * says how Wireshark takes them. Nothing where there are none, or where they are `from` that very file.
 */
export function writeKeysBeside(
  capture: string,
  { sas, ikeSas }: Keys,
  say: (line: string) => void,
  from: readonly string[] = [],
): void {
  const tables = [
    { name: 'esp_sa', text: sas.length === 0 ? '' : formatEspSa(sas) },
    { name: 'ikev2_decryption_table', text: ikeSas.length === 0 ? '' : formatIkev2Table(ikeSas) },
  ].filter(
    ({ name, text }) => text !== '' && !from.some((one) => resolve(one) === resolve(`${capture}.${name}`)),
  )
  if (tables.length === 0) return
  for (const { name, text } of tables) writeSecret(`${capture}.${name}`, text)
  const files = tables.map(({ name }) => shellWord(`${capture}.${name}`))
  const shown = shellWord(capture)
  const them = files.length === 1 ? 'it' : 'them'
  say(`the keys are in ${files.join(' and ')}: who has ${them} reads the packets. Warren shows them with`)
  const verbose = ikeSas.length > 0 ? '-v ' : ''
  say(`  warren dump ${verbose}-r ${shown} ${files.map((file) => `--keys ${file}`).join(' ')}`)
  say('and Wireshark, or tshark with the same options, with')
  for (const { name } of tables)
    say(`  install -D -m 600 ${shellWord(`${capture}.${name}`)} ${PROFILE}/${name}`)
  const options = tables.some(({ name }) => name === 'esp_sa') ? ESP_OPTIONS : ''
  say(`  wireshark -C warren ${options}-r ${shown}`)
}

function writeSecret(file: string, text: string): void {
  try {
    // A new file: one that stands there may be read by others, or lead elsewhere.
    rmSync(file, { force: true })
    writeFileSync(file, text, { mode: 0o600, flag: 'wx' })
  } catch (error) {
    throw new WarrenError('KEYS_FILE', 'could not write the keys', {
      where: file,
      found: (error as NodeJS.ErrnoException).code ?? String(error),
    })
  }
}

const shellWord = (text: string): string =>
  /^[\w./+:@%-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
