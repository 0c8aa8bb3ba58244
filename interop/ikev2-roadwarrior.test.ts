/**
 * Addresses that a gateway assigns, with strongSwan's charon at the other end: Warren is the client, and the gateway. The
 * address stands on an interface while there is an SA that has it, and is somebody else's afterwards.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { IkeAuthNet, NAME_A, NAME_B } from './lib/ike-auth-net.js'
import { established, IkeHosts, pings, SteadyPing, sasOf, until } from './lib/ike-hosts.js'
import { missing } from './lib/need.js'
import type { Charon } from './lib/peers/strongswan.js'
import type { WarrenProcess } from './lib/warren.js'

const NEEDS = missing('ping', 'iperf3', 'nft', '/usr/sbin/charon-systemd', 'swanctl')
const SECRET = 'keys of a gateway'
const PSK = {
  local: `auth = psk\n      id = ${NAME_B}`,
  remote: `auth = psk\n      id = ${NAME_A}`,
}
const SECRETS = `secrets {\n  ike-1 {\n    secret = "${SECRET}"\n  }\n}`
const SUITES = 'ikesa enc aes-256-gcm prf hmac-sha2-256 group curve25519 childsa enc aes-256-gcm noesn'

describe('IKEv2 with strongSwan: addresses for clients', { skip: NEEDS }, () => {
  let world: IkeAuthNet
  before(() => {
    world = new IkeAuthNet('ir')
  })
  afterEach(async () => {
    await world.end()
    world.clear()
  })
  after(() => world.net.close())

  const addressesOf = (host: string): string => world.net.run(host, 'ip -br addr')

  describe('Warren is the client', () => {
    /** `to`: what is behind the gateway. */
    const client = (flows: string, rest: string): string =>
      `ikev2 "away" active esp ${flows} local 192.168.1.1 peer 192.168.1.2 ${SUITES} \\
  srcid ${NAME_A} dstid ${NAME_B} psk "${SECRET}" ${rest}`

    const gateway = (pools: string, more: { localTs: string }): Promise<Charon> =>
      world.charon({
        ...PSK,
        connection: `pools = ${/pool6/.test(pools) ? 'pool4, pool6' : 'pool4'}`,
        localTs: more.localTs,
        remoteTs: 'dynamic',
        rest: `${SECRETS}\npools {\n${pools}\n}`,
      })
    const POOL4 = '  pool4 {\n    addrs = 10.9.0.5-10.9.0.9\n    dns = 10.1.2.53\n  }'
    const POOL6 = '  pool6 {\n    addrs = fd09::5-fd09::9\n  }'

    test('everything goes by the tunnel, from the address on enc0; an IKE SA made anew keeps it', async () => {
      const peer = await gateway(`${POOL4}\n${POOL6}`, { localTs: '0.0.0.0/0,::/0' })
      const w = await world.warren(
        client('from dynamic to any', 'request address any request address :: request name-server any'),
      )
      const before = await established(w)
      assert.deepEqual([...(before.assigned?.addresses ?? [])].sort(), ['10.9.0.5', 'fd09::5'])
      assert.deepEqual(before.assigned?.nameServers, ['10.1.2.53'])
      assert.match(addressesOf(world.a), /enc0 +\S+ +10\.9\.0\.5\/32 fd09::5\/128/)
      assert.match(w.log(), /name servers are 10\.1\.2\.53/)
      assert.match(
        await w.status(),
        /assigned to us: address 10\.9\.0\.5, address fd09::5, name-server 10\.1\.2\.53/,
      )
      // No source is named: it is the address that was assigned.
      for (const there of ['10.1.2.1', 'fd02::1'])
        assert.match(world.net.run(world.a, `ping -c 3 -i 0.2 -W 2 ${there}`), /3 received/)
      pings(world.net, [
        [world.a, '10.9.0.5'],
        [world.b, '10.1.2.1'],
      ])
      await world.iperf([world.a, '10.9.0.5'], [world.b, '10.1.2.1'])
      const hosts = new IkeHosts(world.net)
      const ping = await SteadyPing.start(hosts, world.a, '10.9.0.5', '10.1.2.1')
      await peer.swanctl('--rekey', '--ike', 'tunnel')
      await until(
        'another IKE SA',
        async () => {
          const sas = await sasOf(w)
          return sas.length === 1 && sas[0]!.initiatorSpi !== before.initiatorSpi
        },
        () => w.log(),
      )
      await ping.goesOn(() => w.log())
      assert.deepEqual(await ping.end(), [])
      await hosts.end()
      assert.match(addressesOf(world.a), /10\.9\.0\.5\/32/)
      assert.deepEqual((await sasOf(w))[0]!.assigned, before.assigned)
      // The gateway ends, and with it the SA.
      await peer.daemon.stop()
      await until(
        'no address',
        () => !addressesOf(world.a).includes('10.9.0.5'),
        () => `${w.log()}${addressesOf(world.a)}`,
      )
      assert.throws(() => world.net.run(world.a, 'ping -c 1 -W 1 -I 10.1.1.1 10.9.0.5'))
    })

    test('both families; the policy names an interface that is not there', async () => {
      const peer = await gateway(`${POOL4}\n${POOL6}`, { localTs: '10.1.2.1/32,fd02::1/128' })
      const w = await world.warren(
        client(
          'from dynamic to 10.1.2.1 from dynamic to fd02::1',
          'request address any request address :: iface lo1',
        ),
      )
      const { assigned } = await established(w)
      assert.deepEqual([...(assigned?.addresses ?? [])].sort(), ['10.9.0.5', 'fd09::5'])
      assert.match(addressesOf(world.a), /lo1 +\S+ +10\.9\.0\.5\/32 fd09::5\/128/)
      for (const [here, there] of [
        ['10.9.0.5', '10.1.2.1'],
        ['fd09::5', 'fd02::1'],
      ] as const)
        pings(world.net, [
          [world.a, here],
          [world.b, there],
        ])
      // No source is named, and the address is not the kernel's first choice by itself.
      for (const there of ['10.1.2.1', 'fd02::1'])
        assert.match(world.net.run(world.a, `ping -c 3 -i 0.2 -W 2 ${there}`), /3 received/)
      await peer.daemon.stop()
      await until(
        'no lo1',
        () => !/lo1/.test(addressesOf(world.a)),
        () => `${w.log()}${addressesOf(world.a)}`,
      )
    })

    test('an interface that is there keeps its own addresses', async () => {
      world.net.run(
        world.a,
        'ip link add port0 type veth peer name port1; ip link set port0 up; ip link set port1 up; ip addr add 10.3.0.1/24 dev port0',
      )
      await gateway(POOL4, { localTs: '10.1.2.1/32' })
      const w = await world.warren(client('from dynamic to 10.1.2.1', 'request address any iface port0'))
      await established(w)
      assert.match(addressesOf(world.a), /port0\S* +\S+ +10\.3\.0\.1\/24 10\.9\.0\.5\/32/)
      pings(world.net, [
        [world.a, '10.9.0.5'],
        [world.b, '10.1.2.1'],
      ])
      await w.stop()
      assert.match(addressesOf(world.a), /port0\S* +\S+ +10\.3\.0\.1\/24/)
      assert.doesNotMatch(addressesOf(world.a), /10\.9\.0\.5/)
    })

    test('a gateway without addresses: the log says what to do', async () => {
      await world.charon({ ...PSK, localTs: '10.1.2.1/32', remoteTs: 'dynamic', rest: SECRETS })
      const w = await world.warren(client('from dynamic to 10.1.2.1', 'request address any'))
      await until(
        'the mend',
        () => /enc0: .*(address|CP|INTERNAL_ADDRESS_FAILURE|selectors).*\(.*\)/i.exec(w.log())?.[0],
        () => w.log(),
      )
      assert.doesNotMatch(addressesOf(world.a), /10\.9\.0/)
    })
  })

  describe('Warren is the gateway', () => {
    const gateway = (pool: string): Promise<WarrenProcess> =>
      world.warren(`ikev2 "clients" passive esp from 10.1.1.0/24 to dynamic from fd01::/64 to dynamic \\
  local 192.168.1.1 peer any ${SUITES} srcid ${NAME_A} psk "${SECRET}" ${pool}`)
    const client = (vips: string, remoteTs: string, name = 'b'): Promise<Charon> =>
      world.charon({
        ...PSK,
        local: `auth = psk\n      id = ${name}.example.com`,
        connection: `vips = ${vips}`,
        localTs: 'dynamic',
        remoteTs,
        rest: SECRETS,
      })

    test('a client gets the address of the pool, and the next one when it has gone', async () => {
      // Of its two hosts one is the gateway itself.
      world.net.run(world.a, 'ip addr add 10.9.0.1/32 dev lo')
      const w = await gateway('config address 10.9.0.0/30 config name-server 10.1.1.53')
      for (const name of ['one', 'two', 'three']) {
        const peer = await client('0.0.0.0', '10.1.1.0/24', name)
        await peer.swanctl('--initiate', '--child', 'tunnel')
        const sa = await established(w)
        assert.equal(sa.remoteId, `FQDN/${name}.example.com`)
        const [address = ''] = sa.assigned?.addresses ?? []
        assert.equal(address, '10.9.0.2')
        const quoted = address.replaceAll('.', '\\.')
        assert.match(addressesOf(world.b), new RegExp(`${quoted}/32`))
        pings(world.net, [
          [world.a, '10.1.1.1'],
          [world.b, address],
        ])
        if (name === 'one') await world.iperf([world.b, address], [world.a, '10.1.1.1'])
        assert.match(await w.status(), new RegExp(`given: address ${quoted}, name-server 10\\.1\\.1\\.53`))
        await peer.daemon.stop()
        await until(
          'the end of the SA',
          async () => (await sasOf(w)).length === 0,
          () => w.log(),
        )
        // What was for it alone goes nowhere now.
        assert.throws(() => world.net.run(world.a, `ping -c 1 -W 1 -I 10.1.1.1 ${address}`))
      }
    })

    test('both families, and the client asks for one address', async () => {
      const w = await gateway('config address 10.9.0.0/24 config address fd09::/120')
      const peer = await client('10.9.0.77, ::', '10.1.1.0/24,fd01::/64')
      await peer.swanctl('--initiate', '--child', 'tunnel')
      const { assigned } = await established(w)
      const [four, six] = assigned!.addresses as [string, string]
      assert.equal(four, '10.9.0.77')
      for (const [here, there] of [
        ['10.1.1.1', four],
        ['fd01::1', six],
      ] as const)
        pings(world.net, [
          [world.a, here],
          [world.b, there],
        ])
    })
  })
})
