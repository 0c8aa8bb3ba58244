import type { IpAddress, Random } from '../../base/index.js'

/** RFC 6335 section 6: dynamic ports (and OpenBSD's `net.inet.ip.porthifirst`). */
const FIRST_EPHEMERAL_PORT = 49152
const EPHEMERAL_PORTS = 65536 - FIRST_EPHEMERAL_PORT

/** RFC 6056 section 3.3.1: a random start, then the next that is free; `undefined` when none is. */
export function freePort(random: Random, isFree: (port: number) => boolean): number | undefined {
  const start = random.below(EPHEMERAL_PORTS)
  for (let i = 0; i < EPHEMERAL_PORTS; i++) {
    const port = FIRST_EPHEMERAL_PORT + ((start + i) % EPHEMERAL_PORTS)
    if (isFree(port)) return port
  }
  return undefined
}

/** Not unspecified, not multicast, not the limited broadcast; a subnet's broadcast only the stack knows. */
export function isUnicast(address: IpAddress): boolean {
  if (address.isUnspecified || address.isMulticast) return false
  return address.family === 6 || !address.isBroadcast
}

/** `address:port`, an IPv6 address in brackets. */
export function endName(address: IpAddress, port: number): string {
  return address.family === 4 ? `${address}:${port}` : `[${address}]:${port}`
}
