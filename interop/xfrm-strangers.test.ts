/**
 * `warren up ipsec.conf` with a kernel's IPsec as its peer, and a stranger on the same link who sends what he should not
 * (SECURITY, rows 5 and 6): each packet is counted, nobody is answered, and the honest flow loses nothing.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { writeUint32 } from '../src/base/index.js'
import { Daemon } from './lib/daemon.js'
import { writeEcho } from './lib/echo.js'
import { ipPacket, sealed, sealedAsIs, sendRaw, udp4500 } from './lib/hostile.js'
import { dropsOf, establish, insideOf, tunnel } from './lib/ipsec-peers.js'
import { LeakWatch } from './lib/leaks.js'
import { missing } from './lib/need.js'
import type { WarrenProcess } from './lib/warren.js'
import { addressOf, ipsecSaRule, keyOf, type Layout, suiteOf, type XfrmSa } from './lib/xfrm.js'
import { gained, KERNEL_OUTER, STRANGER, WARREN_OUTER, type XfrmNet, xfrmNet } from './lib/xfrm-net.js'

const skip = missing('linux.uml', 'ping', 'ethtool', 'tcpdump', 'perl')

const suite = suiteOf('ENCR_AES_GCM_16')
const N = 900
/** The kernel's own SA towards us. */
const HONEST_SPI = 0x20000 + N
const TIMES = 5
/** ICMP of type 3, code 3 behind a header of 20 bytes; in hexadecimal. */
const PORT_UNREACHABLE = / 45[0-9a-f]{38}0303/

interface Attack {
  readonly name: string
  readonly packets: () => readonly Uint8Array[]
  /** What Warren counts, by reason. */
  readonly counted: Readonly<Record<string, number>>
  /** Answers of the machine itself: port unreachable. */
  readonly closed?: number
}

/** Within the policy, and not; inside. */
const SOURCES = { 4: ['10.1.0.9', '10.9.9.9'], 6: ['fd10:1::9', 'fd99::9'] } as const

/** SAs towards us that the kernel has not: who holds their keys can seal what he likes. */
const extraSas = (outer: 4 | 6): readonly [XfrmSa, XfrmSa] => {
  const ends = { source: KERNEL_OUTER[outer], destination: WARREN_OUTER[outer] }
  return [
    { spi: 0x30001, ...ends, suite },
    { spi: 0x30002, ...ends, suite: { encryption: 'ENCR_AES_CBC', encryptionKey: 32, integrityKey: 0 } },
  ]
}

function attacksOn(layout: Layout): readonly Attack[] {
  const { udp, outer: family } = layout
  const { here } = insideOf(layout)
  const [extra, naked] = extraSas(family)
  const [allowed, foreign] = SOURCES[family]
  const outer = (payload: Uint8Array, from: string = KERNEL_OUTER[family]): Uint8Array =>
    ipPacket(from, WARREN_OUTER[family], udp ? 17 : 50, udp ? udp4500(payload) : payload)
  const echo = (from: string): Uint8Array =>
    writeEcho({
      ...{ kind: 'request', source: addressOf(from), destination: addressOf(here) },
      ...{ identifier: 0x6666, sequence: 1, data: new Uint8Array(16) },
    })
  const times = (packet: Uint8Array, count = TIMES): Uint8Array[] =>
    Array.from({ length: count }, () => packet)
  const header = (spi: number, sequence: number, length: number): Uint8Array => {
    const bytes = keyOf('nothing', Math.max(8, length))
    writeUint32(bytes, 0, spi)
    writeUint32(bytes, 4, sequence)
    return bytes.subarray(0, length)
  }
  /** Each with the next sequence number of the SA of which the stranger has the keys. */
  const from = (first: number, ...inner: Uint8Array[]): Uint8Array[] =>
    sealed(extra, layout, inner, first).map((one) => outer(one))
  /** An inner packet with a trailer of one's own. */
  const trailer = (first: number, ...bytes: number[]): Uint8Array[] =>
    times(echo(allowed)).map((inner, i) =>
      outer(sealedAsIs(extra, first + i, new Uint8Array([...inner, ...bytes]))),
    )
  // The first sequence number of each, in ascending order.
  return [
    {
      name: 'CVE-2019-5613: a wrong ICV far ahead of the window',
      packets: () => times(outer(header(HONEST_SPI, 100_000, 100))),
      counted: { 'esp.icv': TIMES },
    },
    {
      name: 'CVE-2019-5613: a replay',
      packets: () => times(from(1, echo(allowed))[0]!, TIMES + 1),
      counted: { 'esp.replay': TIMES },
    },
    {
      name: 'an unknown SPI',
      packets: () => times(outer(header(0x77777, 1, 100))),
      counted: { 'path.none': TIMES },
    },
    {
      name: 'no whole ESP header',
      packets: () => times(outer(header(HONEST_SPI, 1, 6))),
      counted: { 'esp.short': TIMES },
    },
    {
      name: 'an ICV that is right, and padding that is not 1, 2, 3',
      packets: () => trailer(100, 1, 3, 2, 4),
      counted: { 'esp.padding': TIMES },
    },
    {
      name: 'an inner packet that no policy has',
      packets: () => from(200, ...times(echo(foreign))),
      counted: { 'ipsec.policy': TIMES },
    },
    {
      name: 'CVE-2005-0039: without integrity (auth none), an inner source that was changed on the way',
      packets: () =>
        sealed(naked, layout, times(echo(allowed)), 1, (spec) => ({ ...spec, unauthenticated: true })).map(
          (one) => {
            // The IV is XORed with the first block: of the inner source it has the second byte.
            one[8 + (family === 4 ? 13 : 9)]! ^= 0x40
            return outer(one)
          },
        ),
      counted: { 'ipsec.policy': TIMES },
    },
    {
      name: 'CVE-2005-0039: an inner packet that would be answered by ICMP, its ICV wrong',
      packets: () =>
        from(300, ...times(ipPacket(allowed, here, 17, udp4500(new Uint8Array(8))))).map((one) => {
          one[one.length - 1]! ^= 1
          return one
        }),
      counted: { 'esp.icv': TIMES },
    },
    {
      name: 'the peer’s packets from another address',
      packets: () =>
        sealed(extra, layout, times(echo(allowed)), 400).map((one) => outer(one, STRANGER[family])),
      counted: {},
      // As a port that nobody has.
      ...(udp ? { closed: TIMES } : {}),
    },
    {
      name: 'what a policy protects, in clear',
      packets: () => times(echo(allowed)),
      counted: { 'guard.in': TIMES },
    },
  ]
}

describe('a stranger on the link of an honest tunnel', { skip, timeout: 300_000 }, () => {
  let host: XfrmNet
  let watch: LeakWatch
  let warren: WarrenProcess | undefined

  before(async () => {
    host = await xfrmNet('xs')
    watch = await LeakWatch.start(host.net, host.k, 'br0')
  })
  after(async () => {
    await warren?.kill()
    await watch?.stop()
    await host?.close()
  })

  for (const layout of [tunnel(4, 4), tunnel(4, 4, true), tunnel(6, 6)])
    test(`IPv${layout.outer}${layout.udp ? ' in UDP' : ''}`, async (t) => {
      const { there } = insideOf(layout)
      const rules = extraSas(layout.outer).map((sa) => `${ipsecSaRule(sa, undefined, layout)}\n`)
      await warren?.kill()
      warren = await establish(host, { layout, suite }, N, rules.join(''))
      const process = warren
      const since = performance.now()
      const flow = Daemon.start(host.w, ['ping', '-q', '-i', '0.02', there])
      try {
        for (const { name, packets, counted, closed = 0 } of attacksOn(layout))
          await t.test(name, async () => {
            const before = await dropsOf(process)
            const said = watch.seen(host.mac).length
            sendRaw(host.x, WARREN_OUTER[layout.outer], packets())
            await sleep(100)
            assert.deepEqual(gained(before, await dropsOf(process)), counted)
            const answers = watch.seen(host.mac).slice(said)
            assert.equal(answers.length, closed, answers.join('\n'))
            for (const answer of answers) assert.match(answer, PORT_UNREACHABLE)
          })
      } finally {
        globalThis.process.kill(flow.pid, 'SIGINT')
        await flow.until(/packet loss/)
        await flow.stop()
      }
      const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(flow.log)!.map(Number)
      assert.ok(sent! > 50 && sent! - received! <= 1, flow.log)
      assert.doesNotMatch(flow.log, /error|duplicate/)
      // RFC 4303 section 3.4: audited; ten in a row, then one in five seconds.
      const audited = process.log().match(/\w+\.\w+: \S+ > \S+ spi 0x[0-9a-f]{8} seq \d+/g) ?? []
      const first = `esp.icv: ${KERNEL_OUTER[layout.outer]} > ${WARREN_OUTER[layout.outer]} spi 0x00020384 seq 100000`
      assert.equal(audited[0], first, process.log())
      assert.ok(audited.length <= 11 + (performance.now() - since) / 5000, process.log())
      await process.stop()
    })
})
