export * from './block.js'
export * from './coalesce.js'
export * from './segment.js'
export * from './vnet-header.js'
