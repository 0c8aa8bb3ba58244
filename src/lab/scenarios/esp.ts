/**
 * ESP with keys by hand, which the article leaves to its readers: the hosts talk in transport mode, the networks behind
 * them (172.16.1.0/24 and 172.16.2.0/24) in tunnel mode. Routes lead to the other network, so that only the policy keeps
 * its packets from leaving in clear.
 */
import {
  allSucceeded,
  carried,
  nothingInClear,
  onTheWire,
  pingCameBack,
  printed,
  refuse,
  type Scenario,
  type ScenarioRun,
} from './scenario.js'

const AUTH = [
  '5d2f9b0c6e4a17f38c91d4e2b7a0563f1e8d7c2b9a405f6e3d1c0b8a79685746',
  'b8e17a5c0d93f642819c3e5d7a2f4b06c8d1e9f37a5b2c4d6e8f1a3b5c7d9e02',
]
const ENC = ['1f8b3c7d5e9a2046b1d8f3c5a7e90b24', '9c4e7a1b3d5f8062e4a6c8b0d2f41357']

const keys = (first: number): string =>
  `auth hmac-sha2-256 enc aes authkey 0x${AUTH[first]}:0x${AUTH[1 - first]} enckey 0x${ENC[first]}:0x${ENC[1 - first]}`

const conf = (own: number, other: number): string => {
  const [tunnel, transport] =
    own === 1 ? ['0x1000:0x1001', '0x2000:0x2001'] : ['0x1001:0x1000', '0x2001:0x2000']
  const ends = `from 192.168.1.${own} to 192.168.1.${other}`
  return `cat > /etc/ipsec.conf << EOF
flow esp from 172.16.${own}.0/24 to 172.16.${other}.0/24 local 192.168.1.${own} peer 192.168.1.${other}
flow esp ${ends}
include "/etc/ipsec.sa"
EOF
cat > /etc/ipsec.sa << EOF
esp tunnel ${ends} spi ${tunnel} ${keys(own - 1)}
esp transport ${ends} spi ${transport} ${keys(own - 1)}
EOF
chmod 600 /etc/ipsec.conf /etc/ipsec.sa
ipsecctl -nf /etc/ipsec.conf
ipsecctl -f /etc/ipsec.conf
`
}

const PING_NET = 'ping -c3 -I 172.16.1.1 172.16.2.1'
const PING_HOST = 'ping -c3 192.168.1.2'
const PING_BACK = 'ping -c3 -I 172.16.2.1 172.16.1.1'
const PING_NONE = 'ping -c2 -w1 -I 172.16.1.1 172.16.2.1 || echo not sent'

const NETWORKS = `# on alice
ifconfig vether0 create
ifconfig vether0 inet 172.16.1.1/24 up
route add 172.16.2.0/24 192.168.1.2
# on bob
ifconfig vether0 create
ifconfig vether0 inet 172.16.2.1/24 up
route add 172.16.1.0/24 192.168.1.1
`

export const espManual: Scenario = {
  name: 'esp-manual',
  heading: 'Configuring an IPSEC VPN: ESP with keys by hand',
  script: `# on both virtual machine
sysctl net.inet.esp.enable=1

${NETWORKS}
# on the host
tcpdump -i bridge0

# on alice
${conf(1, 2)}
# on bob
${conf(2, 1)}
# on alice
${PING_NET}
${PING_HOST}
# on bob
${PING_BACK}

# on alice
ipsecctl -s all
# without an SA, nothing leaves: the policy stands
ipsecctl -df /etc/ipsec.sa
ipsecctl -s sa
${PING_NONE}
`,
  check(run) {
    allSucceeded(run)
    const requests =
      pingCameBack(run, 'alice', PING_NET) +
      pingCameBack(run, 'bob', PING_BACK) +
      pingCameBack(run, 'alice', PING_HOST)
    const wire = onTheWire(run.frames)
    carried(wire, 'ethernet ipv4 esp', -1, 2 * requests)
    nothingInClear(wire, /^172\.16\./)
    if (wire.some(({ icmpType, headers }) => icmpType >= 0 && /ipv4/.test(headers)))
      refuse('on the bridge', 'an echo in clear', 'ESP alone between 192.168.1.1 and 192.168.1.2')
    const line = (from: number, to: number, spi: string): RegExp =>
      new RegExp(`192\\.168\\.1\\.${from} > 192\\.168\\.1\\.${to}.*spi 0x${spi} seq \\d+ len \\d+`)
    for (const [from, to, spi] of [
      [1, 2, '00001000'],
      [2, 1, '00001001'],
      [1, 2, '00002000'],
      [2, 1, '00002001'],
    ] as const)
      printed(run, 'host', 'tcpdump -i bridge0', line(from, to, spi), 3)
    shows(run)
  },
}

/** ipsecctl(8) said what stands, and what no longer does. */
function shows(run: ScenarioRun): void {
  for (const line of [
    /^FLOWS:$/,
    /^flow esp in from 172\.16\.2\.0\/24 to 172\.16\.1\.0\/24 local 192\.168\.1\.1 peer 192\.168\.1\.2 type require$/,
    /^flow esp out from 192\.168\.1\.1 to 192\.168\.1\.2 peer 192\.168\.1\.2 type require$/,
    /^SAD:$/,
    /^esp tunnel from 192\.168\.1\.1 to 192\.168\.1\.2 spi 0x00001000 auth hmac-sha2-256 enc aes$/,
    /^esp transport from 192\.168\.1\.2 to 192\.168\.1\.1 spi 0x00002001 auth hmac-sha2-256 enc aes$/,
  ])
    printed(run, 'alice', 'ipsecctl -s all', line)
  printed(run, 'alice', PING_NONE, /^not sent$/)
}
