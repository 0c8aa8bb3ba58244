/**
 * A scenario plays a section of the article with the article's own commands and checks what the article claims: on
 * the terminals (the ping came back, tcpdump printed such lines) and on the wire (the bridge carried such headers).
 */
import { readUint32, WarrenError } from '../../base/index.js'
import { dissect, LinkType } from '../../inspect/index.js'
import type { BridgeFrame, Lab } from '../lab.js'
import type { PlayedCommand } from '../player.js'

export interface Scenario {
  readonly name: string
  /** The article's heading. */
  readonly heading: string
  /** On a host where nothing is configured yet; otherwise on the testbed after its post-installation. */
  readonly bare?: boolean
  readonly script: string
  /** Throws `WarrenError` LAB_SCENARIO for what is not as claimed. */
  check(run: ScenarioRun): void
}

export interface ScenarioRun {
  readonly lab: Lab
  readonly played: readonly PlayedCommand[]
  /** What the bridge carried since the scenario began. */
  readonly frames: readonly BridgeFrame[]
}

export function refuse(summary: string, found: string, expected: string): never {
  throw new WarrenError('LAB_SCENARIO', summary, { found, expected })
}

/** Every command of the scenario ended well. */
export function allSucceeded({ played }: ScenarioRun): void {
  for (const { host, command, stderr, exit } of played)
    if (exit !== 0)
      refuse(`${host}: ${firstLine(command)}`, `exit ${exit}, ${firstLine(stderr) || 'no message'}`, 'exit 0')
}

/** Every `command` that was played on `host` got all its answers. Returns how many packets it sent in all. */
export function pingCameBack(run: ScenarioRun, host: string, command: string): number {
  const pings = run.played.filter((one) => one.host === host && one.command.trim() === command)
  if (pings.length === 0) refuse(`${host}: ${command}`, 'it was not played', 'a ping')
  let sent = 0
  for (const { stdout, stderr } of pings) {
    const [line = '', transmitted, received] =
      /(\d+) packets transmitted, (\d+) packets received[^\n]*/.exec(stdout) ?? []
    if (transmitted === undefined || transmitted !== received || Number(received) === 0)
      refuse(
        `${host}: ${command}`,
        line || firstLine(stderr) || 'no statistics',
        'as many received as transmitted',
      )
    sent += Number(transmitted)
  }
  return sent
}

/** What a frame on the bridge is, from the outside in. */
export interface WirePacket {
  /** Names of its headers, as in `ethernet ipv4 gre ipv4 icmp`. */
  readonly headers: string
  readonly bytes: Uint8Array
  /** ICMP or ICMPv6 type of the innermost header; -1 if it is another. */
  readonly icmpType: number
  /** Source and destination of the IPv4 header of that depth (0: outermost); `undefined` without one. */
  addresses(depth: number): { source: string; destination: string } | undefined
  /** Payload bytes of the outermost IPv4 header that is a fragment other than the last. */
  readonly moreFragments: boolean
  /** Of ESP. */
  readonly spi: number | undefined
  readonly fragmentOffset: number
  readonly totalLength: number
}

export function onTheWire(frames: readonly BridgeFrame[]): WirePacket[] {
  return frames.map(({ bytes }) => {
    const layers = dissect(bytes, LinkType.ethernet)
    const headers = layers.filter(({ name }) => !['payload', 'padding', 'unknown'].includes(name))
    const last = headers.at(-1)
    const outer = headers.find(({ name }) => name === 'ipv4')
    const flags = outer === undefined ? 0 : (bytes[outer.start + 6]! << 8) | bytes[outer.start + 7]!
    const quad = (at: number): string => bytes.subarray(at, at + 4).join('.')
    return {
      headers: headers.map(({ name }) => name).join(' '),
      bytes,
      icmpType: last !== undefined && /^icmp/.test(last.name) ? bytes[last.start]! : -1,
      addresses: (depth) => {
        const ip = headers.filter(({ name }) => name === 'ipv4' || name === 'ipv6')[depth]
        return ip?.name === 'ipv4'
          ? { source: quad(ip.start + 12), destination: quad(ip.start + 16) }
          : undefined
      },
      spi: spiOf(bytes, headers.find(({ name }) => name === 'esp')?.start),
      moreFragments: (flags & 0x2000) !== 0,
      fragmentOffset: 8 * (flags & 0x1fff),
      totalLength: outer === undefined ? 0 : (bytes[outer.start + 2]! << 8) | bytes[outer.start + 3]!,
    }
  })
}

const spiOf = (bytes: Uint8Array, at: number | undefined): number | undefined =>
  at === undefined ? undefined : readUint32(bytes, at)

/**
 * The bridge carried at least `count` packets with just these headers and this ICMP type inside. This is what fails
 * when a ping found its way past the tunnel.
 */
export function carried(
  packets: readonly WirePacket[],
  headers: string,
  icmpType: number,
  count: number,
): void {
  const found = packets.filter((packet) => packet.headers === headers && packet.icmpType === icmpType).length
  if (found < count)
    refuse(
      `on the bridge, ${headers}, type ${icmpType}`,
      `${found} packets`,
      `at least ${count}: the tunnel did not carry them`,
    )
}

/** Nothing of the inner network went over the bridge without the tunnel's header. */
export function nothingInClear(packets: readonly WirePacket[], network: RegExp): void {
  const naked = packets.find(({ addresses }) => {
    const outer = addresses(0)
    return outer !== undefined && (network.test(outer.source) || network.test(outer.destination))
  })
  if (naked !== undefined) {
    const { source, destination } = naked.addresses(0) ?? { source: '', destination: '' }
    refuse('on the bridge', `${source} > ${destination} in clear`, 'inner addresses only inside the tunnel')
  }
}

/** What a command printed has a line that matches. */
export function printed(run: ScenarioRun, host: string, command: string, line: RegExp, count = 1): void {
  const texts = run.played.filter((one) => one.host === host && one.command.trim() === command)
  if (texts.length === 0) refuse(`${host}: ${command}`, 'it was not played', 'a command')
  const found = texts.flatMap(({ stdout }) => stdout.split('\n')).filter((text) => line.test(text)).length
  if (found < count) refuse(`${host}: ${command}`, `${found} lines`, `${count} like ${line.source}`)
}

const firstLine = (text: string): string => text.split('\n')[0] ?? ''
