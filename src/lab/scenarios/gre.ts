import { GRE, GRE_PING } from './article.js'
import {
  allSucceeded,
  carried,
  nothingInClear,
  onTheWire,
  pingCameBack,
  printed,
  type Scenario,
} from './scenario.js'

export const gre: Scenario = {
  name: 'gre',
  heading: 'Configuring a GRE tunnel',
  script: `${GRE}\n# on the host\ntcpdump -i bridge0\n\n${GRE_PING}`,
  check(run) {
    allSucceeded(run)
    const requests =
      pingCameBack(run, 'alice', 'ping -c3 172.16.0.2') + pingCameBack(run, 'bob', 'ping -c3 172.16.0.1')
    const wire = onTheWire(run.frames)
    carried(wire, 'ethernet ipv4 gre ipv4 icmp', 8, requests)
    carried(wire, 'ethernet ipv4 gre ipv4 icmp', 0, requests)
    nothingInClear(wire, /^172\.16\.0\./)
    // The article prints 10.0.0.1 and 10.0.0.2 here, which its own commands do not configure.
    const line = (text: string): RegExp => new RegExp(`^[\\d:.]{15} ${text}$`)
    const command = 'tcpdump -i bridge0'
    printed(
      run,
      'host',
      command,
      line('192.168.1.1 > 192.168.1.2: gre 172.16.0.1 > 172.16.0.2: icmp: echo request'),
      3,
    )
    printed(
      run,
      'host',
      command,
      line('192.168.1.2 > 192.168.1.1: gre 172.16.0.2 > 172.16.0.1: icmp: echo reply'),
      3,
    )
  },
}
