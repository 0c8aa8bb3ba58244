/**
 * ESP and AH against a real Linux kernel (6.1 in user mode), the transforms alone: every suite × mode × carrier × family,
 * with and without extended sequence numbers. No daemon: a responder that has nothing but the SAs.
 *
 *     netns w: the responder            netns k
 *     +----------------------+          +---------------------------------------+
 *     | 198.18.0.0/16        |   veth   |                                       |
 *     | fd18::/64       eth0 ------------ kport --- br0 --- tapu --- UML: vec0  | inside 10.1.0.1, fd10:1::1
 *     +----------------------+          +---------------------------------------+
 *
 * Each pair of SAs has an address of its own in w, so that thousands stand in one kernel side by side. Echo requests of
 * 56 and 1,400 bytes go from both ends through each; then both sides' counters are compared.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { CaseReport, Order, ResponderCase, Told } from './lib/esp-responder.js'
import { MANY_PINGS } from './lib/many-pings.js'
import { missing } from './lib/need.js'
import type { Netns } from './lib/netns.js'
import type { UmlPeer } from './lib/uml.js'
import {
  ahSuites,
  espSuites,
  kernelPolicy,
  kernelState,
  type Layout,
  saSpec,
  suiteName,
  suiteOf,
  type XfrmSa,
} from './lib/xfrm.js'
import {
  gained,
  KERNEL_INSIDE,
  KERNEL_OUTER,
  type KernelState,
  parseStates,
  type XfrmNet,
  xfrmNet,
  xfrmStat,
} from './lib/xfrm-net.js'

const skip = missing('linux.uml', 'perl', 'ethtool')
const SIZES = [56, 1400] as const
const LATE_SIZE = 100

interface Row extends Layout {
  readonly suite: XfrmSa['suite']
  readonly out: Partial<XfrmSa>
  readonly back: Partial<XfrmSa>
  readonly name: string
}

const layouts: readonly Layout[] = [
  ...([4, 6] as const).flatMap((outer) =>
    ([4, 6] as const).flatMap((inner) =>
      [false, true].map((udp): Layout => ({ protocol: 'esp', mode: 'tunnel', outer, inner, udp })),
    ),
  ),
  ...([4, 6] as const).flatMap((outer) =>
    [false, true].map((udp): Layout => ({ protocol: 'esp', mode: 'transport', outer, inner: outer, udp })),
  ),
]
const layoutName = ({ protocol, mode, outer, inner, udp }: Layout): string =>
  `${protocol} ${mode} ${inner} in ${outer}${udp ? ' in UDP' : ''}`

/** Plain numbers with a window of 64, and extended ones with one of 1024 that step over 2^32 on the way. */
const COUNTING: readonly (readonly [string, Partial<XfrmSa>])[] = [
  ['', {}],
  [' esn', { esn: true, window: 1024, sequence: { high: 1, low: 0xfffffffd } }],
]

const gcm = suiteOf('ENCR_AES_GCM_16')
const rows: readonly Row[] = [
  ...layouts.flatMap((layout) =>
    espSuites.flatMap((suite) =>
      COUNTING.map(
        ([name, more]): Row => ({
          ...layout,
          suite,
          out: more,
          back: more,
          name: `${layoutName(layout)} ${suiteName(suite)}${name}`,
        }),
      ),
    ),
  ),
  ...layouts
    .filter(({ udp }) => !udp)
    .flatMap((layout) =>
      ahSuites.flatMap((suite) =>
        COUNTING.flatMap(([name, more]) =>
          // RFC 4302 section 2.6 pads to 32 bits over IPv4, Linux to 64 unless told.
          (layout.outer === 4 ? [false, true] : [false]).map((align4): Row => {
            const one = { ...more, ...(align4 ? { align4 } : {}) }
            return {
              ...layout,
              protocol: 'ah',
              suite,
              out: one,
              back: one,
              name: `${layoutName({ ...layout, protocol: 'ah' })} ${suiteName(suite)}${name}${align4 ? ' align4' : ''}`,
            }
          }),
        ),
      ),
    ),
]

/** Rows behind the matrix, each for a test of its own. */
const special = (
  name: string,
  out: Partial<XfrmSa>,
  back: Partial<XfrmSa> = out,
  layout = layouts[0]!,
): Row => ({
  ...layout,
  suite: gcm,
  out,
  back,
  name,
})
const WINDOWS = [32, 64, 65, 128, 1000, 1024, 4096] as const
const windows = WINDOWS.flatMap((window) => [
  special(`window ${window}`, { window }, { window: 64 }),
  special(`window ${window} esn`, { window, esn: true }, { window: 64, esn: true }),
])
const tfc = special('tfc', { tfcPadding: 700 })
const dummies = special('dummies', {})
const wrongs = [false, true].map((udp) => special(`wrong ${udp}`, {}, {}, { ...layouts[0]!, udp }))
const end = special('the last sequence number', { sequence: { high: 0, low: 0xfffffffc } })
const all: readonly Row[] = [...rows, ...windows, tfc, dummies, ...wrongs, end]

const idOf = (row: Row): number => all.indexOf(row)
const outerOf = (family: 4 | 6, i: number): string =>
  family === 4 ? `198.18.${(i >> 8) + 1}.${i & 255}` : `fd18::${(i + 0x100).toString(16)}`
const insideOf = (family: 4 | 6, i: number): string =>
  family === 4 ? `10.2.${i >> 8}.${i & 255}` : `fd10:2::${(i + 0x100).toString(16)}`

/** Our SA, the kernel's, who is inside, and what both sides are told. */
function pairOf(row: Row, i: number) {
  const { suite, mode, outer, inner } = row
  const [here, there] = [outerOf(outer, i), KERNEL_OUTER[outer]]
  const out: XfrmSa = { spi: 0x10000 + i, source: here, destination: there, suite, ...row.out }
  const back: XfrmSa = { spi: 0x20000 + i, source: there, destination: here, suite, ...row.back }
  const ends =
    mode === 'tunnel'
      ? { local: insideOf(inner, i), remote: KERNEL_INSIDE[inner] }
      : { local: here, remote: there }
  const bits = inner === 4 ? 32 : 128
  const [near, far] = [`${ends.local}/${bits}`, `${ends.remote}/${bits}`]
  const lines = [
    kernelState(out, row, false, i + 1),
    kernelState(back, row, true, i + 1),
    kernelPolicy('in', near, far, out, row, i + 1),
    kernelPolicy('out', far, near, back, row, i + 1),
  ]
  const ours: ResponderCase = {
    id: i,
    local: here,
    remote: there,
    udp: row.udp,
    outbound: saSpec(out, row, true),
    inbound: saSpec(back, row, false),
    inner: ends,
  }
  return { lines, ours, ends, inner }
}

describe('a real kernel receives what we seal, and we what it seals', { skip, timeout: 300_000 }, () => {
  let host: XfrmNet
  let net: Netns
  let kernel: UmlPeer
  let child: ChildProcess
  let reports: ReadonlyMap<number, CaseReport>
  let states: ReadonlyMap<number, KernelState>
  let failedPings: readonly string[]

  async function tell(order: Order): Promise<Told> {
    const answer = new Promise<Told>((resolve, reject) => {
      child.once('message', (told) => resolve(told as Told))
      child.once('exit', () => reject(new Error('the responder ended')))
    })
    child.send(order)
    const told = await answer
    child.removeAllListeners('exit')
    if (told.error !== undefined) throw new Error(told.error)
    return told
  }
  async function report(): Promise<ReadonlyMap<number, CaseReport>> {
    const { reports: list = [] } = await tell({ do: 'report' })
    return new Map(list.map((one) => [one.id, one]))
  }
  /** Of the kernel's SAs, by SPI. */
  async function kernelStates(): Promise<ReadonlyMap<number, KernelState>> {
    const file = join(net.folder, 'states.txt')
    await kernel.must(`ip -s xfrm state > ${file}`, 60_000)
    return parseStates(readFileSync(file, 'latin1'))
  }
  /** The kernel's inbound SA of a row. */
  async function inbound(row: Row): Promise<KernelState> {
    const i = idOf(row)
    const get = `src ${outerOf(row.outer, i)} dst ${KERNEL_OUTER[row.outer]} proto ${row.protocol} spi ${0x10000 + i}`
    return parseStates(await kernel.must(`ip -s xfrm state get ${get}`)).get(0x10000 + i)!
  }
  /** Echo requests from the kernel; what failed. */
  async function kernelPings(ids: readonly number[], sizes: readonly number[]): Promise<string[]> {
    const lines = sizes.flatMap((size) =>
      ids.map((i) => {
        const { ends, inner } = pairOf(all[i]!, i)
        return `${inner} ${ends.remote} ${ends.local} ${size}`
      }),
    )
    writeFileSync(join(net.folder, 'targets'), `${lines.join('\n')}\n`)
    const output = await kernel.must(`perl ${net.folder}/pings.pl < ${net.folder}/targets`, 200_000)
    return output.trim().split('\n').slice(0, -1)
  }

  before(async () => {
    host = await xfrmNet('xk', 2000, '384M')
    ;({ net, kernel } = host)
    const { w } = host
    net.run(
      w,
      'sysctl -qw net.ipv6.ip_nonlocal_bind=1; ip route add local 198.18.0.0/16 dev lo; ip -6 route add local fd18::/64 dev lo',
    )
    writeFileSync(join(net.folder, 'pings.pl'), MANY_PINGS)
    const pairs = all.map(pairOf)
    writeFileSync(join(net.folder, 'sas'), `${pairs.flatMap(({ lines }) => lines).join('\n')}\n`)
    const set = await kernel.run(`ip -batch ${net.folder}/sas`, 120_000)
    assert.equal(set.exit, 0, `what the kernel refused: ${set.output.slice(0, 2000)}`)
    child = spawn(
      'ip',
      [
        'netns',
        'exec',
        w,
        process.execPath,
        fileURLToPath(new URL('./lib/esp-responder.js', import.meta.url)),
      ],
      { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], serialization: 'advanced' },
    )
    await tell({ do: 'open', cases: pairs.map(({ ours: one }) => one) })

    const ids = rows.map((_, i) => i)
    for (const size of SIZES) await tell({ do: 'ping', ids, size })
    failedPings = await kernelPings(ids, SIZES)
    reports = await report()
    states = await kernelStates()
  })
  after(async () => {
    child?.kill('SIGKILL')
    await host?.close()
  })

  for (const layout of [...new Set(rows.map(layoutName))]) {
    const those = rows.filter((row) => layoutName(row) === layout)
    test(`${layout}: ${those.length} pairs of SAs`, () => {
      const wrong: string[] = []
      for (const row of those) {
        const i = idOf(row)
        const { sent, taken, answered, replies, wrong: found } = reports.get(i)!
        const [to, from] = [states.get(0x10000 + i), states.get(0x20000 + i)]
        const said = JSON.stringify({ sent, taken, answered, replies, found, to, from })
        const fine =
          found.length === 0 &&
          SIZES.every((size) => replies[size] === 1) &&
          answered === SIZES.length &&
          to?.packets === sent &&
          from?.packets === taken &&
          [to, from].every((state) => state.window === 0 && state.replay === 0 && state.failed === 0)
        if (!fine) wrong.push(`${row.name}: ${said}`)
      }
      assert.equal(wrong.length, 0, `${wrong.length} of ${those.length}:\n${wrong.slice(0, 20).join('\n')}`)
    })
  }

  test('every ping of the kernel was answered, and it counts no error', async () => {
    assert.deepEqual(failedPings, [])
    assert.deepEqual(await xfrmStat(kernel), {})
  })

  for (const [by, accepted] of [
    [-1, 2],
    [0, 1],
  ] as const)
    test(`a packet late by the whole window ${by === 0 ? 'is' : 'less one is not yet'} refused, for windows of ${WINDOWS.join(', ')}`, async () => {
      const before = await report()
      for (const row of windows)
        await tell({ do: 'late', ids: [idOf(row)], by: row.out.window! + by, size: LATE_SIZE })
      // One more of each: it is served after what was sent before.
      const ids = windows.map(idOf)
      await tell({ do: 'ping', ids, size: 1 })
      const now = await report()
      const replies = windows.map((row) => {
        const of = (reports: ReadonlyMap<number, CaseReport>) =>
          reports.get(idOf(row))!.replies[LATE_SIZE] ?? 0
        return [row.name, of(now) - of(before)]
      })
      assert.deepEqual(
        replies,
        windows.map((row) => [row.name, accepted]),
      )
      for (const row of windows) {
        const { window, replay, failed } = await inbound(row)
        // RFC 4303 appendix A2.2: of an extended number what is too old is taken for the next 2^32, and not authentic.
        const refused = row.out.esn
          ? { window: 0, replay: 0, failed: by + 1 }
          : { window: by + 1, replay: 0, failed: 0 }
        assert.deepEqual({ window, replay, failed }, refused, row.name)
      }
    })

  test('padding of traffic flow: the kernel takes ours, and pads as we do', async () => {
    const id = idOf(tfc)
    await tell({ do: 'ping', ids: [id], size: 56 })
    const { replies, lastLength, wrong } = (await report()).get(id)!
    assert.deepEqual([replies, wrong], [{ 56: 1 }, []])
    // SPI and number, IV, 700 bytes and 2 of the trailer to a multiple of 4, ICV.
    assert.equal(lastLength, 8 + 8 + 704 + 16)
  })

  test('dummies do not reach the inside, and the flow goes on', async () => {
    const ids = [idOf(dummies)]
    const before = await xfrmStat(kernel)
    await tell({ do: 'dummy', ids, size: 300 })
    await tell({ do: 'dummy', ids, size: 1400 })
    await tell({ do: 'ping', ids, size: 56 })
    const { replies, wrong } = (await report()).get(ids[0]!)!
    assert.deepEqual([replies, wrong], [{ 56: 1 }, []])
    // RFC 4303 section 2.6: thrown away. Linux has no counter for it but this one, and does not count it against the SA.
    assert.deepEqual(await inbound(dummies), { packets: 1, window: 0, replay: 0, failed: 0 })
    assert.deepEqual(gained(before, await xfrmStat(kernel)), { XfrmInStateProtoError: 2 })
  })

  for (const row of wrongs)
    test(`the kernel refuses a wrong ICV and a replay of ours${row.udp ? ' in UDP' : ''}, and the flow goes on`, async () => {
      const ids = [idOf(row)]
      const before = await xfrmStat(kernel)
      await tell({ do: 'ping', ids, size: 56 })
      await tell({ do: 'again', ids, times: 5 })
      await tell({ do: 'ping', ids, size: 56 })
      await tell({ do: 'bent', ids, times: 7, size: 56 })
      await tell({ do: 'ping', ids, size: 56 })
      const { replies, wrong } = (await report()).get(ids[0]!)!
      assert.deepEqual([replies, wrong], [{ 56: 3 }, []])
      assert.deepEqual(await inbound(row), { packets: 3, window: 0, replay: 5, failed: 7 })
      assert.deepEqual(gained(before, await xfrmStat(kernel)), {
        XfrmInStateProtoError: 7,
        XfrmInStateSeqError: 5,
      })
    })

  test('the last sequence number is the last packet of both (RFC 4303 section 3.3.3)', async () => {
    const ids = [idOf(end)]
    const before = await xfrmStat(kernel)
    for (let i = 0; i < 4; i++) await tell({ do: 'ping', ids, size: 56 })
    const { replies, sent, wrong } = (await report()).get(ids[0]!)!
    assert.deepEqual(
      { replies, sent, wrong },
      { replies: { 56: 3 }, sent: 3, wrong: ['not sealed', 'esp.overflow 1'] },
    )
    assert.equal((await kernelPings(ids, [56])).length, 1)
    assert.equal((await report()).get(ids[0]!)!.taken, 3)
    assert.deepEqual(gained(before, await xfrmStat(kernel)), { XfrmOutStateSeqError: 1 })
  })
})
