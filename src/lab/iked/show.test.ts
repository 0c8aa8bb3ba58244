import assert from 'node:assert/strict'
import { test } from 'node:test'
import { linkOfTwoFlows } from '../../proto/ikev2/testing.js'
import { showSas } from './show.js'

test('show sa: the flows are the pairs of the policy, both ways', () => {
  const link = linkOfTwoFlows()
  const { machine } = link.sides[1]
  const lines = showSas({ ike: machine, kernel: { coupled: true } })
  const shown = lines.flatMap(
    (line) => /^iked_flows: .* ESP (in|out) (\S+ -> \S+) /.exec(line)?.slice(1).join(' ') ?? [],
  )
  assert.deepEqual(shown, [
    'out 10.1.0.0/16 -> 10.2.0.0/16',
    'in 10.2.0.0/16 -> 10.1.0.0/16',
    'out 10.3.0.0/16 -> 10.4.0.0/16',
    'in 10.4.0.0/16 -> 10.3.0.0/16',
  ])
})
