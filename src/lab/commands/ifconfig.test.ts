import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressedPair, type Pair, pair } from './net/testing.js'

/** Standard error of a command line that must fail with status 1. */
async function refused({ run, alice }: Pair, text: string): Promise<string> {
  const { stderr, exitCode } = await run(alice, text)
  assert.equal(exitCode, 1, text)
  return stderr
}

test('addresses: the first is replaced, an alias is added, IPv6 is always added, delete takes the first', async () => {
  const { alice, ok } = await pair()
  const addresses = (): string[] =>
    alice.device('vio0')!.interface.addresses.map((own) => `${own.address}/${own.prefixLength}`)
  await ok(alice, 'ifconfig vio0 10.1.1.1/24')
  assert.ok(alice.device('vio0')!.interface.up, 'an address brings its interface up')
  await ok(alice, 'ifconfig vio0 inet 10.2.2.2 netmask 255.255.0.0')
  assert.deepEqual(addresses(), ['10.2.2.2/16'])
  await ok(alice, 'ifconfig vio0 alias 10.3.3.3')
  assert.deepEqual(addresses(), ['10.2.2.2/16', '10.3.3.3/8'])
  await ok(alice, 'ifconfig vio0 inet6 fd00::1 prefixlen 48; ifconfig vio0 inet6 fd00::2/64')
  assert.ok(addresses().includes('fd00::1/48') && addresses().includes('fd00::2/64'))
  await ok(alice, 'ifconfig vio0 delete; ifconfig vio0 -inet6')
  assert.deepEqual(addresses(), ['10.3.3.3/8'])
})

test('gre: key, ttl, df, keepalive, and back', async () => {
  const { alice, ok } = await pair()
  await ok(alice, 'ifconfig vio0 192.168.1.1/24')
  await ok(
    alice,
    'ifconfig gre0 create vnetid 5 tunnelttl 12 tunneldf keepalive 5 3 description "to bob" tunnel 192.168.1.1 192.168.1.2',
  )
  const index = alice.device('gre0')!.interface.index
  assert.equal(
    await ok(alice, 'ifconfig gre0'),
    `gre0: flags=8010<POINTOPOINT,MULTICAST> mtu 1476
\tdescription: to bob
\tindex ${index} priority 0 llprio 6
\tkeepalive: timeout 5 count 3
\tencap: vnetid 5 txprio payload rxprio packet
\tgroups: gre
\tstatus: no carrier
\ttunnel: inet 192.168.1.1 -> 192.168.1.2 ttl 12 df ecn
`,
  )
  await ok(alice, 'ifconfig gre0 -vnetid -tunneldf tunnelttl copy -keepalive -description -tunnel')
  assert.equal(
    await ok(alice, 'ifconfig gre0'),
    `gre0: flags=8010<POINTOPOINT,MULTICAST> mtu 1476
\tindex ${index} priority 0 llprio 6
\tencap: vnetid none txprio payload rxprio packet
\tgroups: gre
\ttunnel: (unset) ttl copy nodf ecn
`,
  )
})

test('groups stand for their members; a number left out stands for all of the kind', async () => {
  const { alice, ok } = await pair()
  await ok(alice, 'ifconfig gif0 create; ifconfig gif1 create; ifconfig vio0 group dmz mtu 1400')
  assert.match(await ok(alice, 'ifconfig dmz'), /^vio0: .* mtu 1400\n/)
  assert.deepEqual((await ok(alice, 'ifconfig gif')).match(/^gif\d/gm), ['gif0', 'gif1'])
  await ok(alice, 'ifconfig vio0 -group dmz; ifconfig gif1 destroy')
  assert.deepEqual((await ok(alice, 'ifconfig')).match(/^\w+/gm), ['lo0', 'vio0', 'gif0'])
})

test('bridge members come and go', async () => {
  const made = await pair()
  const { alice, ok } = made
  await ok(alice, 'ifconfig vether0 create up; ifconfig bridge0 create add vether0 up')
  const index = alice.device('vether0')!.interface.index
  assert.match(
    await ok(alice, 'ifconfig bridge0'),
    new RegExp(`\tvether0 flags=3<LEARNING,DISCOVER>\n\t\tport ${index} ifpriority 0 ifcost 0\n`),
  )
  await ok(alice, 'ifconfig bridge0 add vether0; ifconfig bridge0 del vether0')
  assert.doesNotMatch(await ok(alice, 'ifconfig bridge0'), /vether0/)
  const missing = 'ifconfig: bridge0: vether0: No such file or directory\n'
  assert.equal(await refused(made, 'ifconfig bridge0 del vether0'), missing)
  assert.match(
    await refused(made, 'ifconfig bridge0 add vether7'),
    /vether7: No such file or directory \(did you mean vether0\?\)/,
  )
  assert.match(
    await refused(made, 'ifconfig bridge0 10.0.0.1/24'),
    /SIOCAIFADDR: Inappropriate ioctl for device/,
  )
})

test('the only bridge is meant by another number, and that is said', async () => {
  const { alice, run, ok } = await pair()
  assert.equal((await run(alice, 'ifconfig bridge0')).stderr, 'ifconfig: bridge0: no such interface\n')
  await ok(alice, 'ifconfig bridge1 create up')
  const { stdout, stderr } = await run(alice, 'ifconfig bridge0')
  assert.match(stdout, /^bridge1: flags=41<UP,RUNNING>/)
  assert.equal(stderr, 'ifconfig: bridge0: no such interface; the only bridge here is bridge1: taking that\n')
})

test('values that cannot be: what was found, what is wanted, and nothing changed', async () => {
  const made = await pair()
  const { alice } = made
  assert.match(
    await refused(made, 'ifconfig vio0 10.0.0.1/33'),
    /^ifconfig: prefix length 33: bad value \(expected .*0 to 32\)\nusage: /,
  )
  assert.match(await refused(made, 'ifconfig vio0 mtu abc'), /^ifconfig: mtu abc: bad value/)
  assert.match(await refused(made, 'ifconfig vio0 netmask'), /^ifconfig: netmask: no address before it/)
  assert.match(await refused(made, 'ifconfig gif0 tunnel 10.0.0.1'), /^ifconfig: 'tunnel' requires argument/)
  assert.match(
    await refused(made, 'ifconfig vio0 nwid net'),
    /^ifconfig: nwid: a word of ifconfig that Warren does not do/,
  )
  assert.match(
    await refused(made, 'ifconfig vio0 10.0.0.1/24 upp'),
    /^ifconfig: upp: unknown word \(did you mean up\?\)/,
  )
  assert.equal(alice.device('vio0')!.interface.addresses.length, 0)
  assert.match(
    await refused(made, 'ifconfig gif1 vnetid 5'),
    /^ifconfig: SIOCSVNETID: Inappropriate ioctl for device/,
  )
  assert.equal(alice.device('gif1'), undefined, 'made by the way, and gone with the mistake')
  assert.match(
    await refused(made, 'ifconfig eoip0 vnetid 70000'),
    /SIOCSVNETID: Invalid argument \(eoip takes 0 to 65535/,
  )
  assert.match(await refused(made, 'ifconfig vio0 destroy'), /^ifconfig: SIOCIFDESTROY: Invalid argument/)
  assert.match(await refused(made, 'ifconfig -z'), /^ifconfig: unknown option -- z\nusage: ifconfig/)
})

test('tunnel interfaces and vether take the MTU that their kind takes', async () => {
  const made = await pair()
  const { alice, ok } = made
  await ok(alice, 'ifconfig gif0 create mtu 1400')
  assert.equal(alice.device('gif0')!.interface.mtu, 1400)
  assert.match(
    await refused(made, 'ifconfig gif0 mtu 100'),
    /^ifconfig: SIOCSIFMTU: Invalid argument \(gif takes \d+ to 8192\)\n$/,
  )
  await ok(alice, 'ifconfig vether0 create inet6 fd00::1/64')
  assert.match(await refused(made, 'ifconfig vether0 mtu 1000'), /an IPv6 address needs 1280/)
})

test('lo0 has the addresses of OpenBSD, and fe80::1 on another link is somebody else', async () => {
  const { alice, bob, ok } = await addressedPair()
  assert.match(
    await ok(alice, 'ifconfig lo0'),
    /\tinet6 ::1 prefixlen 128\n\tinet6 fe80::1%lo0 prefixlen 64 scopeid 0x\d\n\tinet 127\.0\.0\.1 netmask 0xff000000\n/,
  )
  assert.match(await ok(alice, 'netstat -rnf inet6'), /^fe80::1%lo0 +fe80::1%lo0 +UHl +0 +0 32768 +1 lo0 *$/m)
  assert.match(await ok(alice, 'netstat -rn'), /^fe80::%vio0\/64 +fe80::\S+%vio0 +UCn/m)
  await ok(bob, 'ifconfig vio0 inet6 fe80::1 prefixlen 64')
  assert.match(await ok(alice, 'ping6 -c2 fe80::1%vio0'), / 2 packets received/)
})
