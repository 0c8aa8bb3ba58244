/** AH and ESP: what is in clear of them, and what keys show. */
import { AH_HEADER_LENGTH, ahLength } from '../../wire/ah.js'
import { headers } from '../../wire/bindings.js'
import { ESP_HEADER_LENGTH, ESP_TRAILER_LENGTH, espTrailer } from '../../wire/esp.js'
import type { FieldRange } from '../../wire/layout.js'
import type { IcvVerdict, OpenedEsp, Sealed, VerifiedAh } from '../opener.js'
import { walkProtocol } from './ip.js'
import { bytesField, type Layer } from './layer.js'
import { type Extent, MAXIMUM_LAYERS, type Network, type Walk } from './walk.js'

const ESP_REF = 'RFC 4303 section 2'
export const ICV_LABEL = 'Integrity check value (ICV)'

/** RFC 4302: what is behind it is as it was, only covered. */
export function walkAh(walk: Walk, extent: Extent, network: Network): void {
  const { start, end } = extent
  const layer = walk.header(headers.ah, extent)!
  if (end - start < AH_HEADER_LENGTH) return
  if (walk.layers.length >= MAXIMUM_LAYERS) {
    walk.payload({ ...extent, start: layer.end })
    return
  }
  const stop = start + ahLength(walk.bytes[start + 1]!)
  if (stop < layer.end) {
    walk.remark('payloadLength', {
      problem: `found ${stop - start} bytes, expected at least ${AH_HEADER_LENGTH}`,
    })
    walk.payload({ ...extent, start: layer.end }, 'Data', 'not followed: the header above is wrong')
    return
  }
  const icvEnd = Math.min(end, stop)
  if (layer.end < icvEnd) {
    const verified = walk.opener === undefined ? undefined : verify(walk, extent, network)
    const icv = icvFields(walk.bytes, layer, icvEnd, typeof verified === 'object' ? verified : undefined)
    const note = typeof verified === 'object' ? suiteNote(verified) : verified
    replaceLast(walk, {
      ...layer,
      end: icvEnd,
      fields: [...layer.fields, ...icv],
      ...(note === undefined ? {} : { note }),
    })
  }
  if (stop <= end) walkProtocol(walk, walk.bytes[start]!, { ...extent, start: stop }, network)
}

function verify(walk: Walk, extent: Extent, network: Network): VerifiedAh | string | undefined {
  return whyNotWhole(extent, network) ?? walk.opener!.verifyAh(sealedOf(walk, extent, network))
}

function icvFields(
  bytes: Uint8Array,
  { end: at, ref }: Layer,
  end: number,
  verified: VerifiedAh | undefined,
): FieldRange[] {
  if (verified === undefined) return [bytesField('icv', ICV_LABEL, bytes, at, end, { ref })]
  const icvEnd = Math.min(end, at + verified.icvLength)
  const icv = bytesField('icv', ICV_LABEL, bytes, at, icvEnd, { ref, ...icvRemark(verified.icv) })
  if (icvEnd === end) return [icv]
  return [icv, bytesField('padding', 'Padding', bytes, icvEnd, end, { ref: 'RFC 4302 section 2.6' })]
}

export const icvRemark = (icv: IcvVerdict): Partial<FieldRange> =>
  icv === 'wrong'
    ? { problem: 'not what this key makes of the packet: another key, or bytes that were changed' }
    : { meaning: icv === 'correct' ? 'correct' : 'not checked: its algorithm is not given' }

export const suiteNote = ({
  suite,
  icv,
  high,
}: Pick<VerifiedAh | OpenedEsp, 'suite' | 'icv' | 'high'>): string =>
  `${suite}; ICV ${icv === 'unchecked' ? 'not checked' : icv}${high === undefined ? '' : `; extended sequence number, high half ${high}`}`

/** Why the ICV, which covers a whole datagram, cannot be verified here. */
export function whyNotWhole({ end, claimed }: Extent, { fragment }: Network): string | undefined {
  if (fragment) return 'not opened: a fragment; the key is for the whole datagram'
  return claimed > end && claimed < Number.POSITIVE_INFINITY
    ? `not opened: ${claimed - end} of its bytes are not here`
    : undefined
}

const sealedOf = (walk: Walk, { start, end }: Extent, { at, family }: Network): Sealed => ({
  bytes: walk.bytes,
  start,
  end,
  ip: at,
  family,
})

function replaceLast(walk: Walk, layer: Layer): void {
  walk.layers[walk.layers.length - 1] = layer
}

/** RFC 4303 section 2: what is in clear of ESP, and with a key what is inside. */
export function walkEsp(walk: Walk, extent: Extent, network: Network): void {
  const { start, end } = extent
  const layer = walk.header(headers.esp, extent)!
  const opened =
    walk.opener === undefined || end - start < ESP_HEADER_LENGTH
      ? undefined
      : (whyNotWhole(extent, network) ?? walk.opener.openEsp(sealedOf(walk, extent, network)))
  if (typeof opened !== 'object') {
    closed(walk, layer, end, opened ?? 'its content needs the key')
    return
  }
  const ivEnd = layer.end + opened.ivLength
  const iv =
    opened.ivLength === 0
      ? []
      : [bytesField('iv', 'Initialization vector (IV)', walk.bytes, layer.end, ivEnd, { ref: ESP_REF })]
  const whole: Layer = { ...layer, end: ivEnd, fields: [...layer.fields, ...iv] }
  if (opened.bytes === undefined || walk.layers.length >= MAXIMUM_LAYERS) {
    const icvAt = end - opened.icvLength
    replaceLast(walk, {
      ...whole,
      end,
      fields: [
        ...whole.fields,
        bytesField('data', 'Encrypted data', walk.bytes, ivEnd, icvAt, { ref: ESP_REF }),
        bytesField('icv', ICV_LABEL, walk.bytes, icvAt, end, { ref: ESP_REF, ...icvRemark(opened.icv) }),
      ],
      note: `not opened: ${suiteNote(opened)}`,
    })
    return
  }
  const warning = opened.icv === 'wrong' ? '; what follows is not to be trusted' : ''
  replaceLast(walk, { ...whole, note: `decrypted: ${suiteNote(opened)}${warning}` })
  inside(walk, { ...extent, start: ivEnd }, network, opened, opened.bytes)
}

function closed(walk: Walk, layer: Layer, end: number, note: string): void {
  const rest =
    layer.end < end
      ? [
          bytesField('data', 'Encrypted data and integrity check', walk.bytes, layer.end, end, {
            ref: layer.ref,
          }),
        ]
      : []
  replaceLast(walk, { ...layer, end: Math.max(layer.end, end), fields: [...layer.fields, ...rest], note })
}

/** Payload, then padding, its length, next header and ICV, which are the last layer of this packet. */
function inside(
  walk: Walk,
  { start, end }: Extent,
  network: Network,
  opened: OpenedEsp,
  bytes: Uint8Array,
): void {
  walk.bytes = bytes
  const { depth } = walk
  const icvAt = end - opened.icvLength
  const trailerAt = icvAt - ESP_TRAILER_LENGTH
  const padLength = bytes[trailerAt]!
  const padAt = trailerAt - padLength
  const isSound = padAt >= start
  const payloadEnd = isSound ? padAt : trailerAt
  const payload: Extent = { start, end: payloadEnd, claimed: payloadEnd }
  if (isSound) walkProtocol(walk, bytes[trailerAt + 1]!, payload, { ...network, fragment: false })
  else walk.payload(payload, 'Data', 'not followed: the padding below is longer than all of it')
  const padding =
    payloadEnd === trailerAt
      ? []
      : [
          bytesField('padding', 'Padding', bytes, payloadEnd, trailerAt, {
            ref: 'RFC 4303 section 2.4',
            ...(isCounting(bytes, payloadEnd, trailerAt)
              ? { meaning: `${padLength} bytes, 1 to ${padLength}` }
              : { problem: 'found other bytes, expected 1, 2, 3, …' }),
          }),
        ]
  const trailer = espTrailer
    .explain(bytes, trailerAt, icvAt)
    .map((field) =>
      field.field === 'padLength' && !isSound
        ? { ...field, problem: `found ${padLength}, expected at most ${trailerAt - start}` }
        : field,
    )
  const icv =
    opened.icvLength === 0
      ? []
      : [bytesField('icv', ICV_LABEL, bytes, icvAt, end, { ref: ESP_REF, ...icvRemark(opened.icv) })]
  const { name, title, ref } = espTrailer
  walk.add({ name, title, ref, start: payloadEnd, end, depth, fields: [...padding, ...trailer, ...icv] })
}

/** RFC 4303 section 2.4: the default content, which a receiver may check. */
function isCounting(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] !== at - start + 1) return false
  return true
}
