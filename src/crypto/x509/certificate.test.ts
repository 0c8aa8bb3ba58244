import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { KEY_KINDS } from '../node/generate.js'
import { issueCertificate } from '../node/issue.js'
import { type Certificate, KeyUsage, parseCertificate } from './certificate.js'
import { buildChain, type TrustStore } from './chain.js'
import { parseRevocationList } from './crl.js'
import { encodeOid, formatName, parseName, sameName } from './name.js'
import { readPem, writePem } from './pem.js'
import { authority, DAY, entity, name, revocationList, type TestEntity, TODAY } from './testing.js'

const refusal = (result: object): string => ('refused' in result ? String(result.refused) : 'accepted')
const store = (...entities: TestEntity[]): TrustStore => ({
  authorities: entities.map(({ certificate }) => certificate),
  revocationLists: [],
})
const chainOf = (
  leaf: TestEntity,
  shown: readonly TestEntity[],
  trust: TrustStore,
  at = TODAY,
): ReturnType<typeof buildChain> =>
  buildChain(
    leaf.certificate,
    shown.map(({ certificate }) => certificate),
    trust,
    at,
  )

test('what is issued is read as it was meant, and as OpenSSL reads it, for every kind of key', async () => {
  for (const kind of KEY_KINDS) {
    const root = await authority('/C=DE/O=Example/CN=Root', { kind, authority: { pathLength: 1 } })
    const leaf = await entity('/C=DE/O=Example/CN=alice', {
      kind,
      issuer: root,
      keyUsage: KeyUsage.digitalSignature,
      purposes: ['1.3.6.1.5.5.7.3.17'],
      alternativeNames: [
        { kind: 'dns', name: 'alice.example' },
        { kind: 'email', name: 'alice@example.org' },
        { kind: 'address', address: Uint8Array.of(192, 0, 2, 1) },
        { kind: 'directory', name: name('/CN=other') },
      ],
    })
    const peer = new X509Certificate(leaf.der)
    assert.equal(peer.subject, 'C=DE\nO=Example\nCN=alice')
    assert.match(
      peer.subjectAltName ?? '',
      /^DNS:alice.example, email:alice@example.org, IP Address:192.0.2.1, DirName:/,
    )
    assert.equal(new Date(peer.validTo).getTime(), leaf.certificate.notAfter)
    assert.equal(new Date(peer.validFrom).getTime(), leaf.certificate.notBefore)
    assert.ok(peer.checkIssued(new X509Certificate(root.der)))
    assert.ok(peer.verify(new X509Certificate(root.der).publicKey))
    assert.equal(peer.ca, false)
    assert.equal(new X509Certificate(root.der).ca, true)
    assert.equal(formatName(leaf.certificate.subject), '/C=DE/O=Example/CN=alice')
    assert.equal(leaf.certificate.keyUsage, KeyUsage.digitalSignature)
    assert.deepEqual(leaf.certificate.purposes, ['1.3.6.1.5.5.7.3.17'])
    assert.deepEqual(
      leaf.certificate.alternativeNames.map(({ kind: one }) => one),
      ['dns', 'email', 'address', 'directory'],
    )
    assert.deepEqual(root.certificate.authority, { pathLength: 1 })
    assert.equal(leaf.certificate.signedBy(root.key.publicKey), true)
    assert.match(String(leaf.certificate.signedBy(leaf.key.publicKey)), /not by the key of its issuer/)
    assert.equal(refusal(chainOf(leaf, [], store(root))), 'accepted')
  }
})

test('a chain of three, shown in any order, ends at the authority', async () => {
  const root = await authority('/CN=Root')
  const middle = await authority('/CN=Middle', { issuer: root })
  const low = await authority('/CN=Low', { issuer: middle })
  const leaf = await entity('/CN=leaf', { issuer: low })
  const found = chainOf(leaf, [middle, low], store(root))
  assert.deepEqual('chain' in found ? found.chain.map(({ subject }) => formatName(subject)) : found, [
    '/CN=leaf',
    '/CN=Low',
    '/CN=Middle',
    '/CN=Root',
  ])
  assert.match(refusal(chainOf(leaf, [middle], store(root))), /no certificate of \/CN=Low/)
  assert.match(refusal(chainOf(leaf, [low, middle], store())), /no certificate of \/CN=Root/)
  // An authority in the middle is trusted to the end only where partial chains are.
  assert.match(refusal(chainOf(leaf, [], store(low))), /no certificate of \/CN=Middle/)
  assert.equal(refusal(chainOf(leaf, [], { ...store(low), partialChain: true })), 'accepted')
  // The intermediates may stand in the folder of authorities.
  assert.equal(refusal(chainOf(leaf, [], store(low, middle, root))), 'accepted')
})

test('time, authority, path length, use and purpose are checked', async () => {
  const root = await authority('/CN=Root', { authority: { pathLength: 0 } })
  const leaf = await entity('/CN=leaf', { issuer: root })
  assert.match(refusal(chainOf(leaf, [], store(root), TODAY + 400 * DAY)), /\/CN=leaf ended at 2027-01-01/)
  assert.match(refusal(chainOf(leaf, [], store(root), TODAY - 2 * DAY)), /valid only from 2025-12-31/)
  const middle = await authority('/CN=Middle', { issuer: root })
  const below = await entity('/CN=below', { issuer: middle })
  assert.match(refusal(chainOf(below, [middle], store(root))), /may have 0 authorities below it/)
  const byLeaf = await entity('/CN=by leaf', { issuer: leaf })
  assert.match(refusal(chainOf(byLeaf, [leaf], store(root))), /\/CN=leaf is no authority/)
  const wrongUse = await authority('/CN=Use', { keyUsage: KeyUsage.digitalSignature })
  const byWrong = await entity('/CN=x', { issuer: wrongUse })
  assert.match(refusal(chainOf(byWrong, [], store(wrongUse))), /may not issue certificates/)
  const notForUs = await entity('/CN=mail', { issuer: root, purposes: ['1.3.6.1.5.5.7.3.4'] })
  assert.match(refusal(chainOf(notForUs, [], store(root))), /for other purposes/)
  const encipher = await entity('/CN=enc', { issuer: root, keyUsage: 0x2000 })
  assert.match(refusal(chainOf(encipher, [], store(root))), /not for signatures/)
})

test('an authority of the same name with another key is none', async () => {
  const [real, fake] = [await authority('/CN=Root'), await authority('/CN=Root')]
  const leaf = await entity('/CN=leaf', { issuer: fake })
  assert.match(refusal(chainOf(leaf, [fake], store(real))), /not by the key of its issuer/)
  // Both trusted: the right one is found behind the wrong one.
  assert.equal(refusal(chainOf(leaf, [], store(real, fake))), 'accepted')
})

test('hostile chains end: circles, too many, too long', async () => {
  const [a, b] = [await authority('/CN=A'), await authority('/CN=B')]
  const aByB = await authority('/CN=A', { issuer: b })
  const bByA = await authority('/CN=B', { issuer: a })
  const leaf = await entity('/CN=leaf', { issuer: a })
  assert.match(
    refusal(chainOf(leaf, [aByB, bByA, a, b], store())),
    /no certificate of|too many|not by|too long/,
  )
  const shown = Array.from({ length: 33 }, () => a)
  assert.match(refusal(chainOf(leaf, shown, store(a))), /33 certificates shown/)
  let last = await authority('/CN=0')
  const root = last
  const path: TestEntity[] = []
  for (let i = 1; i < 9; i++) {
    last = await authority(`/CN=${i}`, { issuer: last })
    path.push(last)
  }
  assert.match(refusal(chainOf(await entity('/CN=end', { issuer: last }), path, store(root))), /too long/)
})

test('the list of revoked certificates is kept: revoked, ended, forged, missing', async () => {
  const root = await authority('/CN=Root')
  const other = await authority('/CN=Root')
  const middle = await authority('/CN=Middle', { issuer: root })
  const [good, bad] = [await entity('/CN=good', { issuer: root }), await entity('/CN=bad', { issuer: root })]
  const low = await entity('/CN=low', { issuer: middle })
  const { list } = revocationList(root, [bad.certificate])
  const trust = { ...store(root), revocationLists: [list] }
  assert.equal(refusal(chainOf(good, [], trust)), 'accepted')
  assert.match(refusal(chainOf(bad, [], trust)), /\/CN=bad was revoked by \/CN=Root/)
  assert.match(refusal(chainOf(good, [], trust, TODAY + 31 * DAY)), /ended at/)
  assert.match(refusal(chainOf(bad, [], trust, TODAY + 31 * DAY)), /was revoked/)
  assert.match(refusal(chainOf(low, [middle], trust)), /no list of revoked certificates of \/CN=Middle/)
  const forged = { ...store(root), revocationLists: [revocationList(other, []).list] }
  assert.match(refusal(chainOf(good, [], forged)), /not by the key/)
  const noRight = await authority('/CN=N', { keyUsage: KeyUsage.keyCertSign })
  const byIt = await entity('/CN=z', { issuer: noRight })
  const lists = [revocationList(noRight, []).list]
  assert.match(refusal(chainOf(byIt, [], { ...store(noRight), revocationLists: lists })), /may not revoke/)
})

test('CVE-2009-2408: a name with a NUL is none', async () => {
  const root = await authority('/CN=Root')
  const der = issueCertificate(
    {
      serial: Uint8Array.of(1),
      subject: name('/CN=x'),
      spki: root.key.publicKey.spki,
      notBefore: TODAY,
      notAfter: TODAY + DAY,
      alternativeNames: [{ kind: 'dns', name: 'good.example\0.evil.example' }],
    },
    { name: root.certificate.subject, key: root.key },
  )
  assert.match(refusal(parseCertificate(der)), /characters that no name has/)
})

test('bytes cut short, added or changed give a reason or a certificate whose signature fails', async () => {
  const root = await authority('/C=DE/CN=Root')
  const leaf = await entity('/CN=leaf', {
    issuer: root,
    alternativeNames: [{ kind: 'dns', name: 'leaf.example' }],
    keyUsage: KeyUsage.digitalSignature,
  })
  const { der } = leaf
  for (let length = 0; length < der.length; length++)
    assert.notEqual(refusal(parseCertificate(der.subarray(0, length))), 'accepted')
  assert.notEqual(refusal(parseCertificate(Uint8Array.of(...der, 0))), 'accepted')
  for (let bit = 0; bit < der.length * 8; bit++) {
    const changed = Uint8Array.from(der)
    changed[bit >> 3]! ^= 1 << (bit & 7)
    const parsed = parseCertificate(changed)
    if (!('refused' in parsed))
      assert.notEqual(parsed.signedBy(root.key.publicKey), true, `bit ${bit} changes nothing`)
  }
  const { der: list } = revocationList(root, [leaf.certificate])
  for (let bit = 0; bit < list.length * 8; bit++) {
    const changed = Uint8Array.from(list)
    changed[bit >> 3]! ^= 1 << (bit & 7)
    const parsed = parseRevocationList(changed)
    if (!('refused' in parsed)) assert.notEqual(parsed.signedBy(root.key.publicKey), true)
  }
})

test('random bytes never throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.ok('refused' in parseCertificate(bytes))
      assert.ok('refused' in parseRevocationList(bytes))
      assert.equal(typeof formatName(bytes), 'string')
      sameName(bytes, Uint8Array.of(0x30, 0))
    }),
  )
})

test('names are written, read and compared', () => {
  const der = name('/C=DE/O=Ex ample\\x2fx/CN=a.b/emailAddress=a@b')
  assert.equal(formatName(der), '/C=DE/O=Ex ample\\x2fx/CN=a.b/emailAddress=a@b')
  assert.ok(sameName(name('/CN=Alice  B'), name('/cn=alice b')))
  assert.ok(!sameName(name('/CN=alice'), name('/O=alice')))
  assert.ok(!sameName(name('/CN=alice'), name('/CN=alice/CN=alice')))
  for (const wrong of ['', 'CN=x', '/CN', '/CN=', '/=x', '/XX=y', '/9.1=y'])
    assert.equal(parseName(wrong), undefined, wrong)
  assert.deepEqual(encodeOid('1.2.840.113549'), Uint8Array.of(6, 6, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d))
  // A terminal is not to be commanded by a name.
  assert.equal(formatName(name('/CN=\\x1b[2J')), '/CN=\\x1b[2J')
})

test('PEM: any bytes there and back, several in a file, broken ones left out', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.deepEqual(readPem(`text\n${writePem('CERTIFICATE', bytes)}`), [{ label: 'CERTIFICATE', bytes }])
    }),
  )
  const two = writePem('A', Uint8Array.of(1)) + writePem('B', Uint8Array.of(2))
  assert.deepEqual(
    readPem(`${two}-----BEGIN C-----\n!!!\n-----END C-----\n`).map(({ label }) => label),
    ['A', 'B'],
  )
})

test('a certificate of a key that is not used is refused', async () => {
  const root = await authority('/CN=Root')
  // RSA of 512 bits.
  const spki = Uint8Array.from(
    atob(
      'MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALqbHeRLCyOdykC5SDLqI49ArYGYG1mqaH9/GnWjGavZM02fos4lc2w6tCchcUBNtJvGqKwhC5JEnx3RYoSX2ucCAwEAAQ==',
    ),
    (one) => one.charCodeAt(0),
  )
  const der = issueCertificate(
    { serial: Uint8Array.of(1), subject: name('/CN=x'), spki, notBefore: TODAY, notAfter: TODAY + DAY },
    { name: root.certificate.subject, key: root.key },
  )
  const found: Certificate | { refused: string } = parseCertificate(der)
  assert.match(refusal(found), /a key that is not used/)
})
