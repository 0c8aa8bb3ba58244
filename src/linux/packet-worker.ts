/** The thread that reads a capture socket: batches of packets with the kernel's time. */
import { parentPort, workerData } from 'node:worker_threads'
import { Errno, errnoName, LITTLE_ENDIAN, libc, NativeMemory } from './ffi.js'
import type { CapturedPacket } from './packet-socket.js'
import {
  CMSGHDR_LENGTH,
  cmsgSpace,
  IOV_LEN,
  IOVEC_LENGTH,
  MMSGHDR_LENGTH,
  MSG_CONTROL,
  MSG_CONTROLLEN,
  MSG_DONTWAIT,
  MSG_IOV,
  MSG_IOVLEN,
  MSG_LEN,
  POLLIN,
  SOL_SOCKET,
} from './sockaddr.js'

export interface CaptureData {
  readonly fd: number
  readonly wakeFd: number
}

export type CaptureMessage = { readonly packets: CapturedPacket[] } | { readonly error: string }

const BATCH = 32
/** Offloads make frames of up to 64 KiB and their headers. */
const SLOT = 66_304
const CONTROL_LENGTH: number = cmsgSpace(16)
const SCM_TIMESTAMP = 29

function main(port: NonNullable<typeof parentPort>, { fd, wakeFd }: CaptureData): void {
  const c = libc()
  const iovs = BATCH * MMSGHDR_LENGTH
  const controls = iovs + BATCH * IOVEC_LENGTH
  const polls = controls + BATCH * CONTROL_LENGTH
  const slots = polls + 64
  const memory = new NativeMemory(slots + BATCH * SLOT)
  const { view, bytes, base } = memory
  for (let i = 0; i < BATCH; i++) {
    memory.setPointer(iovs + i * IOVEC_LENGTH, slots + i * SLOT)
    view.setUint32(iovs + i * IOVEC_LENGTH + IOV_LEN, SLOT, LITTLE_ENDIAN)
    memory.setPointer(i * MMSGHDR_LENGTH + MSG_IOV, iovs + i * IOVEC_LENGTH)
    view.setUint32(i * MMSGHDR_LENGTH + MSG_IOVLEN, 1, LITTLE_ENDIAN)
    memory.setPointer(i * MMSGHDR_LENGTH + MSG_CONTROL, controls + i * CONTROL_LENGTH)
  }
  for (const [i, polled] of [fd, wakeFd].entries()) {
    view.setInt32(polls + 8 * i, polled, LITTLE_ENDIAN)
    view.setUint32(polls + 8 * i + 4, POLLIN, LITTLE_ENDIAN)
  }
  for (;;) {
    if (c.poll(base + polls, 2, -1) < 0 && c.errno() !== Errno.EINTR) return
    if (view.getUint16(polls + 14, LITTLE_ENDIAN) !== 0) return
    for (let i = 0; i < BATCH; i++)
      view.setUint32(i * MMSGHDR_LENGTH + MSG_CONTROLLEN, CONTROL_LENGTH, LITTLE_ENDIAN)
    const count = c.recvmmsg(fd, base, BATCH, MSG_DONTWAIT, 0)
    if (count < 0) {
      const errno = c.errno()
      if (errno === Errno.EAGAIN || errno === Errno.EINTR) continue
      port.postMessage({ error: `LINUX_${errnoName(errno)}` } satisfies CaptureMessage)
      return
    }
    const packets: CapturedPacket[] = []
    for (let i = 0; i < count; i++) {
      const length = Math.min(view.getUint32(i * MMSGHDR_LENGTH + MSG_LEN, LITTLE_ENDIAN), SLOT)
      const start = slots + i * SLOT
      packets.push({ bytes: bytes.slice(start, start + length), timestamp: timestampOf(i) })
    }
    port.postMessage({ packets } satisfies CaptureMessage)
  }

  /** struct timeval of the one control message. */
  function timestampOf(i: number): number {
    const at = controls + i * CONTROL_LENGTH
    const length = view.getUint32(i * MMSGHDR_LENGTH + MSG_CONTROLLEN, LITTLE_ENDIAN)
    const isTime =
      length >= CMSGHDR_LENGTH + 16 &&
      view.getInt32(at + 8, LITTLE_ENDIAN) === SOL_SOCKET &&
      view.getInt32(at + 12, LITTLE_ENDIAN) === SCM_TIMESTAMP
    if (!isTime) return Date.now() * 1000
    return (
      Number(view.getBigInt64(at + 16, LITTLE_ENDIAN)) * 1_000_000 + view.getUint32(at + 24, LITTLE_ENDIAN)
    )
  }
}

if (parentPort !== null) main(parentPort, workerData as CaptureData)
