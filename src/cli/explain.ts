/** `warren explain`: every byte of a packet named. */
import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import { WarrenError } from '../base/index.js'
import { suggest } from '../base/suggest.js'
import {
  type Explanation,
  explain,
  explanationToJson,
  guessLinkType,
  isPcap,
  isPcapng,
  linkTypeNames,
  type Opener,
  parseHexPaste,
  parseLinkType,
  readCapture,
  renderExplanation,
} from '../inspect/index.js'
import type { CliIo } from './io.js'
import { keysHelp } from './keys-help.js'

export const help: string = `usage: warren explain [--json] [--link TYPE] [--keys FILE]... [--unverified] HEX | FILE | -

Names every byte range of a packet: field, value, meaning, and the section of the standard that says so. Lengths and
checksums are checked, packets inside packets are followed, and what is cut off is said.

  HEX             bare hexadecimal digits, with or without blanks
  FILE            a pcap or pcapng file, or text: digits, or what tcpdump -X printed, one packet or several
  -               the same on standard input
  --link TYPE     what the first byte is: ${linkTypeNames.join(', ')} (default: guessed)
${keysHelp}  --json          one object for one packet of digits or text, an array for several and for a capture file

Exit: 0 it explained; 1 it could not read that; 2 the words are wrong.

Examples:
  warren explain 4500001c00010000400166e3c0a80101c0a801020800f7ff00000000
  warren explain gif.pcap
  warren explain --keys esp.pcapng.esp_sa esp.pcapng
  tcpdump -XXvvv -i bridge1 -c1 | warren explain -
`

interface Words {
  readonly json: boolean
  readonly linkType?: number
  readonly words: readonly string[]
  readonly keys: readonly string[]
  readonly unverified: boolean
}

class UsageError extends Error {}

export async function run(args: string[], io: CliIo): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    io.stdout.write(help)
    return 0
  }
  try {
    const words = parseWords(args)
    const opener = words.keys.length === 0 ? undefined : await (await import('./keys.js')).openerOf(words)
    const { several, explanations } = await gather(words, io, opener)
    return await write(explanations, { json: words.json, several }, io)
  } catch (error) {
    if (error instanceof UsageError) {
      io.stderr.write(`warren explain: ${error.message}\n\`warren explain --help\` says what it takes\n`)
      return 2
    }
    if (!(error instanceof WarrenError)) throw error
    io.stderr.write(`warren explain: ${error.message}\n`)
    return 1
  }
}

function parseWords(args: readonly string[]): Words {
  let json = false
  let linkType: number | undefined
  const keys: string[] = []
  let unverified = false
  const words: string[] = []
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!
    if (word === '--json') json = true
    else if (word === '--link' || word.startsWith('--link=')) {
      const name = word === '--link' ? args[++i] : word.slice('--link='.length)
      if (name === undefined) throw new UsageError(`--link needs a type: ${linkTypeNames.join(', ')}`)
      linkType = parseLinkType(name)
      if (linkType === undefined) {
        const meant = suggest(name, linkTypeNames)
        const hint =
          meant === undefined ? `: expected ${linkTypeNames.join(', ')}` : `: did you mean ${meant}?`
        throw new UsageError(`no link type "${name}"${hint}`)
      }
    } else if (word === '--keys' || word.startsWith('--keys=')) {
      const value = word === '--keys' ? args[++i] : word.slice('--keys='.length)
      if (value === undefined || value === '') throw new UsageError('--keys needs a file, or "running"')
      keys.push(value)
    } else if (word === '--unverified') unverified = true
    else if (word.startsWith('-') && word !== '-') {
      const meant = suggest(word, ['--json', '--link', '--keys', '--unverified', '--help'])
      throw new UsageError(`no option ${word}${meant === undefined ? '' : `: did you mean ${meant}?`}`)
    } else words.push(word)
  }
  if (words.length === 0) throw new UsageError('nothing to explain: expected HEX, FILE or -')
  if (unverified && keys.length === 0)
    throw new UsageError('--unverified is about packets that keys open: give --keys')
  return {
    json,
    words,
    unverified,
    keys,
    ...(linkType === undefined ? {} : { linkType }),
  }
}

interface Gathered {
  /** An array in JSON, even if it turns out to be one. */
  readonly several: boolean
  /** Made one by one, as they are written; throws `WarrenError` where a file is bad. */
  readonly explanations: Iterable<Explanation>
}

async function write(
  explanations: Iterable<Explanation>,
  { json, several }: { readonly json: boolean; readonly several: boolean },
  io: CliIo,
): Promise<number> {
  const shown = (explanation: Explanation): string =>
    JSON.stringify(explanationToJson(explanation), undefined, 2)
  let count = 0
  let fault: WarrenError | undefined
  try {
    for (const explanation of explanations) {
      const before = json ? (several ? (count === 0 ? '[\n' : ',\n') : '') : count === 0 ? '' : '\n'
      count++
      const more = io.stdout.write(before + (json ? shown(explanation) : renderExplanation(explanation)))
      if (!more) await once(io.stdout, 'drain')
    }
  } catch (error) {
    // What came before the fault is good; with nothing before it, the fault is all there is to say.
    if (!(error instanceof WarrenError) || count === 0) throw error
    fault = error
  }
  if (json) io.stdout.write(several ? '\n]\n' : '\n')
  if (fault === undefined) return 0
  io.stderr.write(`warren explain: ${fault.message}\n`)
  return 1
}

async function gather({ words, linkType }: Words, io: CliIo, opener: Opener | undefined): Promise<Gathered> {
  const [first] = words as [string]
  if (words.length === 1 && first === '-')
    return fromBytes(await readAll(io.stdin), 'standard input', linkType, opener)
  if (words.length === 1 && isFile(first)) return fromBytes(readFile(first), first, linkType, opener)
  const text = words.join(' ')
  if (words.length === 1 && !/^[0-9a-fA-Fx:\s]+$/.test(first))
    throw new WarrenError('EXPLAIN_INPUT', 'neither hexadecimal nor a file', {
      found: `"${first}"`,
      mend: 'check the name of the file; hexadecimal has only the digits 0-9 and a-f',
    })
  return fromText(text, linkType, opener)
}

const isFile = (name: string): boolean => statSync(name, { throwIfNoEntry: false })?.isFile() === true

function readFile(name: string): Uint8Array {
  try {
    return readFileSync(name)
  } catch (error) {
    throw new WarrenError('EXPLAIN_INPUT', 'could not read the file', {
      where: name,
      found: (error as NodeJS.ErrnoException).code ?? String(error),
    })
  }
}

async function readAll(stream: NodeJS.ReadableStream): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  for await (const chunk of stream)
    chunks.push(typeof chunk === 'string' ? Buffer.from(chunk, 'utf8') : chunk)
  return Buffer.concat(chunks)
}

function fromBytes(
  bytes: Uint8Array,
  name: string,
  linkType: number | undefined,
  opener: Opener | undefined,
): Gathered {
  if (isPcap(bytes) === true || isPcapng(bytes) === true)
    return { several: true, explanations: captured(bytes, name, linkType, opener) }
  const text = Buffer.from(bytes).toString('utf8')
  // A file of one bare packet: bytes that are no text.
  if (!isText(text)) return { several: false, explanations: [one(bytes, linkType, opener)] }
  return fromText(text, linkType, opener)
}

function* captured(
  bytes: Uint8Array,
  name: string,
  linkType: number | undefined,
  opener: Opener | undefined,
): Generator<Explanation> {
  let some = false
  for (const packet of readCapture(bytes, name)) {
    some = true
    yield explain(packet.bytes, linkType ?? packet.linkType, packet.originalLength, opener)
  }
  if (!some) throw new WarrenError('INSPECT_NO_PACKET', 'no packet in this file', { where: name })
}

function fromText(text: string, linkType: number | undefined, opener: Opener | undefined): Gathered {
  const packets = parseHexPaste(text)
  return {
    several: packets.length > 1,
    explanations: packets.map(({ bytes }) => one(bytes, linkType, opener)),
  }
}

function one(bytes: Uint8Array, linkType: number | undefined, opener: Opener | undefined): Explanation {
  const guessed = linkType ?? guessLinkType(bytes)
  if (guessed === undefined)
    throw new WarrenError('EXPLAIN_LINK', 'what the first byte is cannot be guessed', {
      found: `${bytes.length} bytes that begin like neither an IP packet nor an Ethernet frame`,
      mend: `say it with --link: ${linkTypeNames.join(', ')}`,
    })
  return explain(bytes, guessed, undefined, opener)
}

/** Blanks and printable characters alone; a byte that is no UTF-8 was replaced by U+FFFD. */
const isText = (text: string): boolean => /^[\s\x20-\x7e\u0080-\ufffc]*$/.test(text)
