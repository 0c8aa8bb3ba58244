import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkTogether, formatOf, type LoadOptions, loadTunnels } from './load.js'

const KEY = '0x0102030405060708090a0b0c0d0e0f10aabbccddeeff00112233445566778899'
const OTHER = '0xf102030405060708090a0b0c0d0e0f10aabbccddeeff00112233445566778899'
const SA = `esp from 192.0.2.1 to 192.0.2.2 spi 0x1001:0x1002 auth hmac-sha2-256 enc aes-256 \\
	authkey ${KEY}:${OTHER} enckey file "there":"back"`
const FLOW = 'flow esp from 10.0.0.0/24 to 10.0.1.0/24 peer 192.0.2.2'

const files: Readonly<Record<string, string>> = {
  there: KEY.replace('0x0', '0x7'),
  back: OTHER.replace('0xf', '0x8'),
  'more.conf': 'flow esp from 10.0.2.0/24 to 10.0.3.0/24 peer 192.0.2.2',
}
const read: NonNullable<LoadOptions['read']> = (name) => ({ text: files[name]!, mode: 0o600 })

test('the format is told by the name', () => {
  for (const name of ['ipsec.conf', '/etc/ipsec.conf', 'site-a.ipsec.conf'])
    assert.equal(formatOf(name), 'ipsec.conf', name)
  assert.equal(formatOf('myipsec.conf'), undefined)
})

test('flows and SAs are one tunnel, enc0, with the lines of ipsecctl and no key in them', () => {
  const [tunnel, ...more] = loadTunnels(`${SA}\n${FLOW}\ninclude "more.conf"\n`, 'ipsec.conf', undefined, {
    read,
  })
  assert.deepEqual(more, [])
  assert.equal(tunnel?.kind, 'ipsec')
  assert.equal(tunnel?.name, 'enc0')
  assert.equal(tunnel?.mtu, 1438)
  assert.equal(tunnel?.where, 'ipsec.conf')
  assert.deepEqual(
    tunnel?.ipsec?.flows.map(({ text }) => text),
    [
      'flow esp out from 10.0.0.0/24 to 10.0.1.0/24 peer 192.0.2.2 type require',
      'flow esp in from 10.0.1.0/24 to 10.0.0.0/24 peer 192.0.2.2 type require',
      'flow esp out from 10.0.2.0/24 to 10.0.3.0/24 peer 192.0.2.2 type require',
      'flow esp in from 10.0.3.0/24 to 10.0.2.0/24 peer 192.0.2.2 type require',
    ],
  )
  assert.deepEqual(
    tunnel?.ipsec?.sas.map(({ text }) => text),
    [
      'esp tunnel from 192.0.2.1 to 192.0.2.2 spi 0x00001001 auth hmac-sha2-256 enc aes-256',
      'esp tunnel from 192.0.2.2 to 192.0.2.1 spi 0x00001002 auth hmac-sha2-256 enc aes-256',
    ],
  )
})

test('what is allowed and of no use is said: an SA without a flow, a flow without an SA', () => {
  const said = (text: string): string[] => {
    const lines: string[] = []
    loadTunnels(text, 'ipsec.conf', undefined, { read, onWarning: (line) => lines.push(line) })
    return lines
  }
  assert.deepEqual(said(`${SA}\n${FLOW}\n`), [])
  assert.match(said(`${SA}\n`).join('\n'), /^ipsec\.conf:1:1: no flow leads into this SA/)
  assert.deepEqual(said(`${FLOW}\n`), ['ipsec.conf:1:1: no esp SA serves this flow: its packets are dropped'])
  assert.match(said('flow ipip from 10.0.0.0/24 to 10.0.1.0/24 peer 192.0.2.2\n')[0]!, /go in clear$/)
  assert.deepEqual(said('flow from 10.0.0.0/24 to 10.0.9.0/24 type deny\n'), [])
})

test('refused: a file without rules, one that others can read, two such files', () => {
  assert.throws(() => loadTunnels('# nothing\n', 'ipsec.conf'), { code: 'CONFIG_EMPTY' })
  assert.throws(() => loadTunnels(FLOW, 'ipsec.conf', undefined, { mode: 0o100644 }), {
    code: 'CONFIG_PERMISSIONS',
  })
  const gif0 = loadTunnels('tunnel 192.0.2.1 192.0.2.2\n', 'hostname.gif0')
  const ipip = loadTunnels('ipip from 192.0.2.2 to 192.0.2.1 spi 0x1001:0x1002\n', 'ipsec.conf')
  for (const both of [
    [...gif0, ...ipip],
    [...ipip, ...gif0],
  ])
    assert.throws(() => checkTogether(both), {
      code: 'CONFIG_DUPLICATE',
      message: /192\.0\.2\.1 to 192\.0\.2\.2/,
    })
  checkTogether(ipip)
  const one = loadTunnels(FLOW, 'ipsec.conf')
  assert.throws(() => checkTogether([...one, ...loadTunnels(FLOW, 'b.ipsec.conf')]), {
    code: 'CONFIG_DUPLICATE',
    message: /include "OTHER\.conf"/,
  })
})
