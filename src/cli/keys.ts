/** `--keys`: where `dump` and `explain` have the keys of ESP and AH from, and where `-w` and `--pcap` put them. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseIpAddress, WarrenError } from '../base/index.js'
import { nodeProvider } from '../crypto/node-provider.js'
import { EspOpener } from '../inspect/keys/esp-opener.js'
import { formatEspSa, parseEspSa, type SaKeys, saKeysOf } from '../inspect/keys/esp-sa.js'
import type { DaemonSaKeys } from '../linux/daemon.js'
import { checkSecret } from './secret-file.js'

/** In the place of a file: the keys of the running `warren up`, with its socket where that is another. */
const RUNNING = /^running(?::(.+))?$/

export interface KeyOptions {
  readonly keys?: string
  readonly unverified?: boolean
}

/** Throws `WarrenError` KEYS_FILE, CONFIG_PERMISSIONS, INSPECT_KEYS; of the running one LINUX_*. */
export async function loadKeys(source: string): Promise<SaKeys[]> {
  const running = RUNNING.exec(source)
  if (running === null) return parseEspSa(readKeys(source), source)
  const { askControl, DEFAULT_SOCKET } = await import('../linux/control-socket.js')
  const sas = (await askControl(running[1] ?? DEFAULT_SOCKET, 'keys')) as DaemonSaKeys[]
  return sas.map(({ spi, source: from, destination, encryption, authentication }) =>
    saKeysOf({
      spi,
      source: parseIpAddress(from)!,
      destination: parseIpAddress(destination)!,
      ...(encryption === undefined ? {} : { encryption: secret(encryption) }),
      ...(authentication === undefined ? {} : { authentication: secret(authentication) }),
    }),
  )
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
export async function openerOf({ keys, unverified }: KeyOptions): Promise<EspOpener | undefined> {
  if (keys === undefined) return undefined
  return new EspOpener(await loadKeys(keys), nodeProvider, { unverified: unverified ?? false })
}

/**
 * Writes the keys beside a capture, as `CAPTURE.esp_sa`, for its owner alone, and says how Wireshark takes them. Nothing
 * where there are none, or where they are `from` that very file.
 */
export function writeKeysBeside(
  capture: string,
  keys: readonly SaKeys[],
  say: (line: string) => void,
  from?: string,
): void {
  const file = `${capture}.esp_sa`
  if (keys.length === 0 || (from !== undefined && resolve(from) === resolve(file))) return
  try {
    // A new file: one that stands there may be read by others, or lead elsewhere.
    rmSync(file, { force: true })
    writeFileSync(file, formatEspSa(keys), { mode: 0o600, flag: 'wx' })
  } catch (error) {
    throw new WarrenError('KEYS_FILE', 'could not write the keys', {
      where: file,
      found: (error as NodeJS.ErrnoException).code ?? String(error),
    })
  }
  const [shown, shownFile] = [capture, file].map(shellWord)
  const profile = '~/.config/wireshark/profiles/warren/esp_sa'
  say(`the keys are in ${file}: who has it reads the packets. Warren shows them with`)
  say(`  warren dump -r ${shown} --keys ${shownFile}`)
  say('and Wireshark, or tshark with the same options, with')
  say(`  install -D -m 600 ${shownFile} ${profile}`)
  say(
    `  wireshark -C warren -o esp.enable_encryption_decode:TRUE -o esp.enable_authentication_check:TRUE -r ${shown}`,
  )
}

const shellWord = (text: string): string =>
  /^[\w./+:@%-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
