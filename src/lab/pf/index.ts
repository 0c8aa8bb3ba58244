export * from './filter.js'
export * from './packet.js'
export * from './parse.js'
export * from './rules.js'
