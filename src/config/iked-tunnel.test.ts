import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseIpAddress, WarrenError } from '../base/index.js'
import type { Credentials } from '../proto/ikev2/index.js'
import type { IkedTunnelHost } from './iked-tunnel.js'
import { checkTogether, formatOf, loadTunnels } from './load.js'

const address = (text: string): NonNullable<ReturnType<typeof parseIpAddress>> => parseIpAddress(text)!
const nobody: Credentials = {
  own: () => undefined,
  peer: () => ({ refused: 'nobody', mend: '' }),
  authorities: () => new Uint8Array(0),
}
const host: IkedTunnelHost = {
  view: {
    hostname: 'a.example.com',
    addresses: [address('192.168.1.1'), address('10.9.0.1'), address('fd00::1')],
    localFor: (peer) => (peer.family === 4 ? address('192.168.1.1') : address('fd00::1')),
    interfaceAddresses: (name) => (name === 'eth0' ? [address('192.168.1.1')] : undefined),
  },
  credentials: () => nobody,
}

const load = (text: string, file = 'iked.conf'): ReturnType<typeof loadTunnels> =>
  loadTunnels(text, file, undefined, { iked: host, mode: 0o100600 })

const SITE = 'ikev2 "site" active esp from 10.1.0.0/24 to 10.2.0.0/24 peer 192.168.1.2 psk "secret"'

test('iked.conf is known by its name', () => {
  assert.equal(formatOf('/etc/iked.conf'), 'iked.conf')
  assert.equal(formatOf('site-a.iked.conf'), 'iked.conf')
  assert.notEqual(formatOf('mykiked.conf'), 'iked.conf')
})

test('one interface in front of all policies, heard where they have an end', () => {
  const [tunnel, ...more] = load(SITE)
  assert.deepEqual(more, [])
  assert.equal(tunnel!.kind, 'ikev2')
  assert.equal(tunnel!.name, 'enc0')
  // local any: every address that is of the peer's family.
  assert.deepEqual(tunnel!.ike!.addresses.map(String), ['192.168.1.1', '10.9.0.1'])
  assert.equal(tunnel!.ike!.policies[0]!.name, 'site')
  const [bound] = load(SITE.replace('peer', 'local 192.168.1.1 peer'))
  assert.deepEqual(bound!.ike!.addresses.map(String), ['192.168.1.1'])
})

test('the MTU leaves room for the largest that may be agreed upon, in UDP', () => {
  const mtuOf = (child: string): number => load(SITE.replace(' psk', ` childsa ${child} psk`))[0]!.mtu
  // 1500 - 20 (IP) - 8 (UDP) - 8 (ESP) - 8 (IV) - 16 (ICV) = 1440, less a trailer of 2.
  assert.equal(mtuOf('enc aes-256-gcm'), 1438)
  // 1500 - 20 - 8 - 8 - 16 (IV) - 16 (ICV) = 1432, whole blocks of 16: 1424, less 2.
  assert.equal(mtuOf('enc aes-256 auth hmac-sha2-256'), 1422)
  assert.equal(mtuOf('enc aes-256-gcm childsa enc aes-256 auth hmac-sha2-256'), 1422)
  // Whoever the peer will be: the length of an outer header hangs on its family alone.
  const gcm = 'childsa enc aes-256-gcm psk "secret"'
  const open = (local: string): number =>
    load(`ikev2 passive esp from 10.1.0.0/24 to 10.2.0.0/24 local ${local} ${gcm}`)[0]!.mtu
  assert.equal(open('192.168.1.1'), 1438)
  assert.equal(open('fd00::1'), 1418)
})

test('a machine has one of them, and no ipsec.conf beside it', () => {
  const ipsec = loadTunnels(
    'flow esp from 10.3.0.0/24 to 10.4.0.0/24 peer 192.168.1.3',
    'ipsec.conf',
    undefined,
    {
      mode: 0o100600,
    },
  )
  for (const other of [load(SITE, 'b.iked.conf'), ipsec])
    assert.throws(
      () => checkTogether([...other, ...load(SITE)]),
      (error: unknown) =>
        error instanceof WarrenError &&
        error.code === 'CONFIG_DUPLICATE' &&
        /one iked\.conf/.test(error.details.mend ?? ''),
    )
})

test('others may not read the file; without a host there is nothing to run it on', () => {
  assert.throws(
    () => loadTunnels(SITE, 'iked.conf', undefined, { iked: host, mode: 0o100644 }),
    (error: unknown) => error instanceof WarrenError && error.code === 'CONFIG_PERMISSIONS',
  )
  assert.throws(
    () => loadTunnels(SITE, 'iked.conf'),
    (error: unknown) => error instanceof WarrenError && error.code === 'HOST_POLICIES',
  )
})

test('set decouple', () => {
  assert.equal(load(`set decouple\n${SITE}`)[0]!.ike!.decoupled, true)
  assert.equal(load(SITE)[0]!.ike!.decoupled, undefined)
})
