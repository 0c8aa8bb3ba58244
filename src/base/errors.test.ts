import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParseError, WarrenError } from './errors.js'

test('the text is made of the parts that are known', () => {
  const error = new WarrenError('CONFIG_MTU', 'mtu is too small', {
    where: 'hostname.gif0:3',
    found: '60',
    expected: 'at least 68',
    mend: 'write "mtu 1280"',
  })
  assert.equal(
    error.message,
    'hostname.gif0:3: mtu is too small: found 60, expected at least 68; write "mtu 1280"',
  )
  assert.equal(new WarrenError('A_B', 'no').message, 'no')
  assert.equal(new WarrenError('A_B', 'no', { expected: 'yes' }).message, 'no: expected yes')
  assert.equal(error.name, 'WarrenError')
  assert.ok(error instanceof Error)
})

test('a ParseError is counted by header and field', () => {
  const error = new ParseError('ipv4', 'ihl', 14, '16 bytes', 'at least 20')
  assert.equal(error.reason, 'ipv4.ihl')
  assert.equal(error.code, 'WIRE_MALFORMED')
  assert.equal(error.name, 'ParseError')
  assert.equal(error.message, 'byte 14: ipv4 ihl: found 16 bytes, expected at least 20')
})
