/** Exchanges of two machines as packets with their keys, for the tests of this room and those beside Wireshark. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { seconds as duration, type Ipv4Address } from '../../base/index.js'
import { loadPrivateKey, type PrivateKey } from '../../crypto/index.js'
import { issueCertificate } from '../../crypto/node/issue.js'
import { parseName } from '../../crypto/x509/name.js'
import type { Credentials, IkePolicy } from '../../proto/ikev2/index.js'
import { IKE_SUITE, pair, perfect } from '../../proto/ikev2/testing.js'
import type { Layer } from '../dissect/layer.js'
import { type IkeSaKeys, ikeKeysOf } from '../keys/ikev2-table.js'
import { ip4Packet, udpDatagram } from '../testing/packets.js'

export interface IkeCapture {
  /** Whole IPv4 packets, in the order in which they were sent. */
  readonly packets: Uint8Array[]
  readonly keys: IkeSaKeys[]
}

export interface CaptureOptions {
  /** Of both sides. */
  readonly policy?: Partial<IkePolicy>
  /** Of virtual time, from the start on. */
  readonly seconds?: number
  /** At the end the first side says goodbye. */
  readonly ends?: boolean
  readonly credentials?: Parameters<typeof pair>[3]
}

/** Runs two machines, and keeps what they send. */
export function ikeCapture({
  policy = {},
  seconds = 10,
  ends = false,
  credentials = [],
}: CaptureOptions = {}): IkeCapture {
  const link = pair(policy, policy, 7, credentials)
  const packets: Uint8Array[] = []
  const keys = new Map<string, IkeSaKeys>()
  link.fault = (datagram, random) => {
    const { carrier, payload } = datagram
    if (carrier.kind === 'udp') {
      const pairOfEnds = [carrier.local as Ipv4Address, carrier.remote as Ipv4Address] as const
      const udp = udpDatagram(pairOfEnds, [carrier.localPort, carrier.remotePort], payload)
      packets.push(ip4Packet(pairOfEnds, 17, udp))
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
  link.run(seconds, remember)
  if (ends) {
    link.sides[0].machine.stop(link.now)
    link.flush(link.sides[0])
    link.run(2, remember)
  }
  return { packets, keys: [...keys.values()] }
}

/** All that happens to an IKE SA: both kinds of rekeying, a question whether the peer lives, the end. */
export const wholeLife: CaptureOptions = {
  seconds: 100,
  ends: true,
  policy: {
    ikeLifetime: duration(70),
    childLifetime: { seconds: 40 },
    deadPeerAfter: duration(20),
  },
}

/** Signatures with a certificate that needs fragments. `certificate`: DER. */
export function signedCapture(certificate: Uint8Array, policy: Partial<IkePolicy> = {}): IkeCapture {
  const [a, b] = [0, 1].map(() => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    return loadPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' }) as string)
  }) as [PrivateKey, PrivateKey]
  const credentials = (own: PrivateKey, other: PrivateKey): Credentials => ({
    own: () => ({ key: own, certificates: [{ encoding: 4, data: certificate }] }),
    peer: () => other.publicKey,
    authorities: () => new Uint8Array(20).fill(7),
  })
  const sign = { localAuth: { kind: 'signature' }, remoteAuth: { kind: 'signature' } } as const
  return ikeCapture({ policy: { ...sign, ...policy }, credentials: [credentials(a, b), credentials(b, a)] })
}

/** A certificate of 1,000 bytes and more, by an authority of its own. */
export function testCertificate(): Uint8Array {
  const key = (): PrivateKey => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    return loadPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' }) as string)
  }
  return issueCertificate(
    {
      serial: Uint8Array.of(1, 2, 3),
      subject: parseName('/CN=alice.example')!,
      spki: key().publicKey.spki,
      notBefore: 1_577_836_800_000,
      notAfter: 1_893_456_000_000,
    },
    { name: parseName('/O=Warren/CN=ca')!, key: key() },
  )
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

/** Every byte in one layer, every bit in one field. */
export function assertCovers(bytes: Uint8Array, layers: readonly Layer[]): void {
  let end = 0
  for (const layer of layers) {
    assert.equal(layer.start, end, `${layer.title} begins where the layer before ends`)
    let bit = 8 * layer.start
    for (const field of layer.fields) {
      assert.equal(field.bitStart, bit, `${layer.title}.${field.field}`)
      bit += field.bitLength
    }
    assert.equal(bit, 8 * layer.end, `${layer.title} is named to its end`)
    end = layer.end
  }
  assert.equal(end, bytes.length)
}

export const titles: (layers: readonly Layer[]) => string[] = (layers: readonly Layer[]): string[] =>
  layers.filter(({ name }) => name === 'ikePayload').map(({ title }) => title.replace(/^Payload: /, ''))
export const fieldsOf: (layers: readonly Layer[]) => string[] = (layers: readonly Layer[]): string[] =>
  layers.flatMap(({ fields }) => fields.map(({ label, value, meaning }) => `${label}: ${meaning ?? value}`))
