/**
 * `warren up ipsec.conf` against the IPsec of a Linux kernel (6.1 in user mode, `ip xfrm`): every encryption with one
 * MAC, every MAC with one encryption, AH; tunnel and transport mode, IPv4 and IPv6 inside and outside, in UDP.
 *
 * In each case pings of 56, 1,400 and 8,000 bytes go from both ends, in some TCP both ways; both sides count the same,
 * and nothing goes over the link in clear.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { dropsOf, establish, insideOf, pairOf, statusOf, transport, tunnel } from './lib/ipsec-peers.js'
import { LeakWatch } from './lib/leaks.js'
import { missing } from './lib/need.js'
import type { WarrenProcess } from './lib/warren.js'
import { ahSuite, type Layout, MAC_NAMES, suiteName, suiteOf, type XfrmSuite } from './lib/xfrm.js'
import { gained, type KernelState, parseStates, type XfrmNet, xfrmNet, xfrmStat } from './lib/xfrm-net.js'

const skip = missing('linux.uml', 'iperf3', 'ping', 'ethtool', 'tcpdump', 'perl')

interface Case {
  readonly layout: Layout
  readonly suite: XfrmSuite
  /** TCP both ways. */
  readonly tcp: boolean
}

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

  const kernelStates = async (): Promise<ReadonlyMap<number, KernelState>> =>
    parseStates(await host.kernel.must('ip -s xfrm state'))

  // -w: until three replies came; -W alone would wait for two round trips of those before.
  const pingOf = (inner: 4 | 6): string => `ping -${inner} -c3 -i0.05 -w10`

  for (const [n, one] of cases.entries())
    test(nameOf(one), async () => {
      const { layout, tcp } = one
      const { here, there } = insideOf(layout)
      const [out, back] = pairOf(one, n)
      const errors = await xfrmStat(host.kernel)
      // Of a case that failed.
      await warren?.kill()
      warren = await establish(host, one, n)
      const process = warren
      try {
        for (const size of [56, 1400, 8000]) {
          const ping = `${pingOf(layout.inner)} -s${size}`
          assert.match(host.net.run(host.w, `${ping} ${there} || true`), RECEIVED)
          const from = layout.mode === 'tunnel' ? `-I ${there}` : ''
          assert.match((await host.kernel.run(`${ping} ${from} ${here}`)).output, RECEIVED)
        }
        await agree(process, out.spi, back.spi)
        if (tcp) await throughput(here, there)
        assert.deepEqual(hostile(await dropsOf(process)), {})
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
})

/** Three replies at least: more were asked for where the first took long. */
const RECEIVED = / ([3-9]|\d\d+) received/

/** Drops that no honest peer gives. */
const hostile = (drops: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(drops).filter(
      ([reason, count]) => count > 0 && /^(esp|ah|ipsec|spd|inner|path)\./.test(reason),
    ),
  )
