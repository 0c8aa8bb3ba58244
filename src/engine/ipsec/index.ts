export * from './audit.js'
export * from './ipsec.js'
export * from './sa.js'
export * from './sad.js'
