import assert from 'node:assert/strict'
import { test } from 'node:test'
import { onTheWire } from '../scenarios/scenario.js'
import { ikedPair } from './testing.js'

/** The article's lines, in its order. */
const ARTICLE: Readonly<Record<'alice' | 'bob', readonly string[]>> = {
  alice: [
    "spi=SPI: recv IKE_SA_INIT req 0 peer 192.168.1.2:500 local 192.168.1.1:500, N bytes, policy 'policy1'",
    'spi=SPI: send IKE_SA_INIT res 0 peer 192.168.1.2:500 local 192.168.1.1:500, N bytes',
    "spi=SPI: recv IKE_AUTH req 1 peer 192.168.1.2:500 local 192.168.1.1:500, N bytes, policy 'policy1'",
    'spi=SPI: send IKE_AUTH res 1 peer 192.168.1.2:500 local 192.168.1.1:500, N bytes',
    "spi=SPI: sa_state: VALID -> ESTABLISHED from 192.168.1.2:500 to 192.168.1.1:500 policy 'policy1'",
  ],
  bob: [
    'spi=SPI: send IKE_SA_INIT req 0 peer 192.168.1.1:500 local 192.168.1.2:500, N bytes',
    "spi=SPI: recv IKE_SA_INIT res 0 peer 192.168.1.1:500 local 192.168.1.2:500, N bytes, policy 'policy1'",
    'spi=SPI: send IKE_AUTH req 1 peer 192.168.1.1:500 local 192.168.1.2:500, N bytes',
    "spi=SPI: recv IKE_AUTH res 1 peer 192.168.1.1:500 local 192.168.1.2:500, N bytes, policy 'policy1'",
    "spi=SPI: sa_state: VALID -> ESTABLISHED from 192.168.1.1:500 to 192.168.1.2:500 policy 'policy1'",
  ],
}

test('alice waits, bob begins: SAs and flows in both kernels, pings by them, the article’s lines in the log', async () => {
  const pair = await ikedPair()
  await pair.start('alice')
  await pair.start('bob')
  await pair.wait(1)
  const frames = pair.lab.frames.length
  const { stdout } = await pair.run('alice', 'ping -c3 172.16.1.2')
  assert.match(stdout, /3 packets transmitted, 3 packets received/)
  const wire = onTheWire(pair.lab.frames.slice(frames))
  assert.deepEqual([...new Set(wire.map(({ headers }) => headers))], ['ethernet ipv4 esp'])
  for (const name of ['alice', 'bob'] as const) {
    assert.equal(pair[name].ipsec.sad.size, 2)
    const log = await pair.log(name)
    assert.deepEqual(
      log.map((line) => line.replace(/0x[0-9a-f]{16}/, 'SPI').replace(/\d+ bytes/, 'N bytes')),
      ARTICLE[name],
    )
  }
})
