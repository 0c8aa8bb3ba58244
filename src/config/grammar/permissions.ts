/** Files of secrets: who may read and who may change them. */
import { WarrenError } from '../../base/index.js'

/**
 * Refuses a file of secrets that others can read, or others than its owner can change, as OpenBSD's daemons do. `mode` is
 * stat(2)'s; bits beside the permissions do not matter. @throws WarrenError CONFIG_PERMISSIONS.
 */
export function checkSecretMode(file: string, mode: number, where: string = file): void {
  if ((mode & 0o037) === 0) return
  // The place names the file already, unless it is the line of another file that leads to this one.
  const named = where === file ? '' : `${file}: `
  throw new WarrenError('CONFIG_PERMISSIONS', `${named}group/world readable/writeable`, {
    where,
    found: `mode ${(mode & 0o777).toString(8).padStart(4, '0')}`,
    expected: '0600',
    mend: `chmod 600 ${file}`,
  })
}
