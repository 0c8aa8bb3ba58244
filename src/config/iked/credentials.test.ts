import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKey, KEY_KINDS, loadPrivateKey, loadPublicKey, sha1, writePem } from '../../crypto/index.js'
import {
  authority,
  DAY,
  entity,
  name,
  revocationList,
  type TestEntity,
  TODAY,
} from '../../crypto/x509/testing.js'
import { parseIdentity } from '../../proto/ikev2/identity.js'
import { IkedCredentials } from './credentials.js'
import { rawKeyData, readRawKey } from './raw-keys.js'
import { credentialsOf, type Files, readerOf } from './testing.js'

const encoder = new TextEncoder()

const credentials = (files: Files, at = TODAY, options: { partialChain?: boolean } = {}): IkedCredentials =>
  credentialsOf(files, at, options)

const certificatePem = ({ der }: TestEntity): string => writePem('CERTIFICATE', der)
const shown = (...entities: TestEntity[]): { encoding: number; data: Uint8Array }[] =>
  entities.map(({ der }) => ({ encoding: 4, data: der }))
const refusal = (result: object): string => ('refused' in result ? String(result.refused) : 'accepted')
const mend = (result: object): string => ('mend' in result ? String(result.mend) : '')

test('as the article: local.pub of one machine in the pubkeys folder of the other', async () => {
  const pair = await generateKey('rsa2048')
  const alice = credentials({ 'private/local.key': pair.privateKey, 'local.pub': pair.publicKey })
  const bob = credentials({ 'pubkeys/ipv4/192.168.1.1': pair.publicKey })
  const own = alice.own(parseIdentity('192.168.1.1'))!
  assert.equal(own.key.type, 'rsa')
  // PKCS #1, as iked sends it: 270 bytes for 2048 bits.
  assert.deepEqual(
    own.certificates.map(({ encoding, data }) => [encoding, data.length]),
    [[11, 270]],
  )
  const key = bob.peer(parseIdentity('192.168.1.1'), own.certificates)
  assert.ok(!('refused' in key))
  assert.deepEqual(key.spki, own.key.publicKey.spki)
  assert.equal(refusal(bob.peer(parseIdentity('192.168.1.1'), [])), 'accepted')
  assert.equal(alice.authorities().length, 0)
})

test('raw keys of every kind there and back, by the encoding that is asked for', async () => {
  for (const kind of KEY_KINDS) {
    const key = loadPrivateKey((await generateKey(kind)).privateKey).publicKey
    for (const requests of [[], [{ encoding: 15, data: new Uint8Array(0) }]]) {
      const data = rawKeyData(key, requests)
      const read = readRawKey(data)
      assert.ok(read !== undefined && 'key' in read)
      assert.deepEqual(read.key.spki, key.spki)
      if (requests.length > 0) assert.equal(data.encoding, 15)
    }
  }
  assert.deepEqual(readRawKey({ encoding: 11, data: Uint8Array.of(1, 2, 3) }), { refused: 'cannot be read' })
})

test('CVE-2020-16088: the key of somebody else is refused, for each way to show it', async () => {
  const [good, bad] = [await generateKey('ecdsa256'), await generateKey('ecdsa256')]
  const here = credentials({
    'pubkeys/fqdn/good.example': good.publicKey,
    'pubkeys/fqdn/bad.example': bad.publicKey,
  })
  const id = parseIdentity('good.example')
  const wrong = loadPublicKey(bad.publicKey)
  for (const encoding of [15, 201]) {
    const result = here.peer(id, [{ encoding, data: wrong.spki }])
    assert.match(
      refusal(result),
      /^the public key that FQDN\/good.example shows is not the one in \/etc\/iked\/pubkeys\/fqdn\/good.example$/,
    )
    assert.match(mend(result), /copy its local.pub to \/etc\/iked\/pubkeys\/fqdn\/good.example/)
  }
  const nobody = here.peer(parseIdentity('nobody@example'), [])
  assert.match(refusal(nobody), /no public key of UFQDN\/nobody@example is known/)
  assert.match(mend(nobody), /copy its \/etc\/iked\/local.pub to \/etc\/iked\/pubkeys\/ufqdn\/nobody@example/)
  // A raw key is no certificate that an authority could vouch for.
  assert.match(
    refusal(here.peer(parseIdentity('third.example'), [{ encoding: 15, data: wrong.spki }])),
    /no public/,
  )
})

test('an identity never leads out of the folder of public keys', () => {
  const asked: string[] = []
  const here = new IkedCredentials({ reader: readerOf({}, {}, asked), wallClock: () => TODAY })
  asked.length = 0
  const encoded = (value: string, type = 2): object => here.peer({ type, data: encoder.encode(value) }, [])
  for (const value of [
    '../../private/local.key',
    '/etc/passwd',
    '..',
    '.',
    'a/b',
    'a\0b',
    '',
    'x'.repeat(300),
    ' ',
  ])
    assert.match(refusal(encoded(value)), /no certificate/)
  assert.match(refusal(encoded('abc', 1)), /no certificate/)
  assert.match(refusal(encoded('x', 11)), /no certificate/)
  assert.deepEqual(asked, [])
  encoded('a.example')
  assert.deepEqual(asked, ['/etc/iked/pubkeys/fqdn/a.example'])
})

test('a certificate has to have the identity, by subjectAltName or subject, and an authority of ours', async () => {
  const root = await authority('/C=DE/CN=Root')
  const middle = await authority('/CN=Middle', { issuer: root })
  const peer = await entity('/C=DE/CN=peer', {
    issuer: middle,
    alternativeNames: [
      { kind: 'dns', name: 'peer.example' },
      { kind: 'address', address: Uint8Array.of(192, 0, 2, 7) },
      { kind: 'email', name: 'peer@example.org' },
    ],
  })
  const here = credentials({ 'ca/ca.crt': certificatePem(root) })
  assert.deepEqual(here.authorities(), sha1(root.key.publicKey.spki))
  for (const id of ['peer.example', 'PEER.example', '192.0.2.7', 'peer@example.org', '/C=DE/CN=peer'])
    assert.equal(refusal(here.peer(parseIdentity(id), shown(peer, middle))), 'accepted', id)
  for (const id of ['other.example', '192.0.2.8', 'x@example.org', '/CN=peer', 'example', '*.example']) {
    const result = here.peer(parseIdentity(id), shown(peer, middle))
    assert.match(refusal(result), /has not the identity/, id)
    assert.match(mend(result), /srcid FQDN\/peer.example/)
  }
  const id = parseIdentity('peer.example')
  assert.match(refusal(here.peer(id, shown(peer))), /no certificate of \/CN=Middle/)
  const stranger = await authority('/C=DE/CN=Root')
  const forged = await entity('/C=DE/CN=peer', {
    issuer: stranger,
    alternativeNames: [{ kind: 'dns', name: 'peer.example' }],
  })
  const result = here.peer(id, shown(forged, stranger))
  assert.match(refusal(result), /not by the key of its issuer/)
  assert.match(mend(result), /into \/etc\/iked\/ca$/)
  const late = credentials({ 'ca/ca.crt': certificatePem(root) }, TODAY + 400 * DAY).peer(
    id,
    shown(peer, middle),
  )
  assert.match(refusal(late), /ended at/)
  assert.match(mend(late), /set the clock/)
  assert.match(refusal(here.peer(id, [{ encoding: 4, data: Uint8Array.of(0x30, 0) }])), /not a certificate/)
  assert.match(
    refusal(
      here.peer(
        id,
        Array.from({ length: 33 }, () => shown(peer)[0]!),
      ),
    ),
    /33 certificates/,
  )
})

test('CVE-2022-40617: hash and URL are not fetched and prove nothing', () => {
  const asked: string[] = []
  const here = new IkedCredentials({ reader: readerOf({}, {}, asked), wallClock: () => TODAY })
  asked.length = 0
  const url = encoder.encode(`${'h'.repeat(20)}http://evil.example/x.crt`)
  const result = here.peer(parseIdentity('a.example'), [
    { encoding: 12, data: url },
    { encoding: 13, data: url },
  ])
  assert.match(refusal(result), /no public key of FQDN\/a.example is known/)
  assert.deepEqual(asked, ['/etc/iked/pubkeys/fqdn/a.example'])
})

test('what is installed here comes first: the key of a folder, the certificate of certs', async () => {
  const root = await authority('/CN=Other')
  const names = [{ kind: 'dns', name: 'peer.example' } as const]
  const peer = await entity('/CN=peer', { issuer: root, alternativeNames: names })
  const id = parseIdentity('peer.example')
  const byKey = credentials({ 'pubkeys/fqdn/peer.example': peer.publicPem })
  assert.equal(refusal(byKey.peer(id, shown(peer))), 'accepted')
  const pinned = credentials({ 'certs/peer.crt': certificatePem(peer) })
  assert.equal(refusal(pinned.peer(id, shown(peer))), 'accepted')
  // Another certificate with that name does not help: the key is the one that lies here.
  const other = await entity('/CN=peer', { issuer: root, alternativeNames: names })
  const key = pinned.peer(id, shown(other))
  assert.ok(!('refused' in key))
  assert.deepEqual(key.spki, peer.key.publicKey.spki)
  const ended = credentials({ 'certs/peer.crt': certificatePem(peer) }, TODAY + 400 * DAY)
  assert.match(refusal(ended.peer(id, shown(peer))), /ended at/)
})

test('our own certificate: by identity and key, with what is between it and the authority', async () => {
  const root = await authority('/CN=Root')
  const middle = await authority('/CN=Middle', { issuer: root })
  const elsewhere = await authority('/CN=Elsewhere')
  const names = [{ kind: 'dns', name: 'me.example' } as const]
  const me = await entity('/CN=me', { issuer: middle, alternativeNames: names })
  const again = await entity('/CN=me too', {
    issuer: elsewhere,
    alternativeNames: names,
    spki: me.key.publicKey.spki,
  })
  const files = {
    'private/local.key': me.privatePem,
    'certs/a.crt': certificatePem(await entity('/CN=not mine', { issuer: root, alternativeNames: names })),
    'certs/b.crt': certificatePem(me),
    'certs/c.crt': certificatePem(again),
    'ca/ca.crt': certificatePem(root) + certificatePem(middle),
    'ca/other.crt': certificatePem(elsewhere),
  }
  const here = credentials(files)
  assert.deepEqual(here.problems, [])
  const id = parseIdentity('me.example')
  const ders = (data: readonly { data: Uint8Array }[] = []): Uint8Array[] => data.map((one) => one.data)
  assert.deepEqual(ders(here.own(id)?.certificates), [me.der, middle.der])
  const wants = (one: TestEntity): { encoding: number; data: Uint8Array }[] => [
    { encoding: 4, data: sha1(one.key.publicKey.spki) },
  ]
  assert.deepEqual(ders(here.own(id, wants(elsewhere))?.certificates), [again.der])
  assert.deepEqual(ders(here.own(id, wants(root))?.certificates), [me.der, middle.der])
  assert.deepEqual(here.own(parseIdentity('/CN=me'))?.certificates[0]?.data, me.der)
  // None of that name: the key alone.
  assert.equal(here.own(parseIdentity('other.example'))?.certificates[0]?.encoding, 201)
})

test('revoked certificates: as iked, every authority needs its list once there is one', async () => {
  const root = await authority('/CN=Root')
  const names = [{ kind: 'dns', name: 'peer.example' } as const]
  const peer = await entity('/CN=peer', { issuer: root, alternativeNames: names })
  const id = parseIdentity('peer.example')
  const files = (der: Uint8Array): Files => ({
    'ca/ca.crt': certificatePem(root),
    'crls/ca.crl': writePem('X509 CRL', der),
  })
  assert.equal(refusal(credentials(files(revocationList(root, []).der)).peer(id, shown(peer))), 'accepted')
  const revoked = credentials(files(revocationList(root, [peer.certificate]).der)).peer(id, shown(peer))
  assert.match(refusal(revoked), /FQDN\/peer.example: the certificate of \/CN=peer was revoked by \/CN=Root/)
  const late = credentials(files(revocationList(root, []).der), TODAY + 40 * DAY).peer(id, shown(peer))
  assert.match(refusal(late), /list of revoked certificates of \/CN=Root ended/)
  assert.match(mend(late), /newer list into \/etc\/iked\/crls/)
  const other = await authority('/CN=Else')
  const missing = credentials(files(revocationList(other, []).der)).peer(id, shown(peer))
  assert.match(refusal(missing), /no list of revoked/)
})

test('files that cannot be used are told, and the rest is', async () => {
  const root = await authority('/CN=Root')
  const pair = await generateKey('ecdsa256')
  const here = new IkedCredentials({
    reader: readerOf(
      {
        'private/local.key': pair.privateKey,
        'ca/bad.crt': 'nothing',
        'ca/good.crt': certificatePem(root),
        'ca/.hidden': 'x',
        'certs/broken.crt': writePem('CERTIFICATE', Uint8Array.of(1)),
        'crls/x.crl': writePem('X509 CRL', Uint8Array.of(1)),
      },
      { 'private/local.key': 0o100644 },
    ),
    wallClock: () => TODAY,
  })
  assert.deepEqual(
    here.problems.map(({ text }) => text.split(':', 1)[0]),
    [
      'could not load private key /etc/iked/private/local.key',
      'failed to load cert file broken.crt',
      'failed to load ca file bad.crt',
      'failed to load crl file x.crl',
    ],
  )
  assert.match(here.problems[0]!.mend, /chmod 600/)
  assert.equal(here.own(parseIdentity('x')), undefined)
  assert.equal(here.authorities().length, 20)
})

test('reload: a new key and a new authority are used, the old ones are gone', async () => {
  const files: Record<string, string> = { 'private/local.key': (await generateKey('ecdsa256')).privateKey }
  const here = credentials(files)
  const before = here.own(parseIdentity('a'))!.key
  files['private/local.key'] = (await generateKey('ecdsa384')).privateKey
  files['ca/x.crt'] = certificatePem(await authority('/CN=X'))
  here.reload()
  assert.equal(here.own(parseIdentity('a'))!.key.bits, 384)
  assert.equal(here.authorities().length, 20)
  assert.throws(() => before.sign({ kind: 'ecdsa', hash: 'sha256', encoding: 'der' }, Uint8Array.of(1)), {
    code: 'CRYPTO_DESTROYED',
  })
})

test('identities that are distinguished names', () => {
  const id = parseIdentity('/C=DE/CN=peer')
  assert.deepEqual(id, { type: 9, data: name('/C=DE/CN=peer') })
  assert.deepEqual(parseIdentity('ASN1_DN//C=DE/CN=peer'), id)
  assert.throws(() => parseIdentity('/nothing'), { code: 'IKE_IDENTITY' })
})
