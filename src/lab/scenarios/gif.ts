import { GIF, GIF_PING, GIF_VERBOSE, GIF6 } from './article.js'
import {
  allSucceeded,
  carried,
  nothingInClear,
  onTheWire,
  pingCameBack,
  printed,
  type Scenario,
} from './scenario.js'

const PING = 'ping -c3 172.16.0.2'
const INNER = /^172\.16\.0\./

export const gif: Scenario = {
  name: 'gif',
  heading: 'Configuring IP over IP tunnel (ipv4)',
  script: `${GIF}\n${GIF_PING}\n${GIF_VERBOSE}\n# on alice\n${PING}\n`,
  check(run) {
    allSucceeded(run)
    const requests = pingCameBack(run, 'alice', PING)
    const wire = onTheWire(run.frames)
    carried(wire, 'ethernet ipv4 ipv4 icmp', 8, requests)
    carried(wire, 'ethernet ipv4 ipv4 icmp', 0, requests)
    nothingInClear(wire, INNER)
    // The article's own lines, with other times and identifiers.
    const brief = (what: string): RegExp => new RegExp(`^[\\d:.]{15} ${what} \\(encap\\)$`)
    for (const [host, command] of [
      ['host', 'tcpdump -i bridge0'],
      ['alice', 'tcpdump -i vio0'],
    ] as const) {
      printed(run, host, command, brief('172\\.16\\.0\\.1 > 172\\.16\\.0\\.2: icmp: echo request'), 3)
      printed(run, host, command, brief('172\\.16\\.0\\.2 > 172\\.16\\.0\\.1: icmp: echo reply'), 3)
    }
    const whole = (outer: string, inner: string): RegExp =>
      new RegExp(
        `^[\\d:.]{15} ${outer}: ${inner} \\(id:[0-9a-f]{4} seq:\\d+\\) \\(ttl 255, id \\d+, len 84\\) \\(ttl 64, id \\d+, len 104\\)$`,
      )
    const verbose = 'tcpdump -XXvvv -i bridge0'
    printed(
      run,
      'host',
      verbose,
      whole('192.168.1.1 > 192.168.1.2', '172.16.0.1 > 172.16.0.2: icmp: echo request'),
      3,
    )
    printed(
      run,
      'host',
      verbose,
      whole('192.168.1.2 > 192.168.1.1', '172.16.0.2 > 172.16.0.1: icmp: echo reply'),
      3,
    )
    printed(run, 'host', verbose, /0000: 4500 0068 [0-9a-f]{4} 0000 4004 [0-9a-f]{4} c0a8 0101/, 3)
    printed(run, 'host', verbose, /0060: 3031 3233 3435 +012345/, 6)
  },
}

export const gif6: Scenario = {
  name: 'gif6',
  heading: 'Configuring IP over IP tunnel (ipv4): an IPv4 packet over IPv6',
  script: `${GIF}\n${GIF6}\n# on alice\n${PING}\n# on bob\nping -c3 172.16.0.1\n`,
  check(run) {
    allSucceeded(run)
    const requests = pingCameBack(run, 'alice', PING) + pingCameBack(run, 'bob', 'ping -c3 172.16.0.1')
    const wire = onTheWire(run.frames)
    carried(wire, 'ethernet ipv6 ipv4 icmp', 8, requests)
    carried(wire, 'ethernet ipv6 ipv4 icmp', 0, requests)
    nothingInClear(wire, INNER)
    const line = (outer: string, inner: string): RegExp =>
      new RegExp(
        `^[\\d:.]{15} ${outer}: ${inner} \\(id:[0-9a-f]{4} seq:\\d+\\) \\(ttl 255, id \\d+, len 84\\) (\\[flowlabel 0x[0-9a-f]+\\] )?\\(len 84, hlim 64\\)$`,
      )
    const prefix = 'fd3e:62ee:99db:bb1a:'
    const there = `${prefix}:1 > ${prefix}:2`
    const back = `${prefix}:2 > ${prefix}:1`
    const verbose = 'tcpdump -XXvvv -i bridge0'
    printed(run, 'host', verbose, line(there, '172.16.0.1 > 172.16.0.2: icmp: echo request'), 3)
    printed(run, 'host', verbose, line(back, '172.16.0.2 > 172.16.0.1: icmp: echo reply'), 3)
    printed(run, 'host', verbose, /0000: 600[0-9a-f] [0-9a-f]{4} 0054 0440 fd3e 62ee 99db bb1a/, 6)
  },
}
