import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Pair, pair } from './net/testing.js'

const DIFF = `--- x.conf.orig\tSun Jan 19 20:54:32 2020
+++ x.conf\tSun Jan 19 21:02:19 2020
@@ -1,3 +1,3 @@
 one
-two
+zwei
 three
`

async function prepared(): Promise<Pair> {
  const made = await pair()
  await made.alice.fs.writeFile('/etc/x.conf', 'one\ntwo\nthree\n')
  await made.alice.fs.writeFile('/tmp/x.diff', DIFF)
  return made
}

test('the file is named by the patch, from the directory where one stands', async () => {
  const { alice, ok } = await prepared()
  assert.equal(
    await ok(alice, 'cd /etc && patch < /tmp/x.diff'),
    `Hmm...  Looks like a unified diff to me...
The text leading up to this was:
--------------------------
|--- x.conf.orig\tSun Jan 19 20:54:32 2020
|+++ x.conf\tSun Jan 19 21:02:19 2020
--------------------------
Patching file x.conf using Plan A...
Hunk #1 succeeded at 1.
done
`,
  )
  assert.equal(await ok(alice, 'cat /etc/x.conf'), 'one\nzwei\nthree\n')
})

test('-C only looks, -R goes back, -s is silent', async () => {
  const { alice, ok } = await prepared()
  assert.match(
    await ok(alice, 'patch -C /etc/x.conf /tmp/x.diff'),
    /\nChecking patch against file \/etc\/x\.conf using Plan A\.\.\.\n/,
  )
  assert.equal(await ok(alice, 'cat /etc/x.conf'), 'one\ntwo\nthree\n')
  assert.equal(await ok(alice, 'patch -s /etc/x.conf /tmp/x.diff'), '')
  await ok(alice, 'patch -R /etc/x.conf /tmp/x.diff')
  assert.equal(await ok(alice, 'cat /etc/x.conf'), 'one\ntwo\nthree\n')
})

test('a hunk that fails: said, kept beside the file, status 1', async () => {
  const { alice, run, ok } = await prepared()
  await alice.fs.writeFile('/etc/x.conf', 'quite\nanother\nfile\n')
  const { stdout, exitCode } = await run(alice, 'patch /etc/x.conf < /tmp/x.diff')
  assert.equal(exitCode, 1)
  assert.match(
    stdout,
    /\nHunk #1 failed at 1\.\n1 out of 1 hunks failed--saving rejects to \/etc\/x\.conf\.rej\ndone\n$/,
  )
  assert.equal(await ok(alice, 'cat /etc/x.conf'), 'quite\nanother\nfile\n')
  assert.match(
    await ok(alice, 'cat /etc/x.conf.rej'),
    /^--- x\.conf\.orig\n\+\+\+ x\.conf\n@@ -1,3 \+1,3 @@\n one\n-two\n\+zwei\n three\n$/,
  )
})

test('no file, no patch, an unknown option', async () => {
  const { alice, run } = await prepared()
  const missing = await run(alice, 'patch /etc/nix < /tmp/x.diff')
  assert.equal(missing.exitCode, 2)
  assert.match(missing.stderr, /^patch: can't find file to patch: \/etc\/nix: No such file or directory\n$/)
  const garbage = await run(alice, 'patch /etc/x.conf < /etc/hosts')
  assert.equal(garbage.exitCode, 2)
  assert.match(garbage.stdout, /^Hmm\.\.\. {2}I can't seem to find a patch in there anywhere\.\n$/)
  assert.match((await run(alice, 'patch -q')).stderr, /^patch: unknown option -- q\nusage: patch/)
})
