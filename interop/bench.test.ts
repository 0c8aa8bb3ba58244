/** What the throughput benchmark makes of its figures: no daemon, no root. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GcCounter } from '../bench/throughput/gc.js'
import { parseOptions } from '../bench/throughput/options.js'
import { replaceSection, section, terminal } from '../bench/throughput/report.js'
import { judge, median, ratioOf, type Sample, type SubjectResult } from '../bench/throughput/results.js'

const sample = (mbits: number): Sample => ({ mbits, cpu: 1 })

function subject(
  name: string,
  tcp: readonly (number | undefined)[],
  more: Partial<SubjectResult> = {},
): SubjectResult {
  return {
    name,
    description: name,
    version: '1',
    failures: [],
    samples: {
      tcp: tcp.map((mbits) => (mbits === undefined ? undefined : sample(mbits))),
      tcp4: [],
      reverse: [],
      udp: [],
    },
    ping: [],
    ...more,
  }
}

const held = (results: readonly SubjectResult[], what: string): (boolean | undefined)[] =>
  judge(results, ['gif', 'gre', 'esp-udp-gcm'])
    .filter((verdict) => verdict.what.startsWith(what))
    .map((verdict) => verdict.held)

test('median: of odd and even counts, without what failed', () => {
  assert.equal(median([3, 1, 2]), 2)
  assert.equal(median([4, undefined, 1, 3, 2]), 2.5)
  assert.equal(median([undefined]), undefined)
})

test('a ratio is that of each round, so that a slow round takes nobody down alone', () => {
  const [fast, slow] = [subject('fast', [1000, 100, 900]), subject('slow', [200, 20, undefined])]
  assert.equal(ratioOf(fast, slow, 'tcp'), 5)
  assert.equal(ratioOf(fast, subject('none', []), 'tcp'), undefined)
})

test('targets: held, missed, not measured', () => {
  const bare = subject('bare', [10_000], { ping: [0.02] })
  const openvpn = subject('openvpn', [400], { ping: [0.12] })
  const esp = (mbits: number, ping: number): SubjectResult =>
    subject('esp-udp-gcm', [mbits], { ping: [ping] })
  assert.deepEqual(held([bare, openvpn, esp(2000, 0.06)], 'esp-udp-gcm'), [true, undefined, true])
  assert.deepEqual(held([bare, openvpn, esp(1990, 0.08)], 'esp-udp-gcm'), [false, undefined, false])
  assert.deepEqual(held([bare, subject('gif', [1500]), subject('gre', [1499])], 'g'), [true, false])
  const heavy = { resident: { a: 50e6, b: 121e6 }, gc: { seconds: 30, mbits: 1, scavenges: 9, major: 1 } }
  assert.deepEqual(held([bare, subject('gif', [1500], heavy)], 'gif'), [true, false, false])
  assert.deepEqual(held([bare, subject('tinc', [1], { ...heavy, failures: ['gone'] })], 'tinc'), [undefined])
  assert.deepEqual(held([bare, subject('gif', [1500], { failures: ['gone'] })], 'gif'), [true, false])
})

test('collections are counted by kind, whatever else is printed', () => {
  const counter = new GcCounter()
  for (const line of [
    '[42:0x5f0c000]     1200 ms: Scavenge 8.1 (9.9) -> 7.3 (10.4) MB, 0.5 / 0.0 ms  (average mu = 1.000)',
    '[42:0x5f0c000]     1300 ms: Minor Mark-Compact 8.1 (9.9) -> 7.3 (10.4) MB',
    '[42:0x77aa000]     1400 ms: Mark-Compact (reduce) 7.5 (10.9) -> 6.9 (10.9) MB, 3.1 / 0.0 ms',
    'warren: ready: 1 tunnel',
  ])
    counter.line(line)
  assert.deepEqual([counter.scavenges, counter.majors.length], [2, 1])
})

test('options', () => {
  const known = ['bare', 'gif']
  assert.deepEqual(parseOptions(['--tests', 'tcp,ping', '--rounds', '1'], known).tests, ['ping', 'tcp'])
  assert.throws(() => parseOptions(['--subjects', 'fig'], known), /--subjects fig: expected bare, gif/)
  assert.throws(() => parseOptions(['--seconds', '0'], known), /--seconds 0: expected a whole number from 1/)
})

test('the marked section is replaced, and only that', () => {
  const results = [subject('bare', [10_000]), subject('gif', [], { skipped: 'no root' })]
  const machine = { cpu: 'EPYC', cores: 2, kernel: '6.18', node: '20', date: '2026-11-24' }
  const fresh = section(machine, { rounds: 3, seconds: 3, link: 'bridge' }, results, judge(results, ['gif']))
  assert.match(fresh, /\| bare \| 10,000 \|/)
  assert.match(fresh, /`gif`: gif: not measured: no root/)
  const text = `before\n${fresh.replace('10,000', '1')}\nafter\n`
  assert.equal(replaceSection(text, fresh), `before\n${fresh}\nafter\n`)
  assert.equal(replaceSection('no marks', fresh), undefined)
  assert.match(terminal(results, []), /^gif: skipped: no root$/m)
})
