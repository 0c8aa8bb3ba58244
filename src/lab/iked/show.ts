/** What `ikectl show sa` prints: the SAs, their children and flows, in the order and the words of iked(8). */
import {
  type Endpoint,
  formatEndpoint,
  formatIdentity,
  formatSelector,
  type Session,
} from '../../proto/ikev2/index.js'
import { spiText } from './news.js'

const STATES: Readonly<Record<Session['state'], string>> = {
  'half-open': 'SA_INIT',
  authenticating: 'AUTH_REQUEST',
  established: 'ESTABLISHED',
  rekeyed: 'CLOSING',
  closing: 'CLOSING',
  closed: 'CLOSED',
}

/** Where iked shows addresses of its memory, something that tells one object from another. */
const addresses = new WeakMap<object, number>()
let next = 0
function pointer(of: object | undefined): string {
  if (of === undefined) return '0x0'
  const known = addresses.get(of) ?? ++next
  addresses.set(of, known)
  return `0x${(0x9c5a1d4000 + 0x400 * known).toString(16)}`
}

type Child = Session['children'] extends ReadonlyMap<string, infer C> ? C : never

/** Of a daemon what is looked at here. */
export interface Shown {
  readonly ike: { sessions(): readonly Session[] }
  readonly kernel: { readonly coupled: boolean }
}

export function showSas({ ike, kernel }: Shown): string[] {
  const sessions = ike.sessions()
  const children = sessions.flatMap((session) =>
    [...session.children.values()].map((child) => ({ session, child })),
  )
  const loaded = kernel.coupled ? 'L' : ''
  return [
    ...sessions.flatMap((session) => [
      `iked_sas: ${sa(session)}`,
      ...[...session.children.values()].flatMap((child) => [
        ...both(session, child, loaded).map((text) => `  sa_childsas: ${text}`),
        ...flows(session, child, loaded).map((text) => `  sa_flows: ${text}`),
      ]),
    ]),
    ...children.flatMap(({ session, child }) =>
      both(session, child, loaded).map((text) => `iked_activesas: ${text}`),
    ),
    ...children.flatMap(({ session, child }) =>
      flows(session, child, loaded).map((text) => `iked_flows: ${text}`),
    ),
    ...sessions
      .filter(({ state }) => state === 'established')
      .map((session) => `iked_dstid_sas: ${sa(session)}`),
  ]
}

function sa(session: Session): string {
  const { spis, local, remote, peerId, state, isInitiator, options, policy } = session
  const id = peerId === undefined ? '' : formatIdentity(peerId)
  return [
    `${pointer(session)} rspi ${spiText(spis.responder)} ispi ${spiText(spis.initiator)}`,
    `${formatEndpoint(local)}->${formatEndpoint(remote)}<${id}>[] ${STATES[state]}`,
    `${isInitiator ? 'i' : 'r'}${options.udp ? ' natt udpecap' : ''} nexti 0x0 pol ${pointer(policy)}`,
  ].join(' ')
}

/** Outbound, then inbound, as they were made. */
function both(session: Session, child: Child, loaded: string): string[] {
  const protocol = child.agreed.protocol.toUpperCase()
  const rekeyed = child.state === 'installed' ? '' : 'R'
  const one = (spi: number, direction: string, from: Endpoint, to: Endpoint): string =>
    `${pointer(direction === 'in' ? child.keys.inbound : child.keys.outbound)} ${protocol} 0x${spi.toString(16).padStart(8, '0')} ${direction} ${formatEndpoint(from)} -> ${formatEndpoint(to)} (${loaded}${rekeyed}${direction === 'in' ? 'A' : ''}) B=0x0 P=${pointer(direction === 'in' ? child.keys.outbound : child.keys.inbound)} @${pointer(session)}`
  const { local, remote } = session
  return [one(child.spiOut, 'out', local, remote), one(child.spiIn, 'in', remote, local)]
}

function flows(session: Session, child: Child, loaded: string): string[] {
  const protocol = child.agreed.protocol.toUpperCase()
  // As pairs: of one side's with each of the other's more may be agreed upon than passes.
  return child.traffic.pairs.flatMap(({ local: here, remote: there }) =>
    (['out', 'in'] as const).map((direction) => {
      const [from, to] = direction === 'out' ? [here, there] : [there, here]
      return `${pointer(direction === 'out' ? here : there)} ${protocol} ${direction} ${formatSelector(from)} -> ${formatSelector(to)} [${here.protocol || there.protocol}]@-1 (${loaded}) @${pointer(session)}`
    }),
  )
}

export interface IkedStatistics {
  created: number
  established: number
  failed: number
  removed: number
  rekeyed: number
  childrenCreated: number
  childrenRemoved: number
  sent: number
  received: number
}

/** `ikectl show stats`; `-q` leaves out what is 0. */
export function showStatistics(counts: IkedStatistics, current: number, quiet: boolean): string[] {
  const lines: [number, string, string?][] = [
    [counts.created, 'IKE SA% created'],
    [counts.established, 'IKE SA% established'],
    [current, 'IKE SA% currently established'],
    [counts.failed, 'IKE SA% failed to establish'],
    [counts.rekeyed, 'IKE SA% rekeyed'],
    [counts.removed, 'IKE SA% removed'],
    [counts.childrenCreated, 'Child SA% created'],
    [counts.childrenRemoved, 'Child SA% removed'],
    [counts.sent, 'message% sent'],
    [counts.received, 'message% received'],
  ]
  return [
    'ike:',
    ...lines
      .filter(([count]) => count > 0 || !quiet)
      .map(([count, text]) => `\t${count} ${text.replace('%', count === 1 ? '' : 's')}`),
  ]
}
