export type { CarrierPorts } from './guard.js'
export { Steering, type SteeringOptions } from './steering.js'
