/** ESP and AH over raw sockets of the loopback, whose two ends are one: what is sent comes back. Needs the right. */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { Counters, IPV4, IPV6, type IpAddress, PacketBuffer, parseIpAddress } from '../base/index.js'
import { nodeProvider } from '../crypto/index.js'
import { createEspTransforms, type SaSpec } from '../proto/esp/index.js'
import { packetOf, type SaOptions, saOf } from '../proto/esp/testing.js'
import { PASS } from '../proto/machine.js'
import { Arena } from './arena.js'
import { libc } from './ffi.js'
import type { CarrierSpec } from './messages.js'
import type { PlanePath } from './path.js'
import { RawCarrier } from './raw-carrier.js'
import { openRawSocket } from './raw-socket.js'

const MARK = 0x5741

const LOOPBACK: Readonly<Record<4 | 6, IpAddress>> = {
  4: parseIpAddress('127.0.0.1')!,
  6: parseIpAddress('::1')!,
}

/** A reason not to: not Linux, or not root. */
function missing(): string | false {
  if (process.platform !== 'linux') return 'needs Linux'
  try {
    libc().close(openRawSocket(253, LOOPBACK[4], LOOPBACK[4], MARK))
    return false
  } catch {
    return 'needs CAP_NET_RAW'
  }
}

const skip = missing()

describe('ESP and AH over raw sockets', { skip }, () => {
  const arena = skip === false ? new Arena() : (undefined as never)
  const opened: number[] = []
  after(() => {
    for (const fd of opened) libc().close(fd)
  })

  interface Arrived {
    readonly verdict: number
    readonly bytes: Uint8Array
    readonly drops: Record<string, number>
  }

  function bed(
    family: 4 | 6,
    options: SaOptions,
    mtu?: number,
  ): { carrier: RawCarrier; send(inner: Uint8Array): Arrived[]; drops(): Record<string, number> } {
    const ends = LOOPBACK[family]
    const sa: SaSpec = { ...saOf({ family, ...options }), local: ends.bytes, remote: ends.bytes }
    const protocol = sa.protocol === 'ah' ? 51 : 50
    const fd = openRawSocket(protocol, ends, ends, MARK)
    opened.push(fd)
    const spec: CarrierSpec = {
      id: fd,
      kind: 'ip',
      fd,
      family,
      protocol,
      local: ends.bytes,
      remote: ends.bytes,
      defaultTtl: 64,
    }
    const carrier = new RawCarrier(spec, arena, 1, () => mtu ?? 1500)
    const { outbound, inbound } = createEspTransforms(
      { protocol: 'esp', outbound: sa, inbound: sa },
      nodeProvider,
    )
    const path = { transforms: { outbound: { drops: new Counters() } } } as unknown as PlanePath
    const packet = new PacketBuffer(arena.bytes, 0, 0)
    return {
      carrier,
      drops: () => path.transforms.outbound.drops.toJSON(),
      send(inner) {
        const at = arena.sendSlot(0)
        arena.bytes.set(inner, at)
        packet.reset(at, at + inner.length, family === 4 ? IPV4 : IPV6)
        assert.equal(outbound.process(packet), PASS, JSON.stringify(outbound.drops.toJSON()))
        carrier.push(path, packet, 0)
        carrier.flush()
        const all: Arrived[] = []
        const arrived = new PacketBuffer(arena.bytes, 0, 0)
        carrier.receive(
          arrived,
          () => {
            const verdict = inbound.process(arrived)
            all.push({ verdict, bytes: arrived.copy(), drops: inbound.drops.toJSON() })
          },
          0,
        )
        return all
      },
    }
  }

  const suites: Readonly<Record<string, SaOptions>> = {
    ah: { protocol: 'ah', suite: { integrity: 'AUTH_HMAC_SHA2_256_128' } },
    'ah with extended sequence numbers': {
      protocol: 'ah',
      suite: { integrity: 'AUTH_HMAC_SHA2_256_128' },
      esn: true,
    },
    esp: {},
    'esp with extended sequence numbers': { esn: true },
  }

  for (const family of [4, 6] as const)
    for (const mode of ['transport', 'tunnel'] as const)
      for (const [name, options] of Object.entries(suites))
        test(`IPv${family}: ${name} in ${mode} mode brings the packet back as it was`, () => {
          const ends = LOOPBACK[family]
          const { send, carrier } = bed(family, { ...options, mode })
          for (const size of [10, 1200]) {
            const inner = mode === 'transport' ? packetOf(family, size, [ends, ends]) : packetOf(family, size)
            const [arrived, ...more] = send(inner)
            assert.equal(more.length, 0)
            assert.deepEqual({ ...arrived }, { verdict: PASS, bytes: inner, drops: {} })
          }
          assert.deepEqual(carrier.drops.toJSON(), {})
        })

  test('AH over IPv4 survives fragments, which have the identification that it covers', () => {
    const { send } = bed(4, { ...suites.ah, mode: 'tunnel' }, 576)
    const inner = packetOf(4, 1300)
    inner[6] = 0
    inner.set([0x73, 0x3e], 10)
    const [arrived] = send(inner)
    assert.deepEqual(arrived?.drops, {})
    assert.equal(arrived.verdict, PASS)
  })
})
