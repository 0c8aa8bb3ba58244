/** The network commands of OpenBSD's base system, by the names they are called by. They work on every machine. */
import type { LabCommand } from '../command.js'

export const guestCommands: Readonly<Record<string, LabCommand>> = {}
