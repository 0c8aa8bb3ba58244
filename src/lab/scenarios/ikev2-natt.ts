/**
 * "NAT traversal configuration", which the article leaves empty: bob gets a network of his own behind the host, which
 * routes and translates.
 *
 *     alice 192.168.1.1 ── bridge1 ── vether1 192.168.1.254 [host: pf, nat-to] vether2 10.0.0.1 ── bridge2 ── 10.0.0.2 bob
 */
import { seconds } from '../../base/index.js'
import { IKED_COMMON } from './article-ikev2.js'
import { logged, negotiated } from './ike-checks.js'
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

const ROUTER = `# on the host
# bob behind a router with NAT
ifconfig bridge1 del tap1
ifconfig vether1 create
ifconfig vether1 inet 192.168.1.254/24 up
ifconfig bridge1 add vether1
ifconfig vether2 create
ifconfig vether2 inet 10.0.0.1/24 up
ifconfig bridge2 create
ifconfig bridge2 add vether2 add tap1 up
echo "match out on vether1 inet from 10.0.0.0/24 to any nat-to 192.168.1.254" >> /etc/pf.conf
pfctl -f /etc/pf.conf
# on bob
ifconfig vio0 inet 192.168.1.2 delete
ifconfig vio0 inet 10.0.0.2/24
route add default 10.0.0.1
`

const ALICE = `# on alice
cat >> /etc/iked.conf << 'EOF'
ikev2 passive esp from 172.16.1.0/24 to 172.16.1.0/24 \\
    local 192.168.1.1 \\
    psk "dont_use_psk_its_a_bad_idea"
EOF
rcctl start iked
`

const BOB = `# on bob
cat >> /etc/iked.conf << 'EOF'
ikev2 active esp from 172.16.1.0/24 to 172.16.1.0/24 \\
    local 10.0.0.2 peer 192.168.1.1 \\
    psk "dont_use_psk_its_a_bad_idea"
EOF
rcctl start iked
`

const DUMP = 'tcpdump -n -i bridge1'
const INSIDE = 'tcpdump -n -i bridge2'
const LOG = 'cat /var/log/daemon'
const PING = 'ping -c1 172.16.1.2'
const PING_BACK = 'ping -c3 172.16.1.1'
/** Longer than pf remembers UDP that nobody speaks: only keepalives keep the way open. */
const QUIET = 'sleep 600'

const ROUTED = '192\\.168\\.1\\.254'
const PORT = '5\\d{4}|6\\d{4}'

export const ikev2Natt: Scenario = {
  name: 'ikev2-natt',
  heading: 'NAT traversal configuration',
  script: `${IKED_COMMON}
${ROUTER}
# on the host
${DUMP}
${INSIDE}
${ALICE}
${BOB}
# on alice
${LOG}
${PING}
# on bob
${LOG}
${PING_BACK}
# the NAT forgets what is not used
${QUIET}
# on alice
${PING}
`,
  check(run) {
    allSucceeded(run)
    const pings = pingCameBack(run, 'alice', PING) + pingCameBack(run, 'bob', PING_BACK)
    const outside = onTheWire(run.frames.filter(({ bridge }) => bridge === 'bridge1'))
    const inside = onTheWire(run.frames.filter(({ bridge }) => bridge === 'bridge2'))
    for (const wire of [outside, inside]) {
      carried(wire, 'ethernet ipv4 udp esp', -1, 2 * pings)
      nothingInClear(wire, /^172\.16\./)
      negotiated(run, wire)
    }
    // Outside nobody has bob's address.
    nothingInClear(outside, /^10\.0\.0\./)
    exchanges(run)
    logged(run, 'alice', LOG, [
      [`${ROUTED}:(${PORT})`, '192\\.168\\.1\\.1:500'],
      [`${ROUTED}:(${PORT})`, '192\\.168\\.1\\.1:4500'],
    ])
    logged(run, 'bob', LOG, [
      ['192.168.1.1:500', '10.0.0.2:500'],
      ['192.168.1.1:4500', '10.0.0.2:4500'],
    ])
    keepalives(run)
  },
}

/** The first exchange on port 500, the second on 4500: the hashes of the addresses did not match. */
function exchanges(run: ScenarioRun): void {
  for (const [command, bob] of [
    [DUMP, `${ROUTED}\\.(${PORT})`],
    [INSIDE, '10\\.0\\.0\\.2'],
  ] as const) {
    const own = (port: number): string => (command === INSIDE ? `${bob}\\.${port}` : bob)
    const line = (from: string, to: string, what: string): RegExp =>
      new RegExp(`^[\\d:.]{15} ${from} > ${to}: .*${what}$`)
    printed(run, 'host', command, line(own(500), '192\\.168\\.1\\.1\\.500', 'exchange IKE_SA_INIT'))
    printed(run, 'host', command, line('192\\.168\\.1\\.1\\.500', own(500), 'exchange IKE_SA_INIT'))
    printed(run, 'host', command, line(own(4500), '192\\.168\\.1\\.1\\.4500', 'exchange IKE_AUTH'))
    printed(run, 'host', command, line('192\\.168\\.1\\.1\\.4500', own(4500), 'exchange IKE_AUTH'))
  }
}

/** RFC 3948 section 2.3: one byte 0xff of who is behind the NAT, while nothing else keeps its mapping. */
function keepalives({ frames }: ScenarioRun): void {
  const sent = frames.filter(
    ({ bridge, bytes }) =>
      bridge === 'bridge2' && bytes[23] === 17 && bytes[38] === 0 && bytes[39] === 9 && bytes[42] === 0xff,
  )
  const wanted = 600 / 20 - 1
  if (sent.length < wanted)
    refuse('on bridge2', `${sent.length} keepalives`, `at least ${wanted}, one each ${seconds(20) / 1e6} s`)
}
