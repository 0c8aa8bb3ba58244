import type { Stack } from '../../../stack/index.js'
import type { SocketView } from './netstat-show.js'

/** The sockets of a stack as `netstat -an` takes them. */
export function socketsOf(stack: Stack): SocketView[] {
  const connections = stack.tcp.connections().map(
    (connection): SocketView => ({
      protocol: 'tcp',
      family: connection.localAddress.family,
      local: connection.localAddress,
      localPort: connection.localPort,
      remote: connection.remoteAddress,
      remotePort: connection.remotePort,
      // netstat's names have underscores, and SYN-RECEIVED is cut.
      state: connection.state.replace('RECEIVED', 'RCVD').replaceAll('-', '_'),
      receiveQueue: connection.readableBytes,
      sendQueue: connection.unacknowledgedBytes,
    }),
  )
  const listeners = stack.tcp.listeners().map(
    ({ address, port }): SocketView => ({
      protocol: 'tcp',
      ...(address === undefined ? {} : { family: address.family, local: address }),
      localPort: port,
      state: 'LISTEN',
      receiveQueue: 0,
      sendQueue: 0,
    }),
  )
  const datagrams = stack.udp.bindings().map(
    ({ address, port }): SocketView => ({
      protocol: 'udp',
      ...(address === undefined ? {} : { family: address.family, local: address }),
      localPort: port,
      receiveQueue: 0,
      sendQueue: 0,
    }),
  )
  return [...connections, ...listeners, ...datagrams]
}
