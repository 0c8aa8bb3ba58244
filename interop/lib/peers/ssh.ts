/** OpenSSH's tunnel: `ssh -w`, one TCP connection that carries the packets of two TUN interfaces. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Daemon } from '../daemon.js'
import { missing } from '../need.js'
import { type Peer, runningPair, saysOf } from './peer.js'

/** Where sshd(8) stands, since it wants to be started by its whole name. */
export const SSHD = '/usr/sbin/sshd'
export const SSH_PORT = 2222

/** A new ed25519 key of OpenSSH; returns its file. The public half lies beside it with `.pub`. */
export function makeSshKey(folder: string, name: string): string {
  const file = join(folder, name)
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', file])
  return file
}

/** sshd(8) for root with the client's key alone. `lines`: further ones of sshd_config(5). */
export function startSshd(
  namespace: string,
  options: { folder: string; address: string; hostKey: string; clientKey: string; lines?: readonly string[] },
): Daemon {
  const { folder, address, hostKey, clientKey, lines = [] } = options
  const file = join(folder, 'sshd_config')
  const conf = [
    `ListenAddress ${address}`,
    `Port ${SSH_PORT}`,
    `HostKey ${hostKey}`,
    `AuthorizedKeysFile ${clientKey}.pub`,
    `PidFile ${join(folder, 'sshd.pid')}`,
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'UsePAM no',
    'UseDNS no',
    // The folder is below /tmp, which all may write.
    'StrictModes no',
    'PermitTunnel yes',
    ...lines,
  ]
  writeFileSync(file, `${conf.join('\n')}\n`)
  return Daemon.start(namespace, [SSHD, '-D', '-e', '-f', file], { ownRun: ['sshd'] })
}

/** The options of ssh(1) for that server, without anything of the user's own. */
export function sshOptions(options: {
  folder: string
  address: string
  hostKey: string
  clientKey: string
}): string[] {
  const known = join(options.folder, 'known_hosts')
  writeFileSync(known, `[${options.address}]:${SSH_PORT} ${readFileSync(`${options.hostKey}.pub`, 'utf8')}`)
  return [
    ...['-F', '/dev/null', '-p', String(SSH_PORT), '-i', options.clientKey],
    ...['IdentitiesOnly=yes', 'BatchMode=yes', 'StrictHostKeyChecking=yes', 'ExitOnForwardFailure=yes']
      .concat(`UserKnownHostsFile=${known}`, 'IdentityAgent=none')
      .flatMap((option) => ['-o', option]),
  ]
}

export const ssh: Peer = {
  name: 'ssh',
  description: 'OpenSSH -w, aes256-gcm@openssh.com',
  missing: () => missing('ssh', SSHD, 'ssh-keygen', 'unshare'),
  version: () => saysOf(/OpenSSH_[^ ,]+/, 'ssh', '-V'),
  async start(hosts) {
    const { folder } = hosts.net
    const keys = { hostKey: makeSshKey(folder, 'host'), clientKey: makeSshKey(folder, 'client') }
    const server = startSshd(hosts.b.namespace, { folder, address: hosts.b.outer, ...keys })
    try {
      await server.until(/Server listening/)
    } catch (error) {
      await server.stop()
      throw error
    }
    const client = Daemon.start(hosts.a.namespace, [
      'ssh',
      ...sshOptions({ folder, address: hosts.b.outer, ...keys }),
      ...['-c', 'aes256-gcm@openssh.com', '-v', '-w', '5:5', '-N', `root@${hosts.b.outer}`],
    ])
    return runningPair(hosts, { a: client, b: server }, async () => {
      await client.until(/Entering interactive session|tunnel forwarding.*success|remote forward success/i)
      for (const [own, other] of [[hosts.a, hosts.b] as const, [hosts.b, hosts.a] as const]) {
        const give = `ip addr add ${own.inner} peer ${other.inner} dev tun5 && ip link set tun5 up`
        // The server makes its interface a moment later.
        const wait =
          'n=0; until ip link show tun5 >/dev/null 2>&1; do n=$((n+1)); [ $n -lt 50 ] || exit 1; sleep 0.1; done'
        hosts.net.run(own.namespace, `${wait}; ${give}`)
      }
    })
  },
}
