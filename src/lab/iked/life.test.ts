/** What a daemon does over time: peers that die, SAs that grow old, files that change. In virtual time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IpPrefix, milliseconds, parseIpAddress, seconds } from '../../base/index.js'
import { addressIdentity, type IkePolicy } from '../../proto/ikev2/index.js'
import { onTheWire } from '../scenarios/scenario.js'
import { startIked } from './service.js'
import { configuration, flow, ikedPair, type Pair, policy } from './testing.js'

const headersSince = (pair: Pair, frame: number): string[] => [
  ...new Set(onTheWire(pair.lab.frames.slice(frame)).map(({ headers }) => headers)),
]

async function established(overrides: Partial<IkePolicy> = {}): Promise<Pair> {
  const pair = await ikedPair()
  await pair.start('alice', overrides)
  await pair.start('bob', overrides)
  await pair.wait(1)
  assert.equal(pair.alice.iked?.established, 1)
  return pair
}

test('a peer that is switched off is found dead, its SAs go, and nothing leaves in clear; it comes back by itself', async () => {
  const pair = await established({ deadPeerAfter: seconds(60) })
  pair.lab.vmd.stop('alice')
  await pair.wait(600)
  assert.equal(pair.bob.ipsec.sad.size, 0)
  assert.ok((await pair.log('bob')).some((line) => /sa_free: the peer does not answer/.test(line)))
  const frame = pair.lab.frames.length
  const { stdout } = await pair.run('bob', 'ping -c1 -w1 172.16.1.1')
  assert.match(stdout, /0 packets received/)
  assert.ok(headersSince(pair, frame).every((headers) => !/icmp$/.test(headers)))
  assert.ok(pair.bob.ipsec.counters.get('spd.require') > 0)

  await pair.lab.clock.run(pair.lab.vmd.start('alice'))
  await pair.run('alice', 'ifconfig vether0 create alias 172.16.1.1/24 up')
  await pair.start('alice')
  await pair.wait(400)
  assert.match((await pair.run('bob', 'ping -c1 172.16.1.1')).stdout, /1 packets received/)
})

test('children and the IKE SA are made anew under a ping a second, and no packet is lost', async () => {
  const pair = await established({ ikeLifetime: seconds(200), childLifetime: { seconds: 30 } })
  const before = pair.lab.securityAssociations.length
  const { stdout } = await pair.run('alice', 'ping -c450 172.16.1.2')
  assert.match(stdout, /450 packets transmitted, 450 packets received, 0\.0% packet loss/)
  assert.ok(pair.lab.securityAssociations.length - before > 40, `${pair.lab.securityAssociations.length}`)
  for (const name of ['alice', 'bob'] as const) {
    // One pair stands, or two while one takes over.
    assert.ok([2, 4].includes(pair[name].ipsec.sad.size), `${pair[name].ipsec.sad.size}`)
    assert.equal(pair[name].iked?.established, 1)
    for (const reason of ['spd.require', 'spd.clear', 'ipsec.policy', 'esp.spi', 'esp.replay', 'esp.icv'])
      assert.equal(pair[name].ipsec.counters.get(reason), 0, reason)
  }
})

test('a child is made anew by bytes as well', async () => {
  const pair = await established({ childLifetime: { bytes: 20_000 } })
  const before = pair.lab.securityAssociations.length
  const { stdout } = await pair.run('alice', 'ping -c100 -s 1000 172.16.1.2')
  assert.match(stdout, /100 packets transmitted, 100 packets received/)
  assert.ok(pair.lab.securityAssociations.length - before >= 16)
})

test('wrong pre-shared keys: both logs say so, and nothing is set up', async () => {
  const pair = await ikedPair()
  const other = { kind: 'psk' as const, secret: new TextEncoder().encode('another') }
  await pair.start('alice')
  await pair.start('bob', { localAuth: other, remoteAuth: other })
  await pair.wait(30)
  assert.equal(pair.alice.ipsec.sad.size, 0)
  for (const name of ['alice', 'bob'] as const) {
    const log = (await pair.log(name)).join('\n')
    assert.match(log, /psk/)
    assert.doesNotMatch(log, /another|dont_use_psk/)
  }
})

test('no common proposal: the responder’s log has the two values and the mend', async () => {
  const pair = await ikedPair()
  const [suite] = policy('bob').ikeSuites
  await pair.start('alice')
  await pair.start('bob', {
    ikeSuites: [{ ...suite!, encryption: [{ name: 'ENCR_AES_GCM_16', keyBits: 128 }] }],
  })
  await pair.wait(3)
  const log = (await pair.log('alice')).join('\n')
  assert.match(log, /aes-128-gcm/)
  assert.match(log, /aes-256-gcm/)
  assert.match((await pair.log('bob')).join('\n'), /proposal/i)
})

test('IPv6 outside: the same daemon on the machines’ other addresses', async () => {
  const at = (host: number) => parseIpAddress(`fd3e:62ee:99db:bb1a::${host}`)!
  const pair = await ikedPair()
  for (const [name, own, other] of [
    ['alice', 1, 2],
    ['bob', 2, 1],
  ] as const)
    await pair.start(name, {
      local: at(own),
      peer: new IpPrefix(at(other), 128),
      localId: addressIdentity(at(own)),
      flows: [flow('172.16.1.0/24', '172.16.1.0/24')],
    })
  await pair.wait(3)
  const frame = pair.lab.frames.length
  assert.match((await pair.run('alice', 'ping -c2 172.16.1.2')).stdout, /2 packets received/)
  assert.ok(headersSince(pair, frame).includes('ethernet ipv6 esp'))
  assert.ok((await pair.log('alice')).some((line) => line.includes('peer [fd3e:62ee:99db:bb1a::2]:500')))
})

test('transport mode between the hosts themselves', async () => {
  const pair = await ikedPair()
  for (const [name, own, other] of [
    ['alice', 1, 2],
    ['bob', 2, 1],
  ] as const)
    await pair.start(name, {
      mode: 'transport',
      flows: [flow(`192.168.1.${own}/32`, `192.168.1.${other}/32`)],
    })
  await pair.wait(1)
  const frame = pair.lab.frames.length
  assert.match((await pair.run('alice', 'ping -c2 192.168.1.2')).stdout, /2 packets received/)
  assert.deepEqual(headersSince(pair, frame), ['ethernet ipv4 esp'])
  assert.match(
    (await pair.run('alice', 'ipsecctl -ssa')).stdout,
    /^esp transport from 192\.168\.1\.1 to 192\.168\.1\.2 spi/m,
  )
})

test('AES-CBC with a MAC, extended numbers or not, and ChaCha20: each carries', async () => {
  for (const child of [
    {
      encryption: [{ name: 'ENCR_AES_CBC', keyBits: 256 }],
      integrity: ['AUTH_HMAC_SHA2_256_128'],
      esn: [false],
    },
    { encryption: [{ name: 'ENCR_CHACHA20_POLY1305', keyBits: 256 }], integrity: [], esn: [true] },
  ] as const) {
    const pair = await established({ childSuites: [{ prf: [], keyExchange: [], ...child }] })
    assert.match((await pair.run('alice', 'ping -c2 172.16.1.2')).stdout, /2 packets received/)
  }
})

test('two policies with one peer: each flow goes by its own SA', async () => {
  const pair = await ikedPair()
  for (const name of ['alice', 'bob'] as const)
    await pair.run(name, `ifconfig vether1 create alias 172.16.9.${name === 'alice' ? 1 : 2}/24 up`)
  const identity = (text: string) => addressIdentity(parseIpAddress(text)!)
  // Who the peer says it is tells alice which of the two policies is meant.
  const two = (name: 'alice' | 'bob'): IkePolicy[] => {
    const [own, other] = name === 'alice' ? [1, 2] : [2, 1]
    return [1, 9].map((network) =>
      policy(name, {
        name: `policy${network}`,
        localId: identity(`10.0.${network}.${own}`),
        remoteId: identity(`10.0.${network}.${other}`),
        flows: [flow(`172.16.${network}.0/24`, `172.16.${network}.0/24`)],
      }),
    )
  }
  for (const name of ['alice', 'bob'] as const)
    assert.deepEqual(await startIked(pair[name], { configuration: configuration(...two(name)) }), [])
  await pair.wait(3)
  assert.equal(pair.alice.ipsec.sad.size, 4)
  assert.match((await pair.run('alice', 'ping -c2 172.16.1.2')).stdout, /2 packets received/)
  assert.match((await pair.run('alice', 'ping -c2 172.16.9.2')).stdout, /2 packets received/)
  const used = pair.alice.ipsec.sad.list().filter(({ packets }) => packets === 2)
  assert.equal(used.length, 4)
})

test('loss and disorder on the cable: established all the same, and pings go through', async () => {
  const pair = await ikedPair({ faults: { delay: milliseconds(2), jitter: milliseconds(5), loss: 0.2 } })
  await pair.start('alice')
  await pair.start('bob')
  await pair.wait(60)
  const { stdout } = await pair.run('alice', 'ping -c50 172.16.1.2')
  assert.ok(Number(/(\d+) packets received/.exec(stdout)?.[1]) > 15, stdout)
})
