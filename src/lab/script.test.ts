import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isComplete, parseScript, type ScriptItem } from './script.js'

const commands = (text: string): string[] =>
  parseScript(text).flatMap((item) => (item.kind === 'command' ? [item.text] : []))
const machines = (comment: string): ScriptItem | undefined => parseScript(comment)[0]

test("the article's comments say where lines run", () => {
  for (const [comment, names] of [
    ['# on alice', ['alice']],
    ['# on bob ', ['bob']],
    ['# on both virtual machine', ['alice', 'bob']],
    ['# on each side', ['alice', 'bob']],
    ['# on the host', ['host']],
    ['# on host', ['host']],
    ['#on Alice', ['alice']],
    ['# on alice and bob', ['alice', 'bob']],
    ['# on alice (the responder)', ['alice']],
  ] as const) {
    const item = machines(comment)
    assert.equal(item?.kind, 'section', comment)
    assert.deepEqual(item?.kind === 'section' && item.machines, names, comment)
  }
})

test('other comments are comments', () => {
  for (const comment of [
    '# network configuration',
    '# if you want to enable it after a reboot',
    '# only on alice',
    '# one of them',
    '# on boot, this runs',
    '# uname -a | nc -l6 8888',
  ])
    assert.deepEqual(parseScript(comment), [], comment)
  const item = machines('# on carol')
  assert.equal(item?.kind === 'section' && item.certain, false)
})

test('a here-document is one command', () => {
  const text = 'cat >> /etc/vm.conf << EOF\nswitch "local" {\n    # on alice\n}\nEOF\necho done'
  assert.deepEqual(commands(text), [text.slice(0, text.lastIndexOf('\n')), 'echo done'])
  assert.deepEqual(commands("cat <<-'X' | sort\n\tb\n\tX\nls"), ["cat <<-'X' | sort\n\tb\n\tX", 'ls'])
  assert.deepEqual(commands('cat <<A <<B\n1\nA\n2\nB\nls'), ['cat <<A <<B\n1\nA\n2\nB', 'ls'])
  assert.deepEqual(commands('patch /etc/iked.conf - <<EOF\n--- a\n+++ b\nEOF'), [
    'patch /etc/iked.conf - <<EOF\n--- a\n+++ b\nEOF',
  ])
})

test('continuation lines, open quotes and compound commands are one command', () => {
  assert.deepEqual(commands('echo a \\\n  b\nls'), ['echo a \\\n  b', 'ls'])
  assert.deepEqual(commands('pfctl -n &&\n  pfctl -f\nls'), ['pfctl -n &&\n  pfctl -f', 'ls'])
  assert.deepEqual(commands('echo "a\nb"\nls'), ['echo "a\nb"', 'ls'])
  assert.deepEqual(commands("echo 'it # is'\nls"), ["echo 'it # is'", 'ls'])
  assert.deepEqual(commands('for i in 1 2\ndo\n  echo $i\ndone\nls'), [
    'for i in 1 2\ndo\n  echo $i\ndone',
    'ls',
  ])
  assert.deepEqual(commands('if true; then\n  echo a\nfi\nls'), ['if true; then\n  echo a\nfi', 'ls'])
  assert.deepEqual(commands('f() {\n  echo a\n}\nf'), ['f() {\n  echo a\n}', 'f'])
  assert.deepEqual(commands('(cd /tmp\n ls)\nls'), ['(cd /tmp\n ls)', 'ls'])
})

test('words that only look like keywords do not swallow the rest', () => {
  assert.deepEqual(commands('echo if\necho done for\nls'), ['echo if', 'echo done for', 'ls'])
  assert.deepEqual(commands('echo a#b\necho $route $(cat /etc/installurl)/6.6\nls'), [
    'echo a#b',
    'echo $route $(cat /etc/installurl)/6.6',
    'ls',
  ])
  assert.deepEqual(commands('cat <<< word\nls'), ['cat <<< word', 'ls'])
})

test('lines are counted from 1, and a document without its end ends with the file', () => {
  const items = parseScript('\n# on alice\n\nls\ncat << EOF\nopen')
  assert.deepEqual(
    items.map(({ line }) => line),
    [2, 4, 5],
  )
  assert.equal(isComplete('cat << EOF\nopen'), false)
  assert.equal(isComplete('cat << EOF\nopen\nEOF'), true)
  assert.equal(isComplete('echo "'), false)
})
