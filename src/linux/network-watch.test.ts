import assert from 'node:assert/strict'
import { test } from 'node:test'
import { libc } from './ffi.js'
import type { NetlinkMessage } from './netlink.js'
import { drainNetworkWatch, isNews, openNetworkWatch } from './network-watch.js'
import { STEERING_PROTOCOL } from './steering/rules.js'

const message = (type: number, ...bytes: [at: number, value: number][]): NetlinkMessage => {
  const body = new Uint8Array(12)
  for (const [at, value] of bytes) body[at] = value
  return { type, flags: 0, sequence: 0, body }
}

test('addresses, links and routes of others are news; routes of steering, and those of addresses, are none', () => {
  for (const type of [16, 17, 20, 21]) assert.ok(isNews(message(type)))
  for (const type of [24, 25]) {
    assert.ok(isNews(message(type, [5, 3], [7, 1])))
    assert.ok(!isNews(message(type, [5, STEERING_PROTOCOL], [7, 1])))
    assert.ok(!isNews(message(type, [5, 2], [7, 2])))
  }
  assert.ok(!isNews(message(2)))
})

test('a watch that nobody has told anything has nothing to say, and never waits', (t) => {
  let fd: number
  try {
    fd = openNetworkWatch()
  } catch (error) {
    t.skip(String(error))
    return
  }
  const buffer = new Uint8Array(32 * 1024)
  drainNetworkWatch(fd, buffer)
  assert.equal(drainNetworkWatch(fd, buffer), false)
  libc().close(fd)
})
