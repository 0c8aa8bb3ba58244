import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seconds } from '../../base/index.js'
import { addressedPair, pair } from './net/testing.js'

test('netstart from hostname.vio0, and both pings of the article', async () => {
  const { alice, bob, ok } = await addressedPair()
  const shown = await ok(alice, 'ifconfig vio0')
  assert.match(
    shown,
    /^vio0: flags=8843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST> mtu 1500\n\tlladdr fe:e1:bb:d1:2a:01\n/,
  )
  assert.match(shown, /\tinet 192\.168\.1\.1 netmask 0xffffff00 broadcast 192\.168\.1\.255\n/)
  assert.match(shown, /\tinet6 fd3e:62ee:99db:bb1a::1 prefixlen 64\n/)
  const ping = await ok(alice, 'ping -c3 192.168.1.2')
  assert.match(
    ping,
    /^PING 192\.168\.1\.2 \(192\.168\.1\.2\): 56 data bytes\n(64 bytes from 192\.168\.1\.2: icmp_seq=[012] ttl=255 time=\d+\.\d{3} ms\n){3}\n--- 192\.168\.1\.2 ping statistics ---\n3 packets transmitted, 3 packets received, 0\.0% packet loss\nround-trip min\/avg\/max\/std-dev = [\d.]+\/[\d.]+\/[\d.]+\/[\d.]+ ms\n$/,
  )
  const ping6 = await ok(bob, 'ping6 -c3 fd3e:62ee:99db:bb1a::1')
  assert.match(ping6, /64 bytes from fd3e:62ee:99db:bb1a::1: icmp_seq=2 hlim=64 time=/)
})

test('gif, as the article types it: IPv4 in IPv4, then IPv4 in IPv6', async () => {
  const { lab, alice, bob, ok } = await addressedPair()
  await ok(
    alice,
    'ifconfig gif0 create\nifconfig gif0 tunnel 192.168.1.1 192.168.1.2\nifconfig gif0 alias 172.16.0.1 172.16.0.2',
  )
  await ok(
    bob,
    'ifconfig gif0 create\nifconfig gif0 tunnel 192.168.1.2 192.168.1.1\nifconfig gif0 alias 172.16.0.2 172.16.0.1',
  )
  assert.equal(
    await ok(alice, 'ifconfig gif0'),
    `gif0: flags=8051<UP,POINTOPOINT,RUNNING,MULTICAST> mtu 1280
\tindex ${alice.device('gif0')!.interface.index} priority 0 llprio 3
\tencap: txprio payload rxprio payload
\tgroups: gif
\ttunnel: inet 192.168.1.1 -> 192.168.1.2 ttl 64 nodf ecn
\tinet 172.16.0.1 --> 172.16.0.2 netmask 0xffff0000
`,
  )
  assert.match(await ok(alice, 'ping -c3 172.16.0.2'), /3 packets received/)
  await ok(alice, 'ifconfig gif0 -tunnel -inet')
  assert.match(await ok(alice, 'ifconfig gif0'), /tunnel: \(unset\)/)
  await ok(bob, 'ifconfig gif0 -tunnel -inet')
  const [a, b] = ['fd3e:62ee:99db:bb1a::1', 'fd3e:62ee:99db:bb1a::2']
  await ok(alice, `ifconfig gif0 tunnel ${a} ${b}\nifconfig gif0 alias 172.16.0.1 172.16.0.2`)
  await ok(bob, `ifconfig gif0 tunnel ${b} ${a}\nifconfig gif0 alias 172.16.0.2 172.16.0.1`)
  assert.match(await ok(alice, 'ping -c3 172.16.0.2'), /3 packets received/)
  assert.ok(lab.clock.now() > seconds(4))
})

test('gre is silent until sysctl allows it; eoip bridged with vether carries a whole frame', async () => {
  const { alice, bob, ok, run } = await addressedPair()
  for (const [machine, me, peer] of [
    [alice, 1, 2],
    [bob, 2, 1],
  ] as const)
    await ok(
      machine,
      `ifconfig gre0 create up
ifconfig gre0 tunnel 192.168.1.${me} 192.168.1.${peer}
ifconfig gre0 inet 172.16.0.${me} 172.16.0.${peer}`,
    )
  const refused = await run(alice, 'ping -c1 -w1 172.16.0.2')
  assert.equal(refused.exitCode, 1)
  for (const machine of [alice, bob])
    assert.equal(await ok(machine, 'sysctl net.inet.gre.allow=1'), 'net.inet.gre.allow: 0 -> 1\n')
  assert.match(await ok(alice, 'ping -c3 172.16.0.2'), /3 packets received/)
  for (const [machine, me, peer] of [
    [alice, 1, 2],
    [bob, 2, 1],
  ] as const)
    await ok(
      machine,
      `ifconfig eoip0 create tunnel 192.168.1.${me} 192.168.1.${peer}
ifconfig eoip0 up
ifconfig vether0 create 10.0.0.${me}/24
ifconfig bridge0 create add vether0 add eoip0 up`,
    )
  assert.match(await ok(alice, 'ping -c2 -s 1472 10.0.0.2'), /1480 bytes from 10\.0\.0\.2: icmp_seq=1/)
  assert.match(await ok(alice, 'ifconfig bridge0'), /fe:e1:[0-9a-f:]+ eoip0 1 flags=0<>/)
  assert.match(await ok(alice, 'netstat -s'), /gre0:\n\t3 packets decapsulated\n/)
})

test('tcpdump prints the wire while a ping goes by, counts, and writes a file that it reads again', async () => {
  const { lab, alice, start, ok } = await addressedPair()
  const dump = await start(alice, 'tcpdump -n -i vio0 -c 2 icmp')
  const file = await start(alice, 'tcpdump -w /tmp/ping.pcap -i vio0 icmp')
  await ok(alice, 'ping -c1 192.168.1.2')
  const { stdout, stderr } = await lab.clock.run(dump.result)
  assert.match(
    stdout,
    /^\d\d:\d\d:\d\d\.\d{6} 192\.168\.1\.1 > 192\.168\.1\.2: icmp: echo request\n\S+ 192\.168\.1\.2 > 192\.168\.1\.1: icmp: echo reply\n$/,
  )
  assert.match(stderr, /^tcpdump: listening on vio0, link-type EN10MB\n/)
  assert.match(stderr, /\d packets received by filter\n0 packets dropped by kernel\n$/)
  file.stop()
  await lab.clock.run(file.result)
  assert.match(await ok(alice, 'tcpdump -n -r /tmp/ping.pcap'), /echo request\n.*echo reply\n$/)
})

test('nc: a listener gets what the other end sends, and answers', async () => {
  const { lab, alice, bob, start, ok, run } = await addressedPair()
  const listener = await start(alice, 'uname -a | nc -l6 -N 8888')
  const answer = await ok(bob, 'uname -a | nc -6 -N fd3e:62ee:99db:bb1a::1 8888')
  assert.equal(answer, 'OpenBSD alice.my.domain 6.6 GENERIC#353 amd64\n')
  assert.equal((await lab.clock.run(listener.result)).stdout, 'OpenBSD bob.my.domain 6.6 GENERIC#353 amd64\n')
  const refused = await run(bob, 'nc -vz 192.168.1.1 9')
  assert.equal(refused.exitCode, 1)
  assert.equal(refused.stderr, 'nc: connect to 192.168.1.1 port 9 (tcp) failed: Connection refused\n')
  const datagrams = await start(alice, 'nc -ul -w 2 9999')
  await ok(bob, 'echo hello | nc -u -w 1 192.168.1.1 9999')
  assert.equal((await lab.clock.run(datagrams.result)).stdout, 'hello\n')
})

test('route add, get, delete and what goes wrong', async () => {
  const { alice, ok, run } = await addressedPair()
  assert.equal(
    await ok(alice, 'route add 10.0.0.0/8 192.168.1.2'),
    'add net 10.0.0.0/8: gateway 192.168.1.2\n',
  )
  assert.match(await ok(alice, 'netstat -rn -f inet'), /\n10\/8 {15}192\.168\.1\.2 {8}UGS /)
  assert.match(await ok(alice, 'route get 10.1.1.1'), / {4}gateway: 192\.168\.1\.2\n {2}interface: vio0\n/)
  const again = await run(alice, 'route add 10.0.0.0/8 192.168.1.2')
  assert.equal(again.exitCode, 1)
  assert.equal(again.stderr, 'route: writing to routing socket: File exists\n')
  assert.equal(again.stdout, 'add net 10.0.0.0/8: gateway 192.168.1.2: File exists\n')
  const nowhere = await run(alice, 'route add default 10.9.9.9; route -n add -net 11 172.31.0.1')
  assert.match(nowhere.stderr, /writing to routing socket: Network is unreachable/)
  assert.equal(await ok(alice, 'route delete 10.0.0.0/8'), 'delete net 10.0.0.0/8\n')
  const gone = await run(alice, 'route delete 10.0.0.0/8')
  assert.equal(gone.stdout, 'delete net 10.0.0.0/8: not in table\n')
  const typo = await run(alice, 'route ad 10/8 192.168.1.2')
  assert.match(typo.stderr, /^route: botched keyword: ad \(did you mean add\?\)\nusage: route /)
})

test('ifconfig says what is wrong, and what was meant', async () => {
  const { alice, run, ok } = await addressedPair()
  const error = async (text: string): Promise<string> => {
    const { stderr, exitCode } = await run(alice, text)
    assert.equal(exitCode, 1, text)
    return stderr
  }
  assert.equal(await error('ifconfig gif7'), 'ifconfig: gif7: no such interface\n')
  await ok(alice, 'ifconfig gif0 create')
  assert.equal(await error('ifconfig gif0 create'), 'ifconfig: SIOCIFCREATE: File exists\n')
  assert.match(await error('ifconfig foo0 create'), /^ifconfig: SIOCIFCREATE: Invalid argument/)
  assert.match(await error('ifconfig gif9 destroy'), /^ifconfig: SIOCIFDESTROY: Device not configured/)
  assert.match(
    await error('ifconfig vio0 delete 10.0.0.1'),
    /^ifconfig: SIOCDIFADDR: Can't assign requested address/,
  )
  assert.match(
    await error('ifconfig vio0 tunnel 10.0.0.1 10.0.0.2'),
    /^ifconfig: SIOCSLIFPHYADDR: Inappropriate ioctl for device/,
  )
  assert.match(
    await error('ifconfig gif0 tunel 10.0.0.1 10.0.0.2'),
    /tunel: .*did you mean tunnel\?.*\nusage: ifconfig/,
  )
  assert.match(
    await error('ifconfig gif0 tunnel 10.0.0.1 10.0.0.1'),
    /^ifconfig: SIOCSLIFPHYADDR: Invalid argument/,
  )
  assert.match(await ok(alice, 'ifconfig gif0'), /tunnel: \(unset\)/)
})

test('netstart: a bad file is named with its line and changes nothing', async () => {
  const { alice, run } = await pair()
  const { stderr, exitCode } = await run(
    alice,
    'printf "inet 192.168.1.1/24\\ninett 10.0.0.1\\n" > /etc/hostname.vio0; sh /etc/netstart vio0',
  )
  assert.equal(exitCode, 1)
  assert.match(stderr, /^netstart: \/etc\/hostname\.vio0:2/)
  assert.equal(alice.device('vio0')!.interface.addresses.length, 0)
})

test('sysctl: reads, sets, refuses', async () => {
  const { alice, ok, run } = await pair()
  assert.equal(await ok(alice, 'sysctl net.inet.ip.forwarding'), 'net.inet.ip.forwarding=0\n')
  assert.equal(await ok(alice, 'sysctl net.inet.ip.forwarding=1'), 'net.inet.ip.forwarding: 0 -> 1\n')
  assert.equal(alice.stack.settings.forwarding4, true)
  assert.equal(await ok(alice, 'sysctl -n net.inet.ip.forwarding'), '1\n')
  assert.equal(
    (await run(alice, 'sysctl net.inet.ip.forwading=1')).stderr,
    'sysctl: fourth level name forwading in net.inet.ip.forwading is invalid (did you mean net.inet.ip.forwarding?)\n',
  )
  assert.equal(
    (await run(alice, 'sysctl kern.ostype=Linux')).stderr,
    'sysctl: kern.ostype: Operation not permitted\n',
  )
  assert.equal(
    (await run(alice, 'sysctl net.inet.ip.forwarding=yes')).stderr,
    'sysctl: net.inet.ip.forwarding: value is invalid: yes\n',
  )
})

test('ping without a route, without a name, without a host', async () => {
  const { alice, run } = await addressedPair()
  const { stdout, stderr, exitCode } = await run(alice, 'ping -c1 -w1 10.1.1.1')
  assert.equal(exitCode, 1)
  assert.equal(stderr, 'ping: sendmsg: No route to host\n')
  assert.match(stdout, /\nping: wrote 10\.1\.1\.1 64 chars, ret=-1\n/)
  assert.equal(
    (await run(alice, 'ping -c1 fd00::1')).stderr,
    'ping: no address associated with name (fd00::1 is an IPv6 address: use ping6)\n',
  )
  assert.match(
    (await run(alice, 'ping -c x 192.168.1.2')).stderr,
    /^ping: number of packets to transmit is invalid: x\n/,
  )
  assert.match((await run(alice, 'ping')).stderr, /^usage: ping /)
})

test('patch FILE << EOF, as the article calls it', async () => {
  const { alice, ok } = await pair()
  const said = await ok(
    alice,
    `printf 'one\\ntwo\\nthree\\n' > /etc/x.conf
patch /etc/x.conf - << EOF
@@ -1,3 +1,3 @@
 one
-two
+zwei
 three
EOF`,
  )
  assert.equal(
    said,
    'Hmm...  Looks like a unified diff to me...\nPatching file /etc/x.conf using Plan A...\nHunk #1 succeeded at 1.\ndone\n',
  )
  assert.equal(await ok(alice, 'cat /etc/x.conf'), 'one\nzwei\nthree\n')
  assert.equal(await ok(alice, 'cat /etc/x.conf.orig'), 'one\ntwo\nthree\n')
})

test('arp and ndp show who answered', async () => {
  const { alice, ok, run } = await addressedPair()
  await ok(alice, 'ping -c1 192.168.1.2; ping6 -c1 fd3e:62ee:99db:bb1a::2')
  assert.match(await ok(alice, 'arp -an'), /\n192\.168\.1\.2 +fe:e1:bb:d1:2a:02 +vio0 /)
  assert.match(await ok(alice, 'ndp -an'), /\nfd3e:62ee:99db:bb1a::2 +fe:e1:bb:d1:2a:02 +vio0 /)
  assert.equal(await ok(alice, 'arp -d 192.168.1.2'), '192.168.1.2 (192.168.1.2) deleted\n')
  assert.doesNotMatch(await ok(alice, 'arp -an'), /192\.168\.1\.2 /)
  await ok(alice, 'arp -s 192.168.1.2 02:00:00:00:00:09')
  assert.match(await ok(alice, 'arp -an'), /\n192\.168\.1\.2 +02:00:00:00:00:09 +vio0 permanent/)
  await ok(alice, 'arp -ad; ndp -c')
  const gone = await run(alice, 'arp 192.168.1.2; arp -d 192.168.1.2')
  assert.equal(gone.stdout, '192.168.1.2 (192.168.1.2) -- no entry\n')
  assert.equal(gone.stderr, "arp: delete: can't locate 192.168.1.2\n")
})

test('netstat: interfaces and their counters; what the lab has not is said', async () => {
  const { alice, ok, run } = await addressedPair()
  await ok(alice, 'ping -c2 192.168.1.2; ifconfig gif0 create')
  const shown = await ok(alice, 'netstat -in')
  assert.match(shown, /^Name {4}Mtu {3}Network {5}Address {14}Ipkts Ifail {4}Opkts Ofail Colls\n/)
  assert.match(shown, /\nvio0 {4}1500 {2}<Link> {6}fe:e1:bb:d1:2a:01 +\d+ +0 +\d+ +0 +0\n/)
  assert.match(shown, /\nvio0 {4}1500 {2}192\.168\.1\/2 192\.168\.1\.1 /)
  assert.match(shown, /\ngif0\* {3}1280 {2}<Link> /)
  assert.equal((await run(alice, 'netstat -m')).stderr, 'netstat: -m: no mbufs in the lab\n')
  assert.match(
    (await run(alice, 'netstat -I vio1')).stderr,
    /^netstat: vio1: no such interface \(did you mean vio0\?\)/,
  )
})
