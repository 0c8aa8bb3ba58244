import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressedPair, pair } from './net/testing.js'

test('without a name: every file, what others are made of first, then mygate', async () => {
  const { alice, bob, ok } = await pair()
  await ok(bob, 'ifconfig vio0 192.168.1.2/24')
  await ok(
    alice,
    `echo "add vether0\nup" > /etc/hostname.bridge0
echo "inet 10.0.0.1/24" > /etc/hostname.vether0
printf "tunnel 192.168.1.1 192.168.1.2\\nalias 172.16.0.1 172.16.0.2\\nup\\n!route add 10.8.0.0/16 172.16.0.2\\n" > /etc/hostname.gif0
echo "inet 192.168.1.1 255.255.255.0 NONE" > /etc/hostname.vio0
echo 192.168.1.2 > /etc/mygate
sh /etc/netstart`,
  )
  assert.match(await ok(alice, 'ifconfig bridge0'), /\tvether0 flags=3/)
  assert.match(
    await ok(alice, 'ifconfig gif0'),
    /tunnel: inet 192\.168\.1\.1 -> 192\.168\.1\.2 .*\n\tinet 172\.16\.0\.1 --> 172\.16\.0\.2/,
  )
  const routes = await ok(alice, 'netstat -rn -f inet')
  assert.match(routes, /\ndefault +192\.168\.1\.2 +UGS/)
  assert.match(routes, /\n10\.8\/16 +172\.16\.0\.2 +UGS/)
  assert.match(await ok(alice, 'ifconfig egress'), /^vio0: /)
  assert.match(
    await ok(alice, 'route -n get default'),
    /^ {3}route to: default\ndestination: default\n {7}mask: default\n {4}gateway: 192\.168\.1\.2\n/,
  )
})

test('-n shows what would be done and does nothing', async () => {
  const { alice, ok } = await pair()
  await ok(alice, 'printf "tunnel 192.168.1.1 192.168.1.2\\nup\\n" > /etc/hostname.gif0')
  assert.equal(
    await ok(alice, 'sh /etc/netstart -n gif0'),
    '{ ifconfig gif0 || ifconfig gif0 create; }\nifconfig gif0 tunnel 192.168.1.1 192.168.1.2\nifconfig gif0 up\n',
  )
  assert.equal(alice.device('gif0'), undefined)
})

test('a mistake in one of two files: neither is obeyed', async () => {
  const { alice, run } = await pair()
  const { stderr, exitCode } = await run(
    alice,
    'echo "inet 10.0.0.1/24" > /etc/hostname.vether0; echo "tunnel 10.0.0.1" > /etc/hostname.gif0; sh /etc/netstart',
  )
  assert.equal(exitCode, 1)
  assert.match(stderr, /^netstart: \/etc\/hostname\.gif0:1/)
  assert.equal(alice.device('vether0'), undefined)
})

test('no file, no interface name, a router that is no address', async () => {
  const { alice, run } = await addressedPair()
  const error = async (text: string): Promise<string> => (await run(alice, text)).stderr
  assert.equal(
    await error('sh /etc/netstart vio1'),
    'netstart: /etc/hostname.vio1: No such file or directory (did you mean hostname.vio0?)\n',
  )
  assert.match(await error('sh /etc/netstart vio'), /^netstart: vio: not an interface name, as in vio0/)
  assert.match(
    await error('echo gateway > /etc/mygate; sh /etc/netstart'),
    /^netstart: \/etc\/mygate:1: found gateway, expected an IP address/,
  )
  assert.match(
    await error('sh /etc/netstart -z'),
    /^netstart: unknown option -- z\nusage: sh \/etc\/netstart/,
  )
})
