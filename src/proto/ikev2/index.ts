export * from './context.js'
export * from './identity.js'
export {
  COOKIE_FROM,
  COOKIE_FROM_PEER,
  HALF_OPEN_MAX,
  HALF_OPEN_MAX_PEER,
  Ike2Machine,
  type IkeEvent,
  type IkeMachineOptions,
} from './machine.js'
export { describeTransform, GROUP_WORDS } from './names.js'
export * from './policy.js'
export * from './selectors.js'
export { describeChild, type Session, type SessionState } from './session.js'
export * from './suites.js'
