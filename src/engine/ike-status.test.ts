import assert from 'node:assert/strict'
import { test } from 'node:test'
import { linkOfTwoFlows } from '../proto/ikev2/testing.js'
import { ikeStatusOf } from './ike-status.js'

test('of a child the pairs that pass are told, not each of one side with each of the other', () => {
  const link = linkOfTwoFlows()
  const { machine } = link.sides[1]
  const [child] = ikeStatusOf(machine, [], link.now).sas[0]!.children
  assert.deepEqual(child?.local, ['10.1.0.0/16', '10.3.0.0/16'])
  assert.deepEqual(child.flows, ['10.1.0.0/16 --> 10.2.0.0/16', '10.3.0.0/16 --> 10.4.0.0/16'])
})
