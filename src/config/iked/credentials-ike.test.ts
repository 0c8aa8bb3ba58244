/** Two machines of IKE that prove themselves with what is below /etc/iked. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { writePem } from '../../crypto/index.js'
import { authority, entity, type TestEntity, TODAY } from '../../crypto/x509/testing.js'
import { parseIdentity } from '../../proto/ikev2/identity.js'
import type { IkePolicy } from '../../proto/ikev2/policy.js'
import { type Link, pair, spisOf } from '../../proto/ikev2/testing.js'
import { parseIkeMessage } from '../../wire/ike/index.js'
import type { IkedCredentials } from './credentials.js'
import { credentialsOf, type Files } from './testing.js'

const credentials = (files: Files): IkedCredentials => credentialsOf(files, TODAY)

const sign = { localAuth: { kind: 'signature' }, remoteAuth: { kind: 'signature' } } as const
const pem = ({ der }: TestEntity): string => writePem('CERTIFICATE', der)

function established(link: Link): void {
  link.start()
  link.run(3)
  const [left, right] = link.sides
  assert.deepEqual([left.established, right.established], [1, 1], `${left.problems()} | ${right.problems()}`)
  assert.deepEqual(spisOf(left), spisOf(right))
}

/** Kinds of payloads of the plain messages that a side sent. */
function askedIn(link: Link, side: 0 | 1): { encoding: number; length: number }[] {
  return link.sides[side].sent.slice(0, 1).flatMap(({ payload }) => {
    const message = parseIkeMessage(payload)
    return message.payloads.flatMap((one) =>
      one.kind === 'CERTREQ' ? [{ encoding: one.encoding, length: one.data.length }] : [],
    )
  })
}

describe('credentials in IKE', () => {
  for (const kind of ['rsa2048', 'ecdsa256', 'ecdsa521', 'ed25519'] as const)
    test(`certificates of ${kind} by an authority in between`, async () => {
      const root = await authority('/CN=Root', { kind })
      const middle = await authority('/CN=Middle', { kind, issuer: root })
      const host = async (number: number): Promise<TestEntity> =>
        entity(`/CN=host${number}`, {
          kind,
          issuer: middle,
          alternativeNames: [{ kind: 'dns', name: `host${number}.example` }],
        })
      const files = (one: TestEntity): Record<string, string> => ({
        'private/local.key': one.privatePem,
        'certs/own.crt': pem(one),
        'ca/ca.crt': pem(root),
        'ca/middle.crt': pem(middle),
      })
      const link = pair(sign, sign, 1, [credentials(files(await host(1))), credentials(files(await host(2)))])
      established(link)
      // The responder asks already in its first answer: strongSwan shows nothing unasked.
      assert.deepEqual(askedIn(link, 0), [{ encoding: 4, length: 40 }])
    })

  test('raw keys of the pubkeys folders, asked for as iked asks', async () => {
    const [one, two] = [
      await entity('/CN=1', { kind: 'rsa2048' }),
      await entity('/CN=2', { kind: 'rsa2048' }),
    ]
    const link = pair(sign, sign, 1, [
      credentials({ 'private/local.key': one.privatePem, 'pubkeys/fqdn/host2.example': two.publicPem }),
      credentials({ 'private/local.key': two.privatePem, 'pubkeys/fqdn/host1.example': one.publicPem }),
    ])
    established(link)
    assert.deepEqual(askedIn(link, 0), [{ encoding: 11, length: 0 }])
  })

  test('a certificate on one side, a distinguished name as its identity, and a raw key on the other', async () => {
    const root = await authority('/C=DE/CN=Root')
    const one = await entity('/C=DE/CN=host1', { issuer: root })
    const two = await entity('/CN=2')
    const id = parseIdentity('/C=DE/CN=host1')
    const left: Partial<IkePolicy> = { ...sign, localId: id }
    const right: Partial<IkePolicy> = { ...sign, remoteId: id }
    established(
      pair(left, right, 1, [
        credentials({
          'private/local.key': one.privatePem,
          'certs/own.crt': pem(one),
          'pubkeys/fqdn/host2.example': two.publicPem,
        }),
        credentials({ 'private/local.key': two.privatePem, 'ca/ca.crt': pem(root) }),
      ]),
    )
  })

  test('a certificate of another authority is refused, and the mend says where its authority belongs', async () => {
    const [root, stranger] = [await authority('/CN=Root'), await authority('/CN=Stranger')]
    const names = (number: number): { kind: 'dns'; name: string }[] => [
      { kind: 'dns', name: `host${number}.example` },
    ]
    const one = await entity('/CN=1', { issuer: root, alternativeNames: names(1) })
    const two = await entity('/CN=2', { issuer: stranger, alternativeNames: names(2) })
    const link = pair(sign, sign, 1, [
      credentials({ 'private/local.key': one.privatePem, 'certs/a.crt': pem(one), 'ca/ca.crt': pem(root) }),
      credentials({ 'private/local.key': two.privatePem, 'certs/a.crt': pem(two), 'ca/ca.crt': pem(root) }),
    ])
    link.start()
    link.run(1)
    assert.deepEqual(
      link.sides.map((side) => side.established),
      [0, 0],
    )
    const problem = link.sides[0].news.find((one) => one.kind === 'problem')
    assert.match(
      problem?.text ?? '',
      /FQDN\/host2.example: no certificate of \/CN=Stranger, who issued \/CN=2/,
    )
    assert.match(problem?.mend ?? '', /into \/etc\/iked\/ca$/)
  })
})
