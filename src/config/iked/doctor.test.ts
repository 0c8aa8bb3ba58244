/**
 * The Doctor: whatever keeps two ends apart stands in both logs, with what was found, what was expected, and the mend in
 * the file's words and at its line. Each row is two files (and what is below /etc/iked) that do not fit.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { instantAt, parseIpAddress, SeededRandom } from '../../base/index.js'
import { writePem } from '../../crypto/index.js'
import { authority, DAY, entity, revocationList, type TestEntity, TODAY } from '../../crypto/x509/testing.js'
import { refusedChild } from '../../proto/ikev2/doctor.js'
import { notify } from '../../proto/ikev2/init.js'
import { plainAnswer } from '../../proto/ikev2/respond.js'
import { Link, Side } from '../../proto/ikev2/testing.js'
import { NotifyType, parseIkeHeader } from '../../wire/ike/index.js'
import { parseIkedConf, toIkePolicies } from './index.js'
import { linesOf } from './log.js'
import { credentialsOf, type Files } from './testing.js'

interface Host {
  readonly conf: string
  readonly files?: Files
  /** Wall clock; default TODAY. */
  readonly at?: number
}

function side(hostname: 'alice' | 'bob', address: string, { conf, files = {}, at = TODAY }: Host): Side {
  const own = parseIpAddress(address)!
  const policies = toIkePolicies(parseIkedConf(conf, `${hostname}.conf`), {
    hostname: `${hostname}.my.domain`,
    addresses: [own],
    localFor: () => own,
    interfaceAddresses: () => undefined,
  })
  return new Side({
    policies,
    credentials: credentialsOf(files, at),
    random: new SeededRandom(hostname.length),
  })
}

/** The lines that a daemon logs without being asked for more. */
const logOf = ({ news }: Side): string =>
  news
    .flatMap(linesOf)
    .filter(({ verbose }) => !verbose)
    .map(({ text }) => text)
    .join('\n')

interface Logs {
  readonly alice: string
  readonly bob: string
  readonly link: Link
}

/** Alice waits at 192.168.1.1, bob begins. */
function play(alice: Host, bob: Host, from = '192.168.1.2', seconds = 5): Logs {
  const link = new Link([side('alice', '192.168.1.1', alice), side('bob', from, bob)])
  link.start()
  link.run(seconds)
  return { alice: logOf(link.sides[0]), bob: logOf(link.sides[1]), link }
}

const FLOW = 'from 172.16.1.0/24 to 172.16.2.0/24'
const BACK = 'from 172.16.2.0/24 to 172.16.1.0/24'
const SECRET = 'dont_use_psk_its_a_bad_idea'
const PSK = `psk "${SECRET}"`
/** Line 2 of each file: a line is told, and the right one. */
const alice = (words: string, flow = FLOW): string =>
  `# alice\nikev2 "a" passive esp ${flow} peer any ${words}\n`
const bob = (words: string, flow = BACK): string =>
  `# bob\nikev2 "b" active esp ${flow} local 192.168.1.2 peer 192.168.1.1 ${words}\n`

interface Row {
  readonly name: string
  readonly alice: Host
  readonly bob: Host
  /** Of the log: what is wrong, and the mend in brackets. */
  readonly atAlice: readonly RegExp[]
  readonly atBob: readonly RegExp[]
  /** An IKE SA stands all the same. */
  readonly stands?: boolean
  readonly from?: string
  readonly seconds?: number
}

const rows: readonly Row[] = [
  {
    name: 'encryptions of the IKE SA',
    alice: { conf: alice(`ikesa enc chacha20-poly1305 ${PSK}`) },
    bob: { conf: bob(`ikesa enc aes-128 ${PSK}`) },
    atAlice: [
      /no proposal chosen: enc: found aes-128 at the peer, expected chacha20-poly1305 of our ikesa \(add enc aes-128 to ikesa \(alice\.conf:2:1\), or write enc chacha20-poly1305 there\)/,
    ],
    atBob: [
      /NO_PROPOSAL_CHOSEN: the peer takes none of our proposals: ikesa here is enc aes-128, auth .*hmac-sha2-256.*, prf .*, group .* \(write behind ikesa what the peer has \(bob\.conf:2:1\); its log names what differs\)/,
    ],
  },
  {
    name: 'groups of the IKE SA',
    alice: { conf: alice(`ikesa group ecp384 ${PSK}`) },
    bob: { conf: bob(`ikesa group modp2048 ${PSK}`) },
    atAlice: [
      /group: found modp2048 at the peer, expected ecp384 of our ikesa \(add group modp2048 to ikesa/,
    ],
    atBob: [/NO_PROPOSAL_CHOSEN: .*group modp2048 \(/],
  },
  {
    name: 'PRFs of the IKE SA',
    alice: { conf: alice(`ikesa prf hmac-sha2-512 ${PSK}`) },
    bob: { conf: bob(`ikesa prf hmac-sha1 ${PSK}`) },
    atAlice: [/prf: found hmac-sha1 at the peer, expected hmac-sha2-512 of our ikesa/],
    atBob: [/NO_PROPOSAL_CHOSEN: .*prf hmac-sha1, /],
  },
  {
    name: 'encryptions of the child',
    alice: { conf: alice(`childsa enc aes-256 auth hmac-sha2-256 ${PSK}`) },
    bob: { conf: bob(`childsa enc chacha20-poly1305 ${PSK}`) },
    stands: true,
    atAlice: [
      /no child: no proposal chosen: enc: found chacha20-poly1305 at the peer, expected aes-256 of our childsa \(add enc chacha20-poly1305 to childsa \(alice\.conf:2:1\)/,
    ],
    atBob: [
      /no child: NO_PROPOSAL_CHOSEN: .*childsa here is enc chacha20-poly1305, .*esp tunnel \(write behind childsa what the peer has, and tunnel on both sides \(bob\.conf:2:1\)/,
    ],
  },
  {
    name: 'transport here, tunnel there',
    alice: {
      conf: `# alice\nikev2 "a" passive transport esp from 192.168.1.1 to 192.168.1.2 peer any ${PSK}\n`,
    },
    bob: { conf: bob(PSK, 'from 192.168.1.2 to 192.168.1.1') },
    stands: true,
    atAlice: [
      /mode: found tunnel at the peer, expected transport \(write tunnel here \(alice\.conf:2:1\), or transport there\)/,
    ],
    atBob: [/NO_PROPOSAL_CHOSEN: .*esp tunnel .*and tunnel on both sides \(bob\.conf:2:1\)/],
  },
  {
    name: 'pre-shared keys',
    alice: { conf: alice(PSK) },
    bob: { conf: bob('psk "another_one"') },
    atAlice: [/the pre-shared keys differ \(write the same psk on both sides \(alice\.conf:2:1\)\)/],
    atBob: [
      /AUTHENTICATION_FAILED: the peer does not believe who we are: we said srcid FQDN\/bob\.my\.domain by psk \(write the same psk on both sides \(bob\.conf:2:1\); dstid there has to be FQDN\/bob\.my\.domain; its log says which\)/,
    ],
  },
  {
    name: 'a key here, a pre-shared key there',
    alice: { conf: alice('') },
    bob: { conf: bob(PSK), files: {} },
    atAlice: [
      /no public key of FQDN\/bob\.my\.domain is known: .*\/etc\/iked\/pubkeys\/fqdn\/bob\.my\.domain.*\(alice\.conf:2:1\)/,
    ],
    atBob: [/AUTHENTICATION_FAILED: .*by psk/],
  },
  {
    name: 'an identity that the responder does not want',
    alice: { conf: alice(`dstid carol.my.domain ${PSK}`) },
    bob: { conf: bob(PSK) },
    atAlice: [
      /the peer is another: found srcid FQDN\/bob\.my\.domain there, expected dstid FQDN\/carol\.my\.domain \(write dstid FQDN\/bob\.my\.domain here \(alice\.conf:2:1\), if that is who may come; else srcid FQDN\/carol\.my\.domain there\)/,
    ],
    atBob: [
      /AUTHENTICATION_FAILED: .*srcid FQDN\/bob\.my\.domain by psk.*dstid there has to be FQDN\/bob\.my\.domain/,
    ],
  },
  {
    name: 'an identity that the responder has not',
    alice: { conf: alice(PSK) },
    bob: { conf: bob(`dstid dave.my.domain ${PSK}`) },
    atAlice: [
      /FQDN\/bob\.my\.domain asks for another than we are: found dstid FQDN\/dave\.my\.domain there, expected srcid FQDN\/alice\.my\.domain \(write dstid FQDN\/alice\.my\.domain there, or srcid FQDN\/dave\.my\.domain here \(alice\.conf:2:1\)\)/,
    ],
    atBob: [
      /AUTHENTICATION_FAILED: .*and asked for dstid FQDN\/dave\.my\.domain .*srcid there FQDN\/dave\.my\.domain/,
    ],
  },
  {
    name: 'networks that do not meet',
    alice: { conf: alice(PSK) },
    bob: { conf: bob(PSK, 'from 172.16.9.0/24 to 172.16.1.0/24') },
    stands: true,
    atAlice: [
      /no child: traffic selectors: found from 172\.16\.9\.0\/24 to 172\.16\.1\.0\/24 at the peer, expected from 172\.16\.2\.0\/24 to 172\.16\.1\.0\/24 \(.*write from 172\.16\.1\.0\/24 to 172\.16\.9\.0\/24 here \(alice\.conf:2:1\), or mend the peer\)/,
    ],
    atBob: [
      /no child: TS_UNACCEPTABLE: the peer allows none of our networks: we asked for from 172\.16\.9\.0\/24 to 172\.16\.1\.0\/24 \(.*turned round: what is from here \(bob\.conf:2:1\) is to there\)/,
    ],
  },
  {
    name: 'an address that the gateway wants to be asked for',
    alice: {
      conf: `# alice\nikev2 "a" passive esp from 172.16.1.0/24 to dynamic peer any ${PSK} config address 10.9.0.0/24\n`,
    },
    bob: { conf: bob(PSK, 'from 10.9.0.7 to 172.16.1.0/24') },
    stands: true,
    atAlice: [/no child: the peer asks for no address.*request address any.*\(alice\.conf:2:1\)/],
    atBob: [
      /FAILED_CP_REQUIRED: the peer wants to be asked for an address: we asked for none \(add request address any \(bob\.conf:2:1\)\)/,
    ],
  },
  {
    name: 'a gateway that gives no addresses',
    alice: { conf: alice(PSK, 'from 172.16.1.0/24 to 172.16.2.0/24') },
    bob: { conf: bob(`${PSK} request address any`, 'from dynamic to 172.16.1.0/24') },
    atAlice: [],
    atBob: [/the peer gave no IPv4 address \(write `config address` there/],
  },
  {
    name: 'a peer whom no policy is for',
    alice: { conf: `# alice\nikev2 "a" passive esp ${FLOW} peer 192.168.1.77 ${PSK}\n` },
    bob: { conf: bob(PSK) },
    seconds: 200,
    atAlice: [
      /no policy is for this peer: found peer 192\.168\.1\.2 to local 192\.168\.1\.1, expected peer 192\.168\.1\.77 to local any; it is not answered \(write peer 192\.168\.1\.2 local 192\.168\.1\.1 \(alice\.conf:2:1\), if it may come\)/,
    ],
    atBob: [
      /the peer does not answer IKE_SA_INIT from 192\.168\.1\.2:500 to 192\.168\.1\.1:500 \(is peer 192\.168\.1\.1 right \(bob\.conf:2:1\), does IKE run there with a policy for peer 192\.168\.1\.2, and does every firewall between let UDP ports 500 and 4500 through both ways\?\)/,
    ],
  },
]

function check(
  { atAlice, atBob, stands = false }: Pick<Row, 'atAlice' | 'atBob' | 'stands'>,
  logs: Logs,
): void {
  for (const one of atAlice) assert.match(logs.alice, one, `alice: ${logs.alice}\nbob: ${logs.bob}`)
  for (const one of atBob) assert.match(logs.bob, one, `alice: ${logs.alice}\nbob: ${logs.bob}`)
  if (!stands)
    assert.equal(
      logs.link.sides.reduce((sum, one) => sum + one.established, 0),
      0,
    )
  // A secret is in no log, and nothing that was made of it.
  for (const text of [logs.alice, logs.bob]) assert.doesNotMatch(text, /dont_use|another_one|[0-9a-f]{24}/)
}

describe('what keeps two ends apart', () => {
  for (const row of rows) test(row.name, () => check(row, play(row.alice, row.bob, row.from, row.seconds)))
})

/** Certificates of an authority: each row says what is wrong with bob's. */
describe('certificates', async () => {
  const root = await authority('/CN=Root')
  const stranger = await authority('/CN=Stranger')
  const pem = ({ der }: TestEntity): string => writePem('CERTIFICATE', der)
  const certified = (
    host: 'alice' | 'bob',
    options: Parameters<typeof entity>[1] = {},
    name = `${host}.my.domain`,
  ): Promise<TestEntity> =>
    entity(`/CN=${host}`, { issuer: root, alternativeNames: [{ kind: 'dns', name }], ...options })
  const filesOf = (own: TestEntity, more: Files = {}): Files => ({
    'private/local.key': own.privatePem,
    'certs/own.crt': pem(own),
    'ca/ca.crt': pem(root),
    ...more,
  })
  const aliceFiles = filesOf(await certified('alice'))
  const bobCertificate = await certified('bob')
  const revoked = writePem('X509 CRL', revocationList(root, [bobCertificate.certificate]).der)
  const old = writePem(
    'X509 CRL',
    revocationList(root, [], { thisUpdate: TODAY - 9 * DAY, nextUpdate: TODAY - 2 * DAY }).der,
  )
  const refused = [
    /AUTHENTICATION_FAILED: .*srcid FQDN\/bob\.my\.domain by a signature.*whether it trusts the authority of our certificate, and at both clocks \(bob\.conf:2:1\)/,
  ]

  const cases: readonly {
    readonly name: string
    readonly own?: TestEntity
    readonly aliceFiles?: Files
    readonly aliceAt?: number
    readonly atAlice: RegExp
  }[] = [
    {
      name: 'of another authority',
      own: await certified('bob', { issuer: stranger }),
      atAlice:
        /no certificate of \/CN=Stranger, who issued \/CN=bob \(put the certificate of the authority that issued it into \/etc\/iked\/ca \(alice\.conf:2:1\)\)/,
    },
    {
      name: 'that ended',
      own: await certified('bob', { notBefore: TODAY - 9 * DAY, notAfter: TODAY - DAY }),
      atAlice:
        /ended at 2025-12-31 00:00 UTC, and it is 2026-01-01 00:00 UTC \(make a new certificate, or set the clock/,
    },
    {
      name: 'that has not begun, where the clock is wrong',
      aliceAt: TODAY - 40 * DAY,
      atAlice:
        /valid only from 2025-12-31 00:00 UTC, and it is 2025-11-22 00:00 UTC \(make a new certificate, or set the clock/,
    },
    {
      name: 'that was revoked',
      aliceFiles: { ...aliceFiles, 'crls/ca.crl': revoked },
      atAlice: /\/CN=bob was revoked .*\(make it a new certificate \(alice\.conf:2:1\)\)/,
    },
    {
      name: 'whose list of revoked ones is old',
      aliceFiles: { ...aliceFiles, 'crls/ca.crl': old },
      atAlice:
        /list of revoked.*2025-12-30 00:00 UTC.*it is 2026-01-01 00:00 UTC \(put a newer list into \/etc\/iked\/crls, or set the clock/,
    },
  ]
  for (const {
    name,
    own = bobCertificate,
    aliceFiles: files = aliceFiles,
    aliceAt = TODAY,
    atAlice,
  } of cases)
    test(name, () => {
      const logs = play({ conf: alice(''), files, at: aliceAt }, { conf: bob(''), files: filesOf(own) })
      check({ atAlice: [atAlice], atBob: refused }, logs)
    })

  test('of another name than srcid: it is not shown, which its owner is told', async () => {
    const own = await certified('bob', {}, 'robert.my.domain')
    const logs = play({ conf: alice(''), files: aliceFiles }, { conf: bob(''), files: filesOf(own) })
    check(
      {
        atAlice: [/no public key of FQDN\/bob\.my\.domain is known.*\(alice\.conf:2:1\)/],
        atBob: [
          /AUTHENTICATION_FAILED: .*; no certificate was shown: found FQDN\/robert\.my\.domain, .* in \/etc\/iked\/certs, expected FQDN\/bob\.my\.domain/,
        ],
      },
      logs,
    )
  })

  test('of the responder: the initiator says why, and the responder hears that it was not believed', () => {
    const logs = play(
      {
        conf: alice(''),
        files: { ...aliceFiles, 'certs/own.crt': '', 'private/local.key': aliceFiles['private/local.key']! },
      },
      { conf: bob(''), files: filesOf(bobCertificate) },
    )
    check(
      {
        atAlice: [
          /AUTHENTICATION_FAILED: the peer does not believe who we are: we said srcid FQDN\/alice\.my\.domain by a signature.*copy our \/etc\/iked\/local\.pub to \/etc\/iked\/pubkeys\/fqdn\/alice\.my\.domain there.*\(alice\.conf:2:1\)/,
        ],
        atBob: [/no public key of FQDN\/alice\.my\.domain is known.*\(bob\.conf:2:1\)/],
      },
      logs,
    )
  })

  test('another key signs than the one that is known', async () => {
    const [one, two] = [await entity('/CN=1'), await entity('/CN=2')]
    const logs = play(
      {
        conf: alice(''),
        files: { 'private/local.key': one.privatePem, 'pubkeys/fqdn/bob.my.domain': one.publicPem },
      },
      {
        conf: bob(''),
        files: { 'private/local.key': two.privatePem, 'pubkeys/fqdn/alice.my.domain': one.publicPem },
      },
    )
    check(
      {
        atAlice: [
          /the public key that FQDN\/bob\.my\.domain shows is not the one in \/etc\/iked\/pubkeys\/fqdn\/bob\.my\.domain \(copy its local\.pub to /,
        ],
        atBob: [/AUTHENTICATION_FAILED: .*by a signature/],
      },
      logs,
    )
  })
})

describe('what the initiator makes of a number', () => {
  /** Alice's first answer is this error instead. */
  const answered = (type: number, data = new Uint8Array(0)): string => {
    const link = new Link([
      side('alice', '192.168.1.1', { conf: alice(PSK) }),
      side('bob', '192.168.1.2', { conf: bob(PSK) }),
    ])
    link.fault = (datagram) => {
      const { carrier, payload } = datagram
      if (carrier.kind !== 'udp' || !`${carrier.local}`.endsWith('.1')) return [{ delayMs: 5, datagram }]
      const refusal = plainAnswer(parseIkeHeader(payload), [notify(type, data)])
      return [{ delayMs: 5, datagram: { ...datagram, payload: refusal } }]
    }
    link.start()
    link.run(2)
    assert.equal(link.sides[1].established, 0)
    return logOf(link.sides[1])
  }

  for (const [name, type, text] of [
    ['INVALID_SYNTAX', NotifyType.invalidSyntax, /cannot read what we sent.*compare psk/],
    ['INVALID_MAJOR_VERSION', NotifyType.invalidMajorVersion, /another version of IKE/],
    ['NO_PROPOSAL_CHOSEN', NotifyType.noProposalChosen, /none of our proposals: ikesa here is enc /],
    ['TEMPORARY_FAILURE', NotifyType.temporaryFailure, /busy/],
  ] as const)
    test(name, () => {
      assert.match(answered(type), new RegExp(`${name}: .*${text.source}.*\\(bob\\.conf:2:1\\)`))
    })

  test('INVALID_KE_PAYLOAD for a group that the policy does not have', () => {
    assert.match(
      answered(NotifyType.invalidKePayload, Uint8Array.of(0, 18)),
      /INVALID_KE_PAYLOAD: group: found modp8192, which the peer wants, expected curve25519 .* of our ikesa \(add group modp8192 to ikesa \(bob\.conf:2:1\)\)/,
    )
  })

  const [policy] = toIkePolicies(parseIkedConf(bob(`${PSK} request address any`), 'bob.conf'), {
    hostname: 'bob.my.domain',
    addresses: [],
    localFor: () => undefined,
    interfaceAddresses: () => undefined,
  })
  for (const [name, type, text] of [
    ['TS_UNACCEPTABLE', NotifyType.tsUnacceptable, /we asked for from 172/],
    [
      'SINGLE_PAIR_REQUIRED',
      NotifyType.singlePairRequired,
      /one pair .*we asked for from 172.*write a policy for each/,
    ],
    ['NO_ADDITIONAL_SAS', NotifyType.noAdditionalSas, /no further child.*all flows into one policy/],
    ['FAILED_CP_REQUIRED', NotifyType.failedCpRequired, /we asked for address.*request address any/],
    [
      'INTERNAL_ADDRESS_FAILURE',
      NotifyType.internalAddressFailure,
      /no address for us: we asked for address.*pool/,
    ],
    ['INVALID_SYNTAX', NotifyType.invalidSyntax, /cannot read/],
    ['CHILD_SA_NOT_FOUND', NotifyType.childSaNotFound, /no longer has that child/],
  ] as const)
    test(`${name} of a child`, () => {
      const { text: found, mend } = refusedChild(type, policy!)
      assert.match(`${found} (${mend})`, new RegExp(`^${name}: .*${text.source}.*\\(bob\\.conf:2:1\\)`))
    })

  test('silence after the first exchange: the second does not get through', () => {
    const link = new Link([
      side('alice', '192.168.1.1', { conf: alice(PSK) }),
      side('bob', '192.168.1.2', { conf: bob(PSK).replace('# bob', 'set nomobike') }),
    ])
    link.fault = (datagram) => (datagram.payload[18] === 34 ? [{ delayMs: 5, datagram }] : [])
    link.start()
    link.run(300)
    assert.match(
      logOf(link.sides[1]),
      /the peer does not answer IKE_AUTH from 192\.168\.1\.2:500 to 192\.168\.1\.1:500, though it answered IKE_SA_INIT \(look whether large datagrams pass: set fragmentation/,
    )
    assert.match(logOf(link.sides[0]), /sa_free: nobody authenticated/)
  })

  test('a group that is begun again with: for those alone who want every step', () => {
    const { link } = play(
      { conf: alice(`ikesa group ecp256 ${PSK}`) },
      { conf: bob(`ikesa group curve25519 group ecp256 ${PSK}`) },
    )
    assert.equal(link.sides[1].established, 1)
    const lines = link.sides[0].news.flatMap(linesOf)
    const [told] = lines.filter(({ text }) => text.includes('INVALID_KE_PAYLOAD'))
    assert.equal(told?.verbose, true)
    assert.match(told?.text ?? '', /group: found a value of curve25519, expected ecp256 \(nothing: /)
  })

  test('IKEv1 at the door is told, once a second and no more', () => {
    const one = side('alice', '192.168.1.1', { conf: alice(PSK) })
    const payload = new Uint8Array(28)
    payload.set([7, 7], 0)
    payload.set([1, 0x10, 2, 0, 0, 0, 0, 0, 0, 0, 0, 28], 16)
    const [from, to] = [parseIpAddress('192.0.2.7')!, parseIpAddress('192.168.1.1')!]
    const carrier = {
      kind: 'udp',
      protocol: 17,
      local: to,
      remote: from,
      localPort: 500,
      remotePort: 500,
    } as const
    for (let i = 0; i < 1000; i++) one.machine.receive({ carrier, payload }, instantAt(i * 1000))
    one.drain()
    assert.equal(
      logOf(one),
      'spi=0x0707000000000000: version of IKE: found 1 at the peer, expected 2 (write ikev2 there: IKEv1 (isakmpd) is not spoken here)',
    )
  })
})
