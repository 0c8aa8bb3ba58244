/** MTU of the interface in front of negotiated SAs, before anything is negotiated. */
import { parseIpAddress } from '../base/index.js'
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

/** Two ends of each family: a policy that is open to any peer has none, and lengths do not hang on which they are. */
const ENDS = {
  4: [parseIpAddress('192.0.2.1')!, parseIpAddress('192.0.2.2')!],
  6: [parseIpAddress('2001:db8::1')!, parseIpAddress('2001:db8::2')!],
} as const

function specsOf({ childSuites, childProtocol, mode, local: { family } }: IkePolicy): SaSpec[] {
  const [local, remote] = ENDS[family]
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
    remote: remote.bytes,
    outer: outerSpec({ local, remote }, IpProtocol.esp, 'ip'),
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
