/** Every command that the lab adds to the shell, by the name it is called by. */
import type { LabCommand } from '../command.js'
import { ftp } from './ftp.js'
import { guestCommands } from './guest.js'
import { ifconfig } from './ifconfig.js'
import { jot } from './jot.js'
import { makedev } from './makedev.js'
import { openssl } from './openssl.js'
import { pfctl } from './pfctl.js'
import { rcctl } from './rcctl.js'
import { newerTunnelMeant } from './slips.js'
import { date, dmesg, id, ls, notPlayed, pkill, reboot, sleep, tail, timeout, whoami } from './system.js'
import { vmctl } from './vmctl.js'
import { xargs } from './xargs.js'

export const commands: ReadonlyMap<string, LabCommand> = new Map<string, LabCommand>([
  ['date', date],
  ['dmesg', dmesg],
  ['ftp', ftp],
  ['id', id],
  ['jot', jot],
  ['ls', ls],
  ['MAKEDEV', makedev],
  ['openssl', openssl],
  ['pfctl', pfctl],
  ['pkill', pkill],
  ['rcctl', rcctl],
  ['reboot', reboot],
  ['sleep', sleep],
  ['tail', tail],
  ['timeout', timeout],
  ['vmctl', vmctl],
  ['whoami', whoami],
  ['xargs', xargs],
  ['pkg_add', notPlayed('pkg_add', 'the lab has no network; its tunnels need no package')],
  ['brconfig', notPlayed('brconfig', 'OpenBSD has no such command any more: ifconfig bridge0 add vether0')],
  ...Object.entries(guestCommands),
  ['ifconfig', newerTunnelMeant(ifconfig)],
])
