/** OpenVPN 2.6: a point-to-point tunnel over TLS with certificates, data in AES-256-GCM over UDP. */
import { Daemon } from '../daemon.js'
import { missing } from '../need.js'
import { Pki } from '../pki.js'
import type { PeerHost } from '../two-hosts.js'
import { type Peer, runningPair, saysOf } from './peer.js'

/** One end. `options` are those of openvpn(8). */
export function startOpenvpn(namespace: string, options: readonly string[]): Daemon {
  return Daemon.start(namespace, ['openvpn', ...options])
}

const PORT = '1194'

export const openvpn: Peer = {
  name: 'openvpn',
  description: 'OpenVPN, UDP, TLS, AES-256-GCM',
  missing: () => missing('openvpn', 'openssl'),
  version: () => saysOf(/OpenVPN \S+/, 'openvpn', '--version'),
  async start(hosts) {
    const pki = new Pki(hosts.net.folder)
    const common = (own: PeerHost, other: PeerHost, name: string, usage: 'server' | 'client'): string[] => {
      const { certificate, key } = pki.issue(name, usage)
      return [
        ...['--dev', 'tun7', '--dev-type', 'tun', '--proto', 'udp', '--verb', '3'],
        ...['--ifconfig', own.inner, other.inner, '--local', own.outer],
        ...['--ca', pki.ca, '--cert', certificate, '--key', key],
        ...['--data-ciphers', 'AES-256-GCM', '--cipher', 'AES-256-GCM'],
        // No management of keys while it is measured.
        ...['--reneg-sec', '0'],
      ]
    }
    const server = startOpenvpn(hosts.b.namespace, [
      ...common(hosts.b, hosts.a, 'b.test', 'server'),
      ...['--port', PORT, '--tls-server', '--dh', 'none', '--remote-cert-tls', 'client'],
    ])
    const client = startOpenvpn(hosts.a.namespace, [
      ...common(hosts.a, hosts.b, 'a.test', 'client'),
      ...['--remote', hosts.b.outer, PORT, '--lport', PORT, '--tls-client', '--remote-cert-tls', 'server'],
    ])
    return runningPair(hosts, { a: client, b: server }, () =>
      client.until(/Initialization Sequence Completed/, 20_000),
    )
  },
}
