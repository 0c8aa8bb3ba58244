/**
 * `warren up ipsec.conf` against the IPsec of a Linux kernel (6.1 in user mode, `ip xfrm`): every encryption with one
 * MAC, every MAC with one encryption, AH; tunnel and transport mode, IPv4 and IPv6 inside and outside, in UDP.
 *
 * In each case pings of 56, 1,400 and 8,000 bytes go from both ends, in some TCP both ways; both sides count the same,
 * and nothing goes over the link in clear. Then a stranger on the link sends what it should not (SECURITY rows 5 and 6).
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { writeUint32 } from '../src/base/index.js'
import type { DaemonStatus } from '../src/linux/index.js'
import { Daemon } from './lib/daemon.js'
import { writeEcho } from './lib/echo.js'
import { ipPacket, sealed, sendRaw, udp4500 } from './lib/hostile.js'
import { LeakWatch } from './lib/leaks.js'
import { missing } from './lib/need.js'
import { startWarren, type WarrenProcess } from './lib/warren.js'
import {
  addressOf,
  ahSuite,
  ipsecSaRule,
  kernelPolicy,
  kernelState,
  keyOf,
  type Layout,
  MAC_NAMES,
  suiteName,
  suiteOf,
  type XfrmSa,
  type XfrmSuite,
} from './lib/xfrm.js'
import {
  gained,
  KERNEL_INSIDE,
  KERNEL_OUTER,
  type KernelState,
  parseStates,
  STRANGER,
  WARREN_INSIDE,
  WARREN_OUTER,
  type XfrmNet,
  xfrmNet,
  xfrmStat,
} from './lib/xfrm-net.js'

const skip = missing('linux.uml', 'iperf3', 'ping', 'ethtool', 'tcpdump', 'perl')

interface Case {
  readonly layout: Layout
  readonly suite: XfrmSuite
  /** TCP both ways. */
  readonly tcp: boolean
}

const tunnel = (inner: 4 | 6, outer: 4 | 6, udp = false): Layout => ({
  ...{ protocol: 'esp', mode: 'tunnel', outer, inner, udp },
})
const transport = (outer: 4 | 6, udp = false): Layout => ({
  ...{ protocol: 'esp', mode: 'transport', outer, inner: outer, udp },
})
const layouts: readonly Layout[] = [
  ...[tunnel(4, 4), tunnel(4, 4, true), transport(4), transport(4, true)],
  ...[tunnel(6, 4), tunnel(4, 6), tunnel(6, 4, true), tunnel(4, 6, true)],
  ...[tunnel(6, 6), tunnel(6, 6, true), transport(6), transport(6, true)],
]
const AEADS = [
  ...(['ENCR_AES_GCM_16', 'ENCR_AES_GCM_12', 'ENCR_AES_GCM_8', 'ENCR_CHACHA20_POLY1305'] as const),
  ...(['ENCR_AES_CCM_16', 'ENCR_AES_CCM_12', 'ENCR_AES_CCM_8', 'ENCR_NULL_AUTH_AES_GMAC'] as const),
].map((name) => suiteOf(name))
const SHA256 = 'AUTH_HMAC_SHA2_256_128'
const suites = [
  ...AEADS,
  ...(['ENCR_AES_CTR', 'ENCR_3DES', 'ENCR_NULL'] as const).map((name) => suiteOf(name, SHA256)),
  ...MAC_NAMES.map((mac) => suiteOf('ENCR_AES_CBC', mac)),
]
const gcm = suiteOf('ENCR_AES_GCM_16')
const cases: readonly Case[] = [
  // Every layout with the suite that most will have; the suites one after the other through the layouts.
  ...layouts.map((layout): Case => ({ layout, suite: gcm, tcp: true })),
  ...suites.slice(1).map((suite, i): Case => ({ layout: layouts[i % layouts.length]!, suite, tcp: false })),
  ...MAC_NAMES.map(
    (mac, i): Case => ({
      layout: { ...layouts.filter(({ udp }) => !udp)[i % 6]!, protocol: 'ah' },
      suite: ahSuite(mac),
      tcp: i === 0,
    }),
  ),
]

const nameOf = ({ layout: { protocol, mode, inner, outer, udp }, suite }: Case): string =>
  `${protocol} ${mode} ${inner} in ${outer}${udp ? ' in UDP' : ''}, ${suiteName(suite)}`

/** The pair of SAs of a case, ours to send first. */
function pairOf({ layout, suite }: Pick<Case, 'layout' | 'suite'>, n: number): readonly [XfrmSa, XfrmSa] {
  const [here, there] = [WARREN_OUTER[layout.outer], KERNEL_OUTER[layout.outer]]
  // RFC 4302 section 2.6: over IPv4 the header is a multiple of 32 bits, which Linux has to be told.
  const align4 = layout.protocol === 'ah' && layout.outer === 4 ? { align4: true } : {}
  return [
    { spi: 0x10000 + n, source: here, destination: there, suite, ...align4 },
    { spi: 0x20000 + n, source: there, destination: here, suite, ...align4 },
  ]
}

/** Inside, in ipsec.conf and `ip xfrm policy`. */
const NETWORKS = { 4: ['10.2.0.0/24', '10.1.0.0/24'], 6: ['fd10:2::/64', 'fd10:1::/64'] } as const
const insideOf = ({ mode, inner, outer }: Layout) =>
  mode === 'tunnel'
    ? { here: WARREN_INSIDE[inner], there: KERNEL_INSIDE[inner], networks: NETWORKS[inner] }
    : {
        here: WARREN_OUTER[outer],
        there: KERNEL_OUTER[outer],
        networks: [WARREN_OUTER[outer], KERNEL_OUTER[outer]] as const,
      }

describe("warren up ipsec.conf, and a kernel's own IPsec", { skip, timeout: 900_000 }, () => {
  let host: XfrmNet
  let watch: LeakWatch
  let warren: WarrenProcess | undefined

  before(async () => {
    host = await xfrmNet('xw')
    watch = await LeakWatch.start(host.net, host.k, 'br0')
  })
  after(async () => {
    await warren?.kill()
    await watch?.stop()
    await host?.close()
  })

  async function up(text: string): Promise<WarrenProcess> {
    const file = join(host.net.folder, 'ipsec.conf')
    writeFileSync(file, text, { mode: 0o600 })
    // Of a case that failed.
    await warren?.kill()
    warren = await startWarren(host.net, host.w, [file])
    return warren
  }
  const statusOf = async (process: WarrenProcess): Promise<DaemonStatus> =>
    JSON.parse(await process.status('--json')) as DaemonStatus
  async function kernelSets(lines: readonly string[]): Promise<void> {
    const file = join(host.net.folder, 'sas')
    writeFileSync(file, `${lines.join('\n')}\n`)
    await host.kernel.must(`ip xfrm state flush; ip xfrm policy flush; ip -batch ${file}`)
  }
  const kernelStates = async (): Promise<ReadonlyMap<number, KernelState>> =>
    parseStates(await host.kernel.must('ip -s xfrm state'))

  /** Both sides are told of one pair of SAs. */
  async function establish(
    one: Pick<Case, 'layout' | 'suite'>,
    n: number,
    more = '',
  ): Promise<WarrenProcess> {
    const { layout } = one
    const [out, back] = pairOf(one, n)
    const { networks } = insideOf(layout)
    const [near, far] = networks
    await kernelSets([
      kernelState(out, layout, false, 1),
      kernelState(back, layout, true, 1),
      kernelPolicy('in', near, far, out, layout, 1),
      kernelPolicy('out', far, near, back, layout, 1),
    ])
    return up(
      `flow ${layout.protocol} from ${near} to ${far} peer ${KERNEL_OUTER[layout.outer]}\n${ipsecSaRule(out, back, layout)}\n${more}`,
    )
  }
  // -w: until three replies came; -W alone would wait for two round trips of those before.
  const pingOf = (inner: 4 | 6): string => `ping -${inner} -c3 -i0.05 -w10`

  for (const [n, one] of cases.entries())
    test(nameOf(one), async () => {
      const { layout, tcp } = one
      const { here, there } = insideOf(layout)
      const [out, back] = pairOf(one, n)
      const errors = await xfrmStat(host.kernel)
      const process = await establish(one, n)
      try {
        for (const size of [56, 1400, 8000]) {
          const ping = `${pingOf(layout.inner)} -s${size}`
          assert.match(host.net.run(host.w, `${ping} ${there} || true`), RECEIVED)
          const from = layout.mode === 'tunnel' ? `-I ${there}` : ''
          assert.match((await host.kernel.run(`${ping} ${from} ${here}`)).output, RECEIVED)
        }
        await agree(process, out.spi, back.spi)
        if (tcp) await throughput(here, there)
        const { tunnels, drops } = await statusOf(process)
        assert.deepEqual(hostile({ ...tunnels[0]?.drops, ...drops }), {})
        for (const [spi, state] of await kernelStates())
          assert.deepEqual([state.window, state.replay, state.failed], [0, 0, 0], `spi ${spi}`)
        assert.deepEqual(gained(errors, await xfrmStat(host.kernel)), {})
        assert.deepEqual(watch.seen(), [], 'in clear')
        await process.stop()
      } catch (error) {
        const said = await process.status('--json').catch(String)
        const kernel = `${await host.kernel.must('ip -s xfrm state')}${JSON.stringify(await xfrmStat(host.kernel))}`
        throw new Error(
          `${error instanceof Error ? error.message : error}\n${said}\n${process.log()}\n${kernel}`,
        )
      }
    })

  /** Both sides count the same packets, once the last ones are there. */
  async function agree(process: WarrenProcess, out: number, back: number): Promise<void> {
    for (let tries = 1; ; tries++) {
      const sas = (await statusOf(process)).tunnels[0]?.ipsec?.sas ?? []
      const states = await kernelStates()
      const ours = [out, back].map((spi) => sas.find((sa) => sa.spi === spi)?.packets)
      const theirs = [out, back].map((spi) => states.get(spi)?.packets)
      if (tries < 5 && ours.join() !== theirs.join()) continue
      assert.deepEqual(ours, theirs, 'packets out and in, here and there')
      return
    }
  }

  async function throughput(here: string, there: string): Promise<void> {
    for (const [way, name] of [
      ['', 'from Warren'],
      ['-R', 'from the kernel'],
    ]) {
      await host.kernel.must(`iperf3 -s -D -1 -B ${there} && sleep 0.2`)
      const report = JSON.parse(host.net.run(host.w, `iperf3 -c ${there} -B ${here} -t 1 ${way} -J`)) as {
        end: { sum_received: { bits_per_second: number } }
      }
      assert.ok(
        report.end.sum_received.bits_per_second > 5e6,
        `iperf3 ${name}: ${JSON.stringify(report.end)}`,
      )
    }
  }

  for (const udp of [false, true]) hostilePackets(udp)

  /** Row 5 and 6, and what else a stranger on the link can send. */
  function hostilePackets(udp: boolean): void {
    const layout = tunnel(4, 4, udp)
    const carrier = udp ? ' in UDP' : ''
    /** An SA towards us that the kernel has not: who holds its keys can seal what he likes. */
    const extra: XfrmSa = { spi: 0x30001, source: KERNEL_OUTER[4], destination: WARREN_OUTER[4], suite: gcm }
    const outer = (payload: Uint8Array, from: string = KERNEL_OUTER[4]): Uint8Array =>
      udp
        ? ipPacket(from, WARREN_OUTER[4], 17, udp4500(payload))
        : ipPacket(from, WARREN_OUTER[4], 50, payload)
    const echo = (from: string, to: string = WARREN_INSIDE[4]): Uint8Array =>
      writeEcho({
        ...{ kind: 'request', source: addressOf(from), destination: addressOf(to) },
        ...{ identifier: 0x6666, sequence: 1, data: new Uint8Array(16) },
      })
    const honest = echo(KERNEL_INSIDE[4])
    const times = (packet: Uint8Array, count: number): Uint8Array[] =>
      Array.from({ length: count }, () => packet)
    const header = (spi: number, sequence: number, length: number): Uint8Array => {
      const bytes = keyOf('nothing', Math.max(8, length))
      writeUint32(bytes, 0, spi)
      writeUint32(bytes, 4, sequence)
      return bytes.subarray(0, length)
    }

    const attacks: readonly {
      readonly name: string
      readonly packets: () => readonly Uint8Array[]
      /** What Warren counts, by reason. */
      readonly counted: Readonly<Record<string, number>>
      /** Answers of the machine itself: port unreachable. */
      readonly closed?: number
    }[] = [
      {
        name: 'CVE-2019-5613: a wrong ICV far ahead of the window',
        packets: () => times(outer(header(0x20000 + 900, 100_000, 100)), 5),
        counted: { 'esp.icv': 5 },
      },
      {
        name: 'CVE-2019-5613: a replay',
        packets: () => {
          const one = outer(sealed(extra, layout, [echo('10.1.0.9')], 7)[0]!)
          return times(one, 6)
        },
        counted: { 'esp.replay': 5 },
      },
      {
        name: 'an unknown SPI',
        packets: () => times(outer(header(0x77777, 1, 100)), 5),
        counted: { 'path.none': 5 },
      },
      {
        name: 'no whole ESP header',
        packets: () => times(outer(header(0x20000 + 900, 1, 6)), 5),
        counted: { 'esp.short': 5 },
      },
      {
        name: 'an inner packet that no policy has',
        packets: () => sealed(extra, layout, times(echo('10.9.9.9'), 5), 100).map((one) => outer(one)),
        counted: { 'ipsec.policy': 5 },
      },
      {
        name: 'CVE-2005-0039: an inner packet that would make an ICMP error, its ICV wrong',
        packets: () =>
          sealed(
            extra,
            layout,
            times(ipPacket(KERNEL_INSIDE[4], WARREN_INSIDE[4], 17, udp4500(new Uint8Array(8))), 5),
            200,
          ).map((one) => {
            one[one.length - 1]! ^= 1
            return outer(one)
          }),
        counted: { 'esp.icv': 5 },
      },
      {
        name: 'the peer’s packets from another address',
        packets: () => sealed(extra, layout, times(honest, 5), 300).map((one) => outer(one, STRANGER[4])),
        counted: {},
        // As a port that nobody has.
        ...(udp ? { closed: 5 } : {}),
      },
      {
        name: 'what a policy protects, in clear',
        packets: () => times(honest, 5),
        counted: { 'guard.in': 5 },
      },
    ]

    test(`strangers${carrier}: counted, unanswered, and the honest flow goes on`, async (t) => {
      const process = await establish(
        { layout, suite: gcm },
        900,
        `${ipsecSaRule(extra, undefined, layout)}\n`,
      )
      const flow = Daemon.start(host.w, ['ping', '-q', '-i', '0.02', KERNEL_INSIDE[4]])
      try {
        for (const { name, packets, counted, closed = 0 } of attacks)
          await t.test(name, async () => {
            const before = await allDrops(process)
            const said = watch.seen(host.mac).length
            sendRaw(host.x, WARREN_OUTER[4], packets())
            await sleep(100)
            assert.deepEqual(gained(before, await allDrops(process)), counted)
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
      await process.stop()
    })
  }

  async function allDrops(process: WarrenProcess): Promise<Record<string, number>> {
    const { tunnels, drops } = await statusOf(process)
    return { ...drops, ...tunnels[0]?.drops }
  }
})

/** Three replies at least: more were asked for where the first took long. */
const RECEIVED = / ([3-9]|\d\d+) received/
/** ICMP of type 3, code 3 behind a header of 20 bytes; in hexadecimal. */
const PORT_UNREACHABLE = / 45[0-9a-f]{38}0303/

/** Drops that no honest peer gives. */
const hostile = (drops: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(drops).filter(
      ([reason, count]) => count > 0 && /^(esp|ah|ipsec|spd|inner|path)\./.test(reason),
    ),
  )
