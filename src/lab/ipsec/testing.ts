/**
 * For tests of IPsec: two gateways on one link, a network with a host behind each, both families everywhere.
 *
 *     left ── west ════ east ── right        left: 10.1.0.2, fd01::2   west: 192.0.2.1, 2001:db8::1
 *                                            right: 10.2.0.2, fd02::2  east: 192.0.2.2, 2001:db8::2
 */
import {
  bytesEqual,
  type Instant,
  type InterfaceAddress,
  IpPrefix,
  milliseconds,
  parseIpAddress,
  SeededRandom,
  seconds,
  toHex,
} from '../../base/index.js'
import { parseIpsecConf } from '../../config/index.js'
import type { ManualSa } from '../../engine/index.js'
import { dissect, LinkType } from '../../inspect/index.js'
import { sealIcmpChecksum, sealIcmpv6Checksum } from '../../wire/index.js'
import { IpProtocol } from '../../wire/numbers.js'
import { LabClock } from '../clock.js'
import { VirtualHost } from '../host.js'
import { Link, type LinkFaults } from '../link.js'

export const OUTER: Readonly<Record<4 | 6, readonly [string, string]>> = {
  4: ['192.0.2.1', '192.0.2.2'],
  6: ['2001:db8::1', '2001:db8::2'],
}
export const INNER: Readonly<Record<4 | 6, readonly [string, string]>> = {
  4: ['10.1.0.0/24', '10.2.0.0/24'],
  6: ['fd01::/64', 'fd02::/64'],
}
export const HOSTS: Readonly<Record<4 | 6, readonly [string, string]>> = {
  4: ['10.1.0.2', '10.2.0.2'],
  6: ['fd01::2', 'fd02::2'],
}

/** One frame of the link between the gateways: its headers from the outside in, and its bytes. */
export interface SiteFrame {
  readonly headers: string
  readonly bytes: Uint8Array
}

export interface Site {
  readonly clock: LabClock
  readonly left: VirtualHost
  readonly west: VirtualHost
  readonly east: VirtualHost
  readonly right: VirtualHost
  /** Between the gateways. */
  readonly link: Link
  /** What the link between the gateways carried. */
  readonly frames: SiteFrame[]
  /** What the link between left and west carried, both ways. */
  readonly leftFrames: SiteFrame[]
  /** A stranger's frame to a gateway, as if it had come by the link. */
  inject(to: 'west' | 'east', packet: Uint8Array): void
}

const own = (text: string, prefixLength: number): InterfaceAddress => ({
  address: parseIpAddress(text)!,
  prefixLength,
})

/** Addresses are up when this returns. */
export async function site(faults: LinkFaults = {}): Promise<Site> {
  const clock = new LabClock()
  const frames: SiteFrame[] = []
  const leftFrames: SiteFrame[] = []
  const [left, west, east, right] = ['left', 'west', 'east', 'right'].map(
    (name, i) => new VirtualHost({ name, clock, random: new SeededRandom(i + 1) }),
  ) as [VirtualHost, VirtualHost, VirtualHost, VirtualHost]
  const cable = (a: VirtualHost, b: VirtualHost, name: [string, string], more: LinkFaults): Link => {
    const link = new Link(clock, { delay: milliseconds(1), ...more }, 3)
    for (const [i, host] of [a, b].entries()) host.connect(name[i]!, link.ends[i]!)
    return link
  }
  cable(left, west, ['em0', 'em1'], {})
  const link = cable(west, east, ['em0', 'em0'], faults)
  cable(east, right, ['em1', 'em0'], {})
  const address = (host: VirtualHost, name: string, ...addresses: [string, number][]): void => {
    const ifc = host.stack.interfaces.get(name)!
    for (const [text, length] of addresses) host.stack.addAddress(ifc, own(text, length), clock.now())
  }
  const route = (host: VirtualHost, destination: string, gateway: string): void => {
    host.stack.routes.add({ destination: IpPrefix.parse(destination)!, gateway: parseIpAddress(gateway)! })
  }
  for (const [i, host, gateway] of [
    [1, left, west],
    [2, right, east],
  ] as const) {
    address(host, 'em0', [`10.${i}.0.2`, 24], [`fd0${i}::2`, 64])
    address(gateway, 'em1', [`10.${i}.0.1`, 24], [`fd0${i}::1`, 64])
    address(gateway, 'em0', [`192.0.2.${i}`, 24], [`2001:db8::${i}`, 64])
    route(host, '0.0.0.0/0', `10.${i}.0.1`)
    route(host, '::/0', `fd0${i}::1`)
    route(gateway, `10.${3 - i}.0.0/24`, `192.0.2.${3 - i}`)
    route(gateway, `fd0${3 - i}::/64`, `2001:db8::${3 - i}`)
    gateway.stack.settings.forwarding4 = true
    gateway.stack.settings.forwarding6 = true
  }
  const listen = (host: VirtualHost, name: string, to: SiteFrame[]): void => {
    host.stack.interfaces.get(name)!.taps.add((bytes) => to.push(frameOf(bytes.slice())))
  }
  listen(west, 'em0', frames)
  listen(left, 'em0', leftFrames)
  await clock.advance(milliseconds(3_000))
  frames.length = 0
  leftFrames.length = 0
  const inject = (to: 'west' | 'east', packet: Uint8Array): void => {
    const host = to === 'west' ? west : east
    const ifc = host.stack.interfaces.get('em0')!
    const frame = new Uint8Array(14 + packet.length)
    frame.set(ifc.mac?.bytes ?? [], 0)
    frame.set([2, 0, 0, 0, 0, 0x66], 6)
    frame.set(packet[0]! >> 4 === 4 ? [8, 0] : [0x86, 0xdd], 12)
    frame.set(packet, 14)
    link.ends[to === 'west' ? 1 : 0].transmit(frame, clock.now())
  }
  return { clock, left, west, east, right, link, frames, leftFrames, inject }
}

const frameOf = (bytes: Uint8Array): SiteFrame => ({
  bytes,
  headers: dissect(bytes, LinkType.ethernet)
    .map(({ name }) => name)
    .filter((name) => !['payload', 'padding', 'unknown'].includes(name))
    .join(' '),
})

/** Loads a text of ipsec.conf(5) on a host, in the place of what was there. Counter modes are taken. */
export function load(host: VirtualHost, text: string, change: (sa: ManualSa) => ManualSa = (sa) => sa): void {
  const { flows, sas } = parseIpsecConf(text, 'ipsec.conf')
  host.ipsec.flush()
  for (const { policy } of flows) host.ipsec.addPolicy(policy)
  for (const sa of sas) host.ipsec.addSa(change(sa))
}

/** Words of an SA rule for both gateways, from the words of the first: SPIs and keys change places. */
export function mirrored(text: string): string {
  return text
    .replace(/\bfrom (\S+) to (\S+)/g, 'from $2 to $1')
    .replace(/\blocal (\S+) peer (\S+)/g, 'local $2 peer $1')
    .replace(/\b((?:spi|authkey|enckey) )(0x[0-9a-f]+):(0x[0-9a-f]+)/g, '$1$3:$2')
}

/** A key of `length` bytes for each direction, no two alike. */
export function keyPair(length: number, seed: number): string {
  const random = new SeededRandom(seed)
  const one = (): string => toHex(random.fill(new Uint8Array(length)))
  return `0x${one()}:0x${one()}`
}

/**
 * `length` bytes over TCP from one host to another, within ten minutes. What arrived is compared with what was sent;
 * returns how many bytes did.
 */
export async function transfer(
  from: VirtualHost,
  to: VirtualHost,
  destination: string,
  length: number,
  source?: string,
): Promise<number> {
  const sent = new SeededRandom(9).fill(new Uint8Array(length))
  let arrived = 0
  let written = 0
  const listener = to.stack.tcp.listen({
    port: 5001,
    onConnection: (connection) => {
      connection.onEvent = (event, now) => {
        if (event !== 'readable' && event !== 'end') return
        for (
          let part = connection.read(65_536, now);
          part !== undefined;
          part = connection.read(65_536, now)
        ) {
          if (part.length === 0) break
          if (!bytesEqual(part, sent.subarray(arrived, arrived + part.length))) return
          arrived += part.length
        }
        if (event === 'end') connection.end(now)
      }
    },
  })
  const connection = from.stack.tcp.connect(
    {
      destination: parseIpAddress(destination)!,
      port: 5001,
      ...(source === undefined ? {} : { source: parseIpAddress(source)! }),
    },
    from.now(),
  )
  const push = (now: Instant): void => {
    written += connection.write(sent.subarray(written), now)
    if (written === length) connection.end(now)
  }
  connection.onEvent = (event, now) => {
    if ((event === 'connected' || event === 'writable') && written < length) push(now)
  }
  for (let i = 0; i < 600 && arrived < length; i++) await from.clock.advance(seconds(1))
  listener.close(from.now())
  return arrived
}

/** Echo replies that come back to `host` within a second, of `count` requests to `destination`. */
export async function ping(
  host: VirtualHost,
  destination: string,
  count = 1,
  size = 8,
  from?: string,
): Promise<number> {
  const to = parseIpAddress(destination)!
  let replies = 0
  const stop = host.stack.onIcmp(({ family, type }) => {
    if (type === (family === 4 ? 0 : 129)) replies++
  })
  const source = from === undefined ? host.stack.sourceFor(to)! : parseIpAddress(from)!
  for (let i = 0; i < count; i++) {
    const payload = new Uint8Array(size)
    payload[0] = to.family === 4 ? 8 : 128
    payload[7] = i
    if (to.family === 4) sealIcmpChecksum(payload, 0, size)
    else if (to.family === 6 && source.family === 6) sealIcmpv6Checksum(payload, 0, size, source, to)
    const protocol = to.family === 4 ? IpProtocol.icmp : IpProtocol.icmpv6
    host.stack.send({ protocol, source, destination: to, payload }, host.now())
    await host.clock.advance(milliseconds(20))
  }
  await host.clock.advance(milliseconds(500))
  stop()
  return replies
}
