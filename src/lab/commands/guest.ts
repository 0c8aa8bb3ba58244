/** The network commands of OpenBSD's base system, by the names they are called by. They work on every machine. */
import type { LabCommand } from '../command.js'
import { arp, ndp } from './arp.js'
import { ifconfig } from './ifconfig.js'
import { ikectl } from './ikectl.js'
import { iked } from './iked.js'
import { ipsecctl } from './ipsecctl.js'
import { nc } from './nc.js'
import { netstart } from './netstart.js'
import { netstat } from './netstat.js'
import { patch } from './patch.js'
import { ping, ping6 } from './ping.js'
import { route } from './route.js'
import { scp } from './scp.js'
import { sysctl } from './sysctl.js'
import { tcpdump } from './tcpdump.js'
import { hostname, uname } from './uname.js'

export const guestCommands: Readonly<Record<string, LabCommand>> = {
  arp,
  hostname,
  ifconfig,
  ikectl,
  iked,
  ipsecctl,
  nc,
  ndp,
  netstart,
  netstat,
  patch,
  ping,
  ping6,
  route,
  scp,
  sysctl,
  tcpdump,
  uname,
}
