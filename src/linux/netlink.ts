/**
 * Netlink messages (RFC 3549 section 2), built and read by hand: a 16-byte header, a fixed body, attributes of type
 * and length padded to 4 bytes. Everything is in the machine's order, save addresses.
 */
import { WarrenError } from '../base/index.js'
import { check, Errno, LITTLE_ENDIAN, libc, systemError } from './ffi.js'
import {
  AF_NETLINK,
  SO_RCVBUF,
  SO_RCVTIMEO,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_SOCKET,
} from './sockaddr.js'

export const NLMSG_HEADER_LENGTH = 16
export const NLMSG_ERROR = 2
export const NLMSG_DONE = 3

export const NLM_F_REQUEST = 0x1
export const NLM_F_MULTI = 0x2
export const NLM_F_ACK = 0x4
export const NLM_F_REPLACE = 0x100
export const NLM_F_DUMP = 0x300
export const NLM_F_EXCL = 0x200
export const NLM_F_CREATE = 0x400
/** In an error message: the request is not repeated in it / attributes follow. */
const NLM_F_CAPPED = 0x100
const NLM_F_ACK_TLVS = 0x200
const NLMSGERR_ATTR_MSG = 1

export const NETLINK_ROUTE = 0
export const NETLINK_NETFILTER = 12
const SOL_NETLINK = 270
const NETLINK_CAP_ACK = 10
const NETLINK_EXT_ACK = 11
const NETLINK_GET_STRICT_CHK = 12

const NLA_TYPE_MASK = 0x3fff
const NLA_F_NESTED = 0x8000

/** One message as it arrived. */
export interface NetlinkMessage {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  /** What follows the header; a view. */
  readonly body: Uint8Array
}

/** One message to send. */
export interface NetlinkRequest {
  readonly type: number
  readonly flags: number
  readonly body: Uint8Array
  readonly attributes: readonly Uint8Array[]
}

/** An attribute: length, type, payload, padding. */
export function attribute(type: number, payload: Uint8Array): Uint8Array {
  const length = 4 + payload.length
  const bytes = new Uint8Array((length + 3) & ~3)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, length, LITTLE_ENDIAN)
  view.setUint16(2, type, LITTLE_ENDIAN)
  bytes.set(payload, 4)
  return bytes
}

export function nested(type: number, ...attributes: readonly Uint8Array[]): Uint8Array {
  return attribute(type | NLA_F_NESTED, join(attributes))
}

export function uint8(value: number): Uint8Array {
  return Uint8Array.of(value)
}

export function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, LITTLE_ENDIAN)
  return bytes
}

export function uint16(value: number): Uint8Array {
  const bytes = new Uint8Array(2)
  new DataView(bytes.buffer).setUint16(0, value, LITTLE_ENDIAN)
  return bytes
}

/** Text with the zero byte that the kernel wants behind it. */
export function text(value: string): Uint8Array {
  return new TextEncoder().encode(`${value}\0`)
}

export function encodeMessage(
  type: number,
  flags: number,
  sequence: number,
  body: Uint8Array,
  attributes: readonly Uint8Array[] = [],
): Uint8Array {
  const rest = join(attributes)
  const bodyLength = (body.length + 3) & ~3
  const bytes = new Uint8Array(NLMSG_HEADER_LENGTH + bodyLength + rest.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, bytes.length, LITTLE_ENDIAN)
  view.setUint16(4, type, LITTLE_ENDIAN)
  view.setUint16(6, flags, LITTLE_ENDIAN)
  view.setUint32(8, sequence, LITTLE_ENDIAN)
  bytes.set(body, NLMSG_HEADER_LENGTH)
  bytes.set(rest, NLMSG_HEADER_LENGTH + bodyLength)
  return bytes
}

/** The messages of one datagram; what does not hold a whole message ends the list. */
export function decodeMessages(bytes: Uint8Array): NetlinkMessage[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const messages: NetlinkMessage[] = []
  let at = 0
  while (at + NLMSG_HEADER_LENGTH <= bytes.length) {
    const length = view.getUint32(at, LITTLE_ENDIAN)
    if (length < NLMSG_HEADER_LENGTH || at + length > bytes.length) break
    messages.push({
      type: view.getUint16(at + 4, LITTLE_ENDIAN),
      flags: view.getUint16(at + 6, LITTLE_ENDIAN),
      sequence: view.getUint32(at + 8, LITTLE_ENDIAN),
      body: bytes.subarray(at + NLMSG_HEADER_LENGTH, at + length),
    })
    at += (length + 3) & ~3
  }
  return messages
}

/** Attributes of `bytes[from, …)` by type; the last of a type counts. Payloads are views. */
export function decodeAttributes(bytes: Uint8Array, from: number): Map<number, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const attributes = new Map<number, Uint8Array>()
  let at = from
  while (at + 4 <= bytes.length) {
    const length = view.getUint16(at, LITTLE_ENDIAN)
    if (length < 4 || at + length > bytes.length) break
    attributes.set(view.getUint16(at + 2, LITTLE_ENDIAN) & NLA_TYPE_MASK, bytes.subarray(at + 4, at + length))
    at += (length + 3) & ~3
  }
  return attributes
}

export function readUint32Native(bytes: Uint8Array, at = 0): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at, LITTLE_ENDIAN)
}

export function readText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end))
}

/** errno (positive; 0 is success) and the kernel's own words of an NLMSG_ERROR. */
export function decodeError(message: NetlinkMessage): { errno: number; words?: string } {
  const { body, flags } = message
  if (body.length < 4) return { errno: Errno.EPROTO }
  const errno = -(readUint32Native(body) | 0)
  if ((flags & NLM_F_ACK_TLVS) === 0 || body.length < 20) return { errno }
  // Behind the errno stands the request's header, and the request itself unless it was cut off.
  const request = (flags & NLM_F_CAPPED) === 0 ? readUint32Native(body, 4) : NLMSG_HEADER_LENGTH
  const words = decodeAttributes(body, 4 + ((request + 3) & ~3)).get(NLMSGERR_ATTR_MSG)
  return words === undefined ? { errno } : { errno, words: readText(words) }
}

/** A socket to a part of the kernel, by default its routing tables. Requests block until they are answered. */
export class NetlinkSocket {
  readonly fd: number
  #sequence = 0
  readonly #buffer = new Uint8Array(64 * 1024)

  constructor(protocol: number = NETLINK_ROUTE) {
    const c = libc()
    this.fd = check(c.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), 'open a netlink socket')
    const on = uint32(1)
    // Each is a nicety that old kernels lack: errors are then named without the kernel's words.
    c.setsockopt(this.fd, SOL_NETLINK, NETLINK_CAP_ACK, on, 4)
    c.setsockopt(this.fd, SOL_NETLINK, NETLINK_EXT_ACK, on, 4)
    c.setsockopt(this.fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, on, 4)
    c.setsockopt(this.fd, SOL_SOCKET, SO_RCVBUF, uint32(1 << 20), 4)
    // struct timeval: a kernel that never answers must not stop the daemon.
    const timeout = new Uint8Array(16)
    timeout[0] = 5
    c.setsockopt(this.fd, SOL_SOCKET, SO_RCVTIMEO, timeout, 16)
  }

  /**
   * Sends a request and returns the answers (none for a plain acknowledgement). `asked` completes "could not …".
   * Throws `LINUX_` and the errno's name.
   */
  request(
    asked: string,
    type: number,
    flags: number,
    body: Uint8Array,
    attributes: readonly Uint8Array[] = [],
    mends: Readonly<Record<string, string>> = {},
  ): NetlinkMessage[] {
    const { errno, words, answers } = this.tryRequest(type, flags, body, attributes)
    if (errno === 0) return answers
    const error = systemError(asked, errno, mends[systemError('', errno).code.slice('LINUX_'.length)])
    if (words === undefined) throw error
    throw new WarrenError(error.code, `could not ${asked}`, {
      ...error.details,
      found: `${error.details.found}, the kernel says "${words}"`,
    })
  }

  /** The same, with the errno as a value: for who expects to be refused. */
  tryRequest(
    type: number,
    flags: number,
    body: Uint8Array,
    attributes: readonly Uint8Array[] = [],
  ): { errno: number; words?: string; answers: NetlinkMessage[] } {
    const c = libc()
    const sequence = ++this.#sequence
    const dump = (flags & NLM_F_DUMP) === NLM_F_DUMP
    const all = flags | NLM_F_REQUEST | (dump ? 0 : NLM_F_ACK)
    const bytes = encodeMessage(type, all, sequence, body, attributes)
    if (c.send(this.fd, bytes, bytes.length, 0) < 0) return { errno: c.errno(), answers: [] }
    const answers: NetlinkMessage[] = []
    for (;;) {
      const length = c.recv(this.fd, this.#buffer, this.#buffer.length, 0)
      if (length < 0) {
        const errno = c.errno()
        if (errno === Errno.EINTR) continue
        return { errno, answers }
      }
      for (const message of decodeMessages(this.#buffer.slice(0, length))) {
        if (message.sequence !== sequence) continue
        if (message.type === NLMSG_DONE) return { errno: 0, answers }
        if (message.type === NLMSG_ERROR) return { ...decodeError(message), answers }
        answers.push(message)
      }
    }
  }

  /**
   * Sends all of them in one datagram and waits until the last that asks for it (NLM_F_ACK) is acknowledged, or any is
   * refused. `failed` is the index of the one that was.
   */
  tryBatch(requests: readonly NetlinkRequest[]): { errno: number; words?: string; failed?: number } {
    const c = libc()
    const first = this.#sequence + 1
    this.#sequence += requests.length
    const last = first + requests.findLastIndex(({ flags }) => (flags & NLM_F_ACK) !== 0)
    const bytes = join(
      requests.map(({ type, flags, body, attributes }, i) =>
        encodeMessage(type, flags | NLM_F_REQUEST, first + i, body, attributes),
      ),
    )
    // The kernel takes no datagram that is longer than what the socket may hold, less some 32 bytes.
    c.setsockopt(this.fd, SOL_SOCKET, SO_SNDBUFFORCE, uint32(Math.max(1 << 16, bytes.length + 4096)), 4)
    if (c.send(this.fd, bytes, bytes.length, 0) < 0) return { errno: c.errno() }
    for (;;) {
      const length = c.recv(this.fd, this.#buffer, this.#buffer.length, 0)
      if (length < 0) {
        const errno = c.errno()
        if (errno === Errno.EINTR) continue
        return { errno }
      }
      for (const message of decodeMessages(this.#buffer.slice(0, length))) {
        if (message.type !== NLMSG_ERROR || message.sequence < first) continue
        const answer = decodeError(message)
        // What else is on its way belongs to this batch, and is passed over by its number.
        if (answer.errno !== 0) return { ...answer, failed: message.sequence - first }
        if (message.sequence === last) return answer
      }
    }
  }

  close(): void {
    libc().close(this.fd)
  }
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
