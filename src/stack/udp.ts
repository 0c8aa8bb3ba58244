import type { Instant, IpAddress } from '../base/index.js'
import type { SendResult } from './types.js'

export interface UdpDatagram {
  readonly source: IpAddress
  readonly sourcePort: number
  readonly destination: IpAddress
  /** The receiver's own copy. */
  readonly data: Uint8Array
}

export interface UdpBinding {
  /** Default: any address of either family. */
  readonly address?: IpAddress
  /** Default (and 0): a free one of 49152 to 65535. */
  readonly port?: number
  readonly onDatagram: (datagram: UdpDatagram, now: Instant) => void
}

export interface UdpSendOptions {
  readonly source?: IpAddress
  readonly ttl?: number
  readonly trafficClass?: number
  readonly dontFragment?: boolean
}

export interface UdpSocket {
  readonly address?: IpAddress
  readonly port: number
  send(data: Uint8Array, to: IpAddress, toPort: number, now: Instant, options?: UdpSendOptions): SendResult
  close(): void
}

export class UdpLayer {
  /** @throws WarrenError STACK_ADDRESS_IN_USE 'Address already in use'; STACK_NO_SUCH_ADDRESS. */
  bind(_binding: UdpBinding): UdpSocket {
    throw new Error('not yet')
  }
}
