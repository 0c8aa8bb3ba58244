/** `warren dump`: packets as tcpdump lines, live or from a file. */
import { WarrenError } from '../base/index.js'
import type { PacketCursor } from '../inspect/capture/record.js'
import { compileFilter, type PacketFilter } from '../inspect/filter/compile.js'
import { linkTypeLabel } from '../inspect/link-type.js'
import type { Opener } from '../inspect/opener.js'
import { DEFAULT_SNAPLEN } from '../inspect/print/line.js'
import { type DumpOptions, parseDumpOptions, UsageError } from './dump-options.js'
import { BufferedOutput, makeSink, type PacketSink } from './dump-output.js'
import { LiveSource, openFile, openInterface, type PacketSource } from './dump-source.js'
import type { CliIo } from './io.js'
import { keysHelp } from './keys-help.js'

export const help: string = `usage: warren dump (-r FILE | -i INTERFACE) [-AelnNOpqStvxX] [-c COUNT] [-s SNAPLEN] [-w FILE]
                   [--explain] [--json] [--keys FILE]... [--unverified] [EXPRESSION]

Prints packets as OpenBSD's tcpdump does, from a pcap or pcapng file (- for standard input), or live from an interface
of this machine (Linux, with the right to open a packet socket).

  -v, -vv, -vvv   more of each header: ttl, id, lengths, checksums; with -vv what an ICMP error quotes
  -n              ports and types as numbers (addresses are never resolved)
  -e              the link header too
  -q              less of each protocol
  -S              TCP sequence numbers as they are, not counted from the first
  -x, -X, -A      also the bytes: in hexadecimal, with text beside them, as text alone
  -t              no time; -tt seconds since 1970; -ttt with the date; -tttt since the packet before; -ttttt since the first
  -c COUNT        stops after so many packets
  -s SNAPLEN      looks at no more bytes of a packet (live: ${DEFAULT_SNAPLEN} unless told; 0: all)
  -w FILE         writes the packets to a file instead: pcapng if it is named so, else pcap
  --explain       names every byte of each packet
${keysHelp}  --json          an array of {number, time, linkType, length, captured, line}, with --explain also {explanation}
  EXPRESSION      which packets: host, net, port, portrange, proto with src, dst and ip, ip6, tcp, udp before them; icmp,
                  icmp6, arp, gre, etherip, esp, ether host, vlan, less, greater; tcp[tcpflags] & tcp-syn != 0; and, or, not

Exit: 0 it did what was asked; 1 it could not (packets before a fault in a file are printed); 2 the words are wrong.

Examples:
  warren dump -r gif.pcap -n -vX
  warren dump -r - icmp and host 192.168.1.2 < gif.pcap
  warren dump -i eth0 -n proto gre or proto etherip
  warren dump -i eth0 -n --keys running esp
`

export async function run(args: string[], io: CliIo): Promise<number> {
  if (args.includes('--help')) {
    io.stdout.write(help)
    return 0
  }
  let options: DumpOptions
  let filter: PacketFilter | undefined
  try {
    options = parseDumpOptions(args)
    filter = options.filter.trim() === '' ? undefined : compileFilter(options.filter)
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof WarrenError)) throw error
    io.stderr.write(`warren dump: ${error.message}\n\`warren dump --help\` says what it takes\n`)
    return 2
  }
  try {
    return await dump(options, filter, io)
  } catch (error) {
    if (!(error instanceof WarrenError)) throw error
    io.stderr.write(`warren dump: ${error.message}\n`)
    return 1
  }
}

async function dump(given: DumpOptions, filter: PacketFilter | undefined, io: CliIo): Promise<number> {
  const live = given.interfaceName !== undefined
  // Before anything is opened: wrong keys are told at once.
  const opener = await openerFor(given, io)
  const source = live ? await openInterface(given.interfaceName!) : await openFile(given.file!, io.stdin)
  // Live, and for the eye only: as much of each packet as OpenBSD's tcpdump looks at; an ICV covers all of it.
  const snaplen =
    given.snaplen ??
    (live && given.writeFile === undefined && given.keys.length === 0 ? DEFAULT_SNAPLEN : undefined)
  const options = snaplen === undefined ? given : { ...given, snaplen }
  const output = new BufferedOutput(io.stdout)
  const stop = live ? stopOnSignals(source) : () => undefined
  if (live)
    io.stderr.write(
      `warren dump: listening on ${given.interfaceName}, link-type ${linkTypeLabel(source.cursor.linkType)}\n`,
    )
  try {
    const sink = await makeSink(options, output, opener)
    const counts = await pump(source, filter, sink, output, options.count ?? Number.POSITIVE_INFINITY, live)
    if (source instanceof LiveSource && !output.closed)
      io.stderr.write(
        `\n${counts.seen} packets received, ${counts.wanted} wanted by the filter, ${source.dropped} dropped\n`,
      )
    return 0
  } finally {
    stop()
    await source.close()
  }
}

/** With -w the keys go beside the capture; packets are written as they are. */
async function openerFor(
  { keys, unverified, writeFile }: DumpOptions,
  io: CliIo,
): Promise<Opener | undefined> {
  if (keys.length === 0) return undefined
  // Loaded only when wanted: lines are to begin at once.
  const { loadKeys, openerOf, writeKeysBeside } = await import('./keys.js')
  if (writeFile === undefined || writeFile === '-') return openerOf({ keys, unverified })
  writeKeysBeside(writeFile, await loadKeys(keys), (line) => io.stderr.write(`warren dump: ${line}\n`), keys)
  return undefined
}

const isWanted = (
  filter: PacketFilter,
  { buffer, start, end, linkType, originalLength }: PacketCursor,
): boolean => filter.within(buffer, start, end, linkType, originalLength)

/** Moves packets from the source to the sink; what was delivered is sent even if the source then fails. */
async function pump(
  source: PacketSource,
  filter: PacketFilter | undefined,
  sink: PacketSink,
  output: BufferedOutput,
  most: number,
  live: boolean,
): Promise<{ seen: number; wanted: number }> {
  let seen = 0
  let wanted = 0
  try {
    while (wanted < most && !output.closed && (await source.fill())) {
      while (wanted < most && source.advance()) {
        seen++
        if (filter !== undefined && !isWanted(filter, source.cursor)) continue
        wanted++
        sink.packet(source.cursor)
        if (output.full) {
          await output.flush()
          if (output.closed) break
        }
      }
      if (live) await output.flush()
    }
  } finally {
    sink.end()
    await output.flush()
  }
  return { seen, wanted }
}

/** The first signal ends the capture in order; a second is for the impatient. */
function stopOnSignals(source: PacketSource): () => void {
  const end = (): void => {
    void source.close()
  }
  process.once('SIGINT', end)
  process.once('SIGTERM', end)
  return () => {
    process.removeListener('SIGINT', end)
    process.removeListener('SIGTERM', end)
  }
}
