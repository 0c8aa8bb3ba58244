/** Two machines and a link between them, in virtual time: what tests of IKEv2 stand on. */
import {
  type Instant,
  IpPrefix,
  Ipv4Address,
  instantAt,
  type Random,
  SeededRandom,
} from '../../base/index.js'
import type { Datagram, PathSpec, PolicySpec } from '../machine.js'
import type { Credentials, IkeNews } from './context.js'
import { parseIdentity } from './identity.js'
import { Ike2Machine, type IkeMachineOptions } from './machine.js'
import type { IkePolicy } from './policy.js'
import { selectorOfPrefix } from './selectors.js'
import type { Suite } from './suites.js'

export const IKE_SUITE: Suite = {
  encryption: [
    { name: 'ENCR_AES_GCM_16', keyBits: 256 },
    { name: 'ENCR_AES_CBC', keyBits: 256 },
  ],
  integrity: ['AUTH_HMAC_SHA2_256_128'],
  prf: ['PRF_HMAC_SHA2_256'],
  keyExchange: ['CURVE25519', 'ECP_256'],
  esn: [],
}
export const CHILD_SUITE: Suite = {
  encryption: [{ name: 'ENCR_AES_GCM_16', keyBits: 256 }],
  integrity: [],
  prf: [],
  keyExchange: [],
  esn: [true, false],
}

const encoder = new TextEncoder()

export function policyOf(own: 1 | 2, overrides: Partial<IkePolicy> = {}): IkePolicy {
  const other = own === 1 ? 2 : 1
  const address = (host: number): Ipv4Address => Ipv4Address.parse(`192.168.1.${host}`)!
  const secret = encoder.encode('dont_use_psk_its_a_bad_idea')
  return {
    name: `policy${own}`,
    initiate: own === 2,
    local: address(own),
    peer: new IpPrefix(address(other), 32),
    ikeSuites: [IKE_SUITE],
    childSuites: [CHILD_SUITE],
    childProtocol: 'esp',
    mode: 'tunnel',
    flows: [
      {
        local: selectorOfPrefix(IpPrefix.parse(`172.16.${own}.0/24`)!),
        remote: selectorOfPrefix(IpPrefix.parse(`172.16.${other}.0/24`)!),
      },
    ],
    localId: parseIdentity(`host${own}.example`),
    remoteId: parseIdentity(`host${other}.example`),
    localAuth: { kind: 'psk', secret },
    remoteAuth: { kind: 'psk', secret },
    childLifetime: {},
    mobike: false,
    fragmentation: true,
    forceUdp: false,
    ...overrides,
  }
}

export const noCredentials: Credentials = {
  own: () => undefined,
  peer: () => ({ refused: 'no keys here', mend: 'use psk' }),
  authorities: () => new Uint8Array(0),
}

/** One machine with what it has put up. */
export class Side {
  readonly machine: Ike2Machine
  readonly paths: Map<string, PathSpec> = new Map()
  policies: readonly PolicySpec[] = []
  readonly news: IkeNews[] = []
  readonly states: string[] = []
  readonly sent: Datagram[] = []
  /** What of the data path was asked for, in order. */
  readonly order: ('install' | 'remove' | 'policies')[] = []

  constructor(options: Omit<IkeMachineOptions, 'credentials'> & { credentials?: Credentials }) {
    this.machine = new Ike2Machine({ credentials: noCredentials, ...options })
  }

  /** The drain rule. */
  drain(): Datagram[] {
    const out: Datagram[] = []
    for (let output = this.machine.poll(); output !== undefined; output = this.machine.poll()) {
      if (output.kind === 'install' || output.kind === 'remove' || output.kind === 'policies')
        this.order.push(output.kind)
      if (output.kind === 'transmit') out.push(output.datagram)
      else if (output.kind === 'install') this.paths.set(output.path.id, output.path)
      else if (output.kind === 'remove') this.paths.delete(output.pathId)
      else if (output.kind === 'policies') this.policies = output.policies
      else if (output.kind === 'event' && output.event.name === 'news') this.news.push(output.event.news)
      else if (output.kind === 'event') this.states.push(output.event.name)
    }
    this.sent.push(...out)
    return out
  }

  get established(): number {
    return this.machine.sessions().filter(({ state }) => state === 'established').length
  }
  problems(): string[] {
    return this.news.flatMap((one) => (one.kind === 'problem' ? [one.text] : []))
  }
}

/** What a link does to one datagram: when it arrives, as often as it does. */
export type Fault = (
  datagram: Datagram,
  random: Random,
) => { readonly delayMs: number; readonly datagram: Datagram }[]

/** Two networks of one side, each with one of the other's. */
const TWO_FLOWS = [
  ['10.1.0.0/16', '10.2.0.0/16'],
  ['10.3.0.0/16', '10.4.0.0/16'],
].map(([local, remote]) => ({
  local: selectorOfPrefix(IpPrefix.parse(local!)!),
  remote: selectorOfPrefix(IpPrefix.parse(remote!)!),
}))

/** Between two sides with two flows, five seconds after they began. */
export function linkOfTwoFlows(): Link {
  const link = pair(
    { flows: TWO_FLOWS.map(({ local, remote }) => ({ local: remote, remote: local })) },
    { flows: TWO_FLOWS },
  )
  link.start()
  link.run(5)
  return link
}

export const perfect: Fault = (datagram) => [{ delayMs: 5, datagram }]

/** A datagram as the other end sees it. */
function turned(datagram: Datagram): Datagram {
  const { carrier } = datagram
  if (carrier.kind !== 'udp') return datagram
  const { local, remote, localPort, remotePort } = carrier
  return {
    ...datagram,
    carrier: { ...carrier, local: remote, remote: local, localPort: remotePort, remotePort: localPort },
  }
}

export class Link {
  readonly sides: readonly [Side, Side]
  readonly random: Random
  fault: Fault = perfect
  now: Instant = instantAt(0)
  #flying: { readonly at: number; readonly order: number; readonly to: Side; readonly datagram: Datagram }[] =
    []
  #order = 0

  constructor(sides: readonly [Side, Side], seed = 1) {
    this.sides = sides
    this.random = new SeededRandom(seed)
  }

  start(): void {
    for (const side of this.sides) {
      side.machine.start(this.now)
      this.flush(side)
    }
  }

  /** Takes out what a side wants to send. */
  flush(side: Side): void {
    const to = side === this.sides[0] ? this.sides[1] : this.sides[0]
    for (const datagram of side.drain())
      for (const { delayMs, datagram: arriving } of this.fault(datagram, this.random))
        this.#flying.push({
          at: this.now + Math.round(delayMs * 1000),
          order: this.#order++,
          to,
          datagram: turned(arriving),
        })
  }

  /** Runs until `seconds` have passed, or nothing is left to happen, or `until` is true. */
  run(seconds: number, until: () => boolean = () => false): void {
    const end = this.now + seconds * 1_000_000
    for (;;) {
      if (until()) return
      this.#flying.sort((a, b) => a.at - b.at || a.order - b.order)
      const next = Math.min(
        this.#flying[0]?.at ?? Number.POSITIVE_INFINITY,
        ...this.sides.map(({ machine }) => machine.nextTimeout() ?? Number.POSITIVE_INFINITY),
      )
      if (next > end) break
      this.now = instantAt(Math.max(next, this.now))
      if ((this.#flying[0]?.at ?? Number.POSITIVE_INFINITY) <= this.now) {
        const { to, datagram } = this.#flying.shift()!
        to.machine.receive(datagram, this.now)
        this.flush(to)
        continue
      }
      for (const side of this.sides)
        if ((side.machine.nextTimeout() ?? Number.POSITIVE_INFINITY) <= this.now) {
          side.machine.timeout(this.now)
          this.flush(side)
        }
    }
    this.now = instantAt(end)
  }
}

/** SPIs of the paths that stand, as the two directions see them: equal on two sides that agree. */
export function spisOf(side: Side): string[] {
  return [...side.paths.values()]
    .map(({ transform }) => {
      const outbound = transform.outbound as { spi: number }
      const [inbound] = transform.inbound as { spi: number }[]
      return [outbound.spi, inbound!.spi].sort((a, b) => a - b).join(' ')
    })
    .sort()
}

export function pair(
  one: Partial<IkePolicy> = {},
  two: Partial<IkePolicy> = {},
  seed = 1,
  credentials: readonly [Credentials?, Credentials?] = [],
): Link {
  const side = (own: 1 | 2, overrides: Partial<IkePolicy>): Side =>
    new Side({
      policies: [policyOf(own, overrides)],
      random: new SeededRandom(seed * 2 + own),
      ...(credentials[own - 1] === undefined ? {} : { credentials: credentials[own - 1]! }),
    })
  return new Link([side(1, one), side(2, two)], seed)
}
