export * from './constant-time.js'
export * from './names.js'
export * from './provider.js'
export * from './wipe.js'
