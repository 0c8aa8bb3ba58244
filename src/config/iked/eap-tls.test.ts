/** EAP-TLS between two machines of IKE, with TLS itself, certificates below /etc/iked and lists of revoked ones. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { IpPrefix, Ipv4Address, SeededRandom } from '../../base/index.js'
import { nodeTls, type TlsEngine, type TlsVersion, writePem } from '../../crypto/index.js'
import { authority, entity, revocationList, type TestEntity, TODAY } from '../../crypto/x509/testing.js'
import { formatIdentity, parseIdentity } from '../../proto/ikev2/identity.js'
import type { IkePolicy } from '../../proto/ikev2/policy.js'
import { Link, policyOf, Side, spisOf } from '../../proto/ikev2/testing.js'
import type { IkedCredentials } from './credentials.js'
import { describeIked, parseIkedConf, toIkePolicies } from './index.js'
import { credentialsOf, type Files } from './testing.js'

const credentials = (files: Files): IkedCredentials => credentialsOf(files, TODAY)
const pem = ({ der }: TestEntity): string => writePem('CERTIFICATE', der)
const SIGNATURE = { kind: 'signature' } as const
const TLS = { kind: 'eap', method: 'tls', users: [] } as const

let root: TestEntity
let middle: TestEntity
let gateway: TestEntity
let carol: TestEntity
let stranger: TestEntity

before(async () => {
  root = await authority('/CN=Root')
  middle = await authority('/CN=Middle', { issuer: root })
  const named = (name: string, issuer: TestEntity): Promise<TestEntity> =>
    entity(`/CN=${name}`, {
      issuer,
      alternativeNames: [name.includes('@') ? { kind: 'email', name } : { kind: 'dns', name }],
    })
  gateway = await named('host1.example', middle)
  carol = await named('carol@example.com', middle)
  stranger = await named('carol@example.com', await authority('/CN=Another'))
})

const filesOf = (own: TestEntity, more: Files = {}): Files => ({
  'private/local.key': own.privatePem,
  'certs/own.crt': pem(own),
  'ca/root.crt': pem(root),
  'ca/middle.crt': pem(middle),
  ...more,
})

/** Records what version was spoken. */
function engineOf(seen: TlsVersion[], maxVersion?: TlsVersion): TlsEngine {
  return {
    open(options) {
      const conversation = nodeTls.open({ ...options, ...(maxVersion === undefined ? {} : { maxVersion }) })
      const poll = conversation.poll.bind(conversation)
      conversation.poll = () => {
        const news = poll()
        if (news?.kind === 'established') seen.push(news.version)
        return news
      }
      return conversation
    },
  }
}

interface Scene {
  readonly gateway?: Partial<IkePolicy>
  readonly client?: Partial<IkePolicy>
  readonly gatewayFiles?: Files
  readonly clientFiles?: Files
  readonly engines?: readonly [TlsEngine, TlsEngine]
}

/** TLS works in real time: the link goes on whenever it has had its turn. */
async function play(scene: Scene = {}): Promise<Link> {
  const { remoteId: _remoteId, ...anybody } = policyOf(1)
  const [ours, theirs]: IkePolicy[] = [
    {
      ...anybody,
      peer: new IpPrefix(Ipv4Address.parse('192.168.1.0')!, 24),
      localAuth: SIGNATURE,
      remoteAuth: TLS,
      ...scene.gateway,
    },
    policyOf(2, {
      localId: parseIdentity('carol@example.com'),
      localAuth: TLS,
      remoteAuth: SIGNATURE,
      ...scene.client,
    }),
  ]
  const side = (policy: IkePolicy, files: Files, own: 0 | 1): Side =>
    new Side({
      policies: [policy],
      random: new SeededRandom(7 + own),
      credentials: credentials(files),
      ...(scene.engines === undefined ? {} : { tls: scene.engines[own] }),
    })
  const link = new Link([
    side(ours!, scene.gatewayFiles ?? filesOf(gateway), 0),
    side(theirs!, scene.clientFiles ?? filesOf(carol), 1),
  ])
  link.start()
  for (let turn = 0; turn < 200; turn++) {
    link.run(0.1)
    await setImmediate()
    if (link.sides.some((one) => one.established > 0 || one.problems().length > 0)) break
  }
  link.run(1)
  return link
}

const problems = (link: Link): readonly [string, string] => [
  link.sides[0].problems().join(' | '),
  link.sides[1].problems().join(' | '),
]

function stands(link: Link): void {
  const [a, b] = link.sides
  assert.deepEqual([a.established, b.established], [1, 1], problems(link).join(' || '))
  assert.deepEqual(spisOf(a), spisOf(b))
  assert.equal(a.paths.size, 1)
}

function fails(link: Link): void {
  const [a, b] = link.sides
  assert.deepEqual([a.established, b.established, a.paths.size, b.paths.size], [0, 0, 0, 0])
}

describe('EAP-TLS in IKE', () => {
  for (const [version, limits] of [
    ['TLSv1.3', [undefined, undefined]],
    ['TLSv1.2', ['TLSv1.2', undefined]],
    ['TLSv1.2', [undefined, 'TLSv1.2']],
  ] as const)
    test(`in ${version}, ${limits}: both stand, and the gateway knows who it is`, async () => {
      const seen: TlsVersion[] = []
      const link = await play({ engines: [engineOf(seen, limits[0]), engineOf(seen, limits[1])] })
      stands(link)
      assert.deepEqual(seen, [version, version])
      assert.equal(formatIdentity(link.sides[0].machine.sessions()[0]!.peerId!), 'UFQDN/carol@example.com')
      assert.equal(formatIdentity(link.sides[1].machine.sessions()[0]!.peerId!), 'FQDN/host1.example')
    })

  test('the client that the policy wants, whatever it calls itself in IKE', async () => {
    const named = (id: string): Partial<IkePolicy> => ({ remoteId: parseIdentity(id) })
    stands(await play({ gateway: named('carol@example.com') }))
    const link = await play({ gateway: named('dave@example.com') })
    fails(link)
    assert.match(
      problems(link)[0],
      /EAP: TLS: the certificate of .*carol.* has not the identity UFQDN\/dave@example.com/,
    )
  })

  test('one whose certificate is another’s does not come as somebody else', async () => {
    // It says that it is dave, and shows carol's certificate for it.
    const dave = parseIdentity('dave@example.com')
    const own = credentials(filesOf(carol))
    const link = await play({
      client: { localId: dave },
      clientFiles: filesOf(carol),
    })
    assert.ok(own.own(dave) !== undefined)
    fails(link)
    assert.match(problems(link)[1], /EAP-TLS: no certificate of UFQDN\/dave@example.com/)
  })

  test('a client of an authority that nobody knows', async () => {
    const link = await play({ clientFiles: filesOf(stranger) })
    fails(link)
    assert.match(problems(link)[0], /EAP: TLS: UFQDN\/carol@example.com: no certificate of .*Another/)
    assert.match(problems(link)[1], /EAP: the server refuses what TLS has shown it/)
  })

  test('a client whose certificate was revoked', async () => {
    const lists = {
      'crls/root.crl': writePem('X509 CRL', revocationList(root, []).der),
      'crls/middle.crl': writePem('X509 CRL', revocationList(middle, [carol.certificate]).der),
    }
    const link = await play({ gatewayFiles: filesOf(gateway, lists) })
    fails(link)
    assert.match(problems(link)[0], /was revoked by/)
  })

  test('a gateway that shows in TLS a certificate which is not its own in IKE', async () => {
    const other = await entity('/CN=host9.example', {
      issuer: middle,
      alternativeNames: [{ kind: 'dns', name: 'host9.example' }],
    })
    const swaps: TlsEngine = {
      open: (options) =>
        nodeTls.open(
          options.role === 'server'
            ? { ...options, key: other.key, certificates: [other.der, middle.der] }
            : options,
        ),
    }
    const link = await play({ engines: [swaps, nodeTls] })
    fails(link)
    assert.match(
      problems(link)[1],
      /EAP: TLS: the certificate of .*host9.* has not the identity FQDN\/host1.example/,
    )
  })
})

describe('eap "tls" in iked.conf', () => {
  const policyText = (mode: string): string =>
    `ikev2 ${mode} esp from 10.1.0.0/16 to 10.2.0.0/16 local 192.168.1.1 peer 192.168.1.2 srcid carol@example.com eap "tls"\n`
  const host = {
    hostname: 'alice',
    addresses: [],
    localFor: () => undefined,
    interfaceAddresses: () => undefined,
  }

  test('the client proves itself in TLS, the gateway by its signature; no user is asked for', () => {
    for (const [mode, local, remote] of [
      ['active', TLS, SIGNATURE],
      ['passive', SIGNATURE, TLS],
    ] as const) {
      const conf = parseIkedConf(policyText(mode), 'iked.conf')
      assert.deepEqual(conf.warnings, [])
      const [policy] = toIkePolicies(conf, host)
      assert.deepEqual([policy!.localAuth, policy!.remoteAuth], [local, remote])
    }
  })

  test('what is printed of it is read again', () => {
    const conf = parseIkedConf(policyText('active'), 'iked.conf')
    const text = describeIked(conf).join('\n')
    assert.match(text, / eap "TLS"/)
    assert.deepEqual(describeIked(parseIkedConf(`${text}\n`, 'iked.conf')).join('\n'), text)
  })

  test('a method that is none is told which there are', () => {
    assert.throws(() => parseIkedConf(policyText('active').replace('"tls"', '"tsl"'), 'iked.conf'), {
      code: 'CONFIG_UNSUPPORTED',
      message: /found "tsl", expected "mschap-v2" or "tls"/,
    })
  })
})
