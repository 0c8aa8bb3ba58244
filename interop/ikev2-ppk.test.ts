/**
 * Post-quantum pre-shared keys (RFC 8784) with strongSwan: either side begins, the key is required or optional, packets go
 * both ways; where it differs or is missing nothing comes about, and both logs say so.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { established, IkeHosts, pings, until } from './lib/ike-hosts.js'
import { missing } from './lib/need.js'
import { Netns } from './lib/netns.js'
import type { Charon } from './lib/peers/strongswan.js'
import type { WarrenProcess } from './lib/warren.js'

const KEY = '5b8f0c3a9d2e4f61'.repeat(4)
const OTHER = '00112233445566778899aabbccddeeff'.repeat(2)

describe('ppk', { skip: missing('/usr/sbin/charon-systemd', 'swanctl', 'unshare', 'ip', 'ping') }, () => {
  let net: Netns
  let hosts: IkeHosts
  let a: string
  let b: string

  before(() => {
    net = new Netns('pk')
    a = net.add('a')
    b = net.add('b')
    net.veth(a, 'eth0', b, 'eth0')
    for (const [i, host] of [a, b].entries())
      net.run(
        host,
        `ip addr add 192.168.1.${i + 1}/24 dev eth0; ip addr add 10.1.${i + 1}.1/32 dev lo; ip link set lo up`,
      )
    hosts = new IkeHosts(net)
  })
  afterEach(() => hosts.end())
  after(() => net.close())

  /** strongSwan on b. `key`: under the name `ppk of two`, absent: it has none. */
  const charon = (key: string | undefined, required: boolean): Promise<Charon> =>
    hosts.charon(
      b,
      'b',
      `connections {
  tunnel {
    version = 2
    local_addrs = 192.168.1.2
    remote_addrs = 192.168.1.1
    proposals = aes256gcm16-prfsha256-curve25519
    encap = yes
    ${key === undefined ? '' : `ppk_id = ppk of two\n    ppk_required = ${required ? 'yes' : 'no'}`}
    local {
      auth = psk
      id = 192.168.1.2
    }
    remote {
      auth = psk
      id = 192.168.1.1
    }
    children {
      tunnel {
        local_ts = 10.1.2.1/32
        remote_ts = 10.1.1.1/32
        esp_proposals = aes256gcm16-noesn
      }
    }
  }
}
secrets {
  ike-1 {
    secret = "keys of two hosts"
  }
  ${key === undefined ? '' : `ppk-1 {\n    secret = 0x${key}\n    id = ppk of two\n  }`}
}
`,
    )
  /** Warren on a. `ppk`: the words of the file. */
  const warren = (mode: 'active' | 'passive', ppk: string): Promise<WarrenProcess> =>
    hosts.warren(
      a,
      'a',
      `ikev2 "tunnel" ${mode} esp from 10.1.1.1 to 10.1.2.1 local 192.168.1.1 peer 192.168.1.2 \\
  ikesa enc aes-256-gcm prf hmac-sha2-256 group curve25519 childsa enc aes-256-gcm noesn \\
  srcid 192.168.1.1 dstid 192.168.1.2 psk "keys of two hosts" ${ppk}`,
    )
  const ends = (): [string, string][] => [
    [a, '10.1.1.1'],
    [b, '10.1.2.1'],
  ]
  const logged = (process: WarrenProcess, pattern: RegExp): Promise<string> =>
    until(
      `${pattern}`,
      () => pattern.exec(process.log())?.[0],
      () => process.log(),
    )

  for (const beginner of ['warren', 'charon'] as const) {
    /** Both, and the one that begins has begun. */
    const meet = async (ppk: string, key: string | undefined, required: boolean) => {
      const peer = await charon(key, required)
      const own = await warren(beginner === 'warren' ? 'active' : 'passive', ppk)
      if (beginner === 'charon')
        // What comes of it is asked of the logs.
        await peer.swanctl('--initiate', '--child', 'tunnel', '--timeout', '10').catch(() => {})
      return { peer, own }
    }

    test(`${beginner} begins: both require it; packets go both ways`, async () => {
      const { peer, own } = await meet(`ppk "ppk of two" 0x${KEY}`, KEY, true)
      await established(own)
      pings(net, ends())
      // strongSwan's word for it.
      assert.match(await peer.swanctl('--list-sas'), /PPK/)
      assert.doesNotMatch(own.log(), new RegExp(KEY, 'i'))
      // What is made anew is made of it as well.
      await peer.swanctl('--rekey', '--ike', 'tunnel')
      await peer.swanctl('--rekey', '--child', 'tunnel')
      pings(net, ends())
      await established(own)
    })

    test(`${beginner} begins: optional, and only Warren has it`, async () => {
      const { peer, own } = await meet(`ppk optional "ppk of two" 0x${KEY}`, undefined, false)
      await established(own)
      pings(net, ends())
      assert.doesNotMatch(await peer.swanctl('--list-sas'), /PPK/)
    })

    test(`${beginner} begins: optional, and only strongSwan has it`, async () => {
      const { own } = await meet('', KEY, false)
      await established(own)
      pings(net, ends())
    })

    test(`${beginner} begins: the keys differ; nothing is established, and the log says so`, async () => {
      const { peer, own } = await meet(`ppk "ppk of two" 0x${OTHER}`, KEY, true)
      if (beginner === 'warren') {
        await logged(own, /AUTHENTICATION_FAILED.*we said ppk "ppk of two".*name and key behind ppk/)
        await peer.daemon.until(/tried 1 shared key.*MAC mismatched/)
      } else {
        await logged(own, /or the keys of ppk "ppk of two" do.*has to be the same on both sides/)
        await peer.daemon.until(/received AUTHENTICATION_FAILED/)
      }
      assert.doesNotMatch(await peer.swanctl('--list-sas'), /ESTABLISHED/)
      assert.doesNotMatch(own.log(), new RegExp(OTHER, 'i'))
    })

    test(`${beginner} begins: Warren requires it, and strongSwan has none`, async () => {
      const { peer, own } = await meet(`ppk "ppk of two" 0x${KEY}`, undefined, false)
      await logged(own, /ppk: found a peer without one, expected "ppk of two", which the policy requires/)
      assert.doesNotMatch(await peer.swanctl('--list-sas'), /ESTABLISHED/)
    })

    test(`${beginner} begins: strongSwan requires it, and Warren has none`, async () => {
      const { peer } = await meet('', KEY, true)
      await peer.daemon.until(/PPK.*(required|not)|no PPK/i)
      assert.doesNotMatch(await peer.swanctl('--list-sas'), /ESTABLISHED/)
    })
  }
})
