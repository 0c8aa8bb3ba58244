/** NAT detection (RFC 7296 section 2.23): whether the hashes of a message are of the addresses that its packet has. */
import { nodeHash } from '../../crypto/node/prf.js'
import { hexOf } from '../../wire/field.js'
import { NotifyType } from '../../wire/ike/index.js'
import { ipv4 } from '../../wire/ipv4.js'
import { ipv6 } from '../../wire/ipv6.js'
import { udp } from '../../wire/udp.js'
import type { Network, Walk } from './walk.js'

/** Says it of each hash in the layers from `first` on. `start`: of the IKE header; `udpAt`: of the UDP header. */
export function checkNatHashes(
  walk: Walk,
  first: number,
  start: number,
  network: Network,
  udpAt: number,
): void {
  for (let i = first; i < walk.layers.length; i++) {
    const layer = walk.layers[i]!
    const type = layer.fields.find(({ label }) => label === 'Notify message type')?.value
    const isSource = type === String(NotifyType.natDetectionSourceIp)
    if (!isSource && type !== String(NotifyType.natDetectionDestinationIp)) continue
    const expected = hashOf(walk.bytes, start, network, udpAt, isSource)
    const end = isSource ? 'source' : 'destination'
    const fields = layer.fields.map((field) =>
      field.field !== 'hash' || field.problem !== undefined
        ? field
        : {
            ...field,
            meaning:
              field.value === expected
                ? `of both SPIs and this packet's ${end} address and port`
                : `not of this packet's ${end} address and port: a NAT changed them, or is feigned`,
          },
    )
    walk.layers[i] = { ...layer, fields }
  }
}

function hashOf(
  bytes: Uint8Array,
  start: number,
  { family, at }: Network,
  udpAt: number,
  isSource: boolean,
): string {
  const { offset } = family === 4 ? ipv4 : ipv6
  const address = at + (isSource ? offset.source : offset.destination)
  const port = udpAt + (isSource ? udp.offset.sourcePort : udp.offset.destinationPort)
  const spis = bytes.subarray(start, start + 16)
  const width = family === 4 ? 4 : 16
  const hash = nodeHash(
    'sha1',
    spis,
    bytes.subarray(address, address + width),
    bytes.subarray(port, port + 2),
  )
  return hexOf(hash, 0, hash.length)
}
