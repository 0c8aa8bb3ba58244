import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseIpAddress } from '../base/index.js'
import type { Carrier, PolicySpec } from '../proto/machine.js'
import { PolicyGate } from './policy-gate.js'
import type { RouteNetlink } from './rtnetlink.js'
import type { CarrierPorts } from './steering/index.js'

const address = (text: string): NonNullable<ReturnType<typeof parseIpAddress>> => parseIpAddress(text)!
const [local, remote] = [address('192.0.2.1'), address('192.0.2.2')]
const ESP: Carrier = { kind: 'ip', protocol: 50, local, remote }
const UDP: Carrier = { kind: 'udp', protocol: 17, local, remote, localPort: 4500, remotePort: 4501 }

const policy = (action: PolicySpec['action'], ...paths: string[]): PolicySpec => ({
  direction: 'out',
  action,
  family: 4,
  source: { address: Uint8Array.of(10, 0, 0, 0), length: 24 },
  destination: { address: Uint8Array.of(10, 0, 1, 0), length: 24 },
  paths,
})

interface Applied {
  readonly policies: number
  readonly standing: readonly string[]
  readonly carriers: readonly CarrierPorts[]
}

/** Until what was put off is done. */
const turn = (): Promise<void> => Promise.resolve()

/** A gate over a steering that only remembers. */
function gate(leftovers = false): {
  gate: PolicyGate
  applied: Applied[]
  ended: string[]
  refuse: { next: boolean }
  said: string[]
} {
  const applied: Applied[] = []
  const ended: string[] = []
  const said: string[] = []
  const refuse = { next: false }
  const made = new PolicyGate(
    {
      interfaceIndex: 7,
      interfaceName: 'enc0',
      netlink: undefined as unknown as RouteNetlink,
      log: (line) => said.push(line),
    },
    {
      apply(policies, standing, carriers) {
        if (refuse.next) {
          refuse.next = false
          throw new Error('refused')
        }
        applied.push({ policies: policies.length, standing: ['a', 'b'].filter(standing), carriers })
      },
      drops: () => ({ 'guard.in': 3 }),
      leave: () => ended.push('leave'),
      close: () => ended.push('close'),
    },
    leftovers,
  )
  return { gate: made, applied, ended, refuse, said }
}

test('the kernel is told of policies at once, and of a path only where that changes something', async () => {
  const { gate: made, applied } = gate()
  made.replace([policy('require', 'a')])
  assert.deepEqual(applied, [{ policies: 1, standing: [], carriers: [] }])
  made.stands('a', ESP)
  await turn()
  made.ends('a')
  made.ends('never')
  await turn()
  assert.equal(applied.length, 1, 'require is closed either way, and ESP needs no leave')
})

test('a path of a use policy, or one of another carrier than ESP and AH, is told; several at once', async () => {
  const { gate: made, applied } = gate()
  made.replace([policy('use', 'a', 'b')])
  made.stands('a', ESP)
  await turn()
  assert.deepEqual(applied.at(-1), { policies: 1, standing: ['a'], carriers: [] })
  made.stands('b', ESP)
  await turn()
  assert.equal(applied.length, 2, 'the policy is steered already')
  made.ends('a')
  made.ends('b')
  await turn()
  assert.equal(applied.length, 3)
  assert.deepEqual(applied.at(-1)?.standing, [])
  made.stands('b', UDP)
  await turn()
  assert.deepEqual(applied.at(-1)?.carriers, [
    { family: 4, protocol: 17, local: local.bytes, remote: remote.bytes, localPort: 4500, remotePort: 4501 },
  ])
  made.stands('a', { kind: 'ip', protocol: 4, local, remote })
  await turn()
  assert.deepEqual(
    applied.at(-1)?.carriers.map(({ protocol }) => protocol),
    [17, 4],
  )
})

test('policies that the kernel refuses are not remembered as those in force; what fails later is said', async () => {
  const { gate: made, applied, refuse, said } = gate()
  made.replace([policy('use', 'a')])
  refuse.next = true
  assert.throws(() => made.replace([policy('use', 'a'), policy('deny')]), /refused/)
  made.stands('a', ESP)
  await turn()
  assert.equal(applied.at(-1)?.policies, 1)
  refuse.next = true
  made.ends('a')
  await turn()
  assert.deepEqual(said, ['policies stand as they were: refused'])
  made.stands('a', ESP)
  made.close()
  await turn()
  assert.equal(applied.length, 2, 'nothing after the end')
})

test('it ends open or closed', () => {
  const { gate: made, ended } = gate()
  assert.deepEqual(made.drops(), { 'guard.in': 3 })
  made.leave()
  made.close()
  assert.deepEqual(ended, ['leave', 'close'])
})

test('what took the place of leftovers and never came up leaves them closed', () => {
  const failed = gate(true)
  failed.gate.replace([policy('require', 'a')])
  failed.gate.close()
  assert.deepEqual(failed.ended, ['leave'])
  const well = gate(true)
  well.gate.replace([policy('require', 'a')])
  well.gate.confirm()
  well.gate.close()
  assert.deepEqual(well.ended, ['close'])
})

test('an interface that was down, or another address: the kernel is told anew, once', async () => {
  const { gate: made, applied } = gate()
  made.network('up 192.0.2.1')
  made.replace([policy('require', 'a')])
  await turn()
  assert.equal(applied.length, 1)
  made.network('up 192.0.2.1')
  await turn()
  assert.equal(applied.length, 1)
  made.network('down 192.0.2.1')
  await turn()
  made.network('up 192.0.2.1')
  await turn()
  assert.equal(applied.length, 3)
})

test('the same policies with other paths behind them leave the kernel alone; another policy does not', async () => {
  const { gate: made, applied } = gate()
  made.replace([policy('require', 'a')])
  made.replace([policy('require', 'a', 'b')])
  await turn()
  assert.equal(applied.length, 1)
  assert.deepEqual(made.policies[0]?.paths, ['a', 'b'])
  const wider = {
    ...policy('require', 'a'),
    destination: { address: Uint8Array.of(10, 0, 0, 0), length: 16 },
  }
  made.replace([wider])
  assert.equal(applied.length, 2)
  made.replace([policy('deny')])
  assert.equal(applied.length, 3)
  made.replace([])
  assert.equal(applied.length, 4)
})
