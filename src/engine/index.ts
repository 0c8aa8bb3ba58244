export {
  POLICY_LIMIT,
  type Policy,
  type PolicyAction,
  type PolicyDirection,
  type PolicyProtocol,
  type PortRange,
  type TrafficSelector,
} from '../stack/spd.js'
export * from './assigned.js'
export * from './data-path.js'
export * from './definition.js'
export * from './host.js'
export * from './ike-mtu.js'
export * from './ike-status.js'
export * from './inner-source.js'
export * from './ipsec/index.js'
export * from './ipsec-status.js'
export * from './ipsec-tunnel.js'
export * from './socket.js'
export * from './tunnel.js'
