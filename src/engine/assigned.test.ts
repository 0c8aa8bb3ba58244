import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseIpAddress, WarrenError } from '../base/index.js'
import type { IkeNews } from '../proto/ikev2/index.js'
import { AssignedAddresses } from './assigned.js'
import type { AddressHolder, HostInterface } from './host.js'
import { RecordingHost } from './testing.js'

const ip = (text: string) => parseIpAddress(text)!

/** Writes down what is laid on interfaces. */
function setUp(existing: string[] = [], refuses?: string) {
  const journal: string[] = []
  const holder = (name: string): AddressHolder => ({
    addAddress: ({ address, prefixLength }) => {
      if (`${address}` === refuses) throw new WarrenError('TEST_REFUSED', 'this host takes no such address')
      journal.push(`+${name} ${address}/${prefixLength}`)
    },
    removeAddress: ({ address }) => journal.push(`-${name} ${address}`),
  })
  class AddressHost extends RecordingHost {
    borrowInterface(name: string): AddressHolder | undefined {
      return existing.includes(name) ? holder(name) : undefined
    }
    override createInterface(spec: Parameters<RecordingHost['createInterface']>[0]) {
      journal.push(`create ${spec.name}`)
      const made = super.createInterface(spec)
      const destroy = made.destroy.bind(made)
      return Object.assign(made, holder(spec.name), {
        destroy: () => {
          journal.push(`destroy ${spec.name}`)
          destroy()
        },
      })
    }
  }
  const host = new AddressHost()
  const enc0: HostInterface = host.createInterface({
    name: 'enc0',
    layer: 'ip',
    mtu: 1400,
    addresses: [],
    up: true,
  })
  journal.length = 0
  const refused: string[] = []
  const assigned = new AssignedAddresses(
    host,
    () => enc0,
    (error) => refused.push(error.code),
  )
  const hear = (
    up: boolean,
    addresses: string[],
    { iface, toPeer = false }: { iface?: string; toPeer?: boolean } = {},
  ) =>
    assigned.hear({
      kind: 'assigned',
      up,
      toPeer,
      peer: '',
      values: [
        ...addresses.map((text) => ({ option: 'address', family: ip(text).family, address: ip(text) })),
        { option: 'name-server', family: 4, address: ip('10.0.0.53') },
      ],
      policy: { ...(iface === undefined ? {} : { iface }) },
    } as unknown as IkeNews & { kind: 'assigned' })
  return { journal, refused, assigned, hear }
}

test('without an interface in the policy the tunnel’s own has the address, alone, while the SA lasts', () => {
  const { journal, hear } = setUp()
  hear(true, ['10.9.0.5', 'fd09::5'])
  hear(false, ['10.9.0.5', 'fd09::5'])
  assert.deepEqual(journal, ['+enc0 10.9.0.5/32', '+enc0 fd09::5/128', '-enc0 10.9.0.5', '-enc0 fd09::5'])
})

test('an interface that is there is lent; one that is not is made, once, and goes with its last address', () => {
  const { journal, hear } = setUp(['lo1'])
  hear(true, ['10.9.0.5'], { iface: 'lo1' })
  hear(true, ['10.9.0.6', 'fd09::6'], { iface: 'lo2' })
  hear(false, ['10.9.0.5'], { iface: 'lo1' })
  hear(false, ['10.9.0.6'], { iface: 'lo2' })
  assert.equal(journal.includes('destroy lo2'), false)
  hear(false, ['fd09::6'], { iface: 'lo2' })
  assert.deepEqual(journal, [
    '+lo1 10.9.0.5/32',
    'create lo2',
    '+lo2 10.9.0.6/32',
    // Of IPv6 the tunnel's own has it too: the kernel takes sources of the interface that leads there.
    '+enc0 fd09::6/128',
    '+lo2 fd09::6/128',
    '-lo1 10.9.0.5',
    '-lo2 10.9.0.6',
    '-enc0 fd09::6',
    '-lo2 fd09::6',
    'destroy lo2',
  ])
})

test('an SA that begins anew with the same address keeps it when the old one ends', () => {
  const { journal, hear } = setUp()
  hear(true, ['10.9.0.5'])
  hear(true, ['10.9.0.5'])
  hear(false, ['10.9.0.5'])
  assert.deepEqual(journal, ['+enc0 10.9.0.5/32'])
  hear(false, ['10.9.0.5'])
  assert.deepEqual(journal, ['+enc0 10.9.0.5/32', '-enc0 10.9.0.5'])
})

test('what we gave a peer is none of ours', () => {
  const { journal, hear } = setUp()
  hear(true, ['10.9.0.5'], { toPeer: true })
  assert.deepEqual(journal, [])
})

test('what the host refuses is told, leaves no interface behind, and keeps nothing else', () => {
  const { journal, refused, hear, assigned } = setUp([], '10.9.0.5')
  hear(true, ['10.9.0.5'], { iface: 'lo1' })
  assert.deepEqual(refused, ['TEST_REFUSED'])
  assert.deepEqual(journal, ['create lo1', '-lo1 10.9.0.5', 'destroy lo1'])
  hear(true, ['10.9.0.6'])
  assigned.clear()
  assert.deepEqual(journal.slice(3), ['+enc0 10.9.0.6/32', '-enc0 10.9.0.6'])
})

test('a host without addresses to lay says what to do', () => {
  const host = new RecordingHost()
  const enc0 = host.createInterface({ name: 'enc0', layer: 'ip', mtu: 1400, addresses: [], up: true })
  const refused: WarrenError[] = []
  const assigned = new AssignedAddresses(
    host,
    () => enc0,
    (error) => refused.push(error),
  )
  const values = [{ option: 'address', family: 4, address: ip('10.9.0.5') }] as const
  assigned.hear({ kind: 'assigned', up: true, toPeer: false, peer: '', values } as unknown as IkeNews & {
    kind: 'assigned'
  })
  assert.deepEqual(
    refused.map(({ code }) => code),
    ['HOST_ADDRESSES'],
  )
})
