import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { KEY_KINDS, loadPrivateKey, loadPublicKey } from '../crypto/index.js'
import { run } from './keygen.js'

async function keygen(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const code = await run(args, { stdout, stderr, stdin: new PassThrough(), env: {} })
  return { code, out: String(stdout.read() ?? ''), err: String(stderr.read() ?? '') }
}

const folder = (t: { after(fn: () => void): void }): string => {
  const path = mkdtempSync(join(tmpdir(), 'warren-keygen-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

test('a pair of every type, the private one for its owner alone', async (t) => {
  const at = folder(t)
  for (const type of KEY_KINDS.filter((kind) => kind !== 'rsa4096')) {
    const { code, out } = await keygen('--type', type, '--folder', join(at, type))
    assert.equal(code, 0)
    const [key, pub] = [join(at, type, 'private/local.key'), join(at, type, 'local.pub')]
    assert.match(out, new RegExp(`private key \\(${type}\\): ${key}`))
    assert.match(out, /pubkeys\/ipv4\/ADDRESS/)
    assert.equal(statSync(key).mode & 0o777, 0o600)
    assert.equal(statSync(join(at, type, 'private')).mode & 0o777, 0o700)
    const own = loadPrivateKey(readFileSync(key, 'utf8'))
    assert.deepEqual(loadPublicKey(readFileSync(pub, 'utf8')).spki, own.publicKey.spki)
    assert.match(type, new RegExp(`^${own.type}`))
  }
})

test('as the article: RSA of 2048 bits where nothing is said', async (t) => {
  const at = folder(t)
  const { out } = await keygen('--folder', at, '--json')
  assert.equal(JSON.parse(out).type, 'rsa2048')
  assert.equal(loadPrivateKey(readFileSync(join(at, 'private/local.key'), 'utf8')).bits, 2048)
})

test('nothing is replaced; a missing local.pub is made of the key', async (t) => {
  const at = folder(t)
  await keygen('--type', 'ecdsa256', '--folder', at)
  const [key, pub] = [join(at, 'private/local.key'), join(at, 'local.pub')]
  const [before, beforePub] = [readFileSync(key, 'utf8'), readFileSync(pub, 'utf8')]
  await assert.rejects(keygen('--folder', at), { code: 'KEYGEN_EXISTS' })
  rmSync(pub)
  const { out } = await keygen('--folder', at)
  assert.doesNotMatch(out, /private key/)
  assert.deepEqual([readFileSync(key, 'utf8'), readFileSync(pub, 'utf8')], [before, beforePub])
  rmSync(key)
  await assert.rejects(keygen('--folder', at), { code: 'KEYGEN_EXISTS', message: /bring .*local.key back/ })
  writeFileSync(join(at, 'file'), '')
  await assert.rejects(keygen('--folder', join(at, 'file', 'x')), { code: 'KEYGEN_FILE' })
})

test('wrong words are told with what was meant', async () => {
  const { code, err } = await keygen('--type', 'rsa2084')
  assert.equal(code, 2)
  assert.match(err, /no type "rsa2084": did you mean "rsa2048"\?/)
  assert.equal((await keygen('--nonsense')).code, 2)
})
