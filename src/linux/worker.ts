/**
 * The data plane's thread. It blocks in poll(); the main thread writes to an eventfd to have its messages read. They
 * are read without the event loop, which this thread never returns to until it stops.
 */
import { randomInt } from 'node:crypto'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { CONTROL_QUEUE_LIMIT, type FromWorker, type ToWorker, type WorkerData } from './messages.js'
import { drainNetworkWatch } from './network-watch.js'
import { DataPlane } from './plane.js'
import { RouteNetlink } from './rtnetlink.js'

/** How long a poll lasts with nothing to do: what a lost wake-up could cost. */
const IDLE_MS = 1000
/** The kernel's own messages are shorter. */
const WATCH_BUFFER = 32 * 1024

function main(
  port: NonNullable<typeof parentPort>,
  { wakeFd, pendingControl, watchFd = -1 }: WorkerData,
): void {
  const pending = new Int32Array(pendingControl)
  const routes = new RouteNetlink()
  const news = new Uint8Array(WATCH_BUFFER)
  const post = (message: FromWorker): void => port.postMessage(message)
  const plane = new DataPlane(
    wakeFd,
    (address, mark) => routes.routeTo(address, mark),
    {
      control(path, payload, ttl, trafficClass) {
        if (Atomics.load(pending, 0) >= CONTROL_QUEUE_LIMIT) return false
        Atomics.add(pending, 0, 1)
        const { interfaceId, id: pathId } = path.spec
        post({ kind: 'control', interfaceId, pathId, payload, ttl, trafficClass })
        return true
      },
      refused: (packet) => post({ kind: 'refused', packet }),
      reached({ spec: { interfaceId, id: pathId } }, lifetime) {
        post({ kind: 'reached', interfaceId, pathId, lifetime })
      },
      lost: (id, reason, fds) => post({ kind: 'lost', id, reason, fds }),
      watched() {
        if (drainNetworkWatch(watchFd, news)) post({ kind: 'network' })
      },
    },
    watchFd,
  )
  const release = (fd: number | undefined): void => {
    if (fd !== undefined) post({ kind: 'released', fd })
  }

  /** False: stop. */
  const obey = (message: ToWorker): boolean => {
    switch (message.kind) {
      case 'interface':
        plane.addInterface(message.spec)
        return true
      case 'remove-interface':
        for (const fd of plane.removeInterface(message.id)) release(fd)
        return true
      case 'running':
        plane.setRunning(message.id, message.running)
        return true
      case 'policies':
        plane.setPolicies(message.interfaceId, message.policies)
        return true
      case 'carrier':
        plane.addCarrier(message.spec, randomInt(0x10000))
        return true
      case 'remove-carrier':
        release(plane.removeCarrier(message.id))
        return true
      case 'path':
        plane.addPath(message.spec)
        return true
      case 'remove-path':
        plane.removePath(message.interfaceId, message.id)
        return true
      case 'others':
        plane.setOthers(message.tunnels)
        return true
      case 'counters':
        post({ kind: 'counters', request: message.request, ...plane.counts() })
        return true
      case 'stop':
        return false
    }
  }

  for (let running = true; running; ) {
    for (;;) {
      const received = receiveMessageOnPort(port)
      if (received === undefined) break
      if (!obey(received.message as ToWorker)) {
        running = false
        break
      }
    }
    if (running) plane.round(IDLE_MS)
  }
  routes.close()
  post({ kind: 'stopped' })
  port.close()
}

if (parentPort !== null) main(parentPort, workerData as WorkerData)
