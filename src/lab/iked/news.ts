/** News of IKE as lines of iked's log. */
export { type LogLine, linesOf, spiText } from '../../config/iked/log.js'
