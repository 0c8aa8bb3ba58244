import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { IPV4, PacketBuffer, SeededRandom, seconds } from '../../base/index.js'
import { PASS } from '../machine.js'
import { createTransforms } from '../transforms.js'
import { CHILD_SUITE, IKE_SUITE, type Link, pair, type Side, spisOf } from './testing.js'

/** A packet of an inner network goes through the paths of both ends, as the data planes would carry it. */
function carries(from: Side, to: Side): void {
  const [out] = from.paths.values()
  const [back] = to.paths.values()
  assert.ok(out !== undefined && back !== undefined, 'a path on both sides')
  const inner = new Uint8Array(60)
  inner.set([0x45, 0, 0, 60, 0, 1, 0, 0, 64, 17, 0, 0, 172, 16, 1, 1, 172, 16, 2, 1])
  const packet = PacketBuffer.copyOf(inner, IPV4)
  assert.equal(createTransforms(out.transform).outbound.process(packet), PASS)
  assert.equal(createTransforms(back.transform).inbound.process(packet), PASS)
  assert.deepEqual(packet.copy(), inner)
}

function agreed(link: Link): void {
  const [a, b] = link.sides
  assert.deepEqual([a.established, b.established], [1, 1], `${a.problems()} ${b.problems()}`)
  assert.deepEqual(spisOf(a), spisOf(b))
  carries(a, b)
  carries(b, a)
}

describe('two machines', () => {
  test('come to one IKE SA and one child, by a pre-shared key', () => {
    const link = pair()
    link.start()
    link.run(2)
    agreed(link)
    assert.equal(link.sides[1].sent.length, 2, 'two messages of the initiator')
    assert.equal(link.sides[0].paths.size, 1)
    assert.equal(link.sides[0].policies.length, 2)
    assert.deepEqual(link.sides[0].policies[0]!.paths, [...link.sides[0].paths.keys()])
  })

  test('before the SA stands, the flows are closed', () => {
    const link = pair()
    link.start()
    for (const side of link.sides) {
      assert.equal(side.policies.length, 2)
      assert.ok(side.policies.every(({ action, paths }) => action === 'require' && paths.length === 0))
    }
  })

  test('policies are told before the paths that they name, at every rekeying', () => {
    const link = pair({}, { childLifetime: { seconds: 60 } })
    link.start()
    link.run(400)
    for (const side of link.sides) {
      assert.ok(side.order.filter((kind) => kind === 'install').length > 3)
      for (const [i, kind] of side.order.entries())
        if (kind === 'install') assert.equal(side.order[i - 1], 'policies')
    }
  })

  test('another group is asked for, and taken', () => {
    const link = pair({ ikeSuites: [{ ...IKE_SUITE, keyExchange: ['ECP_256'] }] })
    link.start()
    link.run(2)
    agreed(link)
  })

  test('another key is refused on both sides, with the reason', () => {
    const secret = new TextEncoder().encode('another')
    const link = pair({ localAuth: { kind: 'psk', secret }, remoteAuth: { kind: 'psk', secret } })
    link.start()
    link.run(1)
    assert.deepEqual(
      link.sides.map(({ established }) => established),
      [0, 0],
    )
    assert.match(link.sides[0].problems().join(), /pre-shared keys differ/)
    assert.match(link.sides[1].problems().join(), /AUTHENTICATION_FAILED/)
    assert.equal(link.sides[0].paths.size + link.sides[1].paths.size, 0)
  })

  test('no common proposal: both values are named', () => {
    const link = pair({
      ikeSuites: [{ ...IKE_SUITE, encryption: [{ name: 'ENCR_CHACHA20_POLY1305', keyBits: 256 }] }],
    })
    link.start()
    link.run(1)
    assert.match(
      link.sides[0].problems().join(),
      /enc: found aes-256-gcm at the peer, expected chacha20-poly1305 of our ikesa/,
    )
    assert.match(link.sides[1].problems().join(), /NO_PROPOSAL_CHOSEN/)
  })

  test('a child is made anew before its end, and no moment is without one', () => {
    for (const keyExchange of [[], ['CURVE25519'] as const]) {
      const suite = { ...CHILD_SUITE, keyExchange }
      const link = pair({ childSuites: [suite] }, { childSuites: [suite], childLifetime: { seconds: 60 } })
      link.start()
      link.run(2)
      const first = spisOf(link.sides[0])
      let least = 9
      link.run(600, () => {
        least = Math.min(least, link.sides[0].paths.size, link.sides[1].paths.size)
        return false
      })
      agreed(link)
      assert.ok(least >= 1)
      assert.notDeepEqual(spisOf(link.sides[0]), first)
      assert.equal(link.sides[0].paths.size, 1, 'the old ones are gone')
    }
  })

  test('the IKE SA is made anew, with its children', () => {
    const link = pair({}, { ikeLifetime: seconds(100) })
    link.start()
    link.run(2)
    const before = spisOf(link.sides[0])
    const spi = link.sides[0].machine.sessions()[0]!.spi
    link.run(300)
    agreed(link)
    assert.deepEqual(spisOf(link.sides[0]), before, 'the child is the same')
    assert.notDeepEqual(link.sides[0].machine.sessions()[0]!.spi, spi)
    assert.equal(link.sides[0].machine.sessions().length, 1)
  })

  test('both sides begin to make the child anew at once: one of the two new ones stays (RFC 7296 section 2.8.1)', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const link = pair({ childLifetime: { seconds: 60 } }, { childLifetime: { seconds: 60 } }, seed)
      link.start()
      link.run(2)
      // At one and the same instant.
      for (const side of link.sides) {
        const [session] = side.machine.sessions()
        session!.onChildSoft!([...session!.children.values()][0]!, link.now)
        link.flush(side)
      }
      link.run(20)
      agreed(link)
      assert.equal(link.sides[0].paths.size, 1, `seed ${seed}`)
      assert.equal(link.sides[1].paths.size, 1, `seed ${seed}`)
    }
  })

  test('both sides begin to make the IKE SA anew at once', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const link = pair({}, {}, seed)
      link.start()
      link.run(2)
      for (const side of link.sides) {
        side.machine.sessions()[0]!.onRekeyDue!(link.now)
        link.flush(side)
      }
      link.run(200)
      agreed(link)
      assert.deepEqual(
        link.sides.map(({ machine }) => machine.sessions().length),
        [1, 1],
        `seed ${seed}`,
      )
    }
  })

  test('a peer that is gone is noticed, and spoken to again', () => {
    const link = pair({}, { deadPeerAfter: seconds(30) })
    link.start()
    link.run(2)
    link.fault = () => []
    link.run(250)
    assert.equal(link.sides[1].established, 0)
    assert.equal(link.sides[1].paths.size, 0)
    link.fault = (datagram) => [{ delayMs: 5, datagram }]
    link.run(600)
    assert.ok(link.sides[1].established >= 1)
  })

  test('one that stops says so', () => {
    const link = pair()
    link.start()
    link.run(2)
    link.sides[0].machine.stop(link.now)
    link.flush(link.sides[0])
    link.run(1)
    assert.deepEqual(
      link.sides.map(({ paths }) => paths.size),
      [0, 0],
    )
    assert.equal(link.sides[0].machine.sessions().length, 0)
  })

  test('the answer to a delete is lost: it is given again, though the SA is over', () => {
    const link = pair({}, { deadPeerAfter: seconds(600) })
    link.start()
    link.run(2)
    let dropped = 0
    const [a, b] = link.sides
    link.fault = (datagram) =>
      `${(datagram.carrier as { local: unknown }).local}` === '192.168.1.2' && dropped++ === 0
        ? []
        : [{ delayMs: 5, datagram }]
    a.machine.deletePeer('FQDN/host2.example', link.now)
    link.flush(a)
    link.run(4)
    assert.ok(dropped > 1)
    assert.equal(a.machine.sessions().filter(({ state }) => state === 'closing').length, 0)
    assert.ok(b.machine.counters.get('ike.repeated') >= 1)
  })

  test('ESP in UDP from port 4500 where it is forced', () => {
    const link = pair({ forceUdp: true }, { forceUdp: true })
    link.start()
    link.run(2)
    agreed(link)
    for (const side of link.sides) {
      const [path] = side.paths.values()
      assert.deepEqual(
        path!.carrier.kind === 'udp' && [path!.carrier.localPort, path!.carrier.remotePort],
        [4500, 4500],
      )
    }
  })
})

test('a stranger’s bytes are counted and answered by nothing that grows', () => {
  const link = pair()
  link.start()
  link.run(2)
  const random = new SeededRandom(9)
  const [a] = link.sides
  const [sample] = link.sides[1].sent
  assert.ok(sample !== undefined)
  for (let i = 0; i < 3000; i++) {
    const payload = Uint8Array.from(link.sides[1].sent[i % link.sides[1].sent.length]!.payload)
    for (let k = 0; k <= random.below(4); k++) payload[random.below(payload.length)] = random.below(256)
    const { carrier } = sample
    assert.ok(carrier.kind === 'udp')
    a.machine.receive(
      {
        carrier: { ...carrier, local: carrier.remote, remote: carrier.local },
        payload: random.below(20) === 0 ? payload.subarray(0, random.below(payload.length)) : payload,
      },
      link.now,
    )
    for (const datagram of a.drain()) assert.ok(datagram.payload.length <= 2 * payload.length)
  }
  assert.equal(a.established, 1)
  agreed(link)
})
