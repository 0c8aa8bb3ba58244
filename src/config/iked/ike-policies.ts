/** What a file says, as the policies of the protocol's machine on one host. */
import {
  type IpAddress,
  IpPrefix,
  Ipv4Address,
  Ipv6Address,
  seconds,
  suggest,
  WarrenError,
} from '../../base/index.js'
import {
  type Authentication,
  type Flow,
  type IkePolicy,
  parseIdentity,
  type Selector,
  selectorOfPrefix,
} from '../../proto/ikev2/index.js'
import { suitesOf } from './algorithms.js'
import { type IkedConf, type IkedFlow, type IkedHost, type IkedPolicy, responderOrder } from './conf.js'
import { isDynamic, isWhole } from './hosts.js'

/** What has to be known of a host to run a file on it. */
export interface IkedHostView {
  /** Who we are where a policy has no srcid: the name of the host. */
  readonly hostname: string
  /** Every address that peers may speak to. */
  readonly addresses: readonly IpAddress[]
  /** Our address on the way to a peer; undefined: no way leads there. */
  localFor(peer: IpAddress): IpAddress | undefined
  /** Addresses of an interface or of a group of interfaces; undefined: there is none of that name. */
  interfaceAddresses(name: string): readonly IpAddress[] | undefined
  /** What is allowed and of no use on this host. */
  warn?(line: string): void
}

type Family = 4 | 6
const FAMILIES: readonly Family[] = [4, 6]

/**
 * In the order in which a peer gets one, and behind them what `skip` keeps from all peers. A policy for ends of both
 * families is two of one name. Throws `WarrenError` CONFIG_* for names that are no interface's, and for what is not
 * offered (`rdomain`, flow NAT).
 */
export function toIkePolicies(conf: IkedConf, host: IkedHostView): IkePolicy[] {
  const { policies } = conf
  const ordered = [...responderOrder(policies), ...policies.filter(({ evaluation }) => evaluation === 'skip')]
  const result = ordered.flatMap((policy) => onHost(policy, conf, host))
  const standard = policies.findLast(({ evaluation }) => evaluation === 'default')
  if (standard === undefined) return result
  // The last resort asks neither where a peer comes from nor where to.
  const anyone: IkedPolicy = { ...standard, active: false, local: { kind: 'any' }, peer: { kind: 'any' } }
  const { family: _, ...rest } = anyone
  return [...result, ...onHost(rest, conf, host)]
}

function onHost(policy: IkedPolicy, conf: IkedConf, host: IkedHostView): IkePolicy[] {
  refuseMissing(policy)
  const peers = resolve(policy.peer, host)
  const locals = resolve(policy.local, host)
  const flows = policy.flows.flatMap((flow) => flowsOf(policy, flow, host))
  if (flows.length === 0)
    throw new WarrenError('CONFIG_BAD_VALUE', 'cannot mix different address families', {
      where: policy.where,
      found: 'an interface without an address of the other side’s family',
      expected: 'two of one family',
    })
  const result: IkePolicy[] = []
  for (const family of FAMILIES) {
    if (policy.family !== undefined && policy.family !== family) continue
    const peer = peers.find((prefix) => prefix.family === family)
    const own = locals.filter((prefix) => prefix.family === family)
    if (peer === undefined || own.length === 0) continue
    const local = localAddress(policy, peer, own, host)
    if (local !== undefined) result.push(build(policy, conf, host, { local, locals: own, peer, flows }))
  }
  if (result.length === 0)
    host.warn?.(`${policy.where}: no address of this host is among its local ones: nobody can get the policy`)
  return result
}

function refuseMissing({ rdomain, flows, where }: IkedPolicy): void {
  if (rdomain !== undefined)
    throw new WarrenError('CONFIG_UNSUPPORTED', 'rdomain is not offered: there is one routing domain', {
      where,
      found: `rdomain ${rdomain}`,
      mend: 'remove it, and run Warren in a network namespace of its own',
    })
  const nat = flows.find(({ sourceNat }) => sourceNat !== undefined)
  if (nat !== undefined)
    throw new WarrenError('CONFIG_UNSUPPORTED', 'a flow with NAT is not offered', {
      where,
      found: `(${nat.sourceNat})`,
      mend: 'translate the addresses before they reach IPsec, and write the translated ones behind from',
    })
}

/** The prefixes that an end stands for. */
function resolve(end: IkedHost, host: IkedHostView): IpPrefix[] {
  if (end.kind === 'prefix') return [end.prefix]
  if (end.kind === 'any')
    return [new IpPrefix(Ipv4Address.unspecified, 0), new IpPrefix(Ipv6Address.unspecified, 0)]
  const addresses = host.interfaceAddresses(end.name)
  if (addresses === undefined || addresses.length === 0)
    throw new WarrenError('CONFIG_HOST_NAME', `no IP address found for ${end.name}`, {
      where: end.where,
      found: `"${end.name}", ${addresses === undefined ? 'which is no interface of this host' : 'an interface without an address'}`,
      expected: 'an address, a network, an interface, or any',
      mend:
        addresses === undefined
          ? `look the address of ${end.name} up and write it: whoever answers DNS would choose the peer`
          : `give ${end.name} its address first`,
    })
  return addresses.map((address) => new IpPrefix(address, 8 * address.bytes.length))
}

/** Undefined: a responder that has no such address. */
function localAddress(
  policy: IkedPolicy,
  peer: IpPrefix,
  locals: readonly IpPrefix[],
  host: IkedHostView,
): IpAddress | undefined {
  const [only] = locals
  if (only !== undefined && locals.length === 1 && isWhole(only)) return only.address
  const within = (address: IpAddress): boolean => locals.some((prefix) => prefix.contains(address))
  const towards = isWhole(peer) ? host.localFor(peer.address) : undefined
  if (towards !== undefined && within(towards)) return towards
  const any = host.addresses.find(within)
  if (any !== undefined || !policy.active) return any
  throw new WarrenError('CONFIG_MISSING_VALUE', `no address of this host leads to ${peer.address}`, {
    where: policy.where,
    found: `policy "${policy.name}"`,
    expected: 'local ADDRESS',
    mend: 'write the local address, or bring up the interface that leads to the peer',
  })
}

function build(
  policy: IkedPolicy,
  { options, users }: IkedConf,
  host: IkedHostView,
  ends: Pick<IkePolicy, 'local' | 'peer' | 'flows'> & { readonly locals: readonly IpPrefix[] },
): IkePolicy {
  const { srcid, dstid, lifetime, configuration, ikeLifetime } = policy
  const { localAuth, remoteAuth } = authOf(policy, users)
  const serves = configuration.filter(({ action }) => action === 'config')
  const requests = configuration.filter(({ action }) => action === 'request')
  const isOne = ends.locals.length === 1 && isWhole(ends.locals[0]!)
  return {
    name: policy.name,
    initiate: policy.active && !options.passive,
    ...(policy.evaluation === 'skip' ? { skipped: true } : {}),
    local: ends.local,
    ...(isOne ? {} : { locals: ends.locals }),
    peer: ends.peer,
    ikeSuites: policy.ikesa.flatMap(suitesOf),
    childSuites: policy.childsa.flatMap(suitesOf),
    childProtocol: policy.protocol,
    mode: policy.mode,
    flows: ends.flows,
    localId: identityOf(srcid ?? host.hostname, policy),
    ...(dstid === undefined ? {} : { remoteId: identityOf(dstid, policy) }),
    localAuth,
    remoteAuth,
    ...(policy.ppks === undefined
      ? {}
      : {
          ppks: policy.ppks.map(({ name, secret, optional }) => ({
            id: new TextEncoder().encode(name),
            secret,
            optional,
          })),
        }),
    ...(ikeLifetime === 0 ? {} : { ikeLifetime: seconds(ikeLifetime) }),
    childLifetime: {
      ...(lifetime.seconds === 0 ? {} : { seconds: lifetime.seconds }),
      ...(lifetime.bytes === 0 ? {} : { bytes: lifetime.bytes }),
    },
    ...(options.dpdCheckInterval === 0 ? {} : { deadPeerAfter: seconds(options.dpdCheckInterval) }),
    mobike: options.mobike,
    // RFC 9370 section 2.2: their messages are longer than every path takes.
    fragmentation:
      options.fragmentation ||
      [...policy.ikesa, ...policy.childsa].some(({ additional = [] }) => additional.length > 0),
    forceUdp: false,
    ...(serves.length === 0 ? {} : { serves: serves.map(plainValue) }),
    ...(requests.length === 0 ? {} : { requests: requests.map(plainValue) }),
    ...(options.stickyAddress ? { stickyAddress: true } : {}),
    ...(options.enforceSingleIkeSa ? { singleSa: true } : {}),
    ...(policy.iface === undefined ? {} : { iface: policy.iface }),
    ...(policy.tag === undefined ? {} : { tag: policy.tag }),
    where: policy.where,
  }
}

const plainValue = ({
  action: _,
  ...value
}: IkedPolicy['configuration'][number]): NonNullable<IkePolicy['serves']>[number] => value

function identityOf(written: string, { where }: IkedPolicy): IkePolicy['localId'] {
  try {
    return parseIdentity(written)
  } catch (error) {
    if (!(error instanceof WarrenError)) throw error
    throw new WarrenError(error.code, error.message, { ...error.details, where })
  }
}

/** EAP proves an initiator; the gateway signs. */
function authOf(
  policy: IkedPolicy,
  users: IkedConf['users'],
): { readonly localAuth: Authentication; readonly remoteAuth: Authentication } {
  const { auth, active, srcid, where } = policy
  if (auth.kind === 'psk') return { localAuth: auth, remoteAuth: auth }
  if (auth.kind === 'signature') {
    const one: Authentication = {
      kind: 'signature',
      ...(auth.method === 'signature' ? {} : { method: auth.method }),
    }
    return { localAuth: one, remoteAuth: one }
  }
  const signature: Authentication = { kind: 'signature' }
  if (auth.method === 'tls') {
    const tls: Authentication = { kind: 'eap', method: 'tls', users: [] }
    return active ? { localAuth: tls, remoteAuth: signature } : { localAuth: signature, remoteAuth: tls }
  }
  if (!active) return { localAuth: signature, remoteAuth: { kind: 'eap', method: auth.method, users } }
  const own = users.length === 1 ? users[0] : users.find(({ name }) => name === srcid)
  if (own === undefined) {
    const near =
      srcid === undefined
        ? undefined
        : suggest(
            srcid,
            users.map(({ name }) => name),
          )
    throw new WarrenError('CONFIG_MISSING_VALUE', 'which user logs in is not clear', {
      where,
      found: users.length === 0 ? 'no user' : `${users.length} users, none of them srcid`,
      expected: 'one line: user "NAME" "PASSWORD"',
      mend: near === undefined ? 'write the user whose name is srcid' : `did you mean srcid ${near}?`,
    })
  }
  return { localAuth: { kind: 'eap', method: auth.method, users: [own] }, remoteAuth: signature }
}

/** A flow for each protocol and each address of an interface. */
function flowsOf({ protocols }: IkedPolicy, flow: IkedFlow, host: IkedHostView): Flow[] {
  const flows: Flow[] = []
  for (const protocol of protocols.length === 0 ? [0] : protocols)
    for (const from of resolve(flow.from, host))
      for (const to of resolve(flow.to, host)) {
        if (from.family !== to.family) continue
        const dynamic = isDynamic(from) ? 'local' : isDynamic(to) ? 'remote' : undefined
        flows.push({
          local: selectorOf(from, protocol, flow.fromPort),
          remote: selectorOf(to, protocol, flow.toPort),
          ...(dynamic === undefined ? {} : { dynamic }),
        })
      }
  return flows
}

const selectorOf = (prefix: IpPrefix, protocol: number, port: number | undefined): Selector =>
  selectorOfPrefix(
    isDynamic(prefix) ? new IpPrefix(prefix.address, 0) : prefix,
    protocol,
    port === undefined ? undefined : { first: port, last: port },
  )
