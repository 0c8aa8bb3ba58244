import assert from 'node:assert/strict'
import { test } from 'node:test'
import { succeed } from '../../command.js'
import { CommandFailure, getopt, guard, meant, strtonum } from './words.js'

const USAGE = 'usage: thing [-nq] [-c count] file'

test('getopt: bundled letters, arguments joined or apart, -- and the first operand end the options', () => {
  const { given, counts, operands } = getopt(
    'thing',
    ['-nvv', '-c3', '-I', 'vio0', 'a', '-q'],
    'nvc:I:q',
    USAGE,
  )
  assert.deepEqual(
    [...given],
    [
      ['n', ''],
      ['v', ''],
      ['c', '3'],
      ['I', 'vio0'],
    ],
  )
  assert.equal(counts.get('v'), 2)
  assert.deepEqual(operands, ['a', '-q'])
  assert.deepEqual(getopt('thing', ['-n', '--', '-c'], 'nc:', USAGE).operands, ['-c'])
  assert.deepEqual(getopt('thing', ['-', '-n'], 'n', USAGE).operands, ['-', '-n'])
})

test('getopt: an unknown letter and a missing argument, with the usage', () => {
  assert.throws(
    () => getopt('thing', ['-z'], 'nc:', USAGE),
    new CommandFailure(`thing: unknown option -- z\n${USAGE}`),
  )
  assert.throws(
    () => getopt('thing', ['-N'], 'nc:', USAGE),
    new CommandFailure(`thing: unknown option -- N (did you mean -n?)\n${USAGE}`),
  )
  assert.throws(
    () => getopt('thing', ['-c'], 'nc:', USAGE),
    new CommandFailure(`thing: option requires an argument -- c\n${USAGE}`),
  )
})

test('strtonum speaks as strtonum(3)', () => {
  assert.equal(strtonum('7', 0, 9), 7)
  assert.equal(strtonum('-1', 0, 9), 'too small')
  assert.equal(strtonum('10', 0, 9), 'too large')
  assert.equal(strtonum('x', 0, 9), 'invalid')
  assert.equal(strtonum('1.5', 0, 9), 'invalid')
  assert.equal(strtonum('', 0, 9), 'invalid')
})

test('guard turns a failure into a result, and nothing else', async () => {
  assert.deepEqual(await guard(() => succeed('x\n')), succeed('x\n'))
  assert.deepEqual(await guard(() => 3), { stdout: '', stderr: '', exitCode: 3 })
  const failed = await guard(() => {
    throw new CommandFailure('thing: no', 2)
  })
  assert.deepEqual(failed, { stdout: '', stderr: 'thing: no\n', exitCode: 2 })
  await assert.rejects(
    guard(() => {
      throw new TypeError('a mistake of ours')
    }),
    TypeError,
  )
})

test('meant: the near word, or nothing', () => {
  assert.equal(meant('forwading', ['forwarding', 'redirect']), ' (did you mean forwarding?)')
  assert.equal(meant('qqqq', ['forwarding']), '')
})
