/** Proposals, transforms and attributes of an SA payload (RFC 7296 section 3.3). */
import { ParseError } from '../../base/index.js'
import { ikeAttribute, ikeProposal, ikeTransform, KEY_LENGTH_ATTRIBUTE } from './layouts.js'

export interface IkeTransform {
  readonly type: number
  readonly id: number
  /** Bits. */
  readonly keyLength?: number
  /** Others than the key length, as they came: a transform that has one is not understood. */
  readonly attributes?: readonly IkeAttribute[]
}

export interface IkeAttribute {
  readonly type: number
  /** A number where it is the short form. */
  readonly value: number | Uint8Array
}

export interface IkeProposal {
  readonly number: number
  readonly protocol: number
  readonly spi: Uint8Array
  readonly transforms: readonly IkeTransform[]
}

/** Of one SA payload: what negotiation walks. */
export const IKE_PROPOSAL_LIMIT = 32
export const IKE_TRANSFORM_LIMIT = 128

/** Throws `ParseError`. */
export function readProposals(bytes: Uint8Array, start: number, end: number): IkeProposal[] {
  const proposals: IkeProposal[] = []
  let at = start
  for (let more = 2; more === 2; ) {
    if (proposals.length === IKE_PROPOSAL_LIMIT)
      throw new ParseError('ikeProposal', 'more', at, `more than ${IKE_PROPOSAL_LIMIT}`, 'fewer proposals')
    const head = ikeProposal.view(bytes, at, end)
    const spi = head.payloadStart
    const stop = at + head.length
    if (spi + head.spiSize > stop)
      throw new ParseError('ikeProposal', 'spiSize', at + 6, `${head.spiSize}`, `at most ${stop - spi}`)
    proposals.push({
      number: head.number,
      protocol: head.protocol,
      spi: bytes.slice(spi, spi + head.spiSize),
      transforms: readTransforms(bytes, spi + head.spiSize, stop, head.transforms),
    })
    more = head.more
    at = stop
  }
  if (at !== end)
    throw new ParseError('ikeProposal', 'length', at, `${end - at} bytes behind the last proposal`, 'none')
  return proposals
}

function readTransforms(bytes: Uint8Array, start: number, end: number, count: number): IkeTransform[] {
  if (count > IKE_TRANSFORM_LIMIT)
    throw new ParseError('ikeProposal', 'transforms', start, `${count}`, `at most ${IKE_TRANSFORM_LIMIT}`)
  const transforms: IkeTransform[] = []
  let at = start
  for (let i = 0; i < count; i++) {
    const { type, id, length, payloadStart } = ikeTransform.view(bytes, at, end)
    const attributes = readAttributes(bytes, payloadStart, at + length)
    const keyLength = attributes.find((one) => one.type === KEY_LENGTH_ATTRIBUTE)?.value
    const others = attributes.filter((one) => one.type !== KEY_LENGTH_ATTRIBUTE)
    transforms.push({
      type,
      id,
      ...(typeof keyLength === 'number' ? { keyLength } : {}),
      ...(others.length === 0 ? {} : { attributes: others }),
    })
    at += length
  }
  if (at !== end)
    throw new ParseError('ikeProposal', 'transforms', start, `${end - at} bytes behind the last`, 'none')
  return transforms
}

function readAttributes(bytes: Uint8Array, start: number, end: number): IkeAttribute[] {
  const attributes: IkeAttribute[] = []
  for (let at = start; at < end; ) {
    const { short, type, value, payloadStart } = ikeAttribute.view(bytes, at, end)
    const stop = short ? payloadStart : payloadStart + value
    if (stop > end)
      throw new ParseError('ikeAttribute', 'value', at + 2, `${value} bytes`, `at most ${end - payloadStart}`)
    attributes.push({ type, value: short ? value : bytes.slice(payloadStart, stop) })
    at = stop
  }
  return attributes
}

export function writeProposals(proposals: readonly IkeProposal[]): Uint8Array {
  const bytes = new Uint8Array(proposals.reduce((sum, proposal) => sum + proposalLength(proposal), 0))
  let at = 0
  for (const [i, proposal] of proposals.entries()) {
    const { number, protocol, spi, transforms } = proposal
    const head = {
      more: i + 1 < proposals.length ? 2 : 0,
      length: proposalLength(proposal),
      number,
      protocol,
      spiSize: spi.length,
      transforms: transforms.length,
    }
    at = ikeProposal.emit(head, bytes, at)
    bytes.set(spi, at)
    at += spi.length
    for (const [k, transform] of transforms.entries())
      at = writeTransform(transform, k + 1 < transforms.length, bytes, at)
  }
  return bytes
}

function writeTransform(transform: IkeTransform, more: boolean, bytes: Uint8Array, start: number): number {
  const { type, id } = transform
  let at = ikeTransform.emit(
    { more: more ? 3 : 0, length: transformLength(transform), type, id },
    bytes,
    start,
  )
  for (const attribute of attributesOf(transform)) {
    const { type: of, value } = attribute
    const short = typeof value === 'number'
    at = ikeAttribute.emit({ short, type: of, value: short ? value : value.length }, bytes, at)
    if (short) continue
    bytes.set(value, at)
    at += value.length
  }
  return at
}

const attributesOf = ({ keyLength, attributes = [] }: IkeTransform): IkeAttribute[] => [
  ...(keyLength === undefined ? [] : [{ type: KEY_LENGTH_ATTRIBUTE, value: keyLength }]),
  ...attributes,
]

const transformLength = (transform: IkeTransform): number =>
  attributesOf(transform).reduce(
    (sum, { value }) => sum + 4 + (typeof value === 'number' ? 0 : value.length),
    8,
  )

const proposalLength = ({ spi, transforms }: IkeProposal): number =>
  transforms.reduce((sum, transform) => sum + transformLength(transform), 8 + spi.length)
