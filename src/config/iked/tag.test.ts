import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseIdentity } from '../../proto/ikev2/index.js'
import { expandTag } from './index.js'

const expand = (tag: string, id: string, eapId?: string): string | undefined =>
  expandTag(tag, { id: parseIdentity(id), name: 'office', ...(eapId === undefined ? {} : { eapId }) })

test("variables of tags are the manual page's", () => {
  assert.equal(expand('ipsec-$domain', 'foo.example.com'), 'ipsec-example.com')
  assert.equal(expand('ipsec-$domain', 'user@example.com'), 'ipsec-example.com')
  assert.equal(expand('ipsec-$domain', '/C=DE/CN=x/emailAddress=user@example.org'), 'ipsec-example.org')
  assert.equal(expand('$id', 'foo.example.com'), 'FQDN/foo.example.com')
  assert.equal(expand('$name-$id', '/C=DE/CN=10.1.1.1/OU=x'), 'office-CN=10.1.1.1')
  assert.equal(expand('$eapid', 'foo', 'bob'), 'bob')
  assert.equal(expand('$eapid', 'foo'), '$eapid')
  assert.equal(expand('plain', 'foo'), 'plain')
})

test('a tag without the domain that it wants, or too long, is none', () => {
  assert.equal(expand('ipsec-$domain', 'foo'), undefined)
  assert.equal(expand('ipsec-$domain', '192.0.2.1'), undefined)
  assert.equal(expand('$id', 'x'.repeat(64)), undefined)
})

test("a peer's name with a variable in it is only a name", () => {
  assert.equal(expand('$id', '$name.$domain'), 'FQDN/$name.$domain')
})
