/** Exchanges of two machines as packets with their keys, for the tests of this room and those beside Wireshark. */
import type { Ipv4Address } from '../../base/index.js'
import type { IkePolicy } from '../../proto/ikev2/index.js'
import { IKE_SUITE, type Link, pair, perfect } from '../../proto/ikev2/testing.js'
import { type IkeSaKeys, ikeKeysOf } from '../keys/ikev2-table.js'
import { ip4Packet, udpDatagram } from '../testing/packets.js'

export interface IkeCapture {
  /** Whole IPv4 packets, in the order in which they were sent. */
  readonly packets: Uint8Array[]
  readonly keys: IkeSaKeys[]
  readonly link: Link
}

/** Runs two machines for `seconds` of virtual time; `then` is called when both are established. */
export function ikeCapture(
  overrides: Partial<IkePolicy> = {},
  seconds = 10,
  then: (link: Link) => void = () => undefined,
  credentials: Parameters<typeof pair>[3] = [],
): IkeCapture {
  const link = pair(overrides, overrides, 7, credentials)
  const packets: Uint8Array[] = []
  const keys = new Map<string, IkeSaKeys>()
  link.fault = (datagram, random) => {
    const { carrier, payload } = datagram
    if (carrier.kind === 'udp') {
      const ends = [carrier.local as Ipv4Address, carrier.remote as Ipv4Address] as const
      packets.push(ip4Packet(ends, 17, udpDatagram(ends, [carrier.localPort, carrier.remotePort], payload)))
    }
    return perfect(datagram, random)
  }
  const remember = (): false => {
    for (const { machine } of link.sides)
      for (const session of machine.sessions()) {
        const sa = ikeKeysOf(session)
        const name = Buffer.from([...sa.initiatorSpi, ...sa.responderSpi]).toString('hex')
        if (!keys.has(name)) keys.set(name, sa)
      }
    return false
  }
  link.start()
  link.run(seconds, () => remember() || link.sides.every(({ established }) => established > 0))
  then(link)
  link.run(seconds, remember)
  return { packets, keys: [...keys.values()], link }
}

/** Every encryption of IKE SAs, with what it needs. */
export const IKE_SUITES: readonly NonNullable<IkePolicy['ikeSuites'][number]>[] = [
  ...[128, 192, 256].flatMap((keyBits) =>
    (
      [
        'ENCR_AES_CBC',
        'ENCR_AES_CTR',
        'ENCR_AES_GCM_8',
        'ENCR_AES_GCM_12',
        'ENCR_AES_GCM_16',
        'ENCR_AES_CCM_8',
        'ENCR_AES_CCM_12',
        'ENCR_AES_CCM_16',
      ] as const
    ).map((name) => ({ ...IKE_SUITE, encryption: [{ name, keyBits }] })),
  ),
  { ...IKE_SUITE, encryption: [{ name: 'ENCR_3DES', keyBits: 192 }] },
  { ...IKE_SUITE, encryption: [{ name: 'ENCR_CHACHA20_POLY1305', keyBits: 256 }] },
  ...(
    [
      'AUTH_HMAC_SHA1_96',
      'AUTH_HMAC_SHA2_384_192',
      'AUTH_HMAC_SHA2_512_256',
      'AUTH_AES_XCBC_96',
      'AUTH_AES_CMAC_96',
    ] as const
  ).map((name) => ({
    ...IKE_SUITE,
    encryption: [{ name: 'ENCR_AES_CBC' as const, keyBits: 256 }],
    integrity: [name],
  })),
]
