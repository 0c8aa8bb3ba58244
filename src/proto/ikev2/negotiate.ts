/**
 * Negotiation (RFC 7296 section 2.7 and 3.3.6): the first of the peer's proposals that one of our suites allows, and of
 * its transforms the ones that we prefer. Where none fits, what differs is named, for the log of both sides.
 */
import { isAead } from '../../crypto/index.js'
import { type IkeProposal, type IkeTransform, TransformType } from '../../wire/ike/index.js'
import { ADDITIONAL_LIMIT, chooseAdditional, slotType } from './additional.js'
import { describeTransform, listOf } from './names.js'
import {
  type Agreed,
  encryptionOf,
  integrityOf,
  keyExchangeOf,
  PROTOCOL_IDS,
  prfOf,
  proposalsOf,
  type SaProtocol,
  type Suite,
} from './suites.js'

export interface Choice {
  readonly proposal: IkeProposal
  readonly agreed: Agreed
}

/** Why no proposal fits: of the kind of transform that failed in the offer that came furthest. */
export interface Mismatch {
  /** `enc`, `auth`, `prf`, `group`, `esn`, or `protocol`. */
  readonly what: string
  readonly offered: string
  readonly accepted: string
}

export interface NegotiationOptions {
  /** Bytes of an SPI that a proposal must carry: 0 in the first exchange, 8 of a rekeyed IKE SA, 4 of a child. */
  readonly spiLength: number
  /** The first child of an IKE SA makes no key exchange of its own, whatever is offered (RFC 7296 section 1.2). */
  readonly ignoreKeyExchange?: boolean
  /** The peer has not said that it speaks IKE_INTERMEDIATE: no additional key exchange can be made. */
  readonly withoutAdditional?: boolean
  /** With this key exchange rather than another, since its value is there already. */
  readonly preferredKeyExchange?: number
}

export function negotiate(
  offers: readonly IkeProposal[],
  suites: readonly Suite[],
  protocol: SaProtocol,
  options: NegotiationOptions,
): Choice | Mismatch {
  let furthest: { depth: number; mismatch: Mismatch } | undefined
  for (const offer of offers) {
    if (offer.protocol !== PROTOCOL_IDS[protocol] || offer.spi.length !== options.spiLength) continue
    for (const suite of suites) {
      const outcome = match(offer, suite, protocol, options)
      if ('agreed' in outcome) return { proposal: offer, agreed: outcome.agreed }
      if (furthest === undefined || outcome.depth > furthest.depth) furthest = outcome
    }
  }
  return (
    furthest?.mismatch ?? {
      what: 'protocol',
      offered: listOf(offers.map(({ protocol: id }) => `protocol ${id}`)),
      accepted: protocol,
    }
  )
}

const NO_SPI = new Uint8Array(0)

type Outcome = { agreed: Agreed } | { depth: number; mismatch: Mismatch }

const KNOWN: readonly number[] = [
  TransformType.encr,
  TransformType.prf,
  TransformType.integ,
  TransformType.ke,
  TransformType.esn,
  ...Array.from({ length: ADDITIONAL_LIMIT }, (_, i) => slotType(i + 1)),
]

function match(
  offer: IkeProposal,
  suite: Suite,
  protocol: SaProtocol,
  { ignoreKeyExchange = false, withoutAdditional = false, preferredKeyExchange }: NegotiationOptions,
): Outcome {
  const offered = (type: number): IkeTransform[] => offer.transforms.filter((one) => one.type === type)
  const ours = proposalsOf(suite, protocol, NO_SPI, 1).flatMap(({ transforms }) => transforms)
  const fail = (depth: number, what: string, type: number, accepted?: string): Outcome => {
    const wordsOf = (list: readonly IkeTransform[]): string =>
      listOf(list.filter((one) => one.type === type).map(describeTransform))
    return {
      depth,
      mismatch: { what, offered: wordsOf(offer.transforms), accepted: accepted ?? wordsOf(ours) },
    }
  }
  // RFC 7296 section 3.3.6: a type that is not understood, unless it may be left out (its id 0 is NONE).
  const strange = offer.transforms.find(
    ({ type }) => !KNOWN.includes(type) && !offered(type).some(({ id }) => id === 0),
  )
  if (strange !== undefined)
    return {
      depth: 0,
      mismatch: { what: 'transform', offered: describeTransform(strange), accepted: 'none of that type' },
    }

  const encryption =
    protocol === 'ah'
      ? undefined
      : preferred(
          suite.encryption,
          offered(TransformType.encr),
          encryptionOf,
          (a, b) => a.name === b.name && a.keyBits === b.keyBits,
        )
  if (protocol !== 'ah' && encryption === undefined) return fail(1, 'enc', TransformType.encr)

  const aead = encryption !== undefined && isAead(encryption.name)
  const integrity = aead ? undefined : preferred(suite.integrity, offered(TransformType.integ), integrityOf)
  // With an AEAD integrity is left out, or NONE.
  if (aead ? offered(TransformType.integ).some(({ id }) => id !== 0) : integrity === undefined)
    return fail(2, 'auth', TransformType.integ, aead ? 'none beside an AEAD' : undefined)

  const prf = protocol === 'ike' ? preferred(suite.prf, offered(TransformType.prf), prfOf) : undefined
  if (protocol === 'ike' && prf === undefined) return fail(3, 'prf', TransformType.prf)

  const groups = offered(TransformType.ke)
  const keyExchange = ignoreKeyExchange
    ? undefined
    : (preferred(
        suite.keyExchange,
        groups.filter(({ id }) => id === preferredKeyExchange),
        keyExchangeOf,
      ) ?? preferred(suite.keyExchange, groups, keyExchangeOf))
  const mayBeWithout =
    protocol !== 'ike' &&
    (ignoreKeyExchange ||
      (suite.keyExchange.length === 0 && (groups.length === 0 || groups.some(({ id }) => id === 0))))
  if (keyExchange === undefined && !mayBeWithout) return fail(4, 'group', TransformType.ke)

  const additional = ignoreKeyExchange
    ? []
    : chooseAdditional(suite, offer.transforms, keyExchange, !withoutAdditional)
  if (typeof additional === 'number') return fail(5, `addke${additional}`, slotType(additional))

  const esn = protocol === 'ike' ? false : chooseEsn(suite.esn, offered(TransformType.esn))
  if (esn === undefined) return fail(6, 'esn', TransformType.esn)

  return {
    agreed: {
      protocol,
      esn,
      ...(encryption === undefined ? {} : { encryption }),
      ...(integrity === undefined ? {} : { integrity }),
      ...(prf === undefined ? {} : { prf }),
      ...(keyExchange === undefined ? {} : { keyExchange }),
      ...(additional.length === 0 ? {} : { additional }),
    },
  }
}

function preferred<T>(
  ours: readonly T[],
  theirs: readonly IkeTransform[],
  read: (transform: IkeTransform) => T | undefined,
  same: (a: T, b: T) => boolean = (a, b) => a === b,
): T | undefined {
  const offered = theirs.map(read)
  return ours.find((one) => offered.some((other) => other !== undefined && same(one, other)))
}

/** RFC 7296 section 3.3.3: mandatory for ESP and AH; peers that leave it out mean 32 bits. */
function chooseEsn(ours: readonly boolean[], theirs: readonly IkeTransform[]): boolean | undefined {
  const offered = theirs.length === 0 ? [false] : theirs.map(({ id }) => id === 1)
  return ours.find((one) => offered.includes(one))
}

/**
 * What a responder has chosen, checked by the initiator: one transform a type, all of them ours (RFC 7296 section 2.7: an
 * answer that is no subset of the offer ends the exchange). CVE-2016-5391, CVE-2024-3652: all that keys need is there.
 */
export function checkChoice(
  answer: readonly IkeProposal[],
  offers: readonly IkeProposal[],
  suites: readonly Suite[],
  protocol: SaProtocol,
  options: NegotiationOptions,
): Choice | Mismatch {
  const [chosen] = answer
  const accepted = 'exactly one proposal, one of those that were offered'
  const refuse = (offered: string): Mismatch => ({ what: 'answer', offered, accepted })
  if (answer.length !== 1 || chosen === undefined) return refuse(`${answer.length} proposals`)
  const offer = offers.find(({ number, protocol: id }) => number === chosen.number && id === chosen.protocol)
  if (offer === undefined) return refuse(`proposal ${chosen.number}`)
  const types = chosen.transforms.map(({ type }) => type)
  if (new Set(types).size !== types.length) return refuse('two transforms of one type')
  const stranger = chosen.transforms.find(
    (one) =>
      !offer.transforms.some(
        ({ type, id, keyLength }) => type === one.type && id === one.id && keyLength === one.keyLength,
      ),
  )
  if (stranger !== undefined) return refuse(describeTransform(stranger))
  return negotiate([chosen], suites, protocol, options)
}
