import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PathMtu } from './carrier.js'
import type { CarrierSpec } from './messages.js'

const spec = { fd: 9, family: 4 } as CarrierSpec

test('the path MTU is asked for once a second, or when it has turned out to be another', () => {
  let asked = 0
  const mtu = new PathMtu(spec, (about) => {
    assert.equal(about, spec)
    return 1500 - asked++
  })
  assert.deepEqual([mtu.at(5), mtu.at(1004), mtu.at(1005), mtu.at(1006)], [1500, 1500, 1499, 1499])
  mtu.forget()
  assert.equal(mtu.at(1007), 1498)
})

test('without an answer it is what every destination takes, and nobody is told that it is a limit', () => {
  let answer: number | undefined
  const mtu = new PathMtu(spec, () => answer)
  assert.deepEqual([mtu.at(1), mtu.knownAt(1)], [576, 65_535])
  answer = 20
  assert.equal(mtu.at(2000), 576, 'no link has less than 68')
  answer = 1400
  assert.deepEqual([mtu.at(4000), mtu.knownAt(4000)], [1400, 1400])
  answer = undefined
  assert.deepEqual([mtu.at(6000), mtu.knownAt(6000)], [1400, 1400], 'the last that was known')
  assert.equal(new PathMtu({ ...spec, family: 6 }, () => undefined).at(0), 1280)
})
