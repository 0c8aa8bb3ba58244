/**
 * Overwrites a secret that is no longer needed. V8 may have moved the array before and left a copy: small arrays move
 * when the collector runs, those above its page size and those outside its heap do not. So this shortens the time that
 * a key lies in memory and promises no more.
 */
export function wipe(...secrets: readonly (Uint8Array | undefined)[]): void {
  for (const secret of secrets) secret?.fill(0)
}
