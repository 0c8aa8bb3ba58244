import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { IpPrefix, Ipv4Address, ipAddressFrom, seconds } from '../../base/index.js'
import { formatEndpoint } from './context.js'
import type { IkePolicy } from './policy.js'
import { selectorOfPrefix } from './selectors.js'
import { type Fault, type Link, pair, type Side, spisOf } from './testing.js'

const PUBLIC = Ipv4Address.parse('203.0.113.9')!
const INSIDE = Ipv4Address.parse('192.168.1.2')!

/** A NAT in front of 192.168.1.2: ports `shift` higher outside. */
const nat =
  (shift: () => number): Fault =>
  (datagram) => {
    const { carrier } = datagram
    assert.ok(carrier.kind === 'udp')
    const { local, remote, localPort, remotePort } = carrier
    if (local.equals(INSIDE))
      return [
        {
          delayMs: 5,
          datagram: { ...datagram, carrier: { ...carrier, local: PUBLIC, localPort: localPort + shift() } },
        },
      ]
    // What is not of the mapping that stands is lost.
    const port = remotePort - shift()
    if (!remote.equals(PUBLIC) || (port !== 500 && port !== 4500)) return []
    return [
      { delayMs: 5, datagram: { ...datagram, carrier: { ...carrier, remote: INSIDE, remotePort: port } } },
    ]
  }

function behindNat(shift: () => number): Link {
  const link = pair({ peer: IpPrefix.parse('0.0.0.0/0')! })
  link.fault = nat(shift)
  link.start()
  return link
}

describe('a NAT between the ends (RFC 7296 section 2.23)', () => {
  test('is found, and all goes over to UDP and port 4500', () => {
    const link = behindNat(() => 20_000)
    link.run(3)
    const [a, b] = link.sides
    assert.deepEqual([a.established, b.established], [1, 1])
    assert.deepEqual(spisOf(a), spisOf(b))
    const [session] = a.machine.sessions()
    assert.equal(formatEndpoint(session!.remote), '203.0.113.9:24500')
    assert.equal(formatEndpoint(session!.local), '192.168.1.1:4500')
    const [path] = a.paths.values()
    assert.ok(path!.carrier.kind === 'udp')
    assert.equal(path!.carrier.remotePort, 24_500)
  })

  test('its mapping is kept by the side behind it (RFC 3948 section 4), and only by that one', () => {
    const link = behindNat(() => 20_000)
    link.run(3)
    for (const side of link.sides) side.sent.length = 0
    link.run(65)
    const keepalives = link.sides.map(
      ({ sent }) => sent.filter(({ payload }) => payload.length === 1 && payload[0] === 0xff).length,
    )
    assert.deepEqual(keepalives, [0, 3])
  })

  test('another mapping: the peer is followed once it is heard, with keys that are new', () => {
    let shift = 20_000
    const link = pair({ peer: IpPrefix.parse('0.0.0.0/0')! }, { deadPeerAfter: seconds(10) })
    link.fault = nat(() => shift)
    link.start()
    link.run(3)
    const before = spisOf(link.sides[0])
    shift = 30_000
    link.run(30)
    const [a, b] = link.sides
    assert.equal(formatEndpoint(a.machine.sessions()[0]!.remote), '203.0.113.9:34500')
    assert.deepEqual(spisOf(a), spisOf(b))
    assert.notDeepEqual(spisOf(a), before)
    const [path] = a.paths.values()
    assert.ok(path!.carrier.kind === 'udp')
    assert.equal(path!.carrier.remotePort, 34_500)
  })

  test('another mapping under MOBIKE: who is behind the NAT asks where it is seen, and says that it is elsewhere', () => {
    let shift = 20_000
    const link = pair(
      { peer: IpPrefix.parse('0.0.0.0/0')!, mobike: true },
      { deadPeerAfter: seconds(10), mobike: true },
    )
    link.fault = nat(() => shift)
    link.start()
    link.run(30)
    const [a, b] = link.sides
    /** A child in another place is deleted; and whoever says to be elsewhere is asked there (RFC 4555 section 3.7). */
    const asked = (): number =>
      a.sent.filter(({ payload }) => payload[4 + 18] === 37 && (payload[4 + 19]! & 0x20) === 0).length
    assert.equal(asked(), 0)
    const before = spisOf(a)
    shift = 30_000
    link.run(30)
    assert.equal(asked(), 2)
    assert.equal(formatEndpoint(a.machine.sessions()[0]!.remote), '203.0.113.9:34500')
    assert.deepEqual(spisOf(a), spisOf(b))
    assert.notDeepEqual(spisOf(a), before)
    // Once is enough.
    link.run(60)
    assert.equal(asked(), 2)
  })

  test('a stranger who repeats a message from elsewhere moves nobody', () => {
    const link = behindNat(() => 20_000)
    link.run(3)
    const [a, b] = link.sides
    const last = b.sent.at(-1)!
    assert.ok(last.carrier.kind === 'udp')
    const { local, remote, localPort, remotePort } = last.carrier
    for (const payload of [last.payload, last.payload.map((byte, i) => (i > 40 ? byte ^ 1 : byte))])
      a.machine.receive(
        {
          carrier: {
            ...last.carrier,
            local: remote,
            remote: Ipv4Address.parse('198.51.100.66')!,
            localPort: remotePort,
            remotePort: localPort,
          },
          payload,
        },
        link.now,
      )
    assert.ok(local !== undefined)
    link.flush(a)
    assert.equal(formatEndpoint(a.machine.sessions()[0]!.remote), '203.0.113.9:24500')
  })
})

describe('transport mode through a NAT (RFC 7296 section 2.23.1)', () => {
  const one = (text: string): ReturnType<typeof selectorOfPrefix> =>
    selectorOfPrefix(IpPrefix.parse(`${text}/32`)!)

  /** Flows as each end sees the other. */
  function between(gateway: Partial<IkePolicy> = {}): Link {
    const link = pair(
      {
        ...{ mode: 'transport', peer: IpPrefix.parse('203.0.113.9/32')! },
        flows: [{ local: one('192.168.1.1'), remote: one('203.0.113.9') }],
        ...gateway,
      },
      { mode: 'transport', flows: [{ local: one('192.168.1.2'), remote: one('192.168.1.1') }] },
    )
    link.fault = nat(() => 20_000)
    link.start()
    link.run(3)
    return link
  }
  const endsOf = (side: Side): unknown => {
    const [inbound] = [...side.paths.values()][0]!.transform.inbound as {
      originalEnds?: { source: Uint8Array; destination: Uint8Array }
    }[]
    const { originalEnds } = inbound!
    return (
      originalEnds && [`${ipAddressFrom(originalEnds.source)}`, `${ipAddressFrom(originalEnds.destination)}`]
    )
  }

  test('policies are those of the addresses that packets have here; the peer’s own are kept for its checksums', () => {
    const [a, b] = between().sides
    assert.deepEqual([a.paths.size, b.paths.size], [1, 1], `${a.problems()} ${b.problems()}`)
    assert.deepEqual(endsOf(a), ['192.168.1.2', '192.168.1.1'])
    assert.deepEqual(endsOf(b), ['192.168.1.1', '203.0.113.9'])
    const places = ({ policies }: Side): string[] =>
      policies
        .filter(({ direction, paths }) => direction === 'in' && paths.length > 0)
        .map(({ source }) => `${ipAddressFrom(source.address)}`)
    assert.deepEqual([places(a), places(b)], [['203.0.113.9'], ['192.168.1.1']])
  })

  test('again when the child is made anew, by whichever side', () => {
    const link = between()
    for (const i of [0, 1] as const) {
      const before = spisOf(link.sides[0])
      const [session] = link.sides[i].machine.sessions()
      session!.onChildSoft!([...session!.children.values()][0]!, link.now)
      link.flush(link.sides[i])
      link.run(3)
      const [a, b] = link.sides
      assert.notDeepEqual(spisOf(a), before)
      assert.deepEqual(spisOf(a), spisOf(b))
      assert.deepEqual(endsOf(a), ['192.168.1.2', '192.168.1.1'])
      assert.deepEqual(endsOf(b), ['192.168.1.1', '203.0.113.9'])
    }
  })

  test('a policy for the address behind the NAT, which no packet has here, is refused', () => {
    const [a, b] = between({ flows: [{ local: one('192.168.1.1'), remote: one('192.168.1.2') }] }).sides
    assert.deepEqual([a.paths.size, b.paths.size], [0, 0])
  })

  test('without a NAT, and in tunnel mode, nothing is changed', () => {
    const flows = (own: 1 | 2): Partial<IkePolicy> => ({
      mode: 'transport',
      flows: [{ local: one(`192.168.1.${own}`), remote: one(`192.168.1.${3 - own}`) }],
    })
    const plain = pair(flows(1), flows(2))
    plain.start()
    plain.run(3)
    assert.deepEqual(plain.sides.map(endsOf), [undefined, undefined])
    const tunnel = behindNat(() => 20_000)
    tunnel.run(3)
    assert.deepEqual(tunnel.sides.map(endsOf), [undefined, undefined])
  })
})
