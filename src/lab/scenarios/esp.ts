/**
 * ESP with keys by hand, which the article leaves to its readers: the networks behind the hosts (172.16.1.0/24 and
 * 172.16.2.0/24) in tunnel mode, the hosts themselves over IPv6 in transport mode. Routes lead to the other network, so
 * that only the policy keeps its packets from leaving in clear. The modes have a pair of addresses each, because
 * OpenBSD's kernel chooses an SA by its addresses and protocol and does not look at the mode.
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

const HOST6 = 'fd3e:62ee:99db:bb1a::'
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
  const hosts = `from ${HOST6}${own} to ${HOST6}${other}`
  return `cat > /etc/ipsec.conf << EOF
flow esp from 172.16.${own}.0/24 to 172.16.${other}.0/24 local 192.168.1.${own} peer 192.168.1.${other}
flow esp ${hosts}
include "/etc/ipsec.sa"
EOF
cat > /etc/ipsec.sa << EOF
esp tunnel ${ends} spi ${tunnel} ${keys(own - 1)}
esp transport ${hosts} spi ${transport} ${keys(own - 1)}
EOF
chmod 600 /etc/ipsec.conf /etc/ipsec.sa
ipsecctl -nf /etc/ipsec.conf
ipsecctl -f /etc/ipsec.conf
`
}

const PING_NET = 'ping -c3 -I 172.16.1.1 172.16.2.1'
const PING_HOST = `ping6 -c3 ${HOST6}2`
const PING_BACK = 'ping -c3 -I 172.16.2.1 172.16.1.1'
const PING_NONE = 'ping -c2 -w1 -I 172.16.1.1 172.16.2.1 || echo not sent'

/** ICMP and ICMPv6. */
const ECHOES = [0, 8, 128, 129]

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
  script: `# on both virtual machines
sysctl net.inet.esp.enable=1

${NETWORKS}
# on the host
tcpdump -i bridge1

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
    const networks = pingCameBack(run, 'alice', PING_NET) + pingCameBack(run, 'bob', PING_BACK)
    const hosts = pingCameBack(run, 'alice', PING_HOST)
    const wire = onTheWire(run.frames)
    carried(wire, 'ethernet ipv4 esp', -1, 2 * networks)
    carried(wire, 'ethernet ipv6 esp', -1, 2 * hosts)
    nothingInClear(wire, /^172\.16\./)
    if (wire.some(({ icmpType }) => ECHOES.includes(icmpType)))
      refuse('on the bridge', 'an echo in clear', 'ESP alone')
    for (const [network, from, to, spi] of [
      ['192.168.1.', 1, 2, '00001000'],
      ['192.168.1.', 2, 1, '00001001'],
      [HOST6, 1, 2, '00002000'],
      [HOST6, 2, 1, '00002001'],
    ] as const) {
      const ends = `${network}${from} > ${network}${to}`.replaceAll('.', '\\.')
      const line = new RegExp(`^[\\d:.]{15} ${ends}: esp spi 0x${spi} seq \\d+ len \\d+`)
      printed(run, 'host', 'tcpdump -i bridge1', line, 3)
    }
    shows(run)
  },
}

/** ipsecctl(8) said what stands, and what no longer does. */
function shows(run: ScenarioRun): void {
  for (const line of [
    /^FLOWS:$/,
    /^flow esp in from 172\.16\.2\.0\/24 to 172\.16\.1\.0\/24 local 192\.168\.1\.1 peer 192\.168\.1\.2 type require$/,
    /^flow esp out from fd3e:62ee:99db:bb1a::1 to fd3e:62ee:99db:bb1a::2 peer fd3e:62ee:99db:bb1a::2 type require$/,
    /^SAD:$/,
    /^esp tunnel from 192\.168\.1\.1 to 192\.168\.1\.2 spi 0x00001000 auth hmac-sha2-256 enc aes$/,
    /^esp transport from fd3e:62ee:99db:bb1a::2 to fd3e:62ee:99db:bb1a::1 spi 0x00002001 auth hmac-sha2-256 enc aes$/,
  ])
    printed(run, 'alice', 'ipsecctl -s all', line)
  printed(run, 'alice', PING_NONE, /^not sent$/)
}
