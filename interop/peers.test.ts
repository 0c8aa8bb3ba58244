/** Each daemon that Warren is measured beside comes up at both ends, carries, and leaves nothing behind. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readlinkSync } from 'node:fs'
import { describe, test } from 'node:test'
import { runIn } from './lib/daemon.js'
import { bare, openvpn, ssh, strongswan, tinc, warrenPeers } from './lib/peers/index.js'
import { twoHosts } from './lib/two-hosts.js'

/** Whether it runs; an orphan that nobody has waited for does not. */
const alive = (pid: number): boolean => readlinkOf(pid) !== undefined

function readlinkOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`)
  } catch {
    return undefined
  }
}

describe('peers', () => {
  for (const peer of [bare, openvpn, tinc, ssh, strongswan, ...warrenPeers]) {
    test(peer.name, { skip: peer.missing() }, async () => {
      assert.notEqual(peer.version(), 'unknown')
      const hosts = twoHosts('wp')
      const pids: number[] = []
      try {
        const running = await peer.start(hosts)
        try {
          const { a, b } = running.processes()
          pids.push(...a, ...b)
          assert.equal(a.length > 0 && b.length > 0, peer !== bare, 'processes at both ends')
          const ping = ['ping', '-n', '-c5', '-i0.02', '-w5', '-I', hosts.a.inner, running.innerAddress]
          assert.match(await runIn(hosts.a.namespace, ping), / 5 received/)
        } finally {
          await running.stop()
        }
        assert.deepEqual(pids.filter(alive), [], 'processes that are still there')
      } finally {
        hosts.net.close()
      }
      assert.doesNotMatch(execFileSync('ip', ['netns'], { encoding: 'utf8' }), new RegExp(`wp${process.pid}`))
    })
  }
})
