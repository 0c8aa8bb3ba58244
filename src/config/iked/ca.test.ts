import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { SeededRandom } from '../../base/index.js'
import { generateKey, loadPublicKey } from '../../crypto/index.js'
import { parseIdentity } from '../../proto/ikev2/identity.js'
import { CertificateAuthority } from './ca.js'
import type { IkedCredentials } from './credentials.js'
import { credentialsOf, type Files } from './testing.js'

const TODAY = Date.UTC(2026, 0, 1)
const DAY = 86_400_000
const random = new SeededRandom(1)
const credentials = (files: Files, at = TODAY): IkedCredentials => credentialsOf(files, at)

test('an authority, certificates for an address, a name and a user, and one that is taken back', async () => {
  const { authority, privateKey } = await CertificateAuthority.create('VPN', {
    at: TODAY,
    random,
    kind: 'ecdsa256',
  })
  const root = new X509Certificate(authority.certificate)
  assert.equal(root.subject, 'O=OpenBSD\nOU=iked\nCN=VPN')
  assert.ok(root.ca && root.verify(root.publicKey))
  // Read again from its files.
  const again = new CertificateAuthority(authority.certificate, privateKey)
  const hosts = ['192.168.1.1', '2001:db8::1', 'alice.example', 'alice@example.org']
  const certificates = await Promise.all(
    hosts.map(async (host) => {
      const pair = await generateKey('ecdsa256')
      const certificate = again.issue({ host, publicKey: pair.publicKey, at: TODAY, random })
      assert.ok(new X509Certificate(certificate).checkIssued(root))
      const own = credentials({
        'private/local.key': pair.privateKey,
        'certs/own.crt': certificate,
        'ca/ca.crt': authority.certificate,
      }).own(parseIdentity(host))!
      assert.equal(own.certificates[0]?.encoding, 4)
      const key = credentials({ 'ca/ca.crt': authority.certificate }).peer(
        parseIdentity(host),
        own.certificates,
      )
      assert.ok(!('refused' in key))
      assert.deepEqual(key.spki, loadPublicKey(pair.publicKey).spki)
      return { certificate, shown: own.certificates }
    }),
  )
  assert.equal(
    new Set(certificates.map(({ certificate }) => new X509Certificate(certificate).serialNumber)).size,
    4,
  )
  const list = again.revocationList([{ certificate: certificates[2]!.certificate, at: TODAY }], { at: TODAY })
  const here = credentials({ 'ca/ca.crt': authority.certificate, 'crls/ca.crl': list }, TODAY + DAY)
  const refused = here.peer(parseIdentity(hosts[2]!), certificates[2]!.shown)
  assert.ok('refused' in refused && /was revoked by \/O=OpenBSD\/OU=iked\/CN=VPN/.test(refused.refused))
  assert.ok(!('refused' in here.peer(parseIdentity(hosts[1]!), certificates[1]!.shown)))
})

test('what does not fit is refused with its reason', async () => {
  const make = (name: string): ReturnType<typeof CertificateAuthority.create> =>
    CertificateAuthority.create(name, { at: TODAY, random, kind: 'ecdsa256' })
  const [one, two] = [await make('a/b'), await make('two')]
  assert.equal(new X509Certificate(one.authority.certificate).subject, 'O=OpenBSD\nOU=iked\nCN=a/b')
  assert.throws(() => new CertificateAuthority(one.authority.certificate, two.privateKey), {
    code: 'CONFIG_CERTIFICATE',
  })
  assert.throws(() => new CertificateAuthority('nothing', two.privateKey), { code: 'CONFIG_CERTIFICATE' })
  const { publicKey } = await generateKey('ecdsa256')
  for (const host of ['', 'a b', 'x\n'])
    assert.throws(() => one.authority.issue({ host, publicKey, at: TODAY, random }), {
      code: 'CONFIG_CERTIFICATE',
    })
})
