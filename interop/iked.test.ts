/**
 * `warren up iked.conf` with the daemon that the article is about: OpenIKED in a Linux kernel with IPsec of its own.
 * ESP is that kernel's; `lib/uml-ike-net.ts` has the picture.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import { missing } from './lib/need.js'
import { INSIDE, type Inside, iperf, pings, WarrenIke, warrenFolder } from './lib/uml-ike-case.js'
import { PEER, UmlIkeNet, WARREN } from './lib/uml-ike-net.js'
import { UmlIked } from './lib/uml-iked.js'
import { WARREN as COMMAND } from './lib/warren.js'

const NEEDS = missing('linux.uml', '/usr/sbin/iked', 'ping', 'iperf3', 'nft', 'ethtool')

let host: UmlIkeNet
let iked: UmlIked
let warren: WarrenIke | undefined
let count = 0

async function boot(): Promise<void> {
  host = await UmlIkeNet.boot('xi')
  iked = new UmlIked(host)
}

async function end(): Promise<void> {
  await warren?.process.stop()
  warren = undefined
  await iked.stop()
}

const close = async (): Promise<void> => host?.close()

const nextFolder = (): string => warrenFolder(host, String(++count))

async function start(
  text: string,
  folder: string = nextFolder(),
  namespace: string = host.w,
): Promise<WarrenIke> {
  warren = await WarrenIke.start(host, namespace, { text, folder, peerLog: () => iked.log() })
  return warren
}

/** The article's lines but for its `iked2` and its addresses: Warren is 192.168.1.1, iked 192.168.1.2, whoever begins. */
const article = (mode: 'active' | 'passive', local: string, peer: string, more = ''): string =>
  `ikev2 ${mode} esp from 192.168.1.0/24 to 192.168.1.0/24 \\
${more}    from 172.16.1.0/24 to 172.16.1.0/24 \\
    local ${local} ${mode === 'active' ? `peer ${peer} ` : ''}\\
    psk "dont_use_psk_its_a_bad_idea"`

const ARTICLE_6 = `       from fdd0:48b3:1360:ab79::/64 to fdd0:48b3:1360:ab79::/64 \\\n`
const ARTICLE_INSIDE: readonly Inside[] = [
  { near: '172.16.1.1', far: '172.16.1.2' },
  { near: 'fdd0:48b3:1360:ab79::1', far: 'fdd0:48b3:1360:ab79::2' },
]

/** Both ends' policies of one case: what stands between `esp` and the end of the line. */
interface Two {
  readonly mode?: string
  readonly outer?: 4 | 6
  readonly inside?: Inside
  /** `set` lines of both. */
  readonly set?: string
  /** Algorithms of both. */
  readonly suite?: string
  readonly ids?: readonly [string, string]
  readonly auth?: string
}

const SECRET = 'psk "keys of two hosts"'

function policy(i: 0 | 1, mode: 'active' | 'passive', two: Two): string {
  const { outer = 4, inside = INSIDE[4], set = '', suite = '', auth = SECRET } = two
  const [local, peer] = i === 0 ? [WARREN, PEER] : [PEER, WARREN]
  const [from, to] = i === 0 ? [inside.near, inside.far] : [inside.far, inside.near]
  const ids = two.ids ?? [WARREN.outer[outer], PEER.outer[outer]]
  return `${set}
ikev2 "t" ${mode} ${two.mode ?? ''} esp from ${from} to ${to} local ${local.outer[outer]} peer ${peer.outer[outer]} \\
  ${suite} srcid ${ids[i]} dstid ${ids[1 - i]} ${auth}`
}

/** Starts both ends of a case, Warren as the one that is named. */
async function both(
  role: Role,
  two: Two,
  folders: { iked?: string; warren?: string } = {},
): Promise<WarrenIke> {
  const [ours, theirs] =
    role === 'initiator' ? (['active', 'passive'] as const) : (['passive', 'active'] as const)
  const ikedFolder = folders.iked ?? iked.folder()
  const theirText = policy(1, theirs, two)
  const ourFolder = folders.warren ?? nextFolder()
  if (role === 'initiator') {
    await iked.start(theirText, ikedFolder)
    return start(policy(0, ours, two), ourFolder)
  }
  const process = await start(policy(0, ours, two), ourFolder)
  await iked.start(theirText, ikedFolder)
  return process
}

type Role = 'initiator' | 'responder'
const ROLES: readonly Role[] = ['initiator', 'responder']

describe('the article with OpenIKED at the other end', { skip: NEEDS, timeout: 300_000 }, () => {
  before(async () => {
    await boot()
    for (const [i, { near, far }] of ARTICLE_INSIDE.entries()) {
      const [bits, nodad] = i === 0 ? [24, ''] : [64, 'nodad']
      if (i === 0) {
        // A bridge without members is as good as a vether(4).
        host.net.run(host.w, 'ip link add vether0 type bridge; ip link set vether0 up')
        await host.kernel.must('ip link add vether0 type dummy; ip link set vether0 up')
      }
      host.net.run(host.w, `ip addr add ${near}/${bits} dev vether0 ${nodad}`)
      await host.kernel.must(`ip addr add ${far}/${bits} dev vether0 ${nodad}`)
    }
  })
  afterEach(end)
  after(close)

  for (const role of ROLES)
    test(`pre-shared key, Warren is the ${role}`, async () => {
      const [ours, theirs] =
        role === 'initiator' ? (['active', 'passive'] as const) : (['passive', 'active'] as const)
      if (role === 'initiator') await iked.start(article(theirs, '192.168.1.2', '192.168.1.1'))
      const w = await start(article(ours, '192.168.1.1', '192.168.1.2'))
      if (role === 'responder') await iked.start(article(theirs, '192.168.1.2', '192.168.1.1'))
      const sa = await w.established()
      assert.equal(sa.initiator, role === 'initiator')
      await pings(host, w, ARTICLE_INSIDE[0])
      // The addresses on the link are in its flows as well.
      await pings(host, w, { near: '192.168.1.1', far: '192.168.1.2' })
      await iperf(host, ARTICLE_INSIDE[0])
    })

  test('with the IPv6 network that is added later', async () => {
    await iked.start(article('passive', '192.168.1.2', '192.168.1.1', ARTICLE_6))
    const w = await start(article('active', '192.168.1.1', '192.168.1.2', ARTICLE_6))
    await w.established()
    for (const inside of ARTICLE_INSIDE) await pings(host, w, inside)
  })

  for (const role of ROLES)
    test(`local.pub in the other one's pubkeys/ipv4, Warren is the ${role}`, async () => {
      const [ours, theirs] = [nextFolder(), iked.folder()]
      keys('rsa2048', ours, theirs, ['ipv4/192.168.1.1', 'ipv4/192.168.1.2'])
      const w = await both(role, { auth: '' }, { warren: ours, iked: theirs })
      await w.established()
      await pings(host, w)
    })
})

/** What `make_keys` does at OpenBSD's boot and `scp` after it: a pair for each, and each public key at the other end. */
function keys(type: string, ours: string, theirs: string, known: readonly [string, string]): void {
  const [own, far] = [join(ours, 'iked'), theirs]
  for (const folder of [own, join(theirs, 'new')])
    execFileSync(process.execPath, [COMMAND, 'keygen', '--type', type, '--folder', folder], { stdio: 'pipe' })
  copyFileSync(join(theirs, 'new/private/local.key'), join(far, 'private/local.key'))
  copyFileSync(join(theirs, 'new/local.pub'), join(far, 'local.pub'))
  mkdirSync(join(own, 'pubkeys', known[1], '..'), { recursive: true })
  copyFileSync(join(far, 'local.pub'), join(own, 'pubkeys', known[1]))
  copyFileSync(join(own, 'local.pub'), join(far, 'pubkeys', known[0]))
}

export { both, keys, writeFileSync }
