import { ADDRESSES, HOST, PINGS } from './article.js'
import { allSucceeded, carried, onTheWire, pingCameBack, refuse, type Scenario } from './scenario.js'

export const testbed: Scenario = {
  name: 'testbed',
  heading: 'Configuring the host; Post-installation configuration',
  bare: true,
  script: `${HOST}\n${ADDRESSES}\n${PINGS}`,
  check(run) {
    allSucceeded(run)
    const { lab } = run
    for (const name of ['alice', 'bob'])
      if (lab.machine(name) === undefined) refuse('vmctl start', `${name} does not run`, 'two machines')
    const { forwarding4, forwarding6 } = lab.host.stack.settings
    if (!forwarding4 || !forwarding6) refuse('sysctl', 'forwarding is off', 'net.inet.ip.forwarding=1')
    if (!lab.host.pf.anchors.includes('vmd')) refuse('pfctl', 'no anchor', 'anchor vmd')
    let requests = pingCameBack(run, 'alice', 'ping -c3 192.168.1.2')
    requests += pingCameBack(run, 'bob', 'ping -c3 192.168.1.1')
    let requests6 = pingCameBack(run, 'alice', 'ping6 -c3 fd3e:62ee:99db:bb1a::2')
    requests6 += pingCameBack(run, 'bob', 'ping6 -c3 fd3e:62ee:99db:bb1a::1')
    const wire = onTheWire(run.frames)
    carried(wire, 'ethernet ipv4 icmp', 8, requests)
    carried(wire, 'ethernet ipv4 icmp', 0, requests)
    carried(wire, 'ethernet ipv6 icmpv6', 128, requests6)
    carried(wire, 'ethernet ipv6 icmpv6', 129, requests6)
  },
}
