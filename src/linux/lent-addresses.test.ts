import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseIpAddress } from '../base/index.js'
import { Errno, systemError } from './ffi.js'
import { LentAddresses } from './lent-addresses.js'

const address = { address: parseIpAddress('10.9.0.5')!, prefixLength: 32 }

function setUp(errno?: { readonly add?: number; readonly remove?: number }) {
  const journal: string[] = []
  const lent = new LentAddresses(() => ({
    addAddress: (index, name) => {
      if (errno?.add !== undefined) throw systemError('add', errno.add)
      journal.push(`+${index} ${name}`)
    },
    deleteAddress: (index, name) => {
      journal.push(`-${index} ${name}`)
      if (errno?.remove !== undefined) throw systemError('remove', errno.remove)
    },
  }))
  return { journal, lent }
}

test('what was lent is known until it is taken back', () => {
  const { journal, lent } = setUp()
  lent.add(7, 'enc0', address)
  assert.equal(lent.has(address.address), true)
  lent.remove(7, 'enc0', address)
  assert.equal(lent.has(address.address), false)
  lent.remove(7, 'enc0', address)
  assert.deepEqual(journal, ['+7 enc0', '-7 enc0'])
})

test('one address on two interfaces is lent until both are taken back', () => {
  const { journal, lent } = setUp()
  lent.add(7, 'enc0', address)
  lent.add(8, 'lo1', address)
  lent.remove(7, 'enc0', address)
  assert.equal(lent.has(address.address), true)
  lent.remove(8, 'lo1', address)
  assert.equal(lent.has(address.address), false)
  assert.deepEqual(journal, ['+7 enc0', '+8 lo1', '-7 enc0', '-8 lo1'])
})

test('an address that stands by another’s hand is left there', () => {
  const { journal, lent } = setUp({ add: Errno.EEXIST })
  lent.add(7, 'lo1', address)
  assert.equal(lent.has(address.address), false)
  lent.remove(7, 'lo1', address)
  assert.deepEqual(journal, [])
})

test('one that is gone already is no error, other refusals are', () => {
  for (const remove of [Errno.EADDRNOTAVAIL, Errno.ENODEV]) {
    const { lent } = setUp({ remove })
    lent.add(7, 'enc0', address)
    lent.remove(7, 'enc0', address)
    assert.equal(lent.has(address.address), false)
  }
  const { lent } = setUp({ add: Errno.EPERM })
  assert.throws(() => lent.add(7, 'enc0', address), { code: 'LINUX_EPERM' })
})
