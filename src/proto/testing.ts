/**
 * For tests of machines: the drain rule of machine.ts, checked while it is followed. Every machine's test drains with
 * this and nothing else.
 */
import { type Instant, type IpAddress, PacketBuffer, type PacketKind, parseIpAddress } from '../base/index.js'
import { IPV4_HEADER_LENGTH, IPV6_HEADER_LENGTH, ipv4, ipv6, sealIpv4Checksum } from '../wire/index.js'
import type { Carrier, Datagram, Machine, Output, Transform, Verdict } from './machine.js'

function hold(condition: boolean, rule: string): void {
  if (!condition) throw new Error(`broken: ${rule}`)
}

/** A machine that never ends to want something is broken. */
const OUTPUT_LIMIT = 10_000

/**
 * All outputs after a call. Asserts that polling changes nothing but the outputs that wait: not the next timeout, not
 * the counters, and that a drained machine stays drained.
 */
export function drain<Event>(machine: Machine<Event>): Output<Event>[] {
  const timeout = machine.nextTimeout()
  const counters = JSON.stringify(machine.counters)
  const outputs: Output<Event>[] = []
  for (let output = machine.poll(); output !== undefined; output = machine.poll()) {
    outputs.push(output)
    hold(outputs.length < OUTPUT_LIMIT, 'the machine can be drained')
    hold(machine.nextTimeout() === timeout, 'poll() does not change the next timeout')
  }
  hold(machine.poll() === undefined, 'a drained machine stays drained')
  hold(machine.nextTimeout() === timeout, 'poll() does not change the next timeout')
  hold(JSON.stringify(machine.counters) === counters, 'poll() counts nothing')
  return outputs
}

/** Runs a machine's timers until `end`, each at its time, and gives what it wanted, with the times. */
export function runUntil<Event>(
  machine: Machine<Event>,
  end: Instant,
): { at: Instant; output: Output<Event> }[] {
  const all: { at: Instant; output: Output<Event> }[] = []
  for (let at = machine.nextTimeout(); at !== undefined && at <= end; at = machine.nextTimeout()) {
    machine.timeout(at)
    for (const output of drain(machine)) all.push({ at, output })
    const next = machine.nextTimeout()
    hold(next === undefined || next > at, 'timeout() deals with all that is due')
  }
  return all
}

/** Only what is to be sent. */
export const transmitted = <Event>(outputs: readonly Output<Event>[]): Datagram[] =>
  outputs.flatMap((output) => (output.kind === 'transmit' ? [output.datagram] : []))

export const ipOf = (text: string): IpAddress => {
  const address = parseIpAddress(text)
  if (address === undefined) throw new Error(`${text} is no address`)
  return address
}

/** Hexadecimal, blanks and `//` comments to bytes. */
export function hexBytes(text: string): Uint8Array {
  const digits = text.replaceAll(/\/\/.*|\s/g, '')
  hold(/^([0-9a-f]{2})*$/.test(digits), 'hexadecimal has two digits a byte')
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

export interface Processed {
  readonly verdict: Verdict
  readonly bytes: Uint8Array
  readonly packet: PacketBuffer
  readonly drops: Record<string, number>
}

/** One packet through a transform, in a buffer of its own. */
export function process(
  transform: Transform,
  bytes: Uint8Array,
  kind: PacketKind,
  metadata: Partial<PacketBuffer> = {},
): Processed {
  const packet = PacketBuffer.copyOf(bytes, kind)
  Object.assign(packet, metadata)
  const verdict = transform.process(packet)
  return { verdict, bytes: packet.copy(), packet, drops: transform.drops.toJSON() }
}

/** The outer packet as a host would send it: the carrier's IP header from a transform's metadata, then the payload. */
export function carry(packet: PacketBuffer, carrier: Carrier, identification = 0): Uint8Array {
  const { local, remote, protocol } = carrier
  const dscp = packet.outerTrafficClass >>> 2
  const ecn = packet.outerTrafficClass & 3
  if (local.family === 4 && remote.family === 4) {
    const bytes = new Uint8Array(IPV4_HEADER_LENGTH + packet.length)
    const header = {
      dscp,
      ecn,
      totalLength: bytes.length,
      identification,
      dontFragment: packet.outerDontFragment,
      moreFragments: false,
      fragmentOffset: 0,
      ttl: packet.outerTtl,
      protocol,
      source: local,
      destination: remote,
    }
    ipv4.emit(header, bytes, 0)
    sealIpv4Checksum(bytes, 0)
    bytes.set(packet.view(), IPV4_HEADER_LENGTH)
    return bytes
  }
  if (local.family !== 6 || remote.family !== 6) throw new Error('the ends of a carrier are of one family')
  const bytes = new Uint8Array(IPV6_HEADER_LENGTH + packet.length)
  const header = {
    dscp,
    ecn,
    flowLabel: packet.outerFlowLabel,
    payloadLength: packet.length,
    nextHeader: protocol,
    hopLimit: packet.outerTtl,
    source: local,
    destination: remote,
  }
  ipv6.emit(header, bytes, 0)
  bytes.set(packet.view(), IPV6_HEADER_LENGTH)
  return bytes
}
