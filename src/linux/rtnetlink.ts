/** Links, addresses and routes of this machine, over rtnetlink (RFC 3549 section 3). `ip` is never called. */
import { type InterfaceAddress, type IpAddress, IpPrefix, ipAddressFrom, MacAddress } from '../base/index.js'
import { Errno, LITTLE_ENDIAN } from './ffi.js'
import {
  attribute,
  decodeAttributes,
  type NetlinkMessage,
  NetlinkSocket,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  nested,
  readText,
  readUint32Native,
  text,
  uint8,
  uint32,
} from './netlink.js'
import { AF_INET, AF_INET6 } from './sockaddr.js'

const RTM_NEWLINK = 16
const RTM_DELLINK = 17
const RTM_GETLINK = 18
const RTM_NEWADDR = 20
const RTM_DELADDR = 21
const RTM_GETADDR = 22
const RTM_NEWROUTE = 24
const RTM_DELROUTE = 25
const RTM_GETROUTE = 26

const IFLA_ADDRESS = 1
const IFLA_IFNAME = 3
const IFLA_MTU = 4
const IFLA_MASTER = 10
const IFLA_TXQLEN = 13
const IFLA_AF_SPEC = 26
const IFLA_INET6_ADDR_GEN_MODE = 8
const IN6_ADDR_GEN_MODE_NONE = 1
const IFF_UP = 1
const IFF_LOOPBACK = 8
const IFINFO_LENGTH = 16

const IFA_ADDRESS = 1
const IFA_LOCAL = 2
const IFA_F_NODAD = 0x02
const IFA_F_DADFAILED = 0x08
const IFA_F_TENTATIVE = 0x40
const IFADDR_LENGTH = 8

const RTA_DST = 1
const RTA_OIF = 4
const RTA_GATEWAY = 5
const RTA_PRIORITY = 6
const RTA_PREFSRC = 7
const RTA_MARK = 16
const RTA_METRICS = 8
const RTAX_MTU = 2
const RTA_TABLE = 15
const RTM_LENGTH = 12
const RT_TABLE_UNSPEC = 0
const RT_TABLE_MAIN = 254
const RTPROT_STATIC = 4
const RT_SCOPE_UNIVERSE = 0
const RT_SCOPE_LINK = 253
const RT_SCOPE_NOWHERE = 255
const RTN_UNICAST = 1
const RTN_BLACKHOLE = 6
const RTN_UNREACHABLE = 7

export interface LinkInfo {
  readonly index: number
  readonly name: string
  readonly mtu: number
  readonly up: boolean
  /** Nothing of it leaves the machine. */
  readonly loopback?: true
  readonly mac?: MacAddress
  /** Index of the bridge (or bond) that it is a port of. */
  readonly master?: number
}

export interface LinkChange {
  readonly up?: boolean
  readonly mtu?: number
  readonly mac?: MacAddress
  /** Packets that wait for a reader of the interface. */
  readonly queueLength?: number
  /** Index of the bridge to join; 0 leaves it. */
  readonly master?: number
  /** The kernel gives the link no fe80:: address of its own. */
  readonly noLinkLocal?: boolean
}

export interface RouteSpec {
  readonly destination: IpPrefix
  readonly gateway?: IpAddress
  readonly interfaceIndex?: number
  readonly kind?: 'unicast' | 'blackhole' | 'unreachable'
  readonly mtu?: number
  /** Default: the main table. */
  readonly table?: number
  readonly metric?: number
  /** What a packet that has no source yet gets for one (RTA_PREFSRC). */
  readonly preferredSource?: IpAddress
  /** Who made it (rtm_protocol); default: 4, static. */
  readonly protocol?: number
}

export interface RouteAnswer {
  readonly interfaceIndex: number
  readonly gateway?: IpAddress
  /** What the kernel would send from. */
  readonly source?: IpAddress
  /** rtnetlink's RTN_*: 1 unicast, 2 local, 3 broadcast, 5 multicast. */
  readonly type: number
}

const familyOf = (address: IpAddress): number => (address.family === 4 ? AF_INET : AF_INET6)

/** struct ifinfomsg. */
export function linkBody(index: number, flags = 0, change = 0): Uint8Array {
  const body = new Uint8Array(IFINFO_LENGTH)
  const view = new DataView(body.buffer)
  view.setInt32(4, index, LITTLE_ENDIAN)
  view.setUint32(8, flags, LITTLE_ENDIAN)
  view.setUint32(12, change, LITTLE_ENDIAN)
  return body
}

/** Body and attributes of an address: struct ifaddrmsg, the local end, the other end or the prefix. */
export function addressRequest(
  index: number,
  { address, prefixLength, peer }: InterfaceAddress,
  noDad: boolean,
): { body: Uint8Array; attributes: Uint8Array[] } {
  const body = new Uint8Array(IFADDR_LENGTH)
  body[0] = familyOf(address)
  // With a peer, Linux's prefix is the peer's; the route of a point-to-point link is the one to its other end.
  body[1] = peer === undefined ? prefixLength : address.bytes.length * 8
  body[2] = noDad && address.family === 6 ? IFA_F_NODAD : 0
  new DataView(body.buffer).setUint32(4, index, LITTLE_ENDIAN)
  const attributes = [attribute(IFA_LOCAL, address.bytes), attribute(IFA_ADDRESS, (peer ?? address).bytes)]
  return { body, attributes }
}

/** Body and attributes of a route: struct rtmsg. */
export function routeRequest(
  route: RouteSpec,
  deleting: boolean,
): { body: Uint8Array; attributes: Uint8Array[] } {
  const body = new Uint8Array(RTM_LENGTH)
  const kind = route.kind ?? 'unicast'
  body[0] = familyOf(route.destination.address)
  body[1] = route.destination.length
  const table = route.table ?? RT_TABLE_MAIN
  body[4] = table < 256 ? table : RT_TABLE_UNSPEC
  body[5] = route.protocol ?? (deleting ? 0 : RTPROT_STATIC)
  const onLink = route.gateway === undefined && kind === 'unicast' && body[0] === AF_INET
  body[6] = deleting ? RT_SCOPE_NOWHERE : onLink ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE
  body[7] = { unicast: RTN_UNICAST, blackhole: RTN_BLACKHOLE, unreachable: RTN_UNREACHABLE }[kind]
  const attributes: Uint8Array[] = []
  if (route.destination.length > 0) attributes.push(attribute(RTA_DST, route.destination.address.bytes))
  if (route.gateway !== undefined) attributes.push(attribute(RTA_GATEWAY, route.gateway.bytes))
  if (route.interfaceIndex !== undefined) attributes.push(attribute(RTA_OIF, uint32(route.interfaceIndex)))
  if (route.metric !== undefined) attributes.push(attribute(RTA_PRIORITY, uint32(route.metric)))
  if (route.preferredSource !== undefined)
    attributes.push(attribute(RTA_PREFSRC, route.preferredSource.bytes))
  if (table >= 256) attributes.push(attribute(RTA_TABLE, uint32(table)))
  if (route.mtu !== undefined) attributes.push(nested(RTA_METRICS, attribute(RTAX_MTU, uint32(route.mtu))))
  return { body, attributes }
}

export function decodeLink({ body }: NetlinkMessage): LinkInfo {
  const attributes = decodeAttributes(body, IFINFO_LENGTH)
  const mac = attributes.get(IFLA_ADDRESS)
  const master = attributes.get(IFLA_MASTER)
  return {
    index: readUint32Native(body, 4),
    name: readText(attributes.get(IFLA_IFNAME) ?? new Uint8Array()),
    mtu: readUint32Native(attributes.get(IFLA_MTU) ?? new Uint8Array(4)),
    up: (readUint32Native(body, 8) & IFF_UP) !== 0,
    ...((readUint32Native(body, 8) & IFF_LOOPBACK) === 0 ? {} : { loopback: true }),
    ...(mac?.length === 6 ? { mac: new MacAddress(mac.slice()) } : {}),
    ...(master === undefined ? {} : { master: readUint32Native(master) }),
  }
}

export class RouteNetlink {
  readonly socket: NetlinkSocket = new NetlinkSocket()

  links(): LinkInfo[] {
    return this.socket
      .request('list the interfaces', RTM_GETLINK, NLM_F_DUMP, linkBody(0))
      .filter(({ type }) => type === RTM_NEWLINK)
      .map(decodeLink)
  }

  link(name: string): LinkInfo | undefined {
    const { errno, answers } = this.socket.tryRequest(RTM_GETLINK, 0, linkBody(0), [
      attribute(IFLA_IFNAME, text(name)),
    ])
    const answer = answers.find(({ type }) => type === RTM_NEWLINK)
    return errno === 0 && answer !== undefined ? decodeLink(answer) : undefined
  }

  setLink(index: number, name: string, change: LinkChange): void {
    const attributes: Uint8Array[] = []
    const words: string[] = []
    if (change.mac !== undefined) {
      attributes.push(attribute(IFLA_ADDRESS, change.mac.bytes))
      words.push(`address ${change.mac}`)
    }
    if (change.mtu !== undefined) {
      attributes.push(attribute(IFLA_MTU, uint32(change.mtu)))
      words.push(`mtu ${change.mtu}`)
    }
    if (change.queueLength !== undefined) {
      attributes.push(attribute(IFLA_TXQLEN, uint32(change.queueLength)))
      words.push(`queue length ${change.queueLength}`)
    }
    if (change.master !== undefined) {
      attributes.push(attribute(IFLA_MASTER, uint32(change.master)))
      words.push(change.master === 0 ? 'no bridge' : `bridge ${change.master}`)
    }
    if (change.up !== undefined) words.push(change.up ? 'up' : 'down')
    if (words.length > 0)
      this.socket.request(
        `set ${words.join(', ')} on ${name}`,
        RTM_NEWLINK,
        0,
        linkBody(index, change.up ? IFF_UP : 0, change.up === undefined ? 0 : IFF_UP),
        attributes,
      )
    if (change.noLinkLocal) {
      // A kernel without IPv6 refuses this, and has no such addresses either.
      const mode = nested(AF_INET6, attribute(IFLA_INET6_ADDR_GEN_MODE, uint8(IN6_ADDR_GEN_MODE_NONE)))
      this.socket.tryRequest(RTM_NEWLINK, 0, linkBody(index), [nested(IFLA_AF_SPEC, mode)])
    }
  }

  /** Removes the link; one that is gone already is no error. */
  deleteLink(index: number, name: string): void {
    const { errno } = this.socket.tryRequest(RTM_DELLINK, 0, linkBody(index))
    if (errno !== 0 && errno !== Errno.ENODEV)
      this.socket.request(`remove ${name}`, RTM_DELLINK, 0, linkBody(index))
  }

  addAddress(index: number, name: string, address: InterfaceAddress, noDad: boolean): void {
    const { body, attributes } = addressRequest(index, address, noDad)
    this.socket.request(
      `add address ${describeAddress(address)} to ${name}`,
      RTM_NEWADDR,
      NLM_F_CREATE | NLM_F_EXCL,
      body,
      attributes,
      {
        EOPNOTSUPP: 'this kernel has no IPv6',
        EACCES: 'IPv6 is disabled on this interface (sysctl net.ipv6.conf)',
      },
    )
  }

  deleteAddress(index: number, name: string, address: InterfaceAddress): void {
    const { body, attributes } = addressRequest(index, address, false)
    this.socket.request(
      `remove address ${describeAddress(address)} from ${name}`,
      RTM_DELADDR,
      0,
      body,
      attributes,
    )
  }

  /** Addresses of an interface, or of all; of IPv6 those that nobody else was found to have (RFC 4862 section 5.4). */
  addresses(index?: number): { interfaceIndex: number; address: IpAddress; prefixLength: number }[] {
    return this.socket
      .request('list the addresses', RTM_GETADDR, NLM_F_DUMP, new Uint8Array(IFADDR_LENGTH))
      .filter(
        ({ type, body }) =>
          type === RTM_NEWADDR &&
          (index === undefined || readUint32Native(body, 4) === index) &&
          (body[0] === AF_INET || (body[2]! & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) === 0),
      )
      .flatMap(({ body }) => {
        const attributes = decodeAttributes(body, IFADDR_LENGTH)
        const bytes = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS)
        if (bytes === undefined) return []
        return [
          {
            interfaceIndex: readUint32Native(body, 4),
            address: ipAddressFrom(bytes.slice()),
            prefixLength: body[1]!,
          },
        ]
      })
  }

  addRoute(route: RouteSpec): void {
    const { body, attributes } = routeRequest(route, false)
    this.socket.request(
      `add route ${describeRoute(route)}`,
      RTM_NEWROUTE,
      NLM_F_CREATE | NLM_F_EXCL,
      body,
      attributes,
      {
        EEXIST: 'remove the route that is there, or leave this one out',
        ENETUNREACH: 'the gateway must be on a network that this machine reaches directly',
        EHOSTUNREACH: 'the gateway must be on a network that this machine reaches directly',
      },
    )
  }

  /** Removes a route; one that is gone already (its interface went) is no error. */
  deleteRoute(route: RouteSpec): void {
    const { body, attributes } = routeRequest(route, true)
    const { errno } = this.socket.tryRequest(RTM_DELROUTE, 0, body, attributes)
    if (errno !== 0 && errno !== Errno.ESRCH && errno !== Errno.ENODEV)
      this.socket.request(`remove route ${describeRoute(route)}`, RTM_DELROUTE, 0, body, attributes)
  }

  /** The routes of a family that `protocol` made, in whatever table, as `deleteRoute` takes them. */
  routesOf(family: 4 | 6, protocol: number): RouteSpec[] {
    const body = new Uint8Array(RTM_LENGTH)
    body[0] = family === 4 ? AF_INET : AF_INET6
    // Kernels from 4.20 on leave out the others by themselves.
    body[5] = protocol
    return this.socket
      .request('list the routes', RTM_GETROUTE, NLM_F_DUMP, body)
      .filter(
        (answer) => answer.type === RTM_NEWROUTE && answer.body[0] === body[0] && answer.body[5] === protocol,
      )
      .map(decodeTableRoute)
  }

  /** What this machine would do with a packet to `address` (of a socket with `mark`); `undefined`: it has no route. */
  routeTo(address: IpAddress, mark?: number): RouteAnswer | undefined {
    const body = new Uint8Array(RTM_LENGTH)
    body[0] = familyOf(address)
    body[1] = address.bytes.length * 8
    const { errno, answers } = this.socket.tryRequest(RTM_GETROUTE, 0, body, [
      attribute(RTA_DST, address.bytes),
      ...(mark === undefined ? [] : [attribute(RTA_MARK, uint32(mark))]),
    ])
    const answer = answers.find(({ type }) => type === RTM_NEWROUTE)
    return errno === 0 && answer !== undefined ? decodeRoute(answer) : undefined
  }

  close(): void {
    this.socket.close()
  }
}

export function decodeRoute({ body }: NetlinkMessage): RouteAnswer {
  const attributes = decodeAttributes(body, RTM_LENGTH)
  const gateway = attributes.get(RTA_GATEWAY)
  const source = attributes.get(RTA_PREFSRC)
  return {
    interfaceIndex: readUint32Native(attributes.get(RTA_OIF) ?? new Uint8Array(4)),
    type: body[7]!,
    ...(gateway === undefined ? {} : { gateway: ipAddressFrom(gateway.slice()) }),
    ...(source === undefined ? {} : { source: ipAddressFrom(source.slice()) }),
  }
}

/** A route with the table that it stands in. */
export function decodeTableRoute({ body }: NetlinkMessage): RouteSpec {
  const attributes = decodeAttributes(body, RTM_LENGTH)
  const word = (type: number): number | undefined => {
    const bytes = attributes.get(type)
    return bytes === undefined ? undefined : readUint32Native(bytes)
  }
  const destination = attributes.get(RTA_DST)?.slice() ?? new Uint8Array(body[0] === AF_INET ? 4 : 16)
  const kind =
    body[7] === RTN_BLACKHOLE ? 'blackhole' : body[7] === RTN_UNREACHABLE ? 'unreachable' : 'unicast'
  const oif = word(RTA_OIF)
  const metric = word(RTA_PRIORITY)
  const source = attributes.get(RTA_PREFSRC)
  return {
    destination: new IpPrefix(ipAddressFrom(destination), body[1]!),
    kind,
    table: word(RTA_TABLE) ?? body[4]!,
    protocol: body[5]!,
    // The kernel puts the routes to nowhere on its loopback; they are asked for without it.
    ...(oif === undefined || kind !== 'unicast' ? {} : { interfaceIndex: oif }),
    ...(metric === undefined ? {} : { metric }),
    ...(source === undefined ? {} : { preferredSource: ipAddressFrom(source.slice()) }),
  }
}

export function describeAddress({ address, prefixLength, peer }: InterfaceAddress): string {
  return peer === undefined ? `${address}/${prefixLength}` : `${address} --> ${peer}`
}

function describeRoute({ destination, gateway, kind, table }: RouteSpec): string {
  const place = table === undefined ? '' : ` in table ${table}`
  if (kind !== undefined && kind !== 'unicast') return `${kind} ${destination}${place}`
  return gateway === undefined ? `${destination}${place}` : `${destination} via ${gateway}${place}`
}
