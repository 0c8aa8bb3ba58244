/** A peer made by hand: it says whatever a test has it say, with keys that are right. */
import { type Instant, IpPrefix, Ipv4Address, SeededRandom } from '../../base/index.js'
import { nodeKeyExchange, nodeProvider } from '../../crypto/index.js'
import {
  emitIkeMessage,
  IKE_FLAG_INITIATOR,
  IKE_FLAG_RESPONSE,
  IKE_HEADER_LENGTH,
  IkeExchange,
  type IkePayload,
  parseIkeHeader,
  parseIkePayloads,
} from '../../wire/ike/index.js'
import type { Datagram } from '../machine.js'
import { sharedKeyPayload } from './authenticate.js'
import { trafficPayloads } from './children.js'
import { EncryptedPayloads } from './encrypted.js'
import { type Identity, identityBody, parseIdentity } from './identity.js'
import { findPayload } from './init.js'
import { deriveIkeKeys, type IkeKeys, type IkeNonces, signedOctets } from './keys.js'
import { negotiate } from './negotiate.js'
import { selectorOfPrefix } from './selectors.js'
import { type Agreed, proposalsOf } from './suites.js'
import { CHILD_SUITE, IKE_SUITE, type Side } from './testing.js'

const PSK = new TextEncoder().encode('dont_use_psk_its_a_bad_idea')
const NO_SPI = new Uint8Array(8)

export const LOCAL: Ipv4Address = Ipv4Address.parse('192.168.1.1')!

export const datagramOf = (payload: Uint8Array, from: Ipv4Address, port = 500): Datagram => ({
  carrier: { kind: 'udp', protocol: 17, local: LOCAL, remote: from, localPort: 500, remotePort: port },
  payload,
})

export interface RawOptions {
  readonly address?: Ipv4Address
  readonly port?: number
  readonly seed?: number
  readonly id?: Identity
}

/** An initiator against a machine at 192.168.1.1 whose policy is `policyOf(1)` with another peer. */
export class RawPeer {
  readonly side: Side
  address: Ipv4Address
  readonly port: number
  readonly spi: Uint8Array
  readonly nonce: Uint8Array
  readonly id: Identity
  readonly random: SeededRandom
  peerSpi: Uint8Array = NO_SPI
  request: Uint8Array = NO_SPI
  nonces: IkeNonces | undefined
  keys: IkeKeys | undefined
  agreed: Agreed | undefined
  messageId = 1
  readonly #exchange
  #sender: EncryptedPayloads | undefined
  #receiver: EncryptedPayloads | undefined

  constructor(side: Side, options: RawOptions = {}) {
    this.side = side
    this.address = options.address ?? Ipv4Address.parse('192.168.1.66')!
    this.port = options.port ?? 500
    this.id = options.id ?? parseIdentity('raw.example')
    this.random = new SeededRandom(options.seed ?? 66)
    this.spi = this.random.fill(new Uint8Array(8))
    this.nonce = this.random.fill(new Uint8Array(32))
    this.#exchange = nodeKeyExchange('CURVE25519', this.random)
  }

  /** Payloads of an honest IKE_SA_INIT. */
  opening(): IkePayload[] {
    return [
      { kind: 'SA', proposals: proposalsOf(IKE_SUITE, 'ike', new Uint8Array(0), 1) },
      { kind: 'KE', method: this.#exchange.algorithm.id, data: this.#exchange.value },
      { kind: 'Nonce', data: this.nonce },
    ]
  }

  initOf(payloads: readonly IkePayload[], majorVersion = 2): Uint8Array {
    return emitIkeMessage({
      header: {
        initiatorSpi: this.spi,
        responderSpi: NO_SPI,
        majorVersion,
        minorVersion: 0,
        exchangeType: IkeExchange.ikeSaInit,
        flags: IKE_FLAG_INITIATOR,
        messageId: 0,
      },
      payloads,
    })
  }

  /** What comes back for these bytes. */
  say(payload: Uint8Array, now: Instant): Uint8Array[] {
    this.side.machine.receive(datagramOf(payload, this.address, this.port), now)
    return this.side
      .drain()
      .flatMap(({ carrier, payload: answer }) =>
        carrier.kind === 'udp' && carrier.remote.equals(this.address) ? [answer] : [],
      )
  }

  /** IKE_SA_INIT; gives the payloads of the answer, and has keys where it was taken. */
  init(now: Instant, payloads: readonly IkePayload[] = this.opening()): readonly IkePayload[] {
    this.request = this.initOf(payloads)
    const [answer] = this.say(this.request, now)
    if (answer === undefined) return []
    const header = parseIkeHeader(answer)
    const said = parseIkePayloads(answer, header.nextPayload, IKE_HEADER_LENGTH, answer.length).map(
      ({ payload }) => payload,
    )
    const [sa, ke, nonce] = [findPayload(said, 'SA'), findPayload(said, 'KE'), findPayload(said, 'Nonce')]
    if (sa === undefined || ke === undefined || nonce === undefined) return said
    const choice = negotiate(sa.proposals, [IKE_SUITE], 'ike', { spiLength: 0 })
    const secret = this.#exchange.finish(ke.data)
    if (!('agreed' in choice) || secret === undefined) return said
    this.peerSpi = header.responderSpi
    this.nonces = { initiator: this.nonce, responder: nonce.data }
    this.agreed = choice.agreed
    const spis = { initiator: this.spi, responder: this.peerSpi }
    const keys = deriveIkeKeys(choice.agreed, secret, this.nonces, spis)
    this.keys = keys
    this.#sender = new EncryptedPayloads(nodeProvider, choice.agreed, keys.ei, keys.ai)
    this.#receiver = new EncryptedPayloads(nodeProvider, choice.agreed, keys.er, keys.ar)
    return said
  }

  sealed(exchange: number, payloads: readonly IkePayload[], id: number, limit?: number): Uint8Array[] {
    return this.#sender!.seal(
      {
        initiatorSpi: this.spi,
        responderSpi: this.peerSpi,
        majorVersion: 2,
        minorVersion: 0,
        exchangeType: exchange,
        flags: IKE_FLAG_INITIATOR,
        messageId: id,
      },
      payloads,
      this.random,
      limit,
    )
  }

  /** The payloads of an encrypted answer to us; undefined: it is another message. */
  opened(bytes: Uint8Array): readonly IkePayload[] | undefined {
    const header = parseIkeHeader(bytes)
    if ((header.flags & IKE_FLAG_RESPONSE) === 0) return undefined
    const copy = Uint8Array.from(bytes)
    const [encrypted] = parseIkePayloads(copy, header.nextPayload, IKE_HEADER_LENGTH, copy.length)
    if (encrypted?.payload.kind !== 'SK') return undefined
    const plain = this.#receiver!.open(copy, encrypted.start + 4)
    return plain === undefined
      ? undefined
      : parseIkePayloads(plain, encrypted.payload.first, 0, plain.length).map(({ payload }) => payload)
  }

  /** One encrypted request and what it is answered with; its message id is used up where it was. */
  ask(exchange: number, payloads: readonly IkePayload[], now: Instant): readonly IkePayload[] | undefined {
    const answers = this.sealed(exchange, payloads, this.messageId).flatMap((packet) => this.say(packet, now))
    for (const answer of answers) {
      const said = this.opened(answer)
      if (said === undefined) continue
      this.messageId++
      return said
    }
    return undefined
  }

  octets(): Uint8Array {
    return signedOctets(
      this.agreed!.prf!,
      this.request,
      this.nonces!.responder,
      this.keys!.pi,
      identityBody(this.id),
    )
  }

  /** Payloads of an honest IKE_AUTH by pre-shared key. */
  proof(spi = 0x1000): IkePayload[] {
    return [
      { kind: 'IDi', type: this.id.type, data: this.id.data },
      sharedKeyPayload(this.agreed!.prf!, PSK, this.octets()),
      ...this.child(spi),
    ]
  }

  child(spi: number, remote = '172.16.1.0/24', local = '172.16.2.0/24'): IkePayload[] {
    const bytes = Uint8Array.of(spi >>> 24, (spi >>> 16) & 0xff, (spi >>> 8) & 0xff, spi & 0xff)
    return [
      { kind: 'SA', proposals: proposalsOf(CHILD_SUITE, 'esp', bytes, 1) },
      ...trafficPayloads(
        [selectorOfPrefix(IpPrefix.parse(local)!)],
        [selectorOfPrefix(IpPrefix.parse(remote)!)],
      ),
    ]
  }

  /** All the way to an established SA with one child. */
  establish(now: Instant): readonly IkePayload[] {
    this.init(now)
    return this.ask(IkeExchange.ikeAuth, this.proof(), now) ?? []
  }
}
