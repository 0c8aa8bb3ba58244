/**
 * Warren as a library. Each room has an entry of its own (`warren/wire`, `warren/inspect`, `warren/lab`, ...); this one
 * gathers what a program needs to describe a tunnel and run it on a host.
 */
export * from './base/index.js'
export * from './config/index.js'
export * from './engine/index.js'
