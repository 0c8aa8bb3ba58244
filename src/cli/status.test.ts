import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DaemonStatus } from '../linux/index.js'
import { formatStatus } from './status.js'

const none = { packets: 0, bytes: 0, drops: {} }

test('ipsec: flows and SAs in the words of ipsecctl, counts, what is left, drops by reason', () => {
  const path = 'esp 192.0.2.1 --> 192.0.2.2 0x00001001:0x00001002'
  const status: DaemonStatus = {
    pid: 7,
    tunnels: [
      {
        name: 'enc0',
        kind: 'ipsec',
        state: 'up',
        mtu: 1438,
        where: 'ipsec.conf',
        addresses: [],
        paths: [{ id: path, inbound: none, outbound: { packets: 3, bytes: 252, drops: {} } }],
        ipsec: {
          policies: [
            {
              flow: 'flow esp out from 10.0.0.0/24 to 10.0.1.0/24 peer 192.0.2.2 type require',
              direction: 'out',
              action: 'require',
            },
          ],
          sas: [
            {
              sa: 'esp tunnel from 192.0.2.1 to 192.0.2.2 spi 0x00001001 auth hmac-sha2-256 enc aes-256',
              path,
              direction: 'outbound',
              spi: 0x1001,
              state: 'dying',
              packets: 3,
              bytes: 252,
              left: { seconds: 20, packets: 7 },
            },
          ],
        },
        drops: { 'guard.in': 2, 'spd.require': 1 },
      },
    ],
    drops: {},
  }
  assert.equal(
    formatStatus(status),
    `enc0: up, ipsec, mtu 1438
\tfrom ipsec.conf
\t${path}: in 0 packets 0 bytes, out 3 packets 252 bytes
\tflow esp out from 10.0.0.0/24 to 10.0.1.0/24 peer 192.0.2.2 type require
\tesp tunnel from 192.0.2.1 to 192.0.2.2 spi 0x00001001 auth hmac-sha2-256 enc aes-256
\t\toutbound, dying, 3 packets 252 bytes, ends after 20 seconds or 7 packets
\tdropped guard.in: 2
\tdropped spd.require: 1
`,
  )
})

test('the other tunnels as ever', () => {
  const status: DaemonStatus = {
    pid: 7,
    tunnels: [
      {
        name: 'gif0',
        kind: 'gif',
        state: 'idle',
        mtu: 1280,
        addresses: ['172.16.0.1 --> 172.16.0.2'],
        paths: [],
        drops: {},
      },
    ],
    drops: { 'path.none': 4 },
  }
  assert.equal(
    formatStatus(status),
    `gif0: idle, gif no tunnel addresses, mtu 1280
\tinet 172.16.0.1 --> 172.16.0.2
of no tunnel:
\tdropped path.none: 4
`,
  )
})

test('ikev2: who has which address, and what a gateway told besides', () => {
  const sa = {
    policy: 'away',
    state: 'established',
    initiator: true,
    initiatorSpi: '0x0000000000000001',
    responderSpi: '0x0000000000000002',
    local: '192.0.2.1:4500',
    remote: '192.0.2.2:4500',
    localId: 'FQDN/a',
    remoteId: 'FQDN/b',
    algorithms: 'ENCR_AES_GCM_16 256',
    udp: false,
    behindNat: false,
    ageSeconds: 1,
    silentSeconds: 0,
    children: [],
  }
  const assigned = {
    toPeer: false,
    addresses: ['10.9.0.5', 'fd09::5'],
    nameServers: ['10.9.0.53'],
    subnets: ['10.1.0.0/16'],
    others: ['netbios-server 10.9.0.9'],
  }
  const text = formatStatus({
    pid: 7,
    tunnels: [
      {
        ...{ name: 'enc0', kind: 'ikev2', state: 'up', mtu: 1438, addresses: [], paths: [], drops: {} },
        ike: {
          sas: [
            { ...sa, assigned },
            { ...sa, assigned: { ...assigned, toPeer: true, nameServers: [], subnets: [], others: [] } },
            { ...sa, assigned: { toPeer: true, addresses: [], nameServers: [], subnets: [], others: [] } },
          ],
        },
      },
    ],
    drops: {},
  })
  assert.deepEqual(
    text.split('\n').filter((line) => /given|assigned/.test(line)),
    [
      '\t\tassigned to us: address 10.9.0.5, address fd09::5, name-server 10.9.0.53, protected-subnet 10.1.0.0/16, netbios-server 10.9.0.9',
      '\t\tgiven: address 10.9.0.5, address fd09::5',
    ],
  )
})
