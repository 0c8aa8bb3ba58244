/**
 * A process that has an interface `enc0` and steers by policies, without a data plane: what comes to the interface is
 * told, what is to come out of it is given. Commands and answers are lines of JSON.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { fromHex, IpPrefix, toHex } from '../../src/base/index.js'
import { libc, NativeMemory } from '../../src/linux/ffi.js'
import { VNET_LENGTH } from '../../src/linux/offload/index.js'
import { RouteNetlink } from '../../src/linux/rtnetlink.js'
import { type CarrierPorts, Steering } from '../../src/linux/steering/index.js'
import { openTun } from '../../src/linux/tun.js'
import type { PolicySpec } from '../../src/proto/machine.js'

/** A policy with its prefixes as text. */
export interface PolicyText extends Omit<PolicySpec, 'family' | 'source' | 'destination' | 'paths'> {
  readonly source: string
  readonly destination: string
  readonly paths?: readonly string[]
}

interface Command {
  readonly id: number
  readonly do: 'apply' | 'drops' | 'inject' | 'close-tun' | 'leave' | 'close'
  readonly policies?: readonly PolicyText[]
  readonly standing?: readonly string[]
  readonly carriers?: readonly { family: 4 | 6; localPort?: number; remotePort?: number }[]
  readonly packet?: string
}

interface Answer {
  readonly id?: number
  readonly error?: string
  readonly drops?: Record<string, number>
  readonly packet?: string
  readonly log?: string
  readonly milliseconds?: number
}

/** The process, as the test sees it. */
export interface SteeringProcess {
  /** Packets that came to the interface, in hexadecimal, and forgets them. */
  taken(): string[]
  readonly log: readonly string[]
  apply(
    policies: readonly PolicyText[],
    standing?: readonly string[],
    carriers?: Command['carriers'],
  ): Promise<void>
  drops(): Promise<Record<string, number>>
  /** Lets a packet come out of the interface. */
  inject(packet: Uint8Array): Promise<void>
  /** The interface goes, the steering stays. */
  closeTun(): Promise<void>
  close(): Promise<void>
  /** Lets go of the steering, which stays, and ends. */
  leave(): Promise<void>
  kill(): Promise<void>
}

export async function startSteering(namespace: string): Promise<SteeringProcess> {
  const program = fileURLToPath(import.meta.url)
  const child: ChildProcess = spawn('ip', ['netns', 'exec', namespace, process.execPath, program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const packets: string[] = []
  const log: string[] = []
  const waiting = new Map<number, (answer: Answer) => void>()
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  void ended.then(() => {
    for (const done of waiting.values()) done({ error: 'the process has ended' })
  })
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const answer = JSON.parse(line) as Answer
    if (answer.packet !== undefined) packets.push(answer.packet)
    else if (answer.log !== undefined) log.push(answer.log)
    else waiting.get(answer.id!)?.(answer)
  })
  let next = 0
  const end = async (how: 'leave' | 'close'): Promise<void> => {
    await ask({ do: how })
    child.stdin!.end()
    await ended
  }
  const ask = async (command: Omit<Command, 'id'>): Promise<Answer> => {
    const id = next++
    const answer = await new Promise<Answer>((resolve) => {
      waiting.set(id, resolve)
      child.stdin!.write(`${JSON.stringify({ id, ...command })}\n`)
    })
    waiting.delete(id)
    if (answer.error !== undefined) throw new Error(answer.error)
    return answer
  }
  await ask({ do: 'drops' })
  return {
    taken: () => packets.splice(0),
    log,
    apply: async (policies, standing = [], carriers = []) => {
      await ask({ do: 'apply', policies, standing, carriers })
    },
    drops: async () => (await ask({ do: 'drops' })).drops ?? {},
    inject: async (packet) => {
      await ask({ do: 'inject', packet: toHex(packet) })
    },
    closeTun: async () => {
      await ask({ do: 'close-tun' })
    },
    close: () => end('close'),
    leave: () => end('leave'),
    kill: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}

function specOf({ source, destination, paths = ['path'], ...rest }: PolicyText): PolicySpec {
  const end = (text: string): PolicySpec['source'] => {
    const { address, length } = IpPrefix.parse(text)!
    return { address: address.bytes, length }
  }
  const family = source.includes(':') ? 6 : 4
  return { ...rest, family, source: end(source), destination: end(destination), paths }
}

function main(): void {
  const write = (answer: Answer): void => {
    process.stdout.write(`${JSON.stringify(answer)}\n`)
  }
  const netlink = new RouteNetlink()
  let { fd, offload } = openTun('enc0', 'ip')
  const index = libc().if_nametoindex('enc0')
  netlink.setLink(index, 'enc0', { mtu: 1400, noLinkLocal: true })
  netlink.setLink(index, 'enc0', { up: true })
  const steering = new Steering({
    interfaceIndex: index,
    interfaceName: 'enc0',
    netlink,
    log: (line) => write({ log: line }),
  })
  const memory = new NativeMemory(1 << 17)
  const skip = offload ? VNET_LENGTH : 0
  const timer = setInterval(read, 5)
  function read(): void {
    while (fd >= 0) {
      const length = libc().read(fd, memory.base, memory.bytes.length)
      if (length <= 0) return
      const packet = toHex(memory.bytes.subarray(skip, length))
      // What the kernel says to the routers of a new interface (multicast listeners of ff02::) is no traffic.
      if (packet.slice(48, 52) !== 'ff02') write({ packet })
    }
  }
  const perform = (command: Command): Omit<Answer, 'id'> => {
    switch (command.do) {
      case 'apply': {
        const standing = new Set(command.standing)
        const carriers: readonly CarrierPorts[] = command.carriers ?? []
        steering.apply((command.policies ?? []).map(specOf), (id) => standing.has(id), carriers)
        return {}
      }
      case 'drops':
        return { drops: steering.drops() }
      case 'inject': {
        const packet = fromHex(command.packet ?? '')!
        const bytes = new Uint8Array(skip + packet.length)
        bytes.set(packet, skip)
        libc().write(fd, bytes, bytes.length)
        return {}
      }
      case 'close-tun':
        libc().close(fd)
        fd = -1
        return {}
      case 'leave':
      case 'close':
        if (command.do === 'leave') steering.leave()
        else steering.close()
        clearInterval(timer)
        if (fd >= 0) libc().close(fd)
        fd = -1
        netlink.close()
        return {}
    }
  }
  const lines = createInterface({ input: process.stdin })
  lines.on('line', (line) => {
    const command = JSON.parse(line) as Command
    try {
      read()
      const answer = perform(command)
      // What the interface holds was sent before the command.
      read()
      write({ id: command.id, ...answer })
    } catch (error) {
      write({ id: command.id, error: error instanceof Error ? error.message : String(error) })
    }
  })
  lines.on('close', () => process.exit(0))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main()
