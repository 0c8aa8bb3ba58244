/**
 * The two Ethernet tunnels. The article gives EoIP no addresses and leaves EtherIP empty; both are finished here in
 * the way that such tunnels are for: a bridge on each side, with a virtual Ethernet interface as its inside.
 */
import { EOIP } from './article.js'
import {
  allSucceeded,
  carried,
  nothingInClear,
  onTheWire,
  pingCameBack,
  refuse,
  type Scenario,
  type ScenarioRun,
  type WirePacket,
} from './scenario.js'

const PING = 'ping -c3 172.16.0.2'
/** 20 of IPv4, 8 of ICMP and these make 1,500: the largest packet of an Ethernet. */
const LARGE = 'ping -c1 -s1472 172.16.0.2'

const bridges = (tunnel: string): string => `
# on alice
ifconfig vether0 create inet 172.16.0.1/24 up
ifconfig bridge0 create add vether0 add ${tunnel} up
# on bob
ifconfig vether0 create inet 172.16.0.2/24 up
ifconfig bridge0 create add vether0 add ${tunnel} up

# on the host
tcpdump -i bridge1

# on alice
${PING}
# on bob
ping -c3 172.16.0.1
# a frame of 1,514 bytes inside, which goes in fragments outside
# on alice
${LARGE}
`

function checkFrames(run: ScenarioRun, headers: string, shim: number): void {
  allSucceeded(run)
  const requests = pingCameBack(run, 'alice', PING) + pingCameBack(run, 'bob', 'ping -c3 172.16.0.1')
  pingCameBack(run, 'alice', LARGE)
  const wire = onTheWire(run.frames)
  carried(wire, `ethernet ipv4 ${headers} ethernet ipv4 icmp`, 8, requests)
  carried(wire, `ethernet ipv4 ${headers} ethernet ipv4 icmp`, 0, requests)
  nothingInClear(wire, /^172\.16\.0\./)
  const protocol = headers === 'etherip' ? 97 : 47
  const firsts = wire.filter((packet) => packet.moreFragments && packet.bytes[23] === protocol)
  if (firsts.length < 2) refuse('the 1,500-byte ping', `${firsts.length} first fragments`, 'one each way')
  for (const first of firsts) checkWhole(wire, first, shim)
}

/** The fragments of one outer packet make the tunnel's header and a frame of 1,514 bytes. */
function checkWhole(wire: readonly WirePacket[], first: WirePacket, shim: number): void {
  const id = (packet: WirePacket): number => (packet.bytes[18]! << 8) | packet.bytes[19]!
  const parts = wire.filter(
    (packet) =>
      id(packet) === id(first) &&
      packet.addresses(0)?.source === first.addresses(0)?.source &&
      (packet.moreFragments || packet.fragmentOffset > 0),
  )
  const bytes = parts.reduce((sum, packet) => sum + packet.totalLength - 20, 0)
  if (bytes !== shim + 1514)
    refuse(
      'the 1,500-byte ping',
      `${bytes} bytes in ${parts.length} fragments`,
      `${shim} of the tunnel and a frame of 1514`,
    )
}

export const eoip: Scenario = {
  name: 'eoip',
  heading: 'Configuring MikroTik Ethernet over IP tunnel',
  script: `${EOIP}
# EoIP is GRE: the switch of the section before
# on both virtual machines
sysctl net.inet.gre.allow=1
ifconfig eoip0 up
${bridges('eoip0')}`,
  check(run) {
    checkFrames(run, 'eoip', 8)
    const header = run.frames.find(
      ({ bytes }) => bytes[12] === 8 && bytes[13] === 0 && bytes[23] === 47,
    )?.bytes
    // GRE version 1 with the key bit, protocol 0x6400.
    const start = header?.subarray(34, 38).join(' ')
    if (start !== '32 1 100 0') refuse('EoIP header', start ?? 'none', '32 1 100 0')
  },
}

export const etherip: Scenario = {
  name: 'etherip',
  heading: 'Configuring EtherIP tunnel',
  script: `# on both virtual machines
sysctl net.inet.etherip.allow=1
# on alice
ifconfig etherip0 create tunnel 192.168.1.1 192.168.1.2 up
# on bob
ifconfig etherip0 create tunnel 192.168.1.2 192.168.1.1 up
${bridges('etherip0')}`,
  check(run) {
    checkFrames(run, 'etherip', 2)
    const header = run.frames.find(
      ({ bytes }) => bytes[12] === 8 && bytes[13] === 0 && bytes[23] === 97,
    )?.bytes
    // RFC 3378 section 3: version 3 in the high four bits, the rest zero.
    const start = header?.subarray(34, 36).join(' ')
    if (start !== '48 0') refuse('EtherIP header', start ?? 'none', '48 0')
  },
}
