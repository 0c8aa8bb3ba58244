/** Generic Routing Encapsulation: RFC 2784, with the key of RFC 2890, and Cisco's keepalive as OpenBSD's gre(4) has it. */
import {
  Counters,
  type Instant,
  IPV4,
  IPV6,
  PacketBuffer,
  readUint16,
  readUint32,
  WarrenError,
  writeUint32,
} from '../../base/index.js'
import { EtherType, IpProtocol } from '../../wire/numbers.js'
import { admitIp, ttlOf } from '../inner.js'
import { Keepalive, type KeepaliveConfig } from '../keepalive.js'
import type { Datagram, IpCarrier } from '../machine.js'
import { TunnelMachine } from '../tunnel-machine.js'
import { ipCarrier, isWithin, type OuterConfig, type OuterSpec, outerSpec } from '../tunnel-metadata.js'
import { buildKeepalive } from './keepalive.js'
import { type GreSpec, greHeaderLength, KEEPALIVE } from './transforms.js'

export interface GreConfig {
  readonly outer: OuterConfig
  /** RFC 2890 section 2.1: 0 to 2^32-1. OpenBSD's vnetid. */
  readonly key?: number
  /** OpenBSD's vnetflowid: the key's low eight bits tell flows, and `key` has the 24 above them. */
  readonly flowInKey?: boolean
  readonly keepalive?: KeepaliveConfig
  /** 32 random bits that tell our own keepalives from those that somebody made up. */
  readonly nonce?: number
}

export class GreMachine extends TunnelMachine {
  readonly #carrier: IpCarrier
  readonly #outer: OuterSpec
  readonly #key: number | undefined
  readonly #nonce: number
  /** Number of the last keepalive sent, and of the last that came back; 2^32 of them are 136 years of seconds. */
  #sequence = 0
  #heard = 0

  /** Throws `WarrenError` TUNNEL_OUTER, TUNNEL_KEY, TUNNEL_KEEPALIVE. */
  constructor(config: GreConfig) {
    const { outer, key, flowInKey = false, keepalive } = config
    const most = flowInKey ? 0xffffff : 0xffffffff
    if (key !== undefined && !isWithin(key, 0, most))
      throw new WarrenError('TUNNEL_KEY', 'gre key', { found: `${key}`, expected: `0 to ${most}` })
    const carrier = ipCarrier(IpProtocol.gre, outer)
    const spec = outerSpec(outer, IpProtocol.gre, 'ip')
    const wireKey = key !== undefined && flowInKey ? key * 256 + (spec.flowLabel & 0xff) : key
    super(
      [
        {
          id: 'gre',
          carrier,
          takes: [IPV4, IPV6],
          transform: {
            protocol: 'gre',
            ...(wireKey === undefined ? {} : { key: wireKey }),
            keyMask: flowInKey ? 0xffffff00 : 0xffffffff,
            outer: spec,
            local: outer.local.bytes,
          } satisfies GreSpec,
        },
      ],
      keepalive && new Keepalive(keepalive),
    )
    this.#carrier = carrier
    this.#outer = spec
    this.#key = wireKey
    this.#nonce = config.nonce ?? 0
  }

  /** The transform has checked flags, lengths, key and checksum of the outer GRE header. */
  override receive({ payload }: Datagram, now: Instant): void {
    const refused = this.#hear(payload, now)
    if (refused !== undefined) this.counters.add(refused)
  }

  /** The reason why it is of no use, if it is. */
  #hear(payload: Uint8Array, now: Instant): string | undefined {
    if (payload.length < 4 || greHeaderLength(payload, 0) > payload.length) return 'control.malformed'
    return readUint16(payload, 2) === KEEPALIVE ? this.#ownKeepalive(payload, now) : this.#answer(payload)
  }

  /** Our own keepalive has come back: the tunnel carries in both directions. */
  #ownKeepalive(payload: Uint8Array, now: Instant): string | undefined {
    const at = greHeaderLength(payload, 0)
    if (this.keepalive === undefined) return 'keepalive.ignored'
    if (payload.length < at + 8 || readUint32(payload, at) !== this.#nonce) return 'keepalive.notOurs'
    // Each of our keepalives proves once that the peer is there, and only while its answer can still be under way.
    const sequence = readUint32(payload, at + 4)
    const isFresh = sequence > this.#heard && sequence <= this.#sequence
    if (!isFresh || sequence + this.keepalive.config.count <= this.#sequence) return 'keepalive.stale'
    this.#heard = sequence
    this.heardKeepalive(now)
    return undefined
  }

  /** The peer's keepalive goes back as a router would forward it: the inner IP packet's own header is made anew. */
  #answer(payload: Uint8Array): string | undefined {
    const kind = readUint16(payload, 2) === EtherType.ipv4 ? IPV4 : IPV6
    const inner = new PacketBuffer(payload, greHeaderLength(payload, 0))
    if (!admitIp(inner, kind, new Counters())) return 'keepalive.malformed'
    const { bytes, start, end } = inner
    const headerLength = kind === IPV4 ? 4 * (bytes[start]! & 15) : 40
    const gre = start + headerLength
    // Only a keepalive goes back, not whatever a stranger would have us send.
    if (end - gre < 4 || greHeaderLength(bytes, gre) > end - gre || readUint16(bytes, gre + 2) !== KEEPALIVE)
      return 'keepalive.malformed'
    const ttl = ttlOf(bytes, start, kind)
    if (ttl <= 1) return 'keepalive.ttl'
    this.emit({
      kind: 'transmit',
      datagram: { carrier: this.#carrier, payload: bytes.slice(gre, end), ttl: ttl - 1 },
    })
    return undefined
  }

  protected override sendKeepalive(): void {
    this.#sequence++
    const data = new Uint8Array(8)
    writeUint32(data, 0, this.#nonce)
    writeUint32(data, 4, this.#sequence)
    const { ttl } = this.#outer
    this.emit({
      kind: 'transmit',
      datagram: {
        carrier: this.#carrier,
        payload: buildKeepalive(this.#carrier, this.#key, data),
        ...(ttl === 'copy' ? {} : { ttl }),
      },
    })
  }
}
