/** What every step of the walk through a packet shares: the layers so far, and how one is added. */
import { pseudoHeaderSum } from '../../base/index.js'
import type { AnyHeader } from '../../wire/bindings.js'
import { checksumMismatch } from '../../wire/checksum.js'
import { ipv4 } from '../../wire/ipv4.js'
import { ipv6 } from '../../wire/ipv6.js'
import type { FieldRange } from '../../wire/layout.js'
import type { Opener } from '../opener.js'
import type { Layer } from './layer.js'
import { plainData } from './payload.js'

/** Packets inside packets that are followed: what is deeper is shown as bytes. */
export const MAXIMUM_DEPTH = 16
/** Headers in one packet, VLAN tags and IPv6 extension headers included. */
export const MAXIMUM_LAYERS = 200

/** Bytes of a packet as their carrier sees them. */
export interface Extent {
  readonly start: number
  /** One past the last byte that is there. */
  readonly end: number
  /**
   * One past the last byte that the carrier says there is: beyond `end` if bytes are missing, infinite where no
   * carrier says it (a pasted dump, the start of a packet that an ICMP error quotes).
   */
  readonly claimed: number
}

/** The network header that a transport's checksum covers, and why a checksum may not be checkable. */
export interface Network {
  readonly family: 4 | 6
  readonly at: number
  readonly fragment: boolean
}

export class Walk {
  readonly layers: Layer[] = []
  /** Of the packet; a copy with the plaintext in its place once something was opened. */
  bytes: Uint8Array
  readonly opener: Opener | undefined
  depth = 0

  constructor(bytes: Uint8Array, opener?: Opener) {
    this.bytes = bytes
    this.opener = opener
  }

  /** Adds the header at the extent's start and returns its layer; `undefined` if there is no byte of it. */
  header(header: AnyHeader, { start, end }: Extent): Layer | undefined {
    if (start >= end) return undefined
    const fields = header.explain(this.bytes, start, end)
    const last = fields.at(-1)
    const layerEnd = last === undefined ? start : Math.ceil((last.bitStart + last.bitLength) / 8)
    if (layerEnd === start) return undefined
    const { name, title, ref } = header
    return this.add({ name, title, ref, start, end: layerEnd, depth: this.depth, fields })
  }

  add(layer: Layer): Layer {
    this.layers.push(layer)
    return layer
  }

  /** Changes a field of the layer added last. */
  remark(name: string, remark: Partial<FieldRange>): void {
    const index = this.layers.length - 1
    const layer = this.layers[index]!
    const fields = layer.fields.map((field) =>
      field.field === name && field.problem === undefined ? { ...field, ...remark } : field,
    )
    this.layers[index] = { ...layer, fields }
  }

  note(note: string): void {
    const index = this.layers.length - 1
    this.layers[index] = { ...this.layers[index]!, note }
  }

  payload({ start, end, claimed }: Extent, label = 'Data', note?: string): void {
    if (start >= end) return
    this.bytesLayer('payload', 'Payload', plainData(this.bytes, start, end, label), start, end, note)
    if (note === undefined && claimed > end && claimed < Number.POSITIVE_INFINITY)
      this.note(`${claimed - end} more bytes are not here`)
  }

  bytesLayer(
    name: string,
    title: string,
    fields: readonly FieldRange[],
    start: number,
    end: number,
    note?: string,
  ): void {
    if (start >= end) return
    this.add({
      name,
      title,
      ref: '',
      start,
      end,
      depth: this.depth,
      fields,
      ...(note === undefined ? {} : { note }),
    })
  }

  padding(start: number, end: number, note: string): void {
    this.bytesLayer('padding', 'Padding', plainData(this.bytes, start, end, 'Padding'), start, end, note)
  }

  /** Follows a packet inside a packet. */
  inside(extent: Extent, follow: () => void): void {
    if (this.depth >= MAXIMUM_DEPTH || this.layers.length >= MAXIMUM_LAYERS) {
      this.payload(extent, 'Data', 'not followed: packets are nested too deep here')
      return
    }
    this.depth++
    follow()
    this.depth--
  }

  checksum(field: string, start: number, end: number, at: number, pseudo = 0): void {
    const wrong = checksumMismatch(this.bytes, start, end, at, pseudo)
    this.remark(
      field,
      wrong === undefined
        ? { meaning: 'correct' }
        : { problem: `found 0x${hex4(wrong.found)}, expected 0x${hex4(wrong.expected)}` },
    )
  }

  notChecked(end: number, claimed: number, fragment: boolean): void {
    const meaning = fragment
      ? 'not checked: it covers all fragments'
      : `not checked: ${claimed - end} of the bytes that it covers are not here`
    this.remark('checksum', { meaning })
  }

  /** Checks a checksum over `extent`, with the pseudo-header of `network` if a protocol is given. */
  transportChecksum(
    { start, end, claimed }: Extent,
    network: Network,
    field: number,
    protocol: number | undefined,
  ): void {
    if (end < start + field + 2) return
    if (claimed > end || network.fragment) {
      this.notChecked(end, claimed, network.fragment)
      return
    }
    const { offset } = network.family === 4 ? ipv4 : ipv6
    const pseudo =
      protocol === undefined
        ? 0
        : pseudoHeaderSum(
            this.bytes,
            network.at + offset.source,
            network.family === 4 ? 4 : 16,
            protocol,
            claimed - start,
          )
    this.checksum('checksum', start, end, start + field, pseudo)
  }
}

const hex4 = (value: number): string => value.toString(16).padStart(4, '0')
