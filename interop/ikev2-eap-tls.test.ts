/**
 * EAP-TLS with strongSwan's charon in both roles, in TLS 1.2, and with Warren at both ends, in TLS 1.3: packets flow both
 * ways; who is not to be let in is not, and is told why.
 *
 *     netns a, Warren                           netns b, charon or Warren
 *     +-----------------------------+   veth    +-----------------------------+
 *     | lo   10.1.1.1               |           | lo   10.1.2.1               |
 *     | eth0 192.168.1.1            | --------- | eth0 192.168.1.2            |
 *     | enc0                        | ========= | ipsec0 or enc0              |
 *     +-----------------------------+           +-----------------------------+
 */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import type { IkeSaStatus } from '../src/engine/index.js'
import { Daemon } from './lib/daemon.js'
import { IkeHosts, sasOf, until } from './lib/ike-hosts.js'
import { missing } from './lib/need.js'
import { Netns } from './lib/netns.js'
import { Charon, PLUGINS } from './lib/peers/strongswan.js'
import { type Certified, Pki } from './lib/pki.js'
import type { WarrenProcess } from './lib/warren.js'

let net: Netns
let hosts: IkeHosts
let a: string
let b: string
let pki: Pki
let other: Pki
const entities = new Map<string, Certified>()
const charons: Charon[] = []

function begin(): void {
  net = new Netns('et')
  hosts = new IkeHosts(net)
  a = net.add('a')
  b = net.add('b')
  net.veth(a, 'eth0', b, 'eth0')
  for (const [i, host] of [a, b].entries())
    net.run(
      host,
      `ip addr add 192.168.1.${i + 1}/24 dev eth0; ip addr add 10.1.${i + 1}.1/32 dev lo; sysctl -qw net.ipv6.conf.all.disable_ipv6=1`,
    )
  const folder = (name: string): string => {
    const path = join(net.folder, name)
    mkdirSync(path)
    return path
  }
  pki = new Pki(folder('pki'))
  other = new Pki(folder('other'))
  entities.set('gateway.example', pki.issue('gateway.example', 'server'))
  entities.set('carol.example', pki.issue('carol.example', 'client'))
  entities.set('stranger', other.issue('carol.example', 'client'))
}

async function end(): Promise<void> {
  for (const charon of charons.splice(0)) await charon.daemon.stop()
  await hosts.end()
}

/** Warren's folder of keys: its own certificate, and the authority. */
async function warren(host: string, name: string, who: string, text: string): Promise<WarrenProcess> {
  const folder = join(net.folder, name, 'iked')
  rmSync(folder, { recursive: true, force: true })
  for (const part of ['private', 'certs', 'ca']) mkdirSync(join(folder, part), { recursive: true })
  const { certificate, key } = entities.get(who)!
  copyFileSync(key, join(folder, 'private', 'local.key'))
  copyFileSync(certificate, join(folder, 'certs', 'own.crt'))
  copyFileSync(pki.ca, join(folder, 'ca', 'ca.crt'))
  return hosts.warren(host, name, text)
}

const CLIENT = (n: 1 | 2): string =>
  `ikev2 "tunnel" active esp from 10.1.${n}.1 to 10.1.${3 - n}.1 local 192.168.1.${n} peer 192.168.1.${3 - n} \\
  ikesa enc aes-256-gcm prf hmac-sha2-256 group curve25519 childsa enc aes-256-gcm noesn \\
  srcid carol.example dstid gateway.example eap "tls"`
const GATEWAY = (more = ''): string =>
  `ikev2 "tunnel" passive esp from 10.1.1.1 to 10.1.2.1 local 192.168.1.1 peer 192.168.1.2 \\
  ikesa enc aes-256-gcm prf hmac-sha2-256 group curve25519 childsa enc aes-256-gcm noesn \\
  srcid gateway.example ${more} eap "tls"`

type Version = '1.2' | '1.3'

async function charon(role: 'client' | 'gateway', version: Version, who: string): Promise<Charon> {
  const folder = join(net.folder, 'charon-b')
  rmSync(folder, { recursive: true, force: true })
  for (const part of ['private', 'x509', 'x509ca']) mkdirSync(join(folder, part), { recursive: true })
  const { certificate, key } = entities.get(who)!
  copyFileSync(key, join(folder, 'private', 'own.key'))
  copyFileSync(certificate, join(folder, 'x509', 'own.pem'))
  copyFileSync(pki.ca, join(folder, 'x509ca', 'ca.pem'))
  // To a stranger the authority of its own certificate is known as well: it is the other side that has to refuse.
  if (who === 'stranger') copyFileSync(other.ca, join(folder, 'x509ca', 'other.pem'))
  const auth = {
    client: [
      'auth = eap-tls\n      certs = own.pem\n      id = carol.example',
      'auth = pubkey\n      id = gateway.example',
    ],
    gateway: [
      'auth = pubkey\n      certs = own.pem\n      id = gateway.example',
      'auth = eap-tls\n      id = %any\n      eap_id = %any\n      cacerts = ca.pem',
    ],
  }[role]
  const started = await Charon.start(b, {
    folder: net.folder,
    name: 'b',
    plugins: [...PLUGINS, 'eap-identity', 'eap-tls'],
    settings: `tls {
    version_max = ${version}
  }`,
    swanctl: `connections {
  tunnel {
    version = 2
    local_addrs = 192.168.1.2
    remote_addrs = 192.168.1.1
    proposals = aes256gcm16-prfsha256-curve25519
    encap = yes
    rekey_time = 0
    local {
      ${auth[0]}
    }
    remote {
      ${auth[1]}
    }
    children {
      tunnel {
        local_ts = 10.1.2.1/32
        remote_ts = 10.1.1.1/32
        esp_proposals = aes256gcm16-noesn
        rekey_time = 0
      }
    }
  }
}
`,
  })
  charons.push(started)
  return started
}

const established = (process: WarrenProcess): Promise<IkeSaStatus> =>
  until(
    'an IKE SA with a child',
    async () =>
      (await sasOf(process)).find(({ state, children }) => state === 'established' && children.length > 0),
    () => `${process.log()}\n${charons.map(({ daemon }) => daemon.log).join('\n')}`,
  )

const logged = (what: string, log: () => string, pattern: RegExp): Promise<string> =>
  until(`${what}: ${pattern}`, () => pattern.exec(log())?.[0], log)

function pings(): void {
  for (const size of [56, 1_300]) {
    assert.match(net.run(a, `ping -c 3 -i 0.2 -W 2 -s ${size} -I 10.1.1.1 10.1.2.1`), /3 received/)
    assert.match(net.run(b, `ping -c 3 -i 0.2 -W 2 -s ${size} -I 10.1.2.1 10.1.1.1`), /3 received/)
  }
}

async function iperf(): Promise<void> {
  const server = Daemon.start(b, ['iperf3', '-s', '-1', '-B', '10.1.2.1', '--forceflush'])
  try {
    await server.until(/listening/i)
    const answer = JSON.parse(net.run(a, 'iperf3 -c 10.1.2.1 -B 10.1.1.1 -t 1 -J')) as {
      end: { sum_received: { bits_per_second: number } }
    }
    assert.ok(answer.end.sum_received.bits_per_second > 1_000_000)
  } finally {
    await server.stop()
  }
}

const NEEDS = missing(
  ...['ping', 'iperf3', 'nft', 'openssl', '/usr/sbin/charon-systemd', 'swanctl', 'unshare'],
  '/usr/lib/ipsec/plugins/libstrongswan-eap-tls.so',
)

describe('EAP-TLS with strongSwan', { skip: NEEDS }, () => {
  before(begin)
  afterEach(end)
  after(() => net.close())

  test('Warren is the client, TLS 1.2', async () => {
    const peer = await charon('gateway', '1.2', 'gateway.example')
    const w = await warren(a, 'a', 'carol.example', CLIENT(1))
    assert.equal((await established(w)).remoteId, 'FQDN/gateway.example')
    assert.match(await peer.swanctl('--list-sas'), /ESTABLISHED[\s\S]*remote 'carol\.example'/)
    pings()
    await iperf()
  })

  for (const version of ['1.2', '1.3'] as const)
    test(`a client of another authority is not let in, TLS ${version}`, async () => {
      const w = await warren(a, 'a', 'gateway.example', GATEWAY())
      const peer = await charon('client', version, 'stranger')
      await assert.rejects(peer.swanctl('--initiate', '--child', 'tunnel', '--timeout', '10'))
      await logged(
        'warren',
        w.log,
        /EAP: TLS: FQDN\/carol\.example: .*\(put the certificate of the authority/,
      )
      assert.deepEqual(await sasOf(w), [])
    })

  test('Warren is the gateway, TLS 1.2', async () => {
    const w = await warren(a, 'a', 'gateway.example', GATEWAY())
    const peer = await charon('client', '1.2', 'carol.example')
    await peer.swanctl('--initiate', '--child', 'tunnel')
    assert.equal((await established(w)).remoteId, 'FQDN/carol.example')
    pings()
    await iperf()
  })

  // Debian 12's charon (5.9.8) is older than RFC 9190: other keys come out of its TLS 1.3, and no commitment.
  test('a gateway whose TLS 1.3 is not that of RFC 9190', async () => {
    await charon('gateway', '1.3', 'gateway.example')
    const w = await warren(a, 'a', 'carol.example', CLIENT(1))
    await logged(
      'warren',
      w.log,
      /EAP: TLS: success without the commitment of RFC 9190 \(let the server speak TLS 1\.2/,
    )
    assert.equal((await sasOf(w)).filter(({ state }) => state === 'established').length, 0)
  })

  test('a client that is not the one whom the policy wants', async () => {
    const w = await warren(a, 'a', 'gateway.example', GATEWAY('dstid dave.example'))
    const peer = await charon('client', '1.3', 'carol.example')
    await assert.rejects(peer.swanctl('--initiate', '--child', 'tunnel', '--timeout', '10'))
    await logged('warren', w.log, /has not the identity FQDN\/dave\.example/)
  })

  test('a gateway that does not trust our certificate', async () => {
    await charon('gateway', '1.2', 'gateway.example')
    const w = await warren(a, 'a', 'stranger', CLIENT(1))
    await logged('warren', w.log, /enc0: .*EAP: .*\n/)
    assert.equal((await sasOf(w)).filter(({ state }) => state === 'established').length, 0)
  })
})

describe('EAP-TLS with Warren at both ends', { skip: missing('ping', 'iperf3', 'nft', 'openssl') }, () => {
  before(begin)
  afterEach(end)
  after(() => net.close())

  test('packets flow both ways, and a user of a password is none here', async () => {
    const gateway = await warren(a, 'a', 'gateway.example', GATEWAY())
    const client = await warren(b, 'b', 'carol.example', CLIENT(2))
    assert.equal((await established(gateway)).remoteId, 'FQDN/carol.example')
    assert.equal((await established(client)).remoteId, 'FQDN/gateway.example')
    pings()
    await iperf()
  })
})
