/** Files that hold keys. */
import { statSync } from 'node:fs'
import { WarrenError } from '../base/index.js'
import { checkSecretMode } from '../config/grammar/permissions.js'

/** As OpenBSD's daemons: nobody else may read it, and nobody but root or us may have written it. */
export function checkSecret(path: string, where: string): number {
  const { mode, uid } = statSync(path)
  checkSecretMode(path, mode, where)
  if (uid !== 0 && uid !== process.getuid?.())
    throw new WarrenError(
      'CONFIG_PERMISSIONS',
      `${where === path ? '' : `${path}: `}owner not root or current user`,
      {
        where,
        found: `owner ${uid}`,
        expected: 'root',
        mend: `chown root ${path}`,
      },
    )
  return mode
}
