/** What /etc/iked.conf and /etc/iked of a machine come to. */
import { WarrenError } from '../../base/index.js'
import type { LabMachine } from '../machine.js'
import type { IkedConfiguration } from './daemon.js'

export const IKED_CONF = '/etc/iked.conf'

export interface ConfigurationOptions {
  readonly file?: string
  readonly macros?: ReadonlyMap<string, string>
}

/** @throws WarrenError CONFIG_* */
export async function loadIkedConfiguration(
  _host: LabMachine,
  _options: ConfigurationOptions = {},
): Promise<IkedConfiguration & { readonly warnings: readonly string[] }> {
  throw new WarrenError('CONFIG_FILE', 'iked.conf is not read yet')
}
