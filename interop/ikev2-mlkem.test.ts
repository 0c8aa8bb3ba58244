/**
 * ML-KEM beside x25519 (RFC 9242, RFC 9370) with strongSwan 6: either side begins, packets go both ways, keys are made anew
 * with all of their key exchanges, and where one side cannot do without what the other has not, both say so.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { Cable, established, logged, until } from './lib/ike-hosts.js'
import { missing } from './lib/need.js'
import { LATER, LATER_CHARON } from './lib/peers/strongswan.js'

const BASE = 'aes256gcm16-prfsha256-x25519'

describe('ml-kem', { skip: missing(LATER_CHARON, 'swanctl', 'unshare', 'chroot', 'ip', 'ping') }, () => {
  let cable: Cable

  before(() => {
    cable = new Cable('mk')
  })
  afterEach(() => cable.end())
  after(() => cable.net.close())

  for (const beginner of ['warren', 'charon'] as const) {
    const meet = async (ike: string, peerIke: string, child?: string, peerChild?: string) => {
      const peer = await cable.charon(
        { proposals: peerIke, ...(peerChild === undefined ? {} : { esp: peerChild }) },
        LATER,
      )
      const own = await cable.warren(beginner === 'warren' ? 'active' : 'passive', {
        ike,
        child: child ?? '',
      })
      if (beginner === 'charon')
        // What comes of it is asked of the logs.
        await peer.swanctl('--initiate', '--child', 'tunnel', '--timeout', '15').catch(() => {})
      return { peer, own }
    }

    test(`${beginner} begins: x25519 and ML-KEM-768; packets go both ways, before and after new keys`, async () => {
      const { peer, own } = await meet(
        'addke1 mlkem768',
        `${BASE}-ke1_mlkem768`,
        'group curve25519 addke1 mlkem768',
        'aes256gcm16-x25519-ke1_mlkem768-noesn',
      )
      const first = await established(own)
      assert.match(first.algorithms, /CURVE25519, ML_KEM_768/)
      cable.pings()
      await peer.daemon.until(/selected proposal: IKE:\S*KE1_ML_KEM_768/)
      await peer.swanctl('--rekey', '--ike', 'tunnel')
      const next = await until(
        'another IKE SA',
        async () => {
          const sa = await established(own)
          return sa.initiatorSpi !== first.initiatorSpi && sa
        },
        () => `${own.log()}\n${peer.daemon.log}`,
      )
      assert.match(next.algorithms, /CURVE25519, ML_KEM_768/)
      cable.pings()
      await peer.swanctl('--rekey', '--child', 'tunnel')
      const renewed = await until(
        'another child',
        async () => {
          const { children } = await established(own)
          return children.length === 1 && children[0]!.spiIn !== first.children[0]!.spiIn && children[0]
        },
        () => `${own.log()}\n${peer.daemon.log}`,
      )
      // The first child has no key exchange of its own (RFC 7296 section 1.2); those that follow have all.
      assert.match(renewed.algorithms, /CURVE25519, ML_KEM_768/)
      await peer.daemon.until(/selected proposal: ESP:\S*KE1_ML_KEM_768/)
      cable.pings()
    })

    test(`${beginner} begins: three more, one of them left out`, async () => {
      const { own } = await meet(
        'addke1 mlkem1024 addke2 ecp384 addke2 none addke3 mlkem512',
        `${BASE}-ke1_mlkem1024-ke3_mlkem512`,
      )
      assert.match((await established(own)).algorithms, /CURVE25519, ML_KEM_1024, ML_KEM_512/)
      cable.pings()
    })

    test(`${beginner} begins: the peer has none, and ours may be left out`, async () => {
      const { own } = await meet('addke1 mlkem768 addke1 none', BASE)
      assert.match((await established(own)).algorithms, /CURVE25519$/)
      cable.pings()
    })

    test(`${beginner} begins: the peer has none, and ours may not be left out; the log says so`, async () => {
      const { peer, own } = await meet('addke1 mlkem768', BASE)
      if (beginner === 'warren') {
        await logged(own, /NO_PROPOSAL_CHOSEN.*addke1 mlkem768/)
        await peer.daemon.until(/received proposals unacceptable/)
      } else {
        await logged(
          own,
          /no proposal chosen: addke1: found nothing at the peer, expected mlkem768 of our ikesa/,
        )
        await peer.daemon.until(/NO_PROP/)
      }
      assert.doesNotMatch(await peer.swanctl('--list-sas'), /ESTABLISHED/)
    })
  }
})
