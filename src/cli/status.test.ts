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
