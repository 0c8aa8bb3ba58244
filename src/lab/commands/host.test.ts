import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Lab } from '../lab.js'
import { type PlayedCommand, Player } from '../player.js'
import { testbedLab } from '../run.js'
import { HOST } from '../scenarios/article.js'

const bare = async (script: string): Promise<PlayedCommand[]> =>
  new Player(await Lab.bare(), { keepGoing: true }).play(script)
const testbed = async (script: string): Promise<PlayedCommand[]> =>
  new Player(await testbedLab(), { keepGoing: true }).play(script)
const exits = (played: readonly PlayedCommand[]): number[] => played.map(({ exit }) => exit)

test("the article's FAQ: ten new tap devices", async () => {
  const played = await bare('cd /dev\njot 10 1 | xargs -I%i args sh MAKEDEV tap%i\nls /dev\n')
  assert.deepEqual(exits(played), [0, 0, 0])
  assert.match(played[1]!.stderr, /there is no command "args"/)
  for (let i = 1; i <= 10; i++) assert.ok(played[2]!.stdout.split(/\s+/).includes(`tap${i}`), `tap${i}`)
})

test('jot', async () => {
  const played = await bare('jot 3\njot 3 5\njot 3 0 10\njot -w tap%d 2 4\njot -b x 2\njot -s , 3\njot x\n')
  assert.deepEqual(
    played.map(({ stdout }) => stdout),
    ['1\n2\n3\n', '5\n6\n7\n', '0\n5\n10\n', 'tap4\ntap5\n', 'x\nx\n', '1,2,3\n', ''],
  )
  assert.equal(played[6]?.exit, 1)
})

test('xargs', async () => {
  const played = await bare(
    "echo a b c | xargs -n2 echo\nprintf 'x y\\nz\\n' | xargs -I {} echo '<{}>'\necho false | xargs -n1 sh -c\necho a | xargs -q\n",
  )
  assert.deepEqual(
    played.map(({ stdout }) => stdout),
    ['a b\nc\n', '<x y>\n<z>\n', '', ''],
  )
  assert.deepEqual(exits(played), [0, 0, 1, 1])
})

test('vmctl and rcctl before anything is ready say what is missing', async () => {
  const played = await bare(`vmctl start alice
rcctl start vmd
rcctl check vmd
rcctl reload vmd
rcctl enable vmd
rcctl start vmd
vmctl start alice
rcctl enable nosuchd
vmctl create /tmp/x.qcow2
vmctl create -s 10G /nowhere/x.qcow2
`)
  assert.deepEqual(exits(played), [1, 1, 1, 1, 0, 0, 1, 1, 1, 1])
  const errors = played.map(({ stderr }) => stderr)
  assert.match(errors[0]!, /vmd\.sock: No such file or directory; rcctl enable vmd/)
  assert.match(errors[1]!, /need -f to force start since vmd_flags=NO/)
  assert.match(errors[6]!, /no such machine: found alice, expected a vm block in \/etc\/vm\.conf/)
  assert.match(errors[7]!, /service nosuchd does not exist/)
  assert.match(errors[8]!, /missing size/)
  assert.match(errors[9]!, /mkdir -p \/nowhere/)
})

test('a wrong vm.conf is refused whole, and the old one goes on', async () => {
  const lab = await testbedLab()
  const played = await new Player(lab, { keepGoing: true }).play(
    'echo "vm \\"carol\\" { memmory 1G }" >> /etc/vm.conf\nrcctl reload vmd\nvmctl status\n',
  )
  assert.deepEqual(exits(played), [0, 1, 0])
  assert.match(played[1]!.stderr, /^\/etc\/vm\.conf:\d+: syntax error: found "memmory"/)
  assert.match(played[2]!.stdout, /alice\n.*bob\n$/)
})

test('a third machine, when the tap devices are there', async () => {
  const machine = (name: string): string => `vmctl create -s 1G /home/${name}.img
cat >> /etc/vm.conf << EOF
vm "${name}" {
    disk "/home/${name}.img"
    interfaces 2
    interface { switch "local" }
    disable
}
EOF
rcctl reload vmd
vmctl start ${name}
`
  // Two of the four taps are alice's and bob's; carol needs three.
  const played = await testbed(`${machine('carol')}cd /dev
sh MAKEDEV tap4
vmctl start carol
# on carol
ifconfig vio2 inet 192.168.1.3/24
ping -c1 192.168.1.1
`)
  const first = played.find(({ command }) => command === 'vmctl start carol')!
  assert.equal(first.exit, 1)
  assert.match(first.stderr, /can't open tap tap: No such file or directory.*sh MAKEDEV tapN/)
  assert.deepEqual(exits(played.slice(-3)), [0, 0, 0])
  assert.equal(played.at(-1)?.host, 'carol')
})

test('a missing disk or image is said with the mend', async () => {
  const played = await bare(
    HOST.replace(/^ftp .*$/m, '').replace('vmctl create -s 10G /home/_vmd/disk/bob.qcow2', ''),
  )
  const [alice, bob] = played.slice(-2)
  assert.match(alice!.stderr, /No such file or directory: found \/home\/_vmd\/iso\/install66\.iso; ftp -o/)
  assert.match(bob!.stderr, /found \/home\/_vmd\/disk\/bob\.qcow2; vmctl create -s 10G/)
})

test("what an anchor's rules block does not pass the bridge, and what they let pass does", async () => {
  const played = await testbed(`echo "block in on tap proto icmp from 192.168.1.1" | pfctl -a vmd -f -
pfctl -a vmd -sr
# on alice
ping -c1 -w1 192.168.1.2
ping6 -c1 -w1 fd3e:62ee:99db:bb1a::2
# on bob
ping -c1 -w1 192.168.1.1
# on the host
pfctl -a vmd -F rules
# on alice
ping -c1 -w1 192.168.1.2
# on the host
pfctl -ss
pfctl -d
pfctl -d
pfctl -e
pfctl -nf /etc/nosuch.conf
echo "blok" | pfctl -nf -
`)
  const results = played.map(({ exit }) => exit)
  // Bob's ping passes to alice, and her answer back by the state that it made.
  assert.deepEqual(results, [0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1])
  assert.equal(played[1]?.stdout, 'block in on tap inet proto icmp from 192.168.1.1 to any\n')
  assert.match(played[7]!.stdout, /all icmp 192\.168\.1\.2:\d+ <- 192\.168\.1\.1:\d+ +0:0/)
  assert.match(played[12]!.stderr, /^stdin:1: syntax error: found "blok"/)
})

test('a machine comes up again with what its files say', async () => {
  const played = await testbed(`# on alice
echo net.inet.gre.allow=1 >> /etc/sysctl.conf
echo "tunnel 192.168.1.1 192.168.1.2" >> /etc/hostname.gif0
echo "172.16.0.1 172.16.0.2" >> /etc/hostname.gif0
reboot
sysctl net.inet.gre.allow
ifconfig gif0
ping -c1 192.168.1.2
# on the host
reboot
`)
  assert.equal(played[4]?.stdout, 'net.inet.gre.allow=1\n')
  assert.match(played[5]!.stdout, /tunnel: inet 192\.168\.1\.1 --?> 192\.168\.1\.2/)
  assert.match(played[5]!.stdout, /inet 172\.16\.0\.1 --> 172\.16\.0\.2/)
  assert.deepEqual(exits(played.slice(-2)), [0, 1])
})

test('rcctl lists, gets and sets', async () => {
  const played = await testbed(
    'rcctl ls on\nrcctl get vmd flags\nrcctl set vmd flags -v\nrcctl get vmd\nrcctl stop vmd\nrcctl check vmd\nrcctl get iked flags\n',
  )
  assert.match(played[0]!.stdout, /^vmd$/m)
  assert.match(played[3]!.stdout, /^vmd_flags=-v$/m)
  assert.equal(played[5]?.stdout, 'vmd(failed)\n')
  assert.equal(played[6]?.stdout, 'NO\n')
})

test('a switch(4) instead of a bridge', async () => {
  const played = await bare(HOST.replaceAll('bridge1', 'switch0'))
  assert.deepEqual(
    played.filter(({ exit }) => exit !== 0),
    [],
  )
  const lab = await Lab.bare()
  const again = await new Player(lab, { keepGoing: true }).play(
    `${HOST.replaceAll('bridge1', 'switch0')}
# on alice
ifconfig vio0 inet 10.0.0.1/24
# on bob
ifconfig vio0 inet 10.0.0.2/24
ping -c1 10.0.0.1`,
  )
  assert.match(again.at(-1)!.stdout, / 1 packets received/)
  assert.ok(lab.frames.every(({ bridge }) => bridge === 'switch0'))
})

test('block return tells the sender, block drop does not', async () => {
  const played = await testbed(`# on bob
echo "block return in proto { tcp udp } to port 1:99" | pfctl -f -
# on alice
nc -v -w5 192.168.1.2 80
nc -v -w5 fd3e:62ee:99db:bb1a::2 80
date +%s
# on bob
echo "block drop in proto tcp to port 1:99" | pfctl -f -
# on alice
nc -v -w5 192.168.1.2 80
date +%s
`)
  const [, refused, refused6, before, , dropped, later] = played
  assert.match(refused!.stderr, /Connection refused/)
  assert.match(refused6!.stderr, /Connection refused/)
  assert.equal(dropped!.exit, 1)
  assert.ok(Number(later!.stdout) - Number(before!.stdout) >= 4)
})

test("files carry the lab's time, and are root's", async () => {
  const [, , played] = await bare('sleep 86400\necho x > /tmp/file\nls -l /tmp/file\n')
  assert.match(played!.stdout, /^-rw-r--r-- 1 root {2}wheel +2 Jan 20 {2}2020 \/tmp\/file\n$/)
})
