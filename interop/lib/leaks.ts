/** What went over a link and was not protected. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readUint16 } from '../../src/base/index.js'
import { readCapture } from '../../src/inspect/index.js'
import { Daemon } from './daemon.js'
import type { Netns } from './netns.js'

/**
 * All but ESP, AH, UDP port 4500 and the later fragments of these; and of what nobody protects: ARP, ND, what goes to
 * groups.
 */
const FILTER = [
  'not arp and not ether multicast',
  'not (ip proto 50 or ip proto 51 or ip6 proto 50 or ip6 proto 51 or udp port 4500)',
  'not (ip proto 17 and ip[6:2] & 0x1fff != 0)',
  'not (ip6[6] = 44 and (ip6[40] = 50 or ip6[40] = 51 or ip6[40] = 17))',
  'not (ip6[6] = 58 and ip6[40] >= 133 and ip6[40] <= 137)',
].join(' and ')

export class LeakWatch {
  readonly #file: string
  readonly #daemon: Daemon

  private constructor(file: string, daemon: Daemon) {
    this.#file = file
    this.#daemon = daemon
  }

  /** Watches an interface until `stop`. */
  static async start(net: Netns, namespace: string, device: string): Promise<LeakWatch> {
    const file = join(net.folder, `clear-${device}.pcap`)
    const daemon = Daemon.start(namespace, [
      ...['tcpdump', '-i', device, '-n', '-U', '--immediate-mode', '-s', '128', '-w', file],
      FILTER,
    ])
    await daemon.until(/listening on/)
    return new LeakWatch(file, daemon)
  }

  /** The packets so far, as `MAC > MAC protocol bytes`; with `from`, of this hardware address alone. */
  seen(from?: string): string[] {
    return Array.from(readCapture(readFileSync(this.#file)), ({ bytes }) => {
      const mac = (at: number): string =>
        Array.from(bytes.subarray(at, at + 6), (byte) => byte.toString(16).padStart(2, '0')).join(':')
      const v4 = readUint16(bytes, 12) === 0x0800
      return `${mac(6)} > ${mac(0)} ${v4 ? 'IPv4' : 'IPv6'} protocol ${bytes[v4 ? 23 : 20]} ${Buffer.from(bytes.subarray(14, 64)).toString('hex')}`
    }).filter((line) => from === undefined || line.startsWith(from))
  }

  async stop(): Promise<void> {
    await this.#daemon.stop()
  }
}
