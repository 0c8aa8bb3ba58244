import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressedPair } from './net/testing.js'

test('the forms of a destination', async () => {
  const { alice, ok } = await addressedPair()
  const add = (words: string): Promise<string> => ok(alice, `route -n add ${words} 192.168.1.2`)
  assert.equal(await add('10/8'), 'add net 10/8: gateway 192.168.1.2\n')
  assert.equal(await add('-net 11.0.0.0 -netmask 255.128.0.0'), 'add net 11.0.0.0: gateway 192.168.1.2\n')
  assert.equal(await add('-host 12.3.4.5'), 'add host 12.3.4.5: gateway 192.168.1.2\n')
  assert.equal(await add('13.3.4.5'), 'add host 13.3.4.5: gateway 192.168.1.2\n')
  assert.equal(await add('-inet default'), 'add net default: gateway 192.168.1.2\n')
  await ok(alice, 'route add -inet6 fd99:: -prefixlen 32 fd3e:62ee:99db:bb1a::2')
  await ok(alice, 'route add -inet6 fd98::/32 fe80::fce1:bbff:fed1:2a02%vio0')
  const shown = await ok(alice, 'route -n show')
  for (const row of ['default', '10/8', '11.0/9', '12.3.4.5', '13.3.4.5', 'fd98::/32', 'fd99::/32'])
    assert.match(shown, new RegExp(`^${row.replaceAll('.', '\\.')} +\\S+ +UG`, 'm'))
})

test('change replaces the gateway, and a refused change leaves it', async () => {
  const { alice, ok, run } = await addressedPair()
  await ok(alice, 'route add default 192.168.1.2')
  assert.equal(
    await ok(alice, 'route change default 192.168.1.3'),
    'change net default: gateway 192.168.1.3\n',
  )
  const { stderr, exitCode } = await run(alice, 'route change default 10.99.0.1 -ifp nix0')
  assert.equal(exitCode, 1)
  assert.match(stderr, /writing to routing socket: Network is unreachable/)
  assert.match(await ok(alice, 'route -n get default'), /gateway: 192\.168\.1\.3\n/)
  assert.equal(
    (await run(alice, 'route change 10/8 192.168.1.2')).stdout,
    'change net 10/8: gateway 192.168.1.2: not in table\n',
  )
})

test('flush takes the static ones; blackholes swallow; -q is silent', async () => {
  const { alice, ok, run } = await addressedPair()
  assert.equal(await ok(alice, 'route -q add 10/8 192.168.1.2'), '')
  assert.equal((await ok(alice, 'route flush')).trimEnd(), '10/8                 192.168.1.2          done')
  assert.doesNotMatch(await ok(alice, 'route show'), /10\/8/)
  await ok(alice, 'route add 10.1/16 127.0.0.1 -reject')
  assert.equal((await run(alice, 'ping -c1 -w1 10.1.1.1')).stderr, 'ping: sendmsg: No route to host\n')
})

test('no route, no gateway, no such word', async () => {
  const { alice, run } = await addressedPair()
  const gone = await run(alice, 'route get 9.9.9.9')
  assert.equal(gone.stderr, 'route: writing to routing socket: No such process\n')
  assert.equal(gone.stdout, 'get net 9.9.9.9: not in table\n')
  assert.match(
    (await run(alice, 'route add 172.16.2.2')).stderr,
    /^route: add 172\.16\.2\.2: no gateway given\nusage: /,
  )
  assert.match(
    (await run(alice, 'route add 10/8 -gatewy 1.2.3.4')).stderr,
    /botched keyword: -gatewy \(did you mean -gateway\?\)/,
  )
  assert.match(
    (await run(alice, 'route add 10.0.0.300 192.168.1.2')).stderr,
    /^route: 10\.0\.0\.300: bad address\n/,
  )
  assert.match((await run(alice, 'route')).stderr, /^usage: route /)
})
