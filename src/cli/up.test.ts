/** What `warren up` refuses before it makes anything: no right is needed for that. */
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { after, describe, test } from 'node:test'
import { run } from './up.js'

const KEY = '0123456789abcdeffedcba98765432100123456789abcdef0011223344556677'

describe('warren up ipsec.conf, its files', {
  skip: process.platform === 'linux' ? false : 'needs Linux',
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'warren-up-'))
  after(() => rmSync(folder, { recursive: true, force: true }))

  function file(name: string, text: string, mode = 0o600): string {
    const path = join(folder, name)
    writeFileSync(path, text)
    chmodSync(path, mode)
    return path
  }

  async function up(path: string): Promise<string> {
    const output = new PassThrough()
    const code = await run(['--socket', join(folder, 'warren.sock'), path], {
      stdout: output,
      stderr: output,
      stdin: new PassThrough(),
      env: {},
    })
    return `${code}: ${output.read()?.toString()}`
  }

  const sa = (keys: string): string =>
    `esp from 192.0.2.1 to 192.0.2.2 spi 0x1001 auth hmac-sha2-256 enc aes-256 authkey ${keys} enckey ${keys}\n`

  test('refused: one that others can read, whether it is the file, an included one or a key', async () => {
    const open = file('open.ipsec.conf', sa(`0x${KEY}`), 0o644)
    await assert.rejects(up(open), { code: 'CONFIG_PERMISSIONS', message: /chmod 600 .*open\.ipsec\.conf/ })
    file('more.conf', sa(`0x${KEY}`), 0o644)
    const includes = file('a.ipsec.conf', '# first\ninclude "more.conf"\n')
    await assert.rejects(up(includes), {
      code: 'CONFIG_PERMISSIONS',
      message: /a\.ipsec\.conf:2:9: .*more\.conf: group\/world readable/,
    })
    file('key', KEY, 0o644)
    const keyed = file('b.ipsec.conf', sa('file "key"'))
    await assert.rejects(up(keyed), { code: 'CONFIG_PERMISSIONS', message: /b\.ipsec\.conf:1:/ })
  })

  test('a file that is named and not there: where it is named, and what was looked for', async () => {
    const includes = file('c.ipsec.conf', 'include "nowhere.conf"\n')
    await assert.rejects(up(includes), {
      code: 'CONFIG_FILE',
      message: /c\.ipsec\.conf:1:9: .*nowhere\.conf: ENOENT/,
    })
  })

  test('an error of the grammar has its place, in an included file too', async () => {
    file('wrong.conf', 'flow esp from 10.0.0.0/24\n')
    const includes = file('d.ipsec.conf', 'include "wrong.conf"\n')
    await assert.rejects(up(includes), { code: 'CONFIG_SYNTAX', message: /wrong\.conf:1:/ })
  })

  test('no format of that name', async () => {
    const output = new PassThrough()
    const io = { stdout: output, stderr: output, stdin: new PassThrough(), env: {} }
    assert.equal(await run(['--format', 'ipsec.cnf', 'x'], io), 2)
    assert.match(
      String(output.read()),
      /did you mean "ipsec\.conf"\? expected hostname\.if, warren\.toml, ipsec\.conf/,
    )
  })
})
