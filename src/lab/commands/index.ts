/** Every command that the lab adds to the shell, by the name it is called by. */
import type { LabCommand } from '../command.js'
import { guestCommands } from './guest.js'

export const commands: ReadonlyMap<string, LabCommand> = new Map<string, LabCommand>([
  ...Object.entries(guestCommands),
])
