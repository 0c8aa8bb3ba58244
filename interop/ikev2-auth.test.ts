/**
 * How the two ends of IKEv2 prove who they are, with strongSwan's charon at the other end: chains of certificates of every
 * kind of key, what was revoked or has ended, EAP-MSCHAPv2, raw keys, pre-shared keys that differ. Warren begins, and
 * answers.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import { IkeAuthNet, NAME_A, NAME_B } from './lib/ike-auth-net.js'
import { established, pings, sasOf, until } from './lib/ike-hosts.js'
import { type Certified, IkeAuthority, type KeyType } from './lib/ike-pki.js'
import { missing } from './lib/need.js'
import type { Charon } from './lib/peers/strongswan.js'
import { WARREN, type WarrenProcess } from './lib/warren.js'

const NEEDS = missing('ping', 'iperf3', 'openssl', 'nft', '/usr/sbin/charon-systemd', 'swanctl')
const PASSWORD = 'a password of a user'

type Mode = 'active' | 'passive'

const policy = (mode: Mode, auth = '', first = ''): string =>
  `${first}
ikev2 "tunnel" ${mode} esp from 10.1.1.1 to 10.1.2.1 local 192.168.1.1 peer 192.168.1.2 \\
  ikesa enc aes-256-gcm prf hmac-sha2-256 group curve25519 childsa enc aes-256-gcm noesn \\
  srcid ${NAME_A} dstid ${NAME_B} ${auth}`

const BY_CERTIFICATE = {
  local: `auth = pubkey\n      certs = own.crt\n      id = ${NAME_B}`,
  remote: `auth = pubkey\n      id = ${NAME_A}`,
}

/** A root, an authority beneath it for each side, and a certificate of each. */
interface Company {
  readonly root: IkeAuthority
  readonly issuers: readonly [IkeAuthority, IkeAuthority]
  readonly a: Certified
  readonly b: Certified
}

describe('IKEv2 with strongSwan: who is who', { skip: NEEDS }, () => {
  let world: IkeAuthNet
  let companies = 0

  before(() => {
    world = new IkeAuthNet('iu')
  })
  afterEach(async () => {
    await world.end()
    world.clear()
  })
  after(() => world.net.close())

  function company(type: KeyType): Company {
    const folder = (name: string): string => join(world.net.folder, `${companies++}-${name}`)
    const root = IkeAuthority.root(folder('root'), `Root ${type}`, type)
    const issuers = [
      root.below(folder('issuer-a'), `Issuer of a ${type}`),
      root.below(folder('issuer-b'), `Issuer of b ${type}`),
    ] as const
    return { root, issuers, a: issuers[0].issue(NAME_A), b: issuers[1].issue(NAME_B) }
  }

  /** Each trusts the root alone, and has its own issuer to show. */
  function trust({ root, issuers, a, b }: Company): void {
    world.trustOfWarren({ own: a, authorities: [root.certificate, issuers[0].certificate] })
    world.trustOfCharon({ own: b, authorities: [root.certificate, issuers[1].certificate] })
  }

  /** Both, whoever begins. */
  async function both(
    mode: Mode,
    text: string,
    connection: Parameters<IkeAuthNet['charon']>[0],
  ): Promise<{ w: WarrenProcess; peer: Charon }> {
    if (mode === 'active') {
      const peer = await world.charon(connection)
      return { w: await world.warren(text), peer }
    }
    const w = await world.warren(text)
    const peer = await world.charon(connection)
    // Where it is to fail, both logs say why.
    await peer.swanctl('--initiate', '--child', 'tunnel', '--timeout', '10').catch(() => {})
    return { w, peer }
  }

  const inside = (): [string, string][] => [
    [world.a, '10.1.1.1'],
    [world.b, '10.1.2.1'],
  ]

  const logged = (w: WarrenProcess, pattern: RegExp): Promise<string> =>
    until(
      `${pattern}`,
      () => pattern.exec(w.log())?.[0],
      () => w.log(),
    )

  for (const type of ['rsa4096', 'ecdsa256', 'ecdsa384', 'ed25519'] as const)
    describe(`certificates with an authority in between, ${type}`, () => {
      let made: Company
      before(() => {
        made = company(type)
      })

      for (const mode of ['active', 'passive'] as const)
        test(mode === 'active' ? 'Warren begins' : 'Warren answers', async () => {
          trust(made)
          const { w, peer } = await both(mode, policy(mode, '', 'set fragmentation'), {
            ...BY_CERTIFICATE,
            connection: 'fragmentation = yes',
            settings: 'fragment_size = 400',
          })
          const sa = await established(w)
          assert.equal(sa.remoteId, `FQDN/${NAME_B}`)
          assert.equal(sa.initiator, mode === 'active')
          pings(world.net, inside())
          if (type !== 'rsa4096') return
          // RFC 7383: certificates of this size fit into no packet of this size.
          assert.match(peer.daemon.log, /splitting IKE message \(\d+ bytes\) into (\d\d|[5-9]) fragments/)
          assert.match(peer.daemon.log, /received fragment #\d of [4-9], reassembled fragmented IKE message/)
          await world.iperf([world.a, '10.1.1.1'], [world.b, '10.1.2.1'])
        })
    })

  describe('certificates that are not to be believed', () => {
    let made: Company
    let revokedA: Certified
    let revokedB: Certified
    let endedA: Certified
    let endedB: Certified
    let lists: string[]
    before(() => {
      made = company('ecdsa256')
      const then = ['20240101000000Z', '20240201000000Z'] as const
      const [issuerA, issuerB] = made.issuers
      ;[endedA, endedB] = [issuerA.issue(NAME_A, then), issuerB.issue(NAME_B, then)]
      ;[revokedA, revokedB] = [issuerA.issue(NAME_A), issuerB.issue(NAME_B)]
      issuerA.revoke(revokedA)
      issuerB.revoke(revokedB)
      lists = [made.root.list(), issuerA.list(), issuerB.list()]
    })

    const trustWith = (a: Certified, b: Certified): void => {
      const { root, issuers } = made
      const authorities = [root, ...issuers].map(({ certificate }) => certificate)
      world.trustOfWarren({ own: a, authorities, lists })
      world.trustOfCharon({ own: b, authorities, lists })
    }

    for (const mode of ['active', 'passive'] as const) {
      const who = mode === 'active' ? 'Warren begins' : 'Warren answers'

      test(`with lists, and both are good: ${who}`, async () => {
        trustWith(made.a, made.b)
        const { w } = await both(mode, policy(mode), BY_CERTIFICATE)
        await established(w)
        pings(world.net, inside())
      })

      test(`the peer's was revoked: ${who}`, async () => {
        trustWith(made.a, revokedB)
        const { w, peer } = await both(mode, policy(mode), BY_CERTIFICATE)
        await logged(w, /FQDN\/b\.example\.com.* was revoked by \S*Issuer of b.*\n/)
        assert.match(w.log(), /make it a new certificate/)
        await peer.daemon.until(/AUTH_FAILED|AUTHENTICATION_FAILED|deleting IKE_SA|received DELETE/)
        assert.equal(
          (await sasOf(w)).some(({ state }) => state === 'established'),
          false,
        )
      })

      test(`the peer's has ended: ${who}`, async () => {
        trustWith(made.a, endedB)
        const { w } = await both(mode, policy(mode), BY_CERTIFICATE)
        await logged(w, /FQDN\/b\.example\.com.* ended at 2024-02-01.*\n/)
        assert.match(w.log(), /make a new certificate, or set the clock/)
        assert.equal(
          (await sasOf(w)).some(({ state }) => state === 'established'),
          false,
        )
      })

      test(`ours was revoked, and the peer says so: ${who}`, async () => {
        trustWith(revokedA, made.b)
        const { w, peer } = await both(mode, policy(mode), BY_CERTIFICATE)
        await peer.daemon.until(/certificate was revoked/)
        await logged(w, /AUTHENTICATION_FAILED.*\n/)
      })

      test(`ours has ended, and the peer says so: ${who}`, async () => {
        trustWith(endedA, made.b)
        const { w, peer } = await both(mode, policy(mode), BY_CERTIFICATE)
        await peer.daemon.until(/certificate invalid|not valid/)
        await logged(w, /AUTHENTICATION_FAILED.*\n/)
      })
    }
  })

  describe('EAP-MSCHAPv2', () => {
    let made: Company
    before(() => {
      made = company('rsa2048')
    })

    const user = (password = PASSWORD): string => `user "tester" "${password}"`
    const secrets = (password = PASSWORD): string =>
      `secrets {\n  eap-1 {\n    id = tester\n    secret = "${password}"\n  }\n}`

    const server = {
      local: BY_CERTIFICATE.local,
      remote: 'auth = eap-mschapv2\n      eap_id = %any\n      id = %any',
    }
    const client = {
      local: 'auth = eap-mschapv2\n      eap_id = tester\n      id = tester',
      remote: BY_CERTIFICATE.remote,
    }
    const asServer = policy('passive', 'eap "mschap-v2"').replace(`dstid ${NAME_B}`, '')

    test('Warren is the user', async () => {
      trust(made)
      await world.charon({ ...server, rest: secrets() })
      const w = await world.warren(policy('active', 'eap "mschap-v2"', user()))
      await established(w)
      pings(world.net, inside())
    })

    test('Warren is the server', async () => {
      trust(made)
      const w = await world.warren(`${user()}\n${asServer}`)
      const peer = await world.charon({ ...client, rest: secrets() })
      await peer.swanctl('--initiate', '--child', 'tunnel')
      const sa = await established(w)
      assert.match(sa.remoteId ?? '', /tester/)
      pings(world.net, inside())
    })

    test('another password: Warren is the user', async () => {
      trust(made)
      const peer = await world.charon({ ...server, rest: secrets('another one') })
      const w = await world.warren(policy('active', 'eap "mschap-v2"', user()))
      const line = await logged(w, /enc0: .*the server refuses: E=691 R=1 \(wrong user or password\).*\n/)
      assert.match(line, /\(compare user and password with the server’s/)
      assert.ok(!line.includes(PASSWORD))
      await peer.daemon.until(/EAP method EAP_MSCHAPV2 failed|verification failed/)
    })

    test('another password: Warren is the server', async () => {
      trust(made)
      const w = await world.warren(`${user()}\n${asServer}`)
      const peer = await world.charon({ ...client, rest: secrets('another one') })
      await assert.rejects(peer.swanctl('--initiate', '--child', 'tunnel', '--timeout', '10'))
      const line = await logged(w, /enc0: .*wrong user or password of "tester" \(compare `user`.*\n/)
      assert.ok(!line.includes(PASSWORD))
      await peer.daemon.until(/EAP method EAP_MSCHAPV2 failed|received EAP_FAILURE|EAP-MS-CHAPv2 failed/)
    })
  })

  describe('pre-shared keys that differ', () => {
    const psk = (id: string): string => `auth = psk\n      id = ${id}`
    const other = {
      local: psk(NAME_B),
      remote: psk(NAME_A),
      rest: 'secrets {\n  ike-1 {\n    secret = "one secret"\n  }\n}',
    }

    for (const mode of ['active', 'passive'] as const)
      test(mode === 'active' ? 'Warren begins' : 'Warren answers', async () => {
        const { w, peer } = await both(mode, policy(mode, 'psk "another secret"'), other)
        await logged(
          w,
          mode === 'active'
            ? /AUTHENTICATION_FAILED: the peer does not believe who we are.*write the same psk on both sides.*iked\.conf:2/
            : /the pre-shared keys differ \(write the same psk on both sides.*iked\.conf:2/,
        )
        assert.ok(!/one secret|another secret/.test(w.log()))
        await peer.daemon.until(
          mode === 'active'
            ? /tried 1 shared key for .* but MAC mismatched/
            : /received AUTHENTICATION_FAILED notify error|MAC mismatched/,
        )
      })
  })

  for (const type of ['rsa2048', 'ecdsa256', 'ed25519'])
    test(`raw keys, strongSwan begins, ${type}`, async () => {
      const far = join(world.net.folder, `far-${type}`)
      for (const folder of [world.ikedFolder, far])
        execFileSync(process.execPath, [WARREN, 'keygen', '--type', type, '--folder', folder], {
          stdio: 'pipe',
        })
      const [privates, publics] = ['private', 'pubkey'].map((name) => join(world.charonFolder, name)) as [
        string,
        string,
      ]
      for (const folder of [privates, publics]) mkdirSync(folder, { recursive: true })
      const known = join(world.ikedFolder, 'pubkeys', 'fqdn')
      mkdirSync(known, { recursive: true })
      copyFileSync(join(far, 'private', 'local.key'), join(privates, 'own.key'))
      copyFileSync(join(far, 'local.pub'), join(publics, 'own.pub'))
      copyFileSync(join(world.ikedFolder, 'local.pub'), join(publics, 'warren.pub'))
      copyFileSync(join(far, 'local.pub'), join(known, NAME_B))
      const { w } = await both('passive', policy('passive'), {
        local: `auth = pubkey\n      pubkeys = own.pub\n      id = ${NAME_B}`,
        remote: `auth = pubkey\n      pubkeys = warren.pub\n      id = ${NAME_A}`,
      })
      assert.equal((await established(w)).initiator, false)
      pings(world.net, inside())
    })
})
