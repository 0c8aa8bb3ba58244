import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { WarrenError } from '../base/index.js'
import { askControl, listenForControl, REQUEST_LIMIT } from './control-socket.js'

const folder = mkdtempSync(join(tmpdir(), 'warren-control-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** What comes back for raw bytes, until the other end closes or a line is whole. */
const raw = (path: string, text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(path)
    let got = ''
    socket.on('data', (chunk: Buffer) => {
      got += chunk
      if (got.includes('\n')) socket.end()
    })
    socket.on('close', () => resolve(got))
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EPIPE' || error.code === 'ECONNRESET' ? resolve(got) : reject(error),
    )
    socket.write(text)
  })

test('a verb and its answer, over a socket that only the owner may open', async () => {
  const path = join(folder, 'a.sock')
  const server = await listenForControl(path, async (verb) => ({ verb }))
  try {
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.deepEqual(await askControl(path, 'status'), { verb: 'status' })
    await assert.rejects(
      listenForControl(path, async () => 0),
      { code: 'LINUX_ALREADY_RUNNING' },
    )
    for (const bad of ['{', '7', '{"verb":"halt"}', '[]', 'null'])
      assert.match(await raw(path, `${bad}\n`), /"ok":false,"code":"LINUX_CONTROL_REQUEST"/, bad)
    assert.equal(await raw(path, 'x'.repeat(REQUEST_LIMIT + 1)), '', 'a request without end is cut off')
    assert.deepEqual(await askControl(path, 'down'), { verb: 'down' })
  } finally {
    server.close()
  }
})

test('an error keeps its code and its words on the way', async () => {
  const path = join(folder, 'b.sock')
  const server = await listenForControl(path, async () => {
    throw new WarrenError('CONFIG_SYNTAX', 'hostname.gif0:2: no', { mend: 'do' })
  })
  try {
    await assert.rejects(askControl(path, 'reload'), {
      code: 'CONFIG_SYNTAX',
      message: 'hostname.gif0:2: no; do',
    })
  } finally {
    server.close()
  }
})

test('nobody there, and something else there', async () => {
  await assert.rejects(askControl(join(folder, 'none.sock'), 'status'), { code: 'LINUX_NOT_RUNNING' })
  const file = join(folder, 'file')
  writeFileSync(file, 'kept')
  await assert.rejects(
    listenForControl(file, async () => 0),
    { code: 'LINUX_CONTROL_SOCKET' },
  )
  assert.equal(statSync(file).size, 4)
})
