/** What the main thread and the data-plane worker tell each other. Everything is plain data. */
import type { PacketKind } from '../base/index.js'
import type { PathStatus } from '../engine/host.js'
import type { PolicySpec, ReachedLifetime, TransformSpec } from '../proto/machine.js'
import type { RefusedPacket } from './audit.js'

/** A socket between two addresses, which all paths of that carrier share. */
export interface CarrierSpec {
  readonly id: number
  readonly kind: 'ip' | 'udp'
  readonly fd: number
  readonly family: 4 | 6
  readonly protocol: number
  readonly local: Uint8Array
  readonly remote: Uint8Array
  /** TTL or hop limit where the transform sets none. */
  readonly defaultTtl: number
  /** SO_MARK of the socket: rules of routing may know its packets by it. */
  readonly mark?: number
  /** Another thread receives what comes. */
  readonly sendOnly?: boolean
}

export interface PlaneInterfaceSpec {
  readonly id: number
  readonly name: string
  /** The queue that the thread reads. */
  readonly fd: number
  /** All of them, for the thread that writes what comes in. Default: `fd` alone. */
  readonly queues?: readonly number[]
  /** The kernel's number of the interface. */
  readonly index: number
  readonly layer: 'ip' | 'ethernet'
  readonly mtu: number
  /** A virtio header stands before every packet, in both directions. */
  readonly offload: boolean
}

export interface PlanePathSpec {
  /** Unique within the interface. */
  readonly id: string
  readonly interfaceId: number
  readonly carrierId: number
  readonly takes: readonly PacketKind[]
  readonly transform: TransformSpec
}

/** A tunnel that another thread works: the kernel's number of its interface, and where what carries it goes. */
export interface OtherTunnel {
  readonly index: number
  readonly carriers: readonly { readonly remote: Uint8Array; readonly mark?: number }[]
}

export type ToWorker =
  | { readonly kind: 'interface'; readonly spec: PlaneInterfaceSpec }
  /** From now on the descriptor is not touched; answered by `released`. */
  | { readonly kind: 'remove-interface'; readonly id: number }
  | { readonly kind: 'running'; readonly id: number; readonly running: boolean }
  /** In the place of those that the interface had. */
  | { readonly kind: 'policies'; readonly interfaceId: number; readonly policies: readonly PolicySpec[] }
  | { readonly kind: 'carrier'; readonly spec: CarrierSpec }
  | { readonly kind: 'remove-carrier'; readonly id: number }
  | { readonly kind: 'path'; readonly spec: PlanePathSpec }
  | { readonly kind: 'remove-path'; readonly interfaceId: number; readonly id: string }
  /** All tunnels of other threads. */
  | { readonly kind: 'others'; readonly tunnels: readonly OtherTunnel[] }
  | { readonly kind: 'counters'; readonly request: number }
  | { readonly kind: 'stop' }

export interface PathCounts extends PathStatus {
  readonly interfaceId: number
}

/** Drops of an interface by its policies, by reason. */
export interface PolicyDrops {
  readonly interfaceId: number
  readonly drops: Readonly<Record<string, number>>
}

/** A datagram that no transform claims. */
export interface ControlMessage {
  readonly kind: 'control'
  readonly interfaceId: number
  readonly pathId: string
  readonly payload: Uint8Array
  readonly ttl: number
  readonly trafficClass: number
}

export type FromWorker =
  | ControlMessage
  | { readonly kind: 'released'; readonly fd: number }
  | {
      readonly kind: 'counters'
      readonly request: number
      readonly paths: readonly PathCounts[]
      readonly policies: readonly PolicyDrops[]
      /** What belongs to no path. */
      readonly drops: Readonly<Record<string, number>>
    }
  /** IPsec has refused a packet. */
  | { readonly kind: 'refused'; readonly packet: RefusedPacket }
  /** A limit that the data path counts was reached; once for each. */
  | {
      readonly kind: 'reached'
      readonly interfaceId: number
      readonly pathId: string
      readonly lifetime: ReachedLifetime
    }
  /** The interface was removed by somebody else; its descriptors are not touched any more. */
  | { readonly kind: 'lost'; readonly id: number; readonly reason: string; readonly fds: readonly number[] }
  /** Addresses, links or routes of this machine. */
  | { readonly kind: 'network' }
  | { readonly kind: 'stopped' }

export interface WorkerData {
  /** Written to wake the worker from its poll. */
  readonly wakeFd: number
  /** One int32 shared with the main thread: control messages that it has not taken yet. */
  readonly pendingControl: SharedArrayBuffer
  /** Where the kernel tells of changes of addresses and routes: one thread has it. */
  readonly watchFd?: number
}

/** Control messages under way to the main thread; more are dropped and counted `control.queue`. */
export const CONTROL_QUEUE_LIMIT = 256
