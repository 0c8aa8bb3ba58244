import type { IpAddress } from '../../../base/index.js'
import type { NetworkInterface } from '../../../stack/index.js'
import { prefixOf } from '../../../stack/interface.js'
import { zoned } from './ifconfig-show.js'
import { showDestination } from './routes-show.js'
import { column } from './words.js'

/** What netstat(1) prints besides routes: interfaces with `-i`, sockets with `-a`. */

const row = (name: string, mtu: string, network: string, address: string): string =>
  `${column(name, 7)} ${column(mtu, 5)} ${column(network, 11)} ${column(address, 17)} `

/** `netstat -in`: packets, or bytes with `-b`; a line an interface and a line an address. */
export function showInterfaceCounters(interfaces: readonly NetworkInterface[], bytes = false): string {
  const titles = bytes ? ['Ibytes', 'Obytes'] : ['Ipkts', 'Ifail', 'Opkts', 'Ofail', 'Colls']
  const lines = [row('Name', 'Mtu', 'Network', 'Address') + numbers(titles)]
  for (const ifc of interfaces) {
    const { counters } = ifc
    const values = bytes
      ? [counters.bytesIn, counters.bytesOut]
      : [counters.packetsIn, counters.errorsIn, counters.packetsOut, counters.errorsOut, 0]
    const name = ifc.up ? ifc.name : `${ifc.name}*`
    const tail = numbers(values.map(String))
    lines.push(row(name, `${ifc.mtu}`, '<Link>', `${ifc.mac ?? ''}`) + tail)
    for (const own of ifc.addresses) {
      const network = own.peer === undefined ? showDestination(prefixOf(own)) : zoned(own.peer, ifc.name)
      lines.push(row(name, `${ifc.mtu}`, network, zoned(own.address, ifc.name)) + tail)
    }
  }
  return `${lines.join('\n')}\n`
}

const numbers = (values: readonly string[]): string =>
  values.length === 2
    ? values.map((value) => value.padStart(10)).join(' ')
    : values.map((value, i) => value.padStart(i % 2 === 0 && i < 4 ? 8 : 5)).join(' ')

export interface SocketView {
  readonly protocol: 'tcp' | 'udp'
  /** Absent: a socket of both families. */
  readonly family?: 4 | 6
  readonly local?: IpAddress
  readonly localPort: number
  readonly remote?: IpAddress
  readonly remotePort?: number
  /** TCP's, in the names of RFC 9293: `ESTABLISHED`, `FIN_WAIT_1`, … */
  readonly state?: string
  readonly receiveQueue: number
  readonly sendQueue: number
}

/** `netstat -n`, with `-a` (`all`) the listening ones as well. */
export function showSockets(
  sockets: readonly SocketView[],
  families: readonly (4 | 6)[] = [4, 6],
  all = true,
): string {
  const shown = sockets.filter(
    (socket) =>
      (socket.family === undefined || families.includes(socket.family)) &&
      (all || (socket.state !== 'LISTEN' && socket.remotePort !== undefined)),
  )
  if (shown.length === 0) return ''
  const lines = [
    `Active Internet connections${all ? ' (including servers)' : ''}`,
    `${column('Proto', 7)} ${'Recv-Q'.padStart(6)} ${'Send-Q'.padStart(6)}  ${column('Local Address', 22)} ${column('Foreign Address', 22)} (state)`,
  ]
  for (const socket of shown) {
    const name = `${socket.protocol}${socket.family === 6 ? '6' : ''}`
    const queues = `${`${socket.receiveQueue}`.padStart(6)} ${`${socket.sendQueue}`.padStart(6)}`
    const local = endpoint(socket.local, socket.localPort)
    const remote = endpoint(socket.remote, socket.remotePort)
    lines.push(
      `${column(name, 7)} ${queues}  ${local.padEnd(22)} ${remote.padEnd(22)} ${socket.state ?? ''}`.trimEnd(),
    )
  }
  return `${lines.join('\n')}\n`
}

/** `192.168.1.1.8888`, `*.8888`, `*.*`. */
const endpoint = (address: IpAddress | undefined, port: number | undefined): string =>
  `${address === undefined || address.isUnspecified ? '*' : address}.${port === undefined || port === 0 ? '*' : port}`
