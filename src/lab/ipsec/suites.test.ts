/** Every algorithm name of ipsec.conf, every mode and pair of families, from a host behind one gateway to one behind the other. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ENCRYPTIONS, INTEGRITIES } from '../../config/ipsec-conf/transforms.js'
import { HOSTS, INNER, keyPair, load, mirrored, OUTER, ping, type Site, site } from './testing.js'

type Family = 4 | 6
const FAMILIES: readonly Family[] = [4, 6]

const flow = (protocol: string, outer: Family, inner: Family): string =>
  `flow ${protocol} from ${INNER[inner][0]} to ${INNER[inner][1]} local ${OUTER[outer][0]} peer ${OUTER[outer][1]} type require\n`
const hostFlow = (protocol: string, family: Family): string =>
  `flow ${protocol} from ${OUTER[family][0]} to ${OUTER[family][1]} type require\n`
const ends = (outer: Family): string => `from ${OUTER[outer][0]} to ${OUTER[outer][1]} spi 0x1000:0x2000`

function setUp({ west, east }: Site, text: string): void {
  load(west, text)
  load(east, mirrored(text))
}

/** The words of every suite: `auth … enc …` and the keys. */
function suites(): { name: string; words: string }[] {
  const all: { name: string; words: string }[] = []
  let seed = 1
  for (const enc of ENCRYPTIONS.values())
    for (const length of enc.keyLengths) {
      const enckey = length === 0 ? '' : `enckey ${keyPair(length, seed++)}`
      if (enc.combined) all.push({ name: `${enc.name} ${8 * length}`, words: `enc ${enc.name} ${enckey}` })
      else
        for (const auth of INTEGRITIES.values()) {
          const authkey = `authkey ${keyPair(auth.keyLengths[0]!, seed++)}`
          all.push({
            name: `${enc.name} ${8 * length}, ${auth.name}`,
            words: `auth ${auth.name} enc ${enc.name} ${authkey} ${enckey}`,
          })
        }
    }
  return all
}

/** Sends, and holds that everything went in `headers` and came back. */
async function carried(
  one: Site,
  from: 'left' | 'west',
  destination: string,
  headers: string,
  what: string,
): Promise<void> {
  const { frames } = one
  frames.length = 0
  assert.equal(await ping(one[from], destination, 2, 61), 2, what)
  const others = frames.filter((frame) => frame.headers !== headers && !isLinkTalk(frame.headers))
  assert.deepEqual(
    others.map((frame) => frame.headers),
    [],
    what,
  )
  assert.equal(frames.filter((frame) => frame.headers === headers).length, 4, what)
}

/** ARP and neighbour discovery. */
const isLinkTalk = (headers: string): boolean => /arp|neighbor/.test(headers)

test('ESP with every encryption and integrity, tunnel mode', async () => {
  const one = await site()
  const all = suites()
  assert.ok(all.length > 100, `${all.length} suites`)
  for (const { name, words } of all) {
    setUp(one, `${flow('esp', 4, 4)}esp tunnel ${ends(4)} ${words}\n`)
    await carried(one, 'left', HOSTS[4][1], 'ethernet ipv4 esp', name)
  }
})

test('ESP with every encryption and integrity, transport mode over IPv6', async () => {
  const one = await site()
  for (const { name, words } of suites()) {
    setUp(one, `${hostFlow('esp', 6)}esp transport ${ends(6)} ${words}\n`)
    await carried(one, 'west', OUTER[6][1], 'ethernet ipv6 esp', name)
  }
})

const WORDS: Readonly<Record<string, string>> = {
  esp: `auth hmac-sha2-256 enc aes authkey ${keyPair(32, 71)} enckey ${keyPair(16, 72)}`,
  ah: `auth hmac-sha2-256 authkey ${keyPair(32, 73)}`,
  ipip: '',
}

test('tunnel mode of esp, ah and ipip: IPv4 and IPv6 inside, IPv4 and IPv6 outside', async () => {
  const one = await site()
  for (const protocol of ['esp', 'ah', 'ipip'])
    for (const outer of FAMILIES)
      for (const inner of FAMILIES) {
        const mode = protocol === 'ipip' ? '' : 'tunnel'
        setUp(one, `${flow(protocol, outer, inner)}${protocol} ${mode} ${ends(outer)} ${WORDS[protocol]}\n`)
        const icmp = inner === 4 ? 'ipv4 icmp' : 'ipv6 icmpv6'
        const inside = protocol === 'esp' ? 'esp' : protocol === 'ah' ? `ah ${icmp}` : icmp
        const headers = `ethernet ipv${outer} ${inside}`
        await carriedAll(one, HOSTS[inner][1], headers, `${protocol}, ${inner} in ${outer}`)
      }
})

/** As `carried`, where what is inside shows and may itself end in ICMPv6. */
async function carriedAll(one: Site, destination: string, headers: string, what: string): Promise<void> {
  one.frames.length = 0
  assert.equal(await ping(one.left, destination, 2, 61), 2, what)
  assert.equal(one.frames.filter((frame) => frame.headers === headers).length, 4, what)
  const naked = one.frames.filter(({ headers: found }) => /^ethernet ipv4 icmp$/.test(found))
  assert.deepEqual(naked, [], what)
}

test('AH with every integrity, both modes, both families', async () => {
  const one = await site()
  for (const auth of INTEGRITIES.values())
    for (const family of FAMILIES) {
      const words = `auth ${auth.name} authkey ${keyPair(auth.keyLengths[0]!, 5)}`
      const icmp = family === 4 ? 'icmp' : 'icmpv6'
      setUp(one, `${flow('ah', family, family)}ah tunnel ${ends(family)} ${words}\n`)
      await carriedAll(one, HOSTS[family][1], `ethernet ipv${family} ah ipv${family} ${icmp}`, auth.name)
      setUp(one, `${hostFlow('ah', family)}ah transport ${ends(family)} ${words}\n`)
      one.frames.length = 0
      assert.equal(await ping(one.west, OUTER[family][1], 2), 2, auth.name)
      const headers = `ethernet ipv${family} ah ${icmp}`
      assert.equal(one.frames.filter((frame) => frame.headers === headers).length, 4, auth.name)
    }
})

test('large packets: ESP and AH in fragments outside, whole inside', async () => {
  const one = await site()
  for (const protocol of ['esp', 'ah'])
    for (const family of FAMILIES) {
      setUp(one, `${flow(protocol, family, 4)}${protocol} tunnel ${ends(family)} ${WORDS[protocol]}\n`)
      assert.equal(await ping(one.left, HOSTS[4][1], 2, 8_000), 2, `${protocol} tunnel over IPv${family}`)
      setUp(one, `${hostFlow(protocol, family)}${protocol} transport ${ends(family)} ${WORDS[protocol]}\n`)
      assert.equal(await ping(one.west, OUTER[family][1], 2, 8_000), 2, `${protocol} transport, ${family}`)
    }
})

test('ESP in UDP, tunnel and transport, both families: port 4500 both ways', async () => {
  const one = await site()
  for (const family of FAMILIES) {
    const headers = `ethernet ipv${family} udp esp`
    const rule = (mode: string): string => `esp ${mode} ${ends(family)} udpencap ${WORDS.esp}\n`
    setUp(one, flow('esp', family, 4) + rule('tunnel'))
    await carried(one, 'left', HOSTS[4][1], headers, `tunnel, ${family}`)
    setUp(one, hostFlow('esp', family) + rule('transport'))
    await carried(one, 'west', OUTER[family][1], headers, `transport, ${family}`)
    const udpAt = family === 4 ? 34 : 54
    for (const { bytes, headers: found } of one.frames)
      if (found === headers) assert.deepEqual([...bytes.subarray(udpAt, udpAt + 4)], [0x11, 0x94, 0x11, 0x94])
  }
})
