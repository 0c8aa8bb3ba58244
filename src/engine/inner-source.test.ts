import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ETHERNET, IPV4, IPV6, PacketBuffer } from '../base/index.js'
import { gif4, gif6 } from '../proto/article.testdata.js'
import { innerSourceOf } from './inner-source.js'

test('the source of an IP packet, and none of a frame', () => {
  assert.equal(`${innerSourceOf(PacketBuffer.copyOf(gif4.subarray(20), IPV4))}`, '172.16.0.1')
  assert.equal(`${innerSourceOf(PacketBuffer.copyOf(gif6, IPV6))}`, 'fd3e:62ee:99db:bb1a::1')
  assert.equal(innerSourceOf(PacketBuffer.copyOf(gif4, ETHERNET)), undefined)
})
