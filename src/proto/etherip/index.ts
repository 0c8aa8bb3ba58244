export * from './machine.js'
export * from './transforms.js'
