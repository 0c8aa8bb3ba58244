/** What makes the SAs goes past the policies: IKE's own sockets, and port 4500, which it shares with ESP in UDP. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseIpAddress, seconds } from '../../base/index.js'
import type { VirtualHost } from '../host.js'
import { load, mirrored, OUTER, type Site, site } from './testing.js'

const FLOWS = `flow esp from 192.0.2.1 to 192.0.2.2
flow esp from 2001:db8::1 to 2001:db8::2
`

async function closed(): Promise<Site> {
  const one = await site()
  load(one.west, FLOWS)
  load(one.east, mirrored(FLOWS))
  return one
}

const listen = (host: VirtualHost, port: number, heard: string[], bypassPolicies?: boolean) =>
  host.stack.udp.bind({
    port,
    ...(bypassPolicies === undefined ? {} : { bypassPolicies }),
    onDatagram: ({ source, data }) => heard.push(`${source} ${data.length}`),
  })

for (const family of [4, 6] as const) {
  const [west, east] = OUTER[family]
  test(`IPv${family}: a socket that bypasses policies is heard and speaks; any other is not`, async () => {
    const one = await closed()
    const heard: string[] = []
    const out = listen(one.west, 500, heard, true)
    const back = listen(one.east, 500, heard, true)
    const now = one.clock.now()
    assert.equal(out.send(new Uint8Array(10), parseIpAddress(east)!, 500, now), 'ok')
    assert.equal(back.send(new Uint8Array(20), parseIpAddress(west)!, 500, now), 'ok')
    await one.clock.advance(seconds(1))
    assert.deepEqual(heard.sort(), [`${east} 20`, `${west} 10`].sort())

    // The same way without the option, each of the two ends by itself.
    assert.equal(
      listen(one.west, 501, heard).send(new Uint8Array(30), parseIpAddress(east)!, 500, one.clock.now()),
      'blocked',
    )
    listen(one.east, 502, heard)
    assert.equal(out.send(new Uint8Array(40), parseIpAddress(east)!, 502, one.clock.now()), 'ok')
    await one.clock.advance(seconds(1))
    assert.equal(heard.length, 2)
    assert.equal(one.east.ipsec.counters.get('spd.clear'), 1)
  })
}

test('fragments are not let past policies: the port of the whole is seen too late', async () => {
  const one = await closed()
  const heard: string[] = []
  listen(one.east, 500, heard, true)
  const socket = listen(one.west, 500, heard, true)
  assert.equal(socket.send(new Uint8Array(3000), parseIpAddress('192.0.2.2')!, 500, one.clock.now()), 'ok')
  await one.clock.advance(seconds(1))
  assert.deepEqual(heard, [])
  assert.equal(one.east.ipsec.counters.get('spd.clear'), 3)
})

test('port 4500: what has the non-ESP marker is IKE’s, the rest is not, and nobody has it once both are gone', async () => {
  const one = await closed()
  const heard: string[] = []
  const stop = one.east.ipsec.listenForIke(({ sourcePort, data }) => heard.push(`${sourcePort} ${data[4]}`))
  const socket = listen(one.west, 4500, [], true)
  const say = (...bytes: number[]): void => {
    socket.send(Uint8Array.from(bytes), parseIpAddress('192.0.2.2')!, 4500, one.clock.now())
  }
  say(0, 0, 0, 0, 7)
  say(0xff)
  say(1, 2, 3, 4, 0, 0, 0, 1, 9, 9)
  await one.clock.advance(seconds(1))
  assert.deepEqual(heard, ['4500 7'])
  const { counters } = one.east.ipsec
  assert.equal(counters.get('esp.keepalive'), 1)
  assert.equal(counters.get('esp.spi'), 1)
  stop()
  say(0, 0, 0, 0, 8)
  await one.clock.advance(seconds(1))
  assert.deepEqual(heard, ['4500 7'])
  assert.deepEqual(one.east.stack.udp.bindings(), [])
})
