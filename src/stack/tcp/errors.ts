import { WarrenError } from '../../base/index.js'

/** The codes of TCP's errors, as POSIX names them, with OpenBSD's text: programs for Node match on these. */
const texts = {
  ECONNREFUSED: 'Connection refused',
  ECONNRESET: 'Connection reset by peer',
  ECONNABORTED: 'Software caused connection abort',
  ETIMEDOUT: 'Operation timed out',
  EHOSTUNREACH: 'No route to host',
  ENETUNREACH: 'Network is unreachable',
  EADDRINUSE: 'Address already in use',
  EADDRNOTAVAIL: "Can't assign requested address",
  EPIPE: 'Broken pipe',
} as const

export type TcpErrorCode = keyof typeof texts

/** `where` names the other end, or the address that was asked for: `192.168.1.2:80`. */
export function tcpError(code: TcpErrorCode, where: string, mend?: string): WarrenError {
  return new WarrenError(code, texts[code], mend === undefined ? { where } : { where, mend })
}
