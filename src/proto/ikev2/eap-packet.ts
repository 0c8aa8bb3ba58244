/** EAP packets (RFC 3748 section 4), and those of EAP-MSCHAPv2 inside them (draft-kamath-pppext-eap-mschapv2). */

export const EapCode = { request: 1, response: 2, success: 3, failure: 4 } as const
export const EapType = { identity: 1, notification: 2, nak: 3, tls: 13, mschapv2: 26 } as const

export interface EapPacket {
  readonly code: number
  readonly identifier: number
  /** Of requests and responses. */
  readonly type?: number
  readonly data: Uint8Array
}

/** Undefined: it is none. What stands behind its length is padding (RFC 3748 section 4.1). */
export function parseEap(bytes: Uint8Array): EapPacket | undefined {
  if (bytes.length < 4) return undefined
  const [code, identifier, high, low] = bytes as unknown as [number, number, number, number]
  const length = high * 256 + low
  if (length < 4 || length > bytes.length) return undefined
  if (code === EapCode.success || code === EapCode.failure)
    return length === 4 ? { code, identifier, data: new Uint8Array(0) } : undefined
  if ((code !== EapCode.request && code !== EapCode.response) || length < 5) return undefined
  return { code, identifier, type: bytes[4]!, data: bytes.subarray(5, length) }
}

export function emitEap({ code, identifier, type, data }: EapPacket): Uint8Array {
  const head = type === undefined ? 4 : 5
  const bytes = new Uint8Array(head + data.length)
  bytes.set([code, identifier, bytes.length >> 8, bytes.length & 0xff])
  if (type !== undefined) bytes[4] = type
  bytes.set(data, head)
  return bytes
}

export const OpCode = { challenge: 1, response: 2, success: 3, failure: 4 } as const

export interface MschapMessage {
  readonly opCode: number
  /** Not of the short answers to success and failure. */
  readonly identifier: number
  readonly data: Uint8Array
}

/** What EAP type 26 holds. Undefined: it is none. */
export function parseMschap(data: Uint8Array): MschapMessage | undefined {
  const opCode = data[0]
  if (opCode === undefined || opCode < OpCode.challenge || opCode > OpCode.failure) return undefined
  // Answers to success and failure are the code alone.
  if (data.length === 1) return { opCode, identifier: 0, data: new Uint8Array(0) }
  if (data.length < 4) return undefined
  const length = data[2]! * 256 + data[3]!
  return length === data.length ? { opCode, identifier: data[1]!, data: data.subarray(4) } : undefined
}

export function emitMschap({ opCode, identifier, data }: MschapMessage): Uint8Array {
  const bytes = new Uint8Array(4 + data.length)
  bytes.set([opCode, identifier, bytes.length >> 8, bytes.length & 0xff])
  bytes.set(data, 4)
  return bytes
}
