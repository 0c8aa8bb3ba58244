/** The rule of the data path: a packet allocates nothing. With a kernel that does nothing, so that only our own is seen. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Counters, PacketBuffer } from '../base/index.js'
import { Arena } from './arena.js'
import type { Carrier } from './carrier.js'
import { LITTLE_ENDIAN, type Libc, libc } from './ffi.js'
import type { CarrierSpec } from './messages.js'
import type { PlanePath } from './path.js'
import { RawCarrier } from './raw-carrier.js'
import { MMSGHDR_LENGTH, MSG_LEN } from './sockaddr.js'
import { UdpCarrier } from './udp-carrier.js'
import { UdpMessages } from './udp-messages.js'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const ARRIVING = 60
const LENGTH = 1400

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

describe('no allocation a packet', { skip }, () => {
  const arena = skip === false ? new Arena() : (undefined as never)
  const path = { transforms: { outbound: { drops: new Counters() } } } as unknown as PlanePath
  const specOf = (kind: 'ip' | 'udp', family: 4 | 6): CarrierSpec => ({
    id: 1,
    kind,
    fd: -1,
    family,
    protocol: kind === 'udp' ? 17 : 50,
    // Of the raw carrier over IPv6 the sender that the kernel names: none here.
    local: new Uint8Array(family === 4 ? 4 : 16),
    remote: new Uint8Array(family === 4 ? 4 : 16),
    defaultTtl: 64,
  })

  /** A kernel that takes everything, and from which a batch arrives at `received`, in `view` from `base` on. */
  const idle = (view: DataView, base: number, perMessage: number): Libc => ({
    ...libc(),
    sendmmsg: (_fd, _at, count) => count,
    setsockopt: () => 0,
    recvmmsg(_fd, at, count) {
      for (let i = 0; i < ARRIVING && i < count; i++)
        view.setUint32(at - base + i * MMSGHDR_LENGTH + MSG_LEN, perMessage, LITTLE_ENDIAN)
      return Math.min(ARRIVING, count)
    },
  })

  function least(carrier: Carrier): number {
    const packet = new PacketBuffer(arena.bytes, 0, 0)
    let taken = 0
    const take = (): void => {
      taken++
    }
    const run = (rounds: number): void => {
      for (let round = 0; round < rounds; round++) {
        for (let i = 0; i < 100; i++) {
          const at = arena.segments + 256 + i * 2048
          packet.reset(at, at + LENGTH - (i % 10), 0)
          packet.outerDontFragment = i > 50
          packet.outerTrafficClass = i & 1
          carrier.push(path, packet, round)
        }
        carrier.flush()
        carrier.receive(packet, take, round)
      }
    }
    run(1000)
    assert.ok(taken > 0)
    let bytes = Number.POSITIVE_INFINITY
    for (let round = 0; round < 8; round++) {
      collect()
      const before = process.memoryUsage().heapUsed
      run(200)
      bytes = Math.min(bytes, process.memoryUsage().heapUsed - before)
    }
    return bytes / (200 * 100)
  }

  for (const family of [4, 6] as const) {
    test(`UDP over IPv${family}`, () => {
      const messages = new UdpMessages(family, arena)
      const { view, base } = messages.memory
      const carrier = new UdpCarrier(specOf('udp', family), arena, {
        messages,
        libc: idle(view, base, LENGTH),
        mtuOf: () => 1500,
      })
      const bytes = least(carrier)
      assert.ok(bytes < 2, `${bytes} bytes for a packet`)
    })

    test(`IP over IPv${family}`, () => {
      // Each arrives with a header of 20 bytes from nobody, which is the peer here.
      for (let i = 0; i < ARRIVING; i++) arena.bytes[arena.receiveSlot(i)] = 0x45
      const carrier = new RawCarrier(
        specOf('ip', family),
        arena,
        1,
        () => 1500,
        idle(arena.view, arena.base, LENGTH),
      )
      const bytes = least(carrier)
      assert.ok(bytes < 2, `${bytes} bytes for a packet`)
    })
  }
})
