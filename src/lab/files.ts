/** The files of an OpenBSD 6.6 machine that the article's commands read or write. */
import type { InitialFiles } from 'just-bash'
import { machineKey } from './iked/machine-keys.js'

const SCRIPT = 0o555

/** Empty folders of etc.tgz, with their modes. */
export const BASE_FOLDERS: readonly string[] = [
  ...['ca', 'certs', 'crls', 'export', 'private'].flatMap((name) => [
    `/etc/iked/${name}`,
    `/etc/isakmpd/${name}`,
  ]),
  ...['fqdn', 'ipv4', 'ipv6', 'ufqdn'].flatMap((name) => [
    `/etc/iked/pubkeys/${name}`,
    `/etc/isakmpd/pubkeys/${name}`,
  ]),
  '/etc/ssl/vpn',
]

/** What make_keys of rc(8) has made at the first boot: iked's keys are a copy of isakmpd's. */
export function keyFiles(
  hostname: string,
): { readonly path: string; readonly mode: number; text(): string }[] {
  const name = hostname.split('.')[0] ?? ''
  return ['/etc/isakmpd', '/etc/iked'].flatMap((folder) => [
    { path: `${folder}/private/local.key`, mode: 0o600, text: () => machineKey(name).privateKey },
    { path: `${folder}/local.pub`, mode: 0o644, text: () => machineKey(name).publicKey },
  ])
}

export function baseFiles(hostname: string): InitialFiles {
  return {
    '/etc/myname': `${hostname}\n`,
    '/etc/hosts': '127.0.0.1\tlocalhost\n::1\t\tlocalhost\n',
    '/etc/installurl': 'https://cdn.openbsd.org/pub/OpenBSD\n',
    '/etc/sysctl.conf': '',
    '/etc/rc.conf.local': '',
    '/etc/motd':
      'OpenBSD 6.6 (GENERIC) #353: Sat Oct 12 10:45:56 MDT 2019\n\nWelcome to OpenBSD, played by Warren.\n',
    '/etc/resolv.conf': 'lookup file bind\n',
    '/etc/services': SERVICES,
    '/etc/pf.conf': PF_CONF,
    '/etc/netstart': {
      content: '#!/bin/sh -\n# Played by Warren: the work is done by its own command.\nnetstart "$@"\n',
      mode: SCRIPT,
    },
    '/etc/rc':
      '#!/bin/sh -\n# System startup script run by init(8) on the way to multi-user. Played by Warren.\n',
    '/dev/MAKEDEV': {
      content: '#!/bin/sh -\n# Played by Warren: the work is done by its own command.\nMAKEDEV "$@"\n',
      mode: SCRIPT,
    },
    '/dev/null': '',
    '/dev/tap0': '',
    '/dev/tap1': '',
    '/dev/tap2': '',
    '/dev/tap3': '',
    '/root/.profile': '# sh/ksh initialization\n',
    '/tmp/.keep': '',
    '/home/.keep': '',
    '/var/log/messages': '',
    '/var/log/daemon': '',
    '/var/run/dmesg.boot': 'OpenBSD 6.6 (GENERIC) #353: Sat Oct 12 10:45:56 MDT 2019\n',
  }
}

const SERVICES = `ssh\t\t22/tcp
domain\t\t53/tcp
domain\t\t53/udp
www\t\t80/tcp\t\thttp
ntp\t\t123/udp
https\t\t443/tcp
isakmp\t\t500/udp
tinc\t\t655/tcp
tinc\t\t655/udp
openvpn\t\t1194/udp
ipsec-nat-t\t4500/udp
`

const PF_CONF = `#	$OpenBSD: pf.conf,v 1.55 2017/12/03 20:40:04 sthen Exp $
#
# See pf.conf(5) and /etc/examples/pf.conf

set skip on lo

block return	# block stateless traffic
pass		# establish keep-state

# By default, do not permit remote connections to X11
block return in on ! lo0 proto tcp to port 6000:6010

# Port build user does not need network
block return out log proto {tcp udp} user _pbuild
`
