/** What `warren dump` makes of each packet: lines, explanations, JSON, a capture file. */
import { closeSync, openSync, writeSync } from 'node:fs'
import { WarrenError } from '../base/index.js'
import { PcapWriter } from '../inspect/capture/pcap.js'
import { PcapngWriter } from '../inspect/capture/pcapng.js'
import { type PacketCursor, timeOf } from '../inspect/capture/record.js'
import { ByteWriter } from '../inspect/fast/byte-writer.js'
import { FastLines, LONGEST_FAST_LINE } from '../inspect/fast/fast-lines.js'
import { linkTypeLabel } from '../inspect/link-type.js'
import type { Opener } from '../inspect/opener.js'
import { TcpdumpPrinter } from '../inspect/print/line.js'
import type { DumpOptions } from './dump-options.js'

const BLOCK = 128 * 1024

/** Bytes on their way to a stream, in large blocks. */
export class BufferedOutput {
  readonly writer: ByteWriter = new ByteWriter(BLOCK)
  /** True once the reader has gone: `dump | head`. */
  closed = false
  readonly #stream: NodeJS.WritableStream
  /** True from the moment the stream says "enough" until it has drained. */
  #behind = false
  /** Blocks that the stream has given back. */
  readonly #spare: Uint8Array[] = []

  constructor(stream: NodeJS.WritableStream) {
    this.#stream = stream
    stream.on('error', () => {
      this.closed = true
    })
    stream.on('close', () => {
      this.closed = true
    })
    stream.on('drain', () => {
      this.#behind = false
    })
  }

  /** Whether it is time to `flush`: the next fast line may not fit, or the reader is behind. */
  get full(): boolean {
    return this.#behind || this.writer.at + LONGEST_FAST_LINE > BLOCK
  }

  text(text: string): void {
    this.bytes(Buffer.from(text, 'utf8'))
  }

  bytes(bytes: Uint8Array): void {
    const { writer } = this
    if (writer.at + bytes.length > BLOCK) this.#send()
    if (bytes.length > BLOCK) {
      // A copy: the caller may use its memory again.
      if (!this.#stream.write(bytes.slice())) this.#behind = true
      return
    }
    writer.bytes.set(bytes, writer.at)
    writer.at += bytes.length
  }

  /** Sends what there is, and waits where the reader is slower. */
  async flush(): Promise<void> {
    this.#send()
    const drained = this.#behind && !this.closed ? this.#drained() : undefined
    // The stream's callbacks and errors, and signals, get their turn.
    await new Promise((resolve) => setImmediate(resolve))
    if (!this.closed) await drained
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const go = (): void => {
        for (const event of ['drain', 'close', 'error']) this.#stream.removeListener(event, go)
        resolve()
      }
      for (const event of ['drain', 'close', 'error']) this.#stream.on(event, go)
    })
  }

  #send(): void {
    const { writer } = this
    if (writer.at === 0 || this.closed) {
      writer.at = 0
      return
    }
    // The stream keeps what it is given until it says so: it gets the block, and we take another.
    const block = writer.bytes
    const length = writer.at
    writer.bytes = this.#spare.pop() ?? new Uint8Array(BLOCK)
    writer.at = 0
    const more = this.#stream.write(block.subarray(0, length), () => {
      this.#spare.push(block)
    })
    if (!more) this.#behind = true
  }
}

export interface PacketSink {
  packet(packet: PacketCursor): void
  end(): void
}

/** `opener`: keys for what is printed. */
export async function makeSink(
  options: DumpOptions,
  output: BufferedOutput,
  opener?: Opener,
): Promise<PacketSink> {
  if (options.writeFile !== undefined) return new FileSink(options.writeFile, options.snaplen, output)
  if (!options.json && !options.explain) return new LineSink(options, output, opener)
  // Loaded only when wanted: lines are to begin at once.
  const explanations = await import('../inspect/explain.js')
  return options.json
    ? new JsonSink(options, output, explanations, opener)
    : new ExplainSink(options, output, explanations, opener)
}

type Explanations = typeof import('../inspect/explain.js')

/** Seconds east of UTC, of this machine's zone. */
const utcOffset = (epochSeconds: number): number => -60 * new Date(epochSeconds * 1000).getTimezoneOffset()

const printerOf = (options: DumpOptions, opener: Opener | undefined): TcpdumpPrinter =>
  new TcpdumpPrinter({ ...options, utcOffset, ...(opener === undefined ? {} : { opener }) })

const bytesOf = ({ buffer, start, end }: PacketCursor, snaplen: number | undefined): Uint8Array =>
  buffer.subarray(start, snaplen === undefined ? end : Math.min(end, start + snaplen))

class LineSink implements PacketSink {
  readonly #printer: TcpdumpPrinter
  readonly #output: BufferedOutput
  readonly #fast: FastLines | undefined
  readonly #snaplen: number | undefined

  constructor(options: DumpOptions, output: BufferedOutput, opener: Opener | undefined) {
    this.#printer = printerOf(options, opener)
    this.#output = output
    this.#snaplen = options.snaplen
    const { verbose, link, quick, dump, timeFormat, numeric, absolute } = options
    const plain = verbose === 0 && !link && !quick && dump === undefined
    if (plain && (timeFormat === 'time' || timeFormat === 'none'))
      this.#fast = new FastLines(output.writer, this.#printer.flows, {
        numeric,
        absolute,
        stamps: timeFormat === 'time',
        utcOffset,
      })
  }

  packet(packet: PacketCursor): void {
    const { buffer, start, end, linkType, originalLength, seconds, nanoseconds } = packet
    const stop = this.#snaplen === undefined ? end : Math.min(end, start + this.#snaplen)
    if (this.#fast?.write(buffer, start, stop, linkType, originalLength, seconds, nanoseconds)) return
    const line = this.#printer.line(bytesOf(packet, this.#snaplen), linkType, {
      time: timeOf(packet),
      originalLength,
    })
    this.#output.text(`${line}\n`)
  }

  end(): void {}
}

class ExplainSink implements PacketSink {
  readonly #printer: TcpdumpPrinter
  readonly #output: BufferedOutput
  readonly #snaplen: number | undefined
  readonly #explanations: Explanations
  #number = 0

  readonly #opener: Opener | undefined

  constructor(
    options: DumpOptions,
    output: BufferedOutput,
    explanations: Explanations,
    opener: Opener | undefined,
  ) {
    this.#opener = opener
    this.#explanations = explanations
    this.#printer = printerOf(options, opener)
    this.#output = output
    this.#snaplen = options.snaplen
  }

  packet(packet: PacketCursor): void {
    const { linkType, originalLength } = packet
    const bytes = bytesOf(packet, this.#snaplen)
    const line = this.#printer.line(bytes, linkType, { time: timeOf(packet), originalLength })
    const { explain, renderExplanation } = this.#explanations
    const text = renderExplanation({ ...explain(bytes, linkType, originalLength, this.#opener), line })
    this.#output.text(`${this.#number++ === 0 ? '' : '\n'}${text}`)
  }

  end(): void {}
}

class JsonSink implements PacketSink {
  readonly #options: DumpOptions
  readonly #printer: TcpdumpPrinter
  readonly #output: BufferedOutput
  readonly #explanations: Explanations
  #number = 0

  readonly #opener: Opener | undefined

  constructor(
    options: DumpOptions,
    output: BufferedOutput,
    explanations: Explanations,
    opener: Opener | undefined,
  ) {
    this.#opener = opener
    this.#explanations = explanations
    this.#options = options
    this.#printer = printerOf({ ...options, timeFormat: 'none' }, opener)
    this.#output = output
    output.text('[')
  }

  packet(packet: PacketCursor): void {
    const { linkType, originalLength } = packet
    const bytes = bytesOf(packet, this.#options.snaplen)
    const line = this.#printer.line(bytes, linkType, { time: timeOf(packet), originalLength })
    const { explain, explanationToJson } = this.#explanations
    const value = {
      number: this.#number + 1,
      time: `${packet.seconds}.${String(packet.nanoseconds).padStart(9, '0')}`,
      linkType: linkTypeLabel(linkType),
      length: originalLength,
      captured: bytes.length,
      line,
      ...(this.#options.explain
        ? { explanation: explanationToJson(explain(bytes, linkType, originalLength, this.#opener)) }
        : {}),
    }
    this.#output.text(`${this.#number++ === 0 ? '\n' : ',\n'}${JSON.stringify(value)}`)
  }

  end(): void {
    this.#output.text(this.#number === 0 ? ']\n' : '\n]\n')
  }
}

function writeAll(fd: number, bytes: Uint8Array, length: number): void {
  for (let at = 0; at < length; ) at += writeSync(fd, bytes, at, length - at)
}

/** -w: pcap, or pcapng where the name says so. */
class FileSink implements PacketSink {
  readonly #name: string
  readonly #snaplen: number | undefined
  readonly #write: (bytes: Uint8Array) => void
  readonly #close: () => void
  readonly #pcapng: boolean
  #pcap: PcapWriter | undefined
  #pcapLinkType = -1
  readonly #ngWriter = new PcapngWriter()
  readonly #interfaces = new Map<number, number>()

  constructor(name: string, snaplen: number | undefined, output: BufferedOutput) {
    this.#name = name
    this.#snaplen = snaplen
    this.#pcapng = /\.(pcapng|ntar)$/i.test(name)
    if (name === '-') {
      this.#write = (bytes) => output.bytes(bytes)
      this.#close = () => undefined
      return
    }
    try {
      const fd = openSync(name, 'w')
      const block = new ByteWriter(BLOCK)
      const flush = (): void => {
        writeAll(fd, block.bytes, block.at)
        block.at = 0
      }
      this.#write = (bytes) => {
        if (block.at + bytes.length > BLOCK) flush()
        if (bytes.length > BLOCK) {
          writeAll(fd, bytes, bytes.length)
          return
        }
        block.bytes.set(bytes, block.at)
        block.at += bytes.length
      }
      this.#close = () => {
        flush()
        closeSync(fd)
      }
    } catch (error) {
      throw new WarrenError('DUMP_FILE', 'could not write the file', {
        where: name,
        found: (error as NodeJS.ErrnoException).code ?? String(error),
      })
    }
    if (this.#pcapng) this.#write(this.#ngWriter.header())
  }

  packet(packet: PacketCursor): void {
    const { linkType, originalLength, seconds, nanoseconds } = packet
    const record = { bytes: bytesOf(packet, this.#snaplen), originalLength, seconds, nanoseconds }
    if (this.#pcapng) {
      let interfaceId = this.#interfaces.get(linkType)
      if (interfaceId === undefined) {
        interfaceId = this.#interfaces.size
        this.#interfaces.set(linkType, interfaceId)
        this.#write(this.#ngWriter.interface({ linkType, nanoseconds: true }))
      }
      this.#write(this.#ngWriter.packet({ ...record, interfaceId }))
      return
    }
    if (this.#pcap === undefined) this.#begin(linkType)
    if (linkType !== this.#pcapLinkType)
      throw new WarrenError('DUMP_LINK_TYPES', 'a pcap file has one link type', {
        where: this.#name,
        found: linkTypeLabel(linkType),
        expected: linkTypeLabel(this.#pcapLinkType),
        mend: 'name it .pcapng, which has as many as you like',
      })
    this.#write(this.#pcap!.packet(record))
  }

  #begin(linkType: number): void {
    this.#pcapLinkType = linkType
    this.#pcap = new PcapWriter({
      linkType,
      ...(this.#snaplen === undefined ? {} : { snapLength: this.#snaplen }),
    })
    this.#write(this.#pcap.header())
  }

  end(): void {
    // A file without packets is a file all the same.
    if (!this.#pcapng && this.#pcap === undefined) this.#begin(1)
    this.#close()
  }
}
