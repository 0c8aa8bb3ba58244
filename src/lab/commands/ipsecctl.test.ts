/** ipsecctl(8), its switches and its words, and what sysctl(8) and netstat(1) say of IPsec beside it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Player } from '../player.js'
import { testbedLab } from '../run.js'

const AUTHKEYS = [
  '0x6d2f9b0c6e4a17f38c91d4e2b7a0563f1e8d7c2b9a405f6e3d1c0b8a79685746',
  '0xb8e17a5c0d93f642819c3e5d7a2f4b06c8d1e9f37a5b2c4d6e8f1a3b5c7d9e02',
]
const ENCKEYS = ['0x1f8b3c7d5e9a2046b1d8f3c5a7e90b24', '0x9c4e7a1b3d5f8062e4a6c8b0d2f41357']

const conf = (own: number, other: number): string => {
  const spis = own === 1 ? '0x1000:0x1001' : '0x1001:0x1000'
  const pair = (keys: readonly string[]): string => `${keys[own - 1]}:${keys[other - 1]}`
  return `ifconfig vether0 create
ifconfig vether0 inet 172.16.${own}.1/24 up
route add 172.16.${other}.0/24 192.168.1.${other}
cat > /etc/ipsec.conf << 'EOF'
peer = "192.168.1.${other}"
flow esp from 172.16.${own}.0/24 to 172.16.${other}.0/24 peer $peer
flow esp proto tcp from 10.0.0.0/8 port ssh to any type deny
esp from 192.168.1.${own} to $peer spi ${spis} auth hmac-sha2-256 enc aes authkey ${pair(AUTHKEYS)} enckey ${pair(ENCKEYS)}
EOF
chmod 600 /etc/ipsec.conf
`
}
const LOADED = `# on alice\n${conf(1, 2)}ipsecctl -f /etc/ipsec.conf\n# on bob\n${conf(2, 1)}ipsecctl -f /etc/ipsec.conf\n`

/** What each command printed on alice (or `host`), its status behind; of one that was typed twice, the last. */
async function play(script: string): Promise<(command: string, host?: string) => string> {
  const lab = await testbedLab()
  const outputs = new Map<string, string>()
  const player = new Player(lab, { keepGoing: true })
  for (const { host, command, stdout, stderr, exit } of await player.play(script))
    outputs.set(`${host} ${command.trim()}`, `${stdout}${stderr}${exit}`)
  return (command, host = 'alice') => outputs.get(`${host} ${command}`) ?? `${command} was not played`
}

const FLOWS = `flow esp in from 172.16.2.0/24 to 172.16.1.0/24 peer 192.168.1.2 type require
flow esp in proto tcp from 0.0.0.0/0 to 10.0.0.0/8 port ssh type deny
flow esp out from 172.16.1.0/24 to 172.16.2.0/24 peer 192.168.1.2 type require
flow esp out proto tcp from 10.0.0.0/8 port ssh to 0.0.0.0/0 type deny
`
const SAS = `esp tunnel from 192.168.1.1 to 192.168.1.2 spi 0x00001000 auth hmac-sha2-256 enc aes
esp tunnel from 192.168.1.2 to 192.168.1.1 spi 0x00001001 auth hmac-sha2-256 enc aes
`
const NOTHING = 'FLOWS:\nNo flows\n\nSAD:\nNo entries\n0'

test('-s all, -s flow, -s sa; abbreviated; with -k the keys; with -v times and counts', async () => {
  const out = await play(`${LOADED}
# on alice
ping -c2 -I 172.16.1.1 172.16.2.1
ipsecctl -s all
ipsecctl -sf
ipsecctl -s sa
ipsecctl -k -s sa
ipsecctl -s sa -v
`)
  assert.equal(out('ipsecctl -sf'), `${FLOWS}0`)
  assert.equal(out('ipsecctl -s sa'), `${SAS}0`)
  assert.equal(out('ipsecctl -s all'), `FLOWS:\n${FLOWS}\nSAD:\n${SAS}0`)
  assert.ok(
    out('ipsecctl -k -s sa').startsWith(
      `${SAS.split('\n')[0]} \\\n\tauthkey ${AUTHKEYS[0]} \\\n\tenckey ${ENCKEYS[0]}\n`,
    ),
  )
  assert.doesNotMatch(out('ipsecctl -s all'), /[0-9a-f]{16}/)
  assert.match(
    out('ipsecctl -s sa -v'),
    /\tsa: spi 0x00001000 auth hmac-sha2-256 enc aes\n\t\tstate mature replay 64 flags 0x4<tunnel>\n\tlifetime_cur: alloc 0 bytes 168 add \d+ first \d+\n\tlifetime_lastuse: alloc 0 bytes 0 add 0 first \d+\n\taddress_src: 192\.168\.1\.1\n\taddress_dst: 192\.168\.1\.2\n\tcounter:\n\t\t2 output packets\n\t\t168 output bytes\n/,
  )
})

test('-n reads and changes nothing; -v shows the rules, -vv numbers them; -D wins over the file', async () => {
  const out = await play(`# on alice
${conf(1, 2)}
ipsecctl -nf /etc/ipsec.conf
ipsecctl -nvf /etc/ipsec.conf
ipsecctl -nvvf /etc/ipsec.conf
ipsecctl -s all
ipsecctl -D peer=192.168.1.77 -nvf /etc/ipsec.conf
ipsecctl -nvf - < /etc/ipsec.conf
`)
  assert.equal(out('ipsecctl -nf /etc/ipsec.conf'), '0')
  assert.match(
    out('ipsecctl -nvf /etc/ipsec.conf'),
    /^peer = "192\.168\.1\.2"\nflow esp out from 172\.16\.1\.0\/24 to 172\.16\.2\.0\/24 peer 192\.168\.1\.2 type require\n/m,
  )
  assert.match(out('ipsecctl -nvvf /etc/ipsec.conf'), /^@0 flow esp out from 172/m)
  assert.equal(out('ipsecctl -s all'), NOTHING)
  assert.match(
    out('ipsecctl -D peer=192.168.1.77 -nvf /etc/ipsec.conf'),
    /to 172\.16\.2\.0\/24 peer 192\.168\.1\.77 type/,
  )
  assert.match(out('ipsecctl -nvf - < /etc/ipsec.conf'), /^flow esp out/m)
})

test('-F flushes both, -d takes away what a file names, and what it has not is said', async () => {
  const out = await play(`${LOADED}
# on alice
ipsecctl -d -f /etc/ipsec.conf
ipsecctl -sa
ipsecctl -df /etc/ipsec.conf
ipsecctl -F -f /etc/ipsec.conf
ipsecctl -F
ipsecctl -s all
# on bob
ipsecctl -f /etc/ipsec.conf
ipsecctl -Ff /etc/ipsec.conf
`)
  assert.equal(out('ipsecctl -d -f /etc/ipsec.conf'), '0')
  assert.equal(out('ipsecctl -sa'), NOTHING)
  assert.match(out('ipsecctl -df /etc/ipsec.conf'), /^ipsecctl: failed to delete rule 0\n[\s\S]*1$/)
  assert.equal(out('ipsecctl -F -f /etc/ipsec.conf'), '0')
  assert.equal(out('ipsecctl -F'), '0')
  assert.equal(out('ipsecctl -s all'), NOTHING)
  // The second time the SAs are there already; flushed before, they are not.
  assert.match(out('ipsecctl -f /etc/ipsec.conf', 'bob'), /File exists[\s\S]*failed to add rule \d\n1$/)
  assert.equal(out('ipsecctl -Ff /etc/ipsec.conf', 'bob'), '0')
})

test('-m tells of what others change, until ^C', async () => {
  const out = await play(`# on alice
${conf(1, 2)}
ipsecctl -m
ipsecctl -f /etc/ipsec.conf
ping -c1 -w1 -I 172.16.1.1 172.16.2.1
ipsecctl -F
`)
  const text = out('ipsecctl -m')
  assert.match(
    text,
    /^sadb_x_addflow: satype esp vers 2 len \d+ seq 1 pid \d+\n\tflow_type: type require direction out\n/,
  )
  assert.match(
    text,
    /^sadb_add: satype esp vers 2 len \d+ seq \d+ pid \d+\n\tsa: spi 0x00001000 auth hmac-sha2-256 enc aes\n/m,
  )
  assert.match(text, /^sadb_flush: satype unspec vers 2/m)
  assert.doesNotMatch(text, /[0-9a-f]{32}/)
})

test('counter modes with keys in a file are refused, as OpenBSD does', async () => {
  const key = (four: string): string => `0x${four.repeat(18)}`
  const out = await play(`# on alice
echo 'esp from 192.168.1.1 to 192.168.1.2 spi 0x1000:0x1001 enc aes-256-gcm enckey ${key('ab12')}:${key('cd34')}' > /etc/ipsec.conf
chmod 600 /etc/ipsec.conf
ipsecctl -f /etc/ipsec.conf
`)
  assert.match(
    out('ipsecctl -f /etc/ipsec.conf'),
    /aes-256-gcm is disallowed with static keys[\s\S]*not loaded\n1$/,
  )
})

test('sysctl switches esp and ah off and on, both ways', async () => {
  const ping = (count: number): string => `ping -c${count} -w1 -I 172.16.1.1 172.16.2.1`
  const out = await play(`${LOADED}
# on alice
sysctl net.inet.esp.enable net.inet.ah.enable
# on bob
sysctl net.inet.esp.enable=0
# on alice
${ping(2)}
# on bob
sysctl net.inet.esp.enable=1
# on alice
${ping(3)}
sysctl net.inet.esp.enable=0
${ping(4)}
sysctl net.inet.ah.enable=7
`)
  assert.equal(
    out('sysctl net.inet.esp.enable net.inet.ah.enable'),
    'net.inet.esp.enable=1\nnet.inet.ah.enable=1\n0',
  )
  assert.equal(out('sysctl net.inet.esp.enable=0', 'bob'), 'net.inet.esp.enable: 1 -> 0\n0')
  assert.match(out(ping(2)), / 0 packets received/)
  assert.match(out(ping(3)), / 3 packets received/)
  assert.match(out(ping(4)), / 0 packets received/)
  assert.match(out('sysctl net.inet.ah.enable=7'), /1$/)
})

test('netstat -s -p esp, ah and ipsec count what went, and what did not and why', async () => {
  const out = await play(`${LOADED}
# on alice
ping -c2 -I 172.16.1.1 172.16.2.1
netstat -s -p esp
sed -n 's/^esp .* spi.*$/&/p' /etc/ipsec.conf > /etc/sa.conf
sed -i 's/$peer/192.168.1.2/' /etc/sa.conf
chmod 600 /etc/sa.conf
ipsecctl -df /etc/sa.conf
ping -c3 -w1 -I 172.16.1.1 172.16.2.1
netstat -s -p ipsec
# on bob
ping -c3 -w1 -I 172.16.2.1 172.16.1.1
# on alice
netstat -sp esp
netstat -s -p ah
`)
  assert.equal(out('netstat -s -p esp'), 'esp:\n\t2 input ESP packets\n\t2 output ESP packets\n0')
  assert.match(
    out('netstat -s -p ipsec'),
    /^ipsec:\n\t3 output packets dropped: a flow requires an SA, and none stands\n0$/,
  )
  assert.equal(
    out('netstat -sp esp'),
    'esp:\n\t5 input ESP packets\n\t2 output ESP packets\n\t3 packets for which no TDB was found\n0',
  )
  assert.equal(out('netstat -s -p ah'), '0')
})
