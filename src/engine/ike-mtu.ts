/** MTU of the interface in front of negotiated SAs, before anything is negotiated. */
import { largestInside, type SaSpec } from '../proto/esp/index.js'
import type { IkePolicy } from '../proto/ikev2/index.js'
import { outerSpec } from '../proto/tunnel-metadata.js'
import { IpProtocol } from '../wire/numbers.js'

/** Of a link. */
const LINK_MTU = 1500
/** RFC 8200 section 5: whatever carries IPv6 takes this much. */
const LEAST_MTU = 1280

/** What fits into a link's 1500 bytes by whatever may be agreed upon, in UDP too: there may be a NAT on the way. */
export function ikeMtu(policies: readonly IkePolicy[]): number {
  const fitting = policies.flatMap((policy) => specsOf(policy).map((spec) => largestInside(spec, LINK_MTU)))
  return Math.max(LEAST_MTU, Math.min(LINK_MTU, ...fitting))
}

function specsOf({ childSuites, childProtocol, mode, peer, local }: IkePolicy): SaSpec[] {
  const base = {
    spi: 256,
    mode,
    protocol: childProtocol,
    esn: false,
    window: 0,
    lifetimes: {},
    keys: {},
    copyDf: true,
    local: local.bytes,
    remote: peer.address.bytes,
    outer: outerSpec({ local, remote: peer.address }, IpProtocol.esp, 'ip'),
    ...(childProtocol === 'esp' ? { udpEncapsulation: true } : {}),
  }
  return childSuites.flatMap(({ encryption, integrity }) => {
    const macs = integrity.length === 0 ? [undefined] : integrity
    const ciphers = childProtocol === 'ah' || encryption.length === 0 ? [undefined] : encryption
    return ciphers.flatMap((cipher) =>
      macs.map((mac) => ({
        ...base,
        suite: {
          ...(cipher === undefined ? {} : { encryption: cipher.name }),
          ...(mac === undefined ? {} : { integrity: mac }),
        },
      })),
    )
  })
}
