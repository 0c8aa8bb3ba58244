/** What passes the bridge is opened with the keys that the lab keeps. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nodeProvider } from '../../crypto/index.js'
import { dissectOpened, KeyOpener, LinkType, saKeysOf } from '../../inspect/index.js'
import { ikedPair } from './testing.js'

test('every IKE message and every packet of ESP on the bridge is opened with the keys that the lab remembers', async () => {
  const pair = await ikedPair()
  await pair.start('alice')
  await pair.start('bob')
  await pair.wait(1)
  await pair.run('alice', 'ping -c1 172.16.1.2')
  const { lab } = pair
  assert.equal(lab.ikeSas.length, 1)
  const keys = { sas: lab.securityAssociations.map(saKeysOf), ikeSas: lab.ikeSas }
  const opener = new KeyOpener(keys, nodeProvider)
  const notes = lab.frames.flatMap(({ bytes }) =>
    dissectOpened(bytes, LinkType.ethernet, { opener }).layers.flatMap(({ name, note }) =>
      ['esp', 'ikePayload'].includes(name) && note !== undefined ? [note] : [],
    ),
  )
  assert.equal(notes.length, 4)
  for (const note of notes) assert.match(note, /^decrypted: .*; ICV correct/)
})
