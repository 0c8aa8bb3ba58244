import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  concatBytes,
  fromHex,
  type IpAddress,
  type Ipv6Address,
  MacAddress,
  milliseconds,
  seconds,
  toHex,
} from '../base/index.js'
import { neighborAdvertisement, neighborSolicitation } from '../wire/nd.js'
import { sourceLinkLayerAddress, targetLinkLayerAddress } from '../wire/nd-options.js'
import type { StackLimits } from './limits.js'
import type { Stack } from './stack.js'
import { address, configure, echoRequest, type Probe, rawIpv4, rawIpv6, TestNetwork } from './testing.js'

const BOB = MacAddress.parse('02:00:00:00:00:0b')!
const EVE = MacAddress.parse('02:00:00:00:00:0e')!

function probe(limits: Partial<StackLimits> = {}): { network: TestNetwork; alice: Stack; port: Probe } {
  const network = new TestNetwork()
  const alice = network.stack('alice', limits)
  alice.settings.announceAddresses = false
  const port = network.probe(alice, { kind: 'ethernet' })
  configure(port, '192.168.1.1/24', 'fd00::1/64')
  return { network, alice, port }
}

const frame = (to: MacAddress, from: MacAddress, etherType: string, payload: Uint8Array): Uint8Array =>
  concatBytes(to.bytes, from.bytes, fromHex(etherType)!, payload)

function arp(
  port: Probe,
  operation: 1 | 2,
  sender: MacAddress,
  senderIp: string,
  targetIp: string,
  to: MacAddress = MacAddress.broadcast,
): Uint8Array {
  return frame(
    to,
    sender,
    '0806',
    concatBytes(
      fromHex(`000108000604000${operation}`)!,
      sender.bytes,
      address(senderIp).bytes,
      port.ifc.mac!.bytes,
      address(targetIp).bytes,
    ),
  )
}

const states = (stack: Stack): string[] =>
  stack.neighbours
    .list()
    .filter(({ local }) => !local)
    .map(({ address: of, mac, state }) => `${of} ${mac ?? '-'} ${state}`)

const ping = (network: TestNetwork, stack: Stack, to: string): string =>
  stack.send(
    {
      protocol: to.includes(':') ? 58 : 1,
      destination: address(to),
      payload: echoRequest(to.includes(':') ? 6 : 4, 8),
    },
    network.now,
  )

test('ARP asks once a second, five times, and then says that the host is down', () => {
  const { network, alice, port } = probe()
  assert.equal(ping(network, alice, '192.168.1.2'), 'ok')
  network.advance(seconds(10))
  const requests = port.take()
  assert.equal(requests.length, 5)
  assert.equal(
    toHex(requests[0]!),
    `ffffffffffff${toHex(port.ifc.mac!.bytes)}08060001080006040001${toHex(port.ifc.mac!.bytes)}c0a80101000000000000c0a80102`,
  )
  assert.equal(ping(network, alice, '192.168.1.2'), 'down')
  assert.deepEqual(states(alice), ['192.168.1.2 - failed'])
  assert.deepEqual(port.take(), [])
  network.advance(seconds(20))
  assert.equal(ping(network, alice, '192.168.1.2'), 'ok')
})

test('packets wait for the answer and then go, in order', () => {
  const { network, alice, port } = probe()
  for (let i = 0; i < 3; i++) ping(network, alice, '192.168.1.2')
  assert.equal(port.take().length, 1)
  port.inject(arp(port, 2, BOB, '192.168.1.2', '192.168.1.1', port.ifc.mac!))
  const sent = port.take()
  assert.equal(sent.length, 3)
  for (const bytes of sent)
    assert.equal(toHex(bytes.subarray(0, 14)), `${toHex(BOB.bytes)}${toHex(port.ifc.mac!.bytes)}0800`)
  assert.deepEqual(states(alice), ['192.168.1.2 02:00:00:00:00:0b reachable'])
  network.advance(seconds(20 * 60))
  assert.deepEqual(states(alice), [])
})

test('who asks for us is answered and remembered; what nobody asked for is not', () => {
  const { alice, port } = probe()
  port.inject(arp(port, 2, EVE, '192.168.1.9', '192.168.1.1', port.ifc.mac!))
  port.inject(arp(port, 1, EVE, '192.168.1.9', '192.168.1.9'))
  port.inject(arp(port, 1, EVE, '192.168.1.9', '192.168.1.77'))
  assert.deepEqual(states(alice), [])
  assert.equal(alice.counters.get('arp.unasked'), 3)
  assert.deepEqual(port.take(), [])
  port.inject(arp(port, 1, BOB, '192.168.1.2', '192.168.1.1'))
  assert.deepEqual(states(alice), ['192.168.1.2 02:00:00:00:00:0b reachable'])
  assert.equal(port.take().length, 1)
  // An announcement changes what is there.
  port.inject(arp(port, 1, EVE, '192.168.1.2', '192.168.1.2'))
  assert.deepEqual(states(alice), ['192.168.1.2 02:00:00:00:00:0e reachable'])
  assert.equal(alice.counters.get('arp.overwritten'), 1)
})

test("another interface of this host on the same link does not claim its own host's address", () => {
  const { network, alice, port } = probe()
  const second = network.probe(alice, { kind: 'ethernet' })
  port.take()
  port.inject(arp(port, 1, second.ifc.mac!, '192.168.1.1', '192.168.1.1'))
  assert.equal(alice.counters.get('arp.duplicateAddress'), 0)
  assert.deepEqual(states(alice), [])
  assert.deepEqual(port.take(), [])
  port.inject(arp(port, 1, EVE, '192.168.1.1', '192.168.1.1'))
  assert.equal(alice.counters.get('arp.duplicateAddress'), 1)
})

test('a claim on our own address is counted and answered, and never learned', () => {
  const { network, alice, port } = probe()
  port.inject(arp(port, 1, EVE, '192.168.1.1', '192.168.1.1'))
  assert.equal(alice.counters.get('arp.duplicateAddress'), 1)
  assert.equal(port.take().length, 1)
  assert.deepEqual(states(alice), [])
  assert.equal(network.ping(alice, '192.168.1.1').replied, true)
})

test('a permanent entry is not overwritten, and goes by remove', () => {
  const { network, alice, port } = probe()
  alice.neighbours.set(port.ifc, address('192.168.1.2'), BOB, network.now)
  port.inject(arp(port, 2, EVE, '192.168.1.2', '192.168.1.1', port.ifc.mac!))
  assert.deepEqual(states(alice), ['192.168.1.2 02:00:00:00:00:0b permanent'])
  assert.equal(alice.neighbours.remove(address('192.168.1.2')), true)
  assert.equal(alice.neighbours.remove(address('192.168.1.2')), false)
  assert.equal(alice.neighbours.remove(address('192.168.1.1')), false)
})

test('a flood of askers fills a bounded table and pushes out nothing that is used', () => {
  const { network, alice, port } = probe({ neighbours: 32 })
  ping(network, alice, '192.168.1.2')
  port.inject(arp(port, 2, BOB, '192.168.1.2', '192.168.1.1', port.ifc.mac!))
  for (let i = 3; i < 255; i++) port.inject(arp(port, 1, EVE, `192.168.1.${i}`, '192.168.1.1'))
  assert.equal(states(alice).length, 32)
  assert.ok(states(alice).includes('192.168.1.2 02:00:00:00:00:0b reachable'))
  assert.ok(alice.counters.get('arp.full') > 200)
})

test('a scan of a whole network through us keeps few questions and few packets', () => {
  const { network, alice } = probe({ neighboursIncomplete: 16, neighbourHold: 4, neighbourHoldTotal: 40 })
  for (let i = 2; i < 255; i++) for (let n = 0; n < 8; n++) ping(network, alice, `192.168.1.${i}`)
  assert.equal(states(alice).length, 16)
  assert.ok(alice.counters.get('arp.holdFull') > 0)
})

function solicitation(target: string, from: MacAddress | undefined): Uint8Array {
  return neighborSolicitation.toBytes({
    type: 135,
    code: 0,
    target: address(target) as Ipv6Address,
    options: from === undefined ? [] : [sourceLinkLayerAddress(from)],
  })
}

function advertisement(
  target: string,
  mac: MacAddress | undefined,
  flags: { solicited: boolean; override: boolean; router?: boolean },
): Uint8Array {
  return neighborAdvertisement.toBytes({
    type: 136,
    code: 0,
    router: false,
    ...flags,
    target: address(target) as Ipv6Address,
    options: mac === undefined ? [] : [targetLinkLayerAddress(mac)],
  })
}

function nd(port: Probe, source: string, destination: string, message: Uint8Array, hopLimit = 255): void {
  const packet = rawIpv6({ source, destination, nextHeader: 58, hopLimit }, message)
  port.inject(frame(port.ifc.mac!, BOB, '86dd', packet))
}

test('neighbour discovery asks three times, then the address is unreachable', () => {
  const { network, alice, port } = probe()
  assert.equal(ping(network, alice, 'fd00::2'), 'ok')
  network.advance(milliseconds(3500))
  const asked = port.take()
  assert.equal(asked.length, 3)
  // To the solicited-node group, below IP too (RFC 2464 section 7).
  assert.equal(toHex(asked[0]!.subarray(0, 6)), '3333ff000002')
  assert.equal(asked[0]![14 + 7], 255)
  assert.equal(ping(network, alice, 'fd00::2'), 'down')
})

test('an answer resolves; it goes stale, is probed when used, and forgotten if nobody answers', () => {
  const { network, alice, port } = probe()
  ping(network, alice, 'fd00::2')
  port.take()
  nd(
    port,
    'fd00::2',
    'fd00::1',
    advertisement('fd00::2', BOB, { solicited: true, override: true, router: true }),
  )
  assert.equal(port.take().length, 1)
  assert.deepEqual(states(alice), ['fd00::2 02:00:00:00:00:0b reachable'])
  assert.equal(alice.neighbours.list().find(({ local }) => !local)?.router, true)
  network.advance(seconds(30))
  assert.deepEqual(states(alice), ['fd00::2 02:00:00:00:00:0b stale'])
  ping(network, alice, 'fd00::2')
  assert.deepEqual(states(alice), ['fd00::2 02:00:00:00:00:0b delay'])
  network.advance(seconds(5))
  assert.deepEqual(states(alice), ['fd00::2 02:00:00:00:00:0b probe'])
  // The packet, and a probe to the neighbour alone.
  const [, probing] = port.take()
  assert.equal(toHex(probing!.subarray(0, 6)), toHex(BOB.bytes))
  nd(port, 'fd00::2', 'fd00::1', advertisement('fd00::2', undefined, { solicited: true, override: false }))
  assert.deepEqual(states(alice), ['fd00::2 02:00:00:00:00:0b reachable'])
  network.advance(seconds(31))
  ping(network, alice, 'fd00::2')
  network.advance(seconds(9))
  assert.deepEqual(states(alice), [])
})

test('who solicits us becomes a neighbour, unproved, and gets an answer', () => {
  const { alice, port } = probe()
  nd(port, 'fd00::2', 'ff02::1:ff00:1', solicitation('fd00::1', BOB))
  // Stale, and with the answer that was sent to it, to be proved (RFC 4861 section 7.3.3).
  assert.deepEqual(states(alice), ['fd00::2 02:00:00:00:00:0b delay'])
  const [answer] = port.take()
  assert.equal(answer![14 + 40], 136)
  assert.equal(toHex(answer!.subarray(0, 6)), toHex(BOB.bytes))
  // A duplicate address detection: answered to all nodes, not solicited.
  nd(port, '::', 'ff02::1:ff00:1', solicitation('fd00::1', undefined))
  const [defence] = port.take()
  assert.equal(toHex(defence!.subarray(0, 6)), '333300000001')
  assert.equal(defence![14 + 44]! & 0x40, 0)
})

test('neighbour discovery from beyond the link, or of nobody’s asking, changes nothing', () => {
  const { alice, port } = probe()
  const refuse = (reason: string, act: () => void): void => {
    const before = alice.counters.get(reason)
    act()
    assert.equal(alice.counters.get(reason), before + 1, reason)
    assert.deepEqual(states(alice), [])
    assert.deepEqual(port.take(), [])
  }
  refuse('nd.hopLimit', () => nd(port, 'fd00::2', 'fd00::1', solicitation('fd00::1', EVE), 254))
  refuse('nd.unasked', () =>
    nd(port, 'fd00::2', 'fd00::1', advertisement('fd00::2', EVE, { solicited: true, override: true })),
  )
  refuse('nd.solicitedToGroup', () =>
    nd(port, 'fd00::2', 'ff02::1', advertisement('fd00::2', EVE, { solicited: true, override: true })),
  )
  // CVE-2008-2476: a solicitation whose source is not of this link.
  refuse('nd.sourceNotOnLink', () => nd(port, 'fd77::2', 'fd00::1', solicitation('fd00::1', EVE)))
  refuse('nd.badProbe', () => nd(port, '::', 'ff02::1', solicitation('fd00::1', EVE)))
  refuse('nd.redirectIgnored', () =>
    nd(port, 'fe80::2', 'fd00::1', concatBytes(Uint8Array.of(137, 0, 0, 0), new Uint8Array(36))),
  )
  refuse('nd.routerMessageIgnored', () =>
    nd(port, 'fe80::2', 'ff02::1', concatBytes(Uint8Array.of(134, 0, 0, 0), new Uint8Array(12))),
  )
  refuse('neighborSolicitation.target', () => nd(port, 'fd00::2', 'fd00::1', solicitation('ff02::1', EVE)))
  // An option of length zero would be walked for ever (RFC 4861 section 4.6).
  const endless = concatBytes(solicitation('fd00::1', undefined), Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0))
  refuse('neighborSolicitation.options', () => nd(port, 'fd00::2', 'fd00::1', endless))
})

test('a new address announces itself: gratuitous ARP and one solicitation from nobody', () => {
  const network = new TestNetwork()
  const alice = network.stack('alice')
  const port = network.probe(alice, { kind: 'ethernet' })
  configure(port, '192.168.1.1/24', 'fd00::1/64')
  const sent = port.take()
  assert.equal(toHex(sent[0]!.subarray(12, 14)), '0806')
  assert.deepEqual(sent[0]!.subarray(28, 32), sent[0]!.subarray(38, 42))
  // The link-local address comes with the first IPv6 address, and is asked for as well.
  assert.deepEqual(
    sent.slice(1).map((bytes) => [bytes[54], toHex(bytes.subarray(22, 38)) === '00'.repeat(16)]),
    [
      [135, true],
      [135, true],
    ],
  )
  nd(port, 'fd00::1', 'ff02::1', advertisement('fd00::1', EVE, { solicited: false, override: true }))
  assert.equal(alice.counters.get('ipv6.sourceOurs'), 1)
  nd(port, 'fe80::e', 'ff02::1', advertisement('fd00::1', EVE, { solicited: false, override: true }))
  assert.equal(alice.counters.get('nd.duplicateAddress'), 1)
})

test('frames for others, and unicast packets in broadcast frames, are not taken', () => {
  const { alice, port } = probe()
  const request = rawIpv4(
    { source: '192.168.1.2', destination: '192.168.1.1', protocol: 1 },
    echoRequest(4, 8),
  )
  port.inject(frame(EVE, BOB, '0800', request))
  port.inject(frame(MacAddress.broadcast, BOB, '0800', request))
  port.inject(frame(port.ifc.mac!, BOB, '88cc', request))
  assert.deepEqual(port.take(), [])
  assert.deepEqual(
    ['ethernet.notForUs', 'ipv4.unicastInGroupFrame', 'ethernet.etherType'].map((reason) =>
      alice.counters.get(reason),
    ),
    [1, 1, 1],
  )
})

test('a bridge sees every frame first and may take it', () => {
  const { alice, port } = probe()
  let seen = 0
  port.ifc.intercept = () => ++seen % 2 === 1
  const ask = arp(port, 1, BOB, '192.168.1.2', '192.168.1.1')
  port.inject(ask)
  assert.deepEqual(states(alice), [])
  port.inject(ask)
  assert.equal(states(alice).length, 1)
  const own: IpAddress = address('192.168.1.2')
  assert.ok(alice.neighbours.remove(own))
})
