import type { IpAddress } from '../../base/index.js'
import type { ControlBlock } from './control-block.js'
import type { KeyedHash } from './keyed-hash.js'

type EndsHash = Pick<KeyedHash, 'ofEnds'>

/** Connections by their two ends. The hash is keyed, so that no stranger can aim at one bucket. */
export class ConnectionTable {
  readonly #hash: EndsHash
  readonly #buckets = new Map<number, ControlBlock[]>()

  constructor(hash: EndsHash) {
    this.#hash = hash
  }

  find(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): ControlBlock | undefined {
    const bucket = this.#buckets.get(this.#hash.ofEnds(local, localPort, remote, remotePort))
    return bucket?.find(
      (b) =>
        b.localPort === localPort &&
        b.remotePort === remotePort &&
        b.remote.equals(remote) &&
        b.local.equals(local),
    )
  }

  add(b: ControlBlock): void {
    const key = this.#keyOf(b)
    const bucket = this.#buckets.get(key)
    if (bucket === undefined) this.#buckets.set(key, [b])
    else bucket.push(b)
  }

  remove(b: ControlBlock): void {
    const key = this.#keyOf(b)
    const bucket = this.#buckets.get(key)
    const at = bucket?.indexOf(b) ?? -1
    if (bucket === undefined || at < 0) return
    if (bucket.length === 1) this.#buckets.delete(key)
    else bucket.splice(at, 1)
  }

  *values(): Generator<ControlBlock> {
    for (const bucket of this.#buckets.values()) yield* bucket
  }

  #keyOf(b: ControlBlock): number {
    return this.#hash.ofEnds(b.local, b.localPort, b.remote, b.remotePort)
  }
}
