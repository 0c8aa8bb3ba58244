/**
 * Post-quantum pre-shared keys (RFC 8784) with strongSwan: either side begins, the key is required or optional, packets go
 * both ways; where it differs or is missing nothing comes about, and both logs say so.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { Cable, established, logged } from './lib/ike-hosts.js'
import { missing } from './lib/need.js'
import type { Charon } from './lib/peers/strongswan.js'

const KEY = '5b8f0c3a9d2e4f61'.repeat(4)
const OTHER = '00112233445566778899aabbccddeeff'.repeat(2)

describe('ppk', { skip: missing('/usr/sbin/charon-systemd', 'swanctl', 'unshare', 'ip', 'ping') }, () => {
  let cable: Cable

  before(() => {
    cable = new Cable('pk')
  })
  afterEach(() => cable.end())
  after(() => cable.net.close())

  /** `key`: under the name `ppk of two`, absent: it has none. */
  const charon = (key: string | undefined, required: boolean): Promise<Charon> =>
    key === undefined
      ? cable.charon({})
      : cable.charon({
          connection: `ppk_id = ppk of two\n    ppk_required = ${required ? 'yes' : 'no'}`,
          secrets: `ppk-1 {\n    secret = 0x${key}\n    id = ppk of two\n  }`,
        })

  for (const beginner of ['warren', 'charon'] as const) {
    /** Both, and the one that begins has begun. */
    const meet = async (ppk: string, key: string | undefined, required: boolean) => {
      const peer = await charon(key, required)
      const own = await cable.warren(beginner === 'warren' ? 'active' : 'passive', { rest: ppk })
      if (beginner === 'charon')
        // What comes of it is asked of the logs.
        await peer.swanctl('--initiate', '--child', 'tunnel', '--timeout', '10').catch(() => {})
      return { peer, own }
    }

    test(`${beginner} begins: both require it; packets go both ways`, async () => {
      const { peer, own } = await meet(`ppk "ppk of two" 0x${KEY}`, KEY, true)
      await established(own)
      cable.pings()
      // strongSwan's word for it.
      assert.match(await peer.swanctl('--list-sas'), /PPK/)
      assert.doesNotMatch(own.log(), new RegExp(KEY, 'i'))
      // What is made anew is made of it as well.
      await peer.swanctl('--rekey', '--ike', 'tunnel')
      await peer.swanctl('--rekey', '--child', 'tunnel')
      cable.pings()
      await established(own)
    })

    test(`${beginner} begins: optional, and only Warren has it`, async () => {
      const { peer, own } = await meet(`ppk optional "ppk of two" 0x${KEY}`, undefined, false)
      await established(own)
      cable.pings()
      assert.doesNotMatch(await peer.swanctl('--list-sas'), /PPK/)
    })

    test(`${beginner} begins: optional, and only strongSwan has it`, async () => {
      const { own } = await meet('', KEY, false)
      await established(own)
      cable.pings()
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
