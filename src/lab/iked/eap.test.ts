import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IpPrefix, parseIpAddress } from '../../base/index.js'
import { type IkePolicy, selectorOfPrefix } from '../../proto/ikev2/index.js'
import { onTheWire } from '../scenarios/scenario.js'
import { ikedPair } from './testing.js'

const secret = new TextEncoder().encode('the gateway’s own')
const ANY = selectorOfPrefix(IpPrefix.parse('0.0.0.0/0')!)
const INNER = selectorOfPrefix(IpPrefix.parse('172.16.1.0/24')!)

const gateway: Partial<IkePolicy> = {
  remoteAuth: { kind: 'eap', method: 'mschap-v2', users: [{ name: 'test', password: 'password123' }] },
  localAuth: { kind: 'psk', secret },
  flows: [{ local: INNER, remote: ANY, dynamic: 'remote' }],
  serves: [{ option: 'address', family: 4, address: parseIpAddress('10.9.0.0')!, prefixLength: 24 }],
}
const client = (password: string): Partial<IkePolicy> => ({
  localAuth: { kind: 'eap', method: 'mschap-v2', users: [{ name: 'test', password }] },
  remoteAuth: { kind: 'psk', secret },
  flows: [{ local: ANY, remote: INNER, dynamic: 'local' }],
  requests: [{ option: 'address', family: 4 }],
  iface: 'lo1',
})

test('a client logs in, gets an address, and is carried with that address alone', async () => {
  const pair = await ikedPair()
  await pair.run('bob', 'ifconfig lo1 create')
  await pair.start('alice', gateway)
  await pair.start('bob', client('password123'))
  await pair.wait(1)
  const [assigned] = (await pair.log('alice')).filter((line) => line.includes('assigned'))
  const address = /assigned address (10\.9\.0\.\d+) to KEY_ID\/test$/.exec(assigned ?? '')?.[1]
  assert.ok(address !== undefined, assigned)
  assert.ok((await pair.log('bob')).some((line) => line.endsWith(`obtained lease: ${address}`)))

  assert.match(
    (await pair.run('bob', 'ifconfig lo1')).stdout,
    new RegExp(`inet ${address} netmask 0xffffffff`),
  )
  // As a default route would be.
  await pair.run('alice', 'route add 10.9.0.0/24 192.168.1.2')
  const frames = pair.lab.frames.length
  const { stdout } = await pair.run('bob', `ping -c2 -I ${address} 172.16.1.1`)
  assert.match(stdout, /2 packets transmitted, 2 packets received/)
  const wire = onTheWire(pair.lab.frames.slice(frames))
  assert.deepEqual([...new Set(wire.map(({ headers }) => headers))], ['ethernet ipv4 esp'])

  pair.stop('bob')
  await pair.wait(1)
  assert.doesNotMatch((await pair.run('bob', 'ifconfig lo1')).stdout, /inet /)
})

test('a wrong password: both logs say so', async () => {
  const pair = await ikedPair()
  await pair.start('alice', gateway)
  await pair.start('bob', client('wrong'))
  await pair.wait(1)
  assert.ok((await pair.log('alice')).some((line) => /EAP: wrong user or password of "test"/.test(line)))
  assert.ok((await pair.log('bob')).some((line) => /EAP: the server refuses: E=691/.test(line)))
  assert.deepEqual([pair.alice.ipsec.sad.size, pair.bob.ipsec.sad.size], [0, 0])
})
