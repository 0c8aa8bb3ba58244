/** Where `warren dump` takes packets from: a capture file, standard input, an interface. */
import { closeSync, openSync, readSync } from 'node:fs'
import { WarrenError } from '../base/index.js'
import { openCapture } from '../inspect/capture/open.js'
import type { CaptureReader, PacketCursor } from '../inspect/capture/record.js'
import { LinkType } from '../inspect/link-type.js'

/** Bytes read at once: large enough that system calls do not count, small enough to stay in the processor's cache. */
const CHUNK = 256 * 1024

/** Batches of packets: after each `true` of `fill`, `advance` moves from packet to packet until it returns false. */
export interface PacketSource {
  /** The packet that `advance` moved to. */
  readonly cursor: PacketCursor
  /** Fetches more; false at the end. Rejects with `WarrenError`. */
  fill(): Promise<boolean>
  /** Moves to the next packet of the batch. Throws `WarrenError` where the file is bad. */
  advance(): boolean
  close(): Promise<void>
}

/** Opens a file, or standard input for `-`. Rejects with `WarrenError` if it is no capture. */
export async function openFile(name: string, stdin: NodeJS.ReadableStream): Promise<PacketSource> {
  const read = name === '-' ? streamReader(stdin) : fileReader(name)
  let first: Uint8Array = new Uint8Array(0)
  // The magic number is 4 bytes; a pipe may give fewer at once.
  while (first.length < 4) {
    const chunk = await read.next()
    if (chunk === undefined) break
    first = first.length === 0 ? chunk : Buffer.concat([first, chunk])
  }
  const shown = name === '-' ? 'standard input' : name
  const reader = openCapture(first, shown)
  return new FileSource(reader, read, first)
}

interface ChunkReader {
  /** The next bytes; `undefined` at the end. */
  next(): Promise<Uint8Array | undefined>
  /** Reads straight into the reader's own buffer, where that can be; false at the end. */
  into?(reader: CaptureReader): boolean
  close(): void
}

function fileReader(name: string): ChunkReader {
  let fd: number
  try {
    fd = openSync(name, 'r')
  } catch (error) {
    throw new WarrenError('DUMP_FILE', 'could not read the file', {
      where: name,
      found: (error as NodeJS.ErrnoException).code ?? String(error),
      mend: 'check its name',
    })
  }
  const read = (into: Uint8Array): number => {
    try {
      return readSync(fd, into, 0, into.length, null)
    } catch (error) {
      throw new WarrenError('DUMP_FILE', 'could not read the file', {
        where: name,
        found: (error as NodeJS.ErrnoException).code ?? String(error),
      })
    }
  }
  return {
    async next() {
      const chunk = new Uint8Array(CHUNK)
      const length = read(chunk)
      return length === 0 ? undefined : chunk.subarray(0, length)
    },
    into(reader) {
      const length = read(reader.room(CHUNK))
      reader.filled(length)
      return length > 0
    },
    close: () => closeSync(fd),
  }
}

function streamReader(stream: NodeJS.ReadableStream): ChunkReader {
  const chunks = stream[Symbol.asyncIterator]()
  return {
    async next() {
      const { done, value } = await chunks.next()
      if (done) return undefined
      return typeof value === 'string' ? Buffer.from(value, 'latin1') : value
    },
    close: () => undefined,
  }
}

class FileSource implements PacketSource {
  readonly cursor: CaptureReader
  readonly #chunks: ChunkReader
  #first: Uint8Array | undefined

  constructor(reader: CaptureReader, chunks: ChunkReader, first: Uint8Array) {
    this.cursor = reader
    this.#chunks = chunks
    this.#first = first
  }

  async fill(): Promise<boolean> {
    const first = this.#first
    this.#first = undefined
    if (first === undefined && this.#chunks.into !== undefined) {
      if (this.#chunks.into(this.cursor)) return true
    } else {
      const chunk = first ?? (await this.#chunks.next())
      if (chunk !== undefined) {
        this.cursor.push(chunk)
        return true
      }
    }
    this.cursor.finish()
    return false
  }

  advance(): boolean {
    return this.cursor.advance()
  }

  async close(): Promise<void> {
    this.#chunks.close()
  }
}

/** What the packet socket of src/linux gives. */
interface LiveCapture extends AsyncIterable<{ readonly bytes: Uint8Array; readonly timestamp: number }> {
  readonly link: 'ethernet' | 'raw'
  readonly dropped: number
  close(): Promise<void>
}

/** An interface of this machine; rejects with `WarrenError` where live capture cannot be. */
export async function openInterface(name: string): Promise<LiveSource> {
  if (process.platform !== 'linux')
    throw new WarrenError('DUMP_LIVE', 'live capture needs Linux', {
      found: process.platform,
      mend: 'capture with tcpdump -w FILE there, and read it with -r FILE',
    })
  let open: (interfaceName: string) => LiveCapture
  try {
    ;({ openPacketSocket: open } = await import('../linux/packet-socket.js'))
  } catch (error) {
    throw new WarrenError('DUMP_LIVE', 'live capture is not to be had here', {
      found: error instanceof Error ? error.message.split('\n', 1)[0]! : String(error),
      mend: 'run npm ci again: the koffi package is missing or not built for this platform',
    })
  }
  return new LiveSource(open(name))
}

export class LiveSource implements PacketSource {
  readonly cursor: { -readonly [K in keyof PacketCursor]: PacketCursor[K] }
  readonly #capture: LiveCapture
  readonly #packets: AsyncIterator<{ readonly bytes: Uint8Array; readonly timestamp: number }>
  #fresh = false

  constructor(capture: LiveCapture) {
    this.#capture = capture
    this.#packets = capture[Symbol.asyncIterator]()
    this.cursor = {
      buffer: new Uint8Array(0),
      start: 0,
      end: 0,
      originalLength: 0,
      linkType: capture.link === 'ethernet' ? LinkType.ethernet : LinkType.raw,
      seconds: 0,
      nanoseconds: 0,
      interfaceId: 0,
    }
  }

  get dropped(): number {
    return this.#capture.dropped
  }

  async fill(): Promise<boolean> {
    const { done, value } = await this.#packets.next()
    if (done) return false
    const { cursor } = this
    cursor.buffer = value.bytes
    cursor.end = value.bytes.length
    cursor.originalLength = value.bytes.length
    cursor.seconds = Math.floor(value.timestamp / 1_000_000)
    cursor.nanoseconds = (value.timestamp % 1_000_000) * 1000
    this.#fresh = true
    return true
  }

  advance(): boolean {
    const fresh = this.#fresh
    this.#fresh = false
    return fresh
  }

  close(): Promise<void> {
    return this.#capture.close()
  }
}
