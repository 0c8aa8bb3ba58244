/** SECURITY, rows 1 to 4: hostile packets to a machine that also carries an honest tunnel. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ipv4Address, milliseconds, seconds } from '../base/index.js'
import type { Lab } from './lab.js'
import { Player } from './player.js'
import { testbedLab } from './run.js'
import { EOIP, GIF, GIF6, GRE } from './scenarios/article.js'
import { echoRequest, ipPacket, join, Stranger } from './testing.js'

const ALICE = '192.168.1.1'
const BOB = '192.168.1.2'
const MALLORY = '192.168.1.66'
const ALICE6 = 'fd3e:62ee:99db:bb1a::1'
const BOB6 = 'fd3e:62ee:99db:bb1a::2'
const MALLORY6 = 'fd3e:62ee:99db:bb1a::66'
const inner = ipPacket('172.16.0.2', '172.16.0.1', 1, echoRequest(0x6666))

async function honest(script: string): Promise<{ lab: Lab; stranger: Stranger; ping(): Promise<void> }> {
  const lab = await testbedLab()
  const played = await new Player(lab).play(script)
  assert.deepEqual(
    played.filter(({ exit }) => exit !== 0),
    [],
  )
  return {
    lab,
    stranger: new Stranger(lab),
    ping: async () => {
      const [result] = await new Player(lab).play('# on alice\nping -c2 172.16.0.2')
      assert.match(result?.stdout ?? '', / 2 packets received/)
    },
  }
}

/** Sends, lets the lab run on, and says what alice counted and whether anybody answered the inner request. */
async function attack(
  lab: Lab,
  stranger: Stranger,
  packets: readonly Uint8Array[],
): Promise<Record<string, number>> {
  const alice = lab.machine('alice')!
  const before = { ...alice.counters.toJSON() }
  const framesBefore = lab.frames.length
  for (const packet of packets) stranger.send('alice', packet)
  await lab.clock.advance(milliseconds(100))
  // The identifier of the stranger's echo request comes back in no form, in clear or inside a tunnel.
  for (const { bytes } of lab.frames.slice(framesBefore)) {
    const text = Buffer.from(bytes).toString('hex')
    assert.ok(!/0000[0-9a-f]{4}6666/.test(text), `an answer went out: ${text}`)
  }
  const counted = alice.counters.toJSON()
  return Object.fromEntries(
    Object.entries(counted)
      .map(([name, count]) => [name, count - (before[name] ?? 0)] as const)
      .filter(([, count]) => count !== 0),
  )
}

const dropsOf = (lab: Lab, device: string): Readonly<Record<string, number>> => {
  const found = lab.machine('alice')?.device(device)
  assert.ok(found !== undefined && 'tunnel' in found)
  return (found as unknown as { status(): { drops: Record<string, number> } }).status().drops
}

test('CVE-2020-10136: IP in IP from somebody who is not the peer is not opened', async () => {
  const { lab, stranger, ping } = await honest(GIF)
  await ping()
  const counted = await attack(lab, stranger, [
    ipPacket(MALLORY, ALICE, 4, inner),
    ipPacket(MALLORY, ALICE, 41, ipPacket('fd00::2', 'fd00::1', 58, new Uint8Array(8))),
  ])
  assert.deepEqual(counted, { 'ipip.no-such-tunnel': 2 })
  await ping()
})

test('CVE-2020-10136: from the peer itself, an inner source that is not routed back into the tunnel is dropped', async () => {
  const { lab, stranger, ping } = await honest(GIF)
  await attack(lab, stranger, [
    ipPacket(BOB, ALICE, 4, ipPacket('10.9.9.9', '172.16.0.1', 1, echoRequest(0x6666))),
    ipPacket(BOB, ALICE, 4, ipPacket(BOB, ALICE, 1, echoRequest(0x6666))),
    ipPacket(BOB, ALICE, 4, ipPacket('172.16.0.1', '172.16.0.1', 1, echoRequest(0x6666))),
    ipPacket(BOB, ALICE, 4, ipPacket('127.0.0.1', '172.16.0.1', 1, echoRequest(0x6666))),
  ])
  assert.equal(dropsOf(lab, 'gif0')['inner.source'], 4)
  await ping()
})

test('CVE-2020-10136: packets nested in packets come to an end', async () => {
  const { lab, stranger, ping } = await honest(GIF)
  let nested = inner
  for (let i = 0; i < 30; i++) nested = ipPacket(BOB, ALICE, 4, nested)
  await attack(lab, stranger, [nested])
  assert.ok((dropsOf(lab, 'gif0')['inner.source'] ?? 0) >= 1)
  await ping()
})

test('CVE-2024-7595: GRE from somebody who is not the peer, or with a key that is nobody’s, is not opened', async () => {
  const { lab, stranger, ping } = await honest(GRE)
  const gre = Uint8Array.of(0, 0, 8, 0)
  const counted = await attack(lab, stranger, [
    ipPacket(MALLORY, ALICE, 47, join(gre, inner)),
    ipPacket(BOB, ALICE, 47, join(Uint8Array.of(0x20, 0, 8, 0, 0, 0, 0, 7), inner)),
  ])
  assert.deepEqual(counted, { 'gre.no-such-tunnel': 2 })
  await attack(lab, stranger, [
    ipPacket(BOB, ALICE, 47, Uint8Array.of(0x40, 0, 8, 0)),
    ipPacket(BOB, ALICE, 47, Uint8Array.of(0, 0)),
    ipPacket(BOB, ALICE, 47, join(Uint8Array.of(0x80, 0, 8, 0, 0x12, 0x34, 0, 0), inner)),
    ipPacket(BOB, ALICE, 47, join(gre, ipPacket('10.9.9.9', '172.16.0.1', 1, echoRequest(0x6666)))),
  ])
  const drops = dropsOf(lab, 'gre0')
  assert.deepEqual(
    [drops['gre.routing'], drops['gre.length'], drops['gre.checksum'], drops['inner.source']],
    [1, 1, 1, 1],
  )
  await ping()
})

test('CVE-2025-23018, CVE-2025-23019: 4 in 6, 6 in 6 and 6 in 4 from somebody who is not the peer are not opened', async () => {
  const { lab, stranger, ping } = await honest(`${GIF}\n${GIF6}`)
  await ping()
  const counted = await attack(lab, stranger, [
    ipPacket(MALLORY6, ALICE6, 4, inner),
    ipPacket(MALLORY6, ALICE6, 41, ipPacket(BOB6, ALICE6, 58, new Uint8Array(8))),
    ipPacket(MALLORY, ALICE, 41, ipPacket('fd00::2', 'fd00::1', 58, new Uint8Array(8))),
    // The peer's address of the other family is not the peer either.
    ipPacket(BOB, ALICE, 4, inner),
  ])
  assert.deepEqual(counted, { 'ipip.no-such-tunnel': 4 })
  await ping()
})

const BRIDGED = (tunnel: string): string => `# on alice
ifconfig vether0 create inet 172.16.0.1/24 up
ifconfig bridge0 create add vether0 add ${tunnel} up
# on bob
ifconfig vether0 create inet 172.16.0.2/24 up
ifconfig bridge0 create add vether0 add ${tunnel} up
`

/** A broadcast frame with the echo request in it. */
const innerFrame = join(
  new Uint8Array(6).fill(255),
  Uint8Array.of(2, 0, 0, 0, 0, 0x66),
  Uint8Array.of(8, 0),
  inner,
)

test('SECURITY 4: EtherIP only from the peer, of version 3, its reserved bits 0', async () => {
  const { lab, stranger, ping } = await honest(`# on both
sysctl net.inet.etherip.allow=1
# on alice
ifconfig etherip0 create tunnel 192.168.1.1 192.168.1.2 up
# on bob
ifconfig etherip0 create tunnel 192.168.1.2 192.168.1.1 up
${BRIDGED('etherip0')}`)
  await ping()
  const counted = await attack(lab, stranger, [
    ipPacket(MALLORY, ALICE, 97, join(Uint8Array.of(0x30, 0), innerFrame)),
  ])
  assert.deepEqual(counted, { 'etherip.no-such-tunnel': 1 })
  await attack(lab, stranger, [
    ipPacket(BOB, ALICE, 97, join(Uint8Array.of(0x40, 0), innerFrame)),
    ipPacket(BOB, ALICE, 97, join(Uint8Array.of(0x30, 1), innerFrame)),
    ipPacket(BOB, ALICE, 97, join(Uint8Array.of(0x3f, 0), innerFrame)),
    ipPacket(BOB, ALICE, 97, Uint8Array.of(0x30, 0, 1, 2, 3)),
    ipPacket(BOB, ALICE, 97, new Uint8Array(0)),
  ])
  const total = Object.values(dropsOf(lab, 'etherip0')).reduce((sum, count) => sum + count, 0)
  assert.equal(total, 5)
  await ping()
})

test('SECURITY 4: EoIP only from the peer, of this tunnel, its length right', async () => {
  const { lab, stranger, ping } = await honest(`# on both
sysctl net.inet.gre.allow=1
${EOIP}
# on both
ifconfig eoip0 up
${BRIDGED('eoip0')}`)
  await ping()
  const header = (length: number, id: number): Uint8Array =>
    Uint8Array.of(0x20, 1, 0x64, 0, length >> 8, length & 255, id & 255, id >> 8)
  const counted = await attack(lab, stranger, [
    ipPacket(MALLORY, ALICE, 47, join(header(innerFrame.length, 0), innerFrame)),
    ipPacket(BOB, ALICE, 47, join(header(innerFrame.length, 9), innerFrame)),
  ])
  assert.deepEqual(counted, { 'gre.no-such-tunnel': 2 })
  await attack(lab, stranger, [
    ipPacket(BOB, ALICE, 47, join(header(innerFrame.length + 400, 0), innerFrame)),
    ipPacket(BOB, ALICE, 47, header(5, 0)),
  ])
  const total = Object.values(dropsOf(lab, 'eoip0')).reduce((sum, count) => sum + count, 0)
  assert.equal(total, 2)
  await ping()
})

test('a host without such a tunnel says so; one that does not allow the protocol does not listen', async () => {
  const lab = await testbedLab()
  const stranger = new Stranger(lab)
  const alice = lab.machine('alice')!
  const vio0 = alice.stack.interfaces.get('vio0')!
  alice.stack.neighbours.set(vio0, Ipv4Address.parse(MALLORY)!, Stranger.mac, lab.clock.now())
  const gre = ipPacket(MALLORY, ALICE, 47, join(Uint8Array.of(0, 0, 8, 0), inner))
  /** Protocol unreachable (RFC 792): type 3, code 2. */
  const refusals = (): number =>
    stranger.heard.filter((frame) => frame[23] === 1 && frame[34] === 3 && frame[35] === 2).length
  stranger.send('alice', gre)
  await lab.clock.advance(milliseconds(100))
  assert.equal(refusals(), 1)
  assert.equal(alice.counters.get('gre.not-allowed'), 0)
  await new Player(lab).play(
    '# on alice\nifconfig gre0 create up\nifconfig gre0 tunnel 192.168.1.1 192.168.1.66',
  )
  stranger.send('alice', gre)
  await lab.clock.advance(milliseconds(100))
  assert.equal(alice.counters.get('gre.not-allowed'), 1)
  assert.equal(refusals(), 2)
  // With a tunnel of that protocol a stranger learns nothing.
  await new Player(lab).play(
    '# on alice\nsysctl net.inet.gre.allow=1\nifconfig gre0 tunnel 192.168.1.1 192.168.1.2',
  )
  stranger.send('alice', gre)
  await lab.clock.advance(milliseconds(100))
  assert.equal(alice.counters.get('gre.no-such-tunnel'), 1)
  assert.equal(refusals(), 2)
})

test('ten thousand random payloads of each carrier change nothing', async () => {
  const { lab, stranger, ping } = await honest(`${GIF}\n${GRE.replaceAll('172.16.0.', '172.17.0.')}`)
  const { random } = lab
  for (let i = 0; i < 2_500; i++)
    for (const protocol of [4, 41, 47, 97]) {
      const payload = random.fill(new Uint8Array(random.below(80)))
      stranger.send('alice', ipPacket(random.below(2) === 0 ? BOB : MALLORY, ALICE, protocol, payload))
    }
  await lab.clock.advance(seconds(1))
  await ping()
})
