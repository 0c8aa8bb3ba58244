/** IKEv2 with iked(8), as the article has it: a pre-shared key, IPv6 inside, public keys. Its NAT stands beside. */
import {
  IKED_COMMON,
  IKED_IPV6,
  IKED_IPV6_TALK,
  IKED_KEYS,
  IKED_PSK_ALICE,
  IKED_PSK_BOB,
} from './article-ikev2.js'
import { exchanged, logged, negotiated } from './ike-checks.js'
import {
  allSucceeded,
  carried,
  nothingInClear,
  onTheWire,
  pingCameBack,
  printed,
  type Scenario,
  type ScenarioRun,
  type WirePacket,
} from './scenario.js'

const DUMP = 'tcpdump -i bridge0'
const LOG = 'cat /var/log/daemon'
const FOLLOW = 'tail -f /var/log/daemon'
const PING = 'ping -c1 172.16.1.2'
const PING_BACK = 'ping -c3 172.16.1.1'
const PING6 = 'ping6 -c1 fdd0:48b3:1360:ab79::2'

const LISTEN = `# on the host
${DUMP}
`
const PINGS = `# on alice
${PING}
# on bob
${PING_BACK}
`
const LOGS = `# on alice
${LOG}
# on bob
${LOG}
`

/** Nothing but ESP carried what the pings said. */
function protectedPings(run: ScenarioRun, wire: readonly WirePacket[], count: number): void {
  carried(wire, 'ethernet ipv4 esp', -1, 2 * count)
  carried(wire, 'ethernet ipv4 icmp', 8, 0)
  nothingInClear(wire, /^172\.16\./)
  negotiated(run, wire)
}

export const ikev2Psk: Scenario = {
  name: 'ikev2-psk',
  heading: 'IPSec VPN with iked (IKEv2): Pre Shared Key (PSK) authentication',
  script: `${IKED_COMMON}
${LISTEN}
${IKED_PSK_ALICE}
${IKED_PSK_BOB}
${LOGS}
${PINGS}
# on alice
ikectl show sa
`,
  check(run) {
    allSucceeded(run)
    const pings = pingCameBack(run, 'alice', PING) + pingCameBack(run, 'bob', PING_BACK)
    exchanged(run, 'IKE_SA_INIT', 1, DUMP)
    exchanged(run, 'IKE_AUTH', 1, DUMP)
    logged(run, 'alice', LOG)
    logged(run, 'bob', LOG)
    protectedPings(run, onTheWire(run.frames), pings)
    const sa =
      /^iked_sas: .* 192\.168\.1\.1:500->192\.168\.1\.2:500<FQDN\/bob\.my\.domain>\[\] ESTABLISHED r /
    printed(run, 'alice', 'ikectl show sa', sa)
    printed(
      run,
      'alice',
      'ikectl show sa',
      /^ {2}sa_flows: .* ESP out 172\.16\.1\.0\/24 -> 172\.16\.1\.0\/24 \[0\]/,
    )
  },
}

export const ikev2Ipv6: Scenario = {
  name: 'ikev2-ipv6',
  heading: 'IPSec VPN with iked (IKEv2): IPv6 inside',
  script: `${IKED_COMMON}
${IKED_PSK_ALICE}
${IKED_PSK_BOB}
${LISTEN}
${IKED_IPV6}
${IKED_IPV6_TALK}
${LOGS}
`,
  check(run) {
    allSucceeded(run)
    pingCameBack(run, 'alice', PING6)
    // What the other's uname says came through the tunnel, both ways.
    const uname = (name: string): RegExp =>
      new RegExp(`^OpenBSD ${name}\\.my\\.domain 6\\.6 GENERIC#353 amd64$`)
    printed(run, 'alice', 'uname -a | nc -l6 8888', uname('bob'))
    printed(run, 'bob', 'uname -a | nc -6 fdd0:48b3:1360:ab79::1 8888', uname('alice'))
    exchanged(run, 'IKE_SA_INIT', 1, DUMP)
    exchanged(run, 'IKE_AUTH', 1, DUMP)
    logged(run, 'alice', LOG)
    logged(run, 'bob', LOG)
    const wire = onTheWire(run.frames)
    // The ping and its answer, a handshake of TCP, a line each way, two ends.
    carried(wire, 'ethernet ipv4 esp', -1, 2 + 3 + 2 + 2)
    carried(wire, 'ethernet ipv6 icmpv6', 128, 0)
    negotiated(run, wire)
  },
}

export const ikev2Pubkey: Scenario = {
  name: 'ikev2-pubkey',
  heading: 'IPSec VPN with iked (IKEv2): Public Key authentication',
  script: `${IKED_COMMON}
${LISTEN}
${IKED_KEYS}
${PINGS}
`,
  check(run) {
    allSucceeded(run)
    const pings = pingCameBack(run, 'alice', PING) + pingCameBack(run, 'bob', PING_BACK)
    exchanged(run, 'IKE_SA_INIT', 1, DUMP)
    exchanged(run, 'IKE_AUTH', 1, DUMP)
    // A key and a signature are in it: more than a pre-shared key needs (the article: 304 and 256).
    printed(run, 'host', DUMP, /^\tcookie: .* msgid: 00000001 len: ([6-9]|1\d)\d\d$/, 2)
    logged(run, 'alice', FOLLOW)
    logged(run, 'bob', FOLLOW)
    protectedPings(run, onTheWire(run.frames), pings)
  },
}
