export { zeroMutable } from '../../wire/ah-fields.js'
