import assert from 'node:assert/strict'
import { test } from 'node:test'
import { applyHunks, hunkLine, readPatch } from './patch-apply.js'

const lines = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, i) => `line ${from + i}\n`).join('')

const PATCH = `--- a.old\tSun Jan 19 20:54:32 2020
+++ a\tSun Jan 19 21:02:19 2020
@@ -3,5 +3,6 @@
 line 3
 line 4
-line 5
+line five
+line five and a half
 line 6
 line 7
`

function apply(source: string, patch: string, reverse = false): { text: string; said: string[] } {
  const { text, results } = applyHunks(source, readPatch(patch)![0]!.hunks, reverse)
  return { text, said: results.map((result, i) => hunkLine(i + 1, result)) }
}

test('reads names, leading text and hunks', () => {
  const [one] = readPatch(`Index: a\n${PATCH}`)!
  assert.equal(one!.oldName, 'a.old')
  assert.equal(one!.newName, 'a')
  assert.equal(one!.leading[0], 'Index: a')
  assert.equal(one!.hunks.length, 1)
  assert.equal(one!.hunks[0]!.miscounted, undefined)
  assert.equal(readPatch('no diff here\n'), undefined)
  assert.equal(readPatch(PATCH + PATCH)!.length, 2)
})

test('applies where it says, and back', () => {
  const source = lines(1, 9)
  const { text, said } = apply(source, PATCH)
  assert.equal(text, source.replace('line 5\n', 'line five\nline five and a half\n'))
  assert.deepEqual(said, ['Hunk #1 succeeded at 3.'])
  assert.equal(apply(text, PATCH, true).text, source)
})

test('finds its place when the file has moved, and says by how much', () => {
  assert.deepEqual(apply(`new\nnew\n${lines(1, 9)}`, PATCH).said, [
    'Hunk #1 succeeded at 5 (offset 2 lines).',
  ])
  assert.deepEqual(apply(lines(2, 9), PATCH).said, ['Hunk #1 succeeded at 2 (offset -1 line).'])
})

test('fuzz: up to two lines of context may differ', () => {
  const source = lines(1, 9).replace('line 3\n', 'something else\n')
  const { text, said } = apply(source, PATCH)
  assert.deepEqual(said, ['Hunk #1 succeeded at 3 with fuzz 1.'])
  assert.equal(text, source.replace('line 5\n', 'line five\nline five and a half\n'))
})

test('a hunk without a place changes nothing and says so; one that is there already is named', () => {
  const { text, said } = apply(lines(20, 30), PATCH)
  assert.equal(text, lines(20, 30))
  assert.deepEqual(said, ['Hunk #1 failed at 3.'])
  const done = apply(lines(1, 9), PATCH).text
  const again = apply(done, PATCH)
  assert.equal(again.text, done)
  assert.deepEqual(again.said, ['Hunk #1 failed at 3. (the change is already there)'])
})

test("the article's patches: blanks for tabs, a hunk without file names and with a line too few", () => {
  const conf =
    'ikev2 passive esp from 192.168.1.0/24 to 192.168.1.0/24 \\\n\tfrom 172.16.1.0/24 to 172.16.1.0/24 \\\n\tlocal 192.168.1.1 psk "x"\n'
  const iked = `--- iked.conf.old       Sun Jan 19 20:54:32 2020
+++ iked.conf   Sun Jan 19 21:02:19 2020
@@ -1,3 +1,4 @@
 ikev2 passive esp from 192.168.1.0/24 to 192.168.1.0/24 \\
+       from fdd0::/64 to fdd0::/64 \\
        from 172.16.1.0/24 to 172.16.1.0/24 \\
        local 192.168.1.1 psk "x"
`
  const { text } = apply(conf, iked)
  assert.equal(text, conf.replace('\\\n\tfrom', '\\\n       from fdd0::/64 to fdd0::/64 \\\n\tfrom'))

  const sshd =
    '#UseDNS no\n#PidFile /var/run/sshd.pid\n#MaxStartups 10:30:100\n# PermitTunnel no\n#ChrootDirectory none\n#VersionAddendum none\n'
  const [one] = readPatch(`@@ -75,7 +75,7 @@
 #UseDNS no
 #PidFile /var/run/sshd.pid
 #MaxStartups 10:30:100
-# PermitTunnel no
+PermitTunnel yes
 #ChrootDirectory none
 #VersionAddendum none
`)!
  assert.equal(one!.hunks[0]!.miscounted, 'the header promises 7 old and 7 new lines, 6 and 6 follow')
  const { text: mended, results } = applyHunks(sshd, one!.hunks)
  assert.equal(mended, sshd.replace('# PermitTunnel no', 'PermitTunnel yes'))
  assert.equal(hunkLine(1, results[0]!), 'Hunk #1 succeeded at 1 (offset -74 lines).')
})

test('a file is made from nothing, and emptied', () => {
  const create = '--- /dev/null\n+++ b\n@@ -0,0 +1,2 @@\n+one\n+two\n'
  assert.equal(apply('', create).text, 'one\ntwo\n')
  assert.equal(apply('one\ntwo\n', create, true).text, '')
})

test('several hunks: each goes on from the one before', () => {
  const two = `@@ -1,2 +1,3 @@
 line 1
+between
 line 2
@@ -8,2 +9,2 @@
 line 8
-line 9
+line nine
`
  const { text, said } = apply(lines(1, 9), two)
  assert.equal(text, lines(1, 9).replace('line 2\n', 'between\nline 2\n').replace('line 9', 'line nine'))
  assert.deepEqual(said, ['Hunk #1 succeeded at 1.', 'Hunk #2 succeeded at 9.'])
})
