/**
 * Many tunnels on one host: brought up together or not at all, reloaded without touching what did not change, and
 * all removed at the end.
 */
import { WarrenError } from '../base/index.js'
import { linesOf } from '../config/iked/log.js'
import { LogLimit } from '../config/iked/log-limit.js'
import type { Host } from '../engine/host.js'
import { Tunnel, type TunnelDefinition, type TunnelStatus } from '../engine/index.js'
import type { IkeNews } from '../proto/ikev2/index.js'
import type { TunnelEvent } from '../proto/tunnel-machine.js'
import { hexOf } from '../wire/field.js'
import { planReload } from './plan.js'
import { describeAddress } from './rtnetlink.js'

/** A host that a daemon runs on: what `LinuxHost` has beyond `Host`. */
export interface DaemonHost extends Host {
  refresh(): Promise<void>
  drops(): Record<string, number>
}

export interface DaemonOptions {
  /** Reads the files again, for a reload. Throws `WarrenError` where they are wrong. */
  readonly load: () => TunnelDefinition[]
  /** One line for the administrator. */
  readonly log: (line: string) => void
  /** Every step of IKE, and not only what iked(8) says unasked. */
  readonly verbose?: boolean
}

export interface ReloadResult {
  readonly kept: readonly string[]
  readonly added: readonly string[]
  readonly changed: readonly string[]
  readonly removed: readonly string[]
}

/** A tunnel as `warren status --json` prints it. */
export interface DaemonTunnelStatus extends TunnelStatus {
  readonly addresses: readonly string[]
}

export interface DaemonStatus {
  readonly pid: number
  readonly tunnels: readonly DaemonTunnelStatus[]
  /** What was dropped on behalf of no tunnel. */
  readonly drops: Readonly<Record<string, number>>
}

/** An SA with its keys in hexadecimal: what a capture is opened with. */
export interface DaemonSaKeys {
  readonly protocol: 'esp' | 'ah'
  readonly spi: number
  readonly source: string
  readonly destination: string
  readonly encryption?: { readonly id: string; readonly key: string }
  readonly authentication?: { readonly id: string; readonly key: string }
}

/** The keys of an IKE SA, in hexadecimal. */
export interface DaemonIkeKeys {
  readonly protocol: 'ike'
  readonly initiatorSpi: string
  readonly responderSpi: string
  readonly encryption: string
  readonly integrity?: string
  readonly ei: string
  readonly er: string
  readonly ai: string
  readonly ar: string
}

export class Daemon {
  readonly #host: DaemonHost
  readonly #options: DaemonOptions
  readonly #tunnels = new Map<string, Tunnel>()
  readonly #limit = new LogLimit()

  constructor(host: DaemonHost, options: DaemonOptions) {
    this.#host = host
    this.#options = options
  }

  get tunnels(): readonly string[] {
    return [...this.#tunnels.keys()]
  }

  /** Makes all of them. If one is refused, those before it go again, and its error is thrown. */
  start(definitions: readonly TunnelDefinition[]): void {
    try {
      for (const definition of definitions) this.#bringUp(definition)
    } catch (error) {
      this.stop()
      throw error
    }
  }

  /**
   * Reads the files again. An error in them changes nothing. If the machine refuses what they ask for, what ran
   * before is made again and the error is thrown.
   */
  reload(): ReloadResult {
    const running = [...this.#tunnels.values()].map(({ definition }) => definition)
    const { keep, remove, change, add } = planReload(running, this.#options.load())
    // SAs that did not change go on while others come and go behind the same interface.
    const exchanged = change.filter(
      ({ kind, name }) => (kind === 'ipsec' || kind === 'ikev2') && this.#kindOf(name) === kind,
    )
    const renewed = change.filter((one) => !exchanged.includes(one))
    const gone = [...remove, ...renewed.map(({ name }) => name)]
    const before = running.filter(({ name }) => gone.includes(name))
    const made: string[] = []
    const restored: TunnelDefinition[] = []
    try {
      for (const definition of exchanged) restored.push(this.#exchange(definition))
      for (const name of gone) this.#takeDown(name)
      for (const definition of [...renewed, ...add]) {
        this.#bringUp(definition)
        made.push(definition.name)
      }
    } catch (error) {
      for (const name of made) this.#takeDown(name)
      for (const definition of before) this.#restore(definition)
      for (const definition of restored) this.#tunnels.get(definition.name)?.reconfigure(definition)
      throw error
    }
    return {
      kept: keep,
      added: add.map(({ name }) => name),
      changed: change.map(({ name }) => name),
      removed: remove,
    }
  }

  /** The last made goes first. What one tunnel's end throws does not keep the others. */
  stop(): void {
    for (const name of [...this.#tunnels.keys()].reverse()) {
      try {
        this.#takeDown(name)
      } catch (error) {
        this.#options.log(`${name}: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
  }

  /** Somebody else removed its interface: what is left of the tunnel is put away. */
  lose(name: string): void {
    if (!this.#tunnels.has(name)) return
    this.#options.log(`${name}: its interface was removed by somebody else; \`warren reload\` makes it again`)
    this.#takeDown(name)
  }

  async status(): Promise<DaemonStatus> {
    await this.#host.refresh()
    return {
      pid: process.pid,
      tunnels: [...this.#tunnels.values()].map((tunnel) => ({
        ...tunnel.status(),
        addresses: tunnel.definition.addresses.map(describeAddress),
      })),
      drops: this.#host.drops(),
    }
  }

  /** Secrets: for the control socket, which is its owner's alone, and for no log. */
  keys(): (DaemonSaKeys | DaemonIkeKeys)[] {
    return [...this.#manualKeys(), ...[...this.#tunnels.values()].flatMap(negotiatedKeys)]
  }

  #manualKeys(): DaemonSaKeys[] {
    const sas = [...this.#tunnels.values()].flatMap(({ definition }) => definition.ipsec?.sas ?? [])
    return sas.flatMap(({ sa: { protocol, spi, source, destination, encryption, authentication } }) =>
      protocol === 'ipip'
        ? []
        : {
            ...{ protocol, spi, source: `${source}`, destination: `${destination}` },
            ...(encryption === undefined ? {} : { encryption: secretOf(encryption) }),
            ...(authentication === undefined ? {} : { authentication: secretOf(authentication) }),
          },
    )
  }

  #kindOf(name: string): string | undefined {
    return this.#tunnels.get(name)?.definition.kind
  }

  /** Another definition behind the interface that stands. Returns the one that it had. */
  #exchange(definition: TunnelDefinition): TunnelDefinition {
    const { name, where } = definition
    const tunnel = this.#tunnels.get(name)!
    const before = tunnel.definition
    try {
      tunnel.reconfigure(definition)
    } catch (error) {
      throw placed(error, name, where)
    }
    this.#options.log(describe(definition))
    return before
  }

  #bringUp(definition: TunnelDefinition): void {
    const { name, where } = definition
    let made = false
    const tunnel = new Tunnel(this.#host, definition, {
      onEvent: (event) => {
        if (!made || (event.name === 'down' && event.reason === 'stopped')) return
        this.#options.log(`${name}: ${describeEvent(event)}`)
      },
      onNews: (news, now) => {
        const wanted = linesOf(news).filter(({ verbose }) => !verbose || this.#options.verbose === true)
        const texts = wanted.map(({ text }) => text)
        for (const text of this.#limit.take(texts, now)) this.#options.log(`${name}: ${text}`)
        for (const line of serverLines(news)) this.#options.log(`${name}: ${line}`)
      },
      onRefused: (error) => this.#options.log(`${name}: ${error.message}`),
    })
    try {
      tunnel.start()
    } catch (error) {
      throw placed(error, name, where)
    }
    made = true
    this.#tunnels.set(name, tunnel)
    this.#options.log(describe(definition))
  }

  #takeDown(name: string): void {
    const tunnel = this.#tunnels.get(name)
    this.#tunnels.delete(name)
    if (tunnel === undefined) return
    tunnel.stop()
    this.#options.log(`${name}: removed`)
  }

  #restore(definition: TunnelDefinition): void {
    try {
      this.#bringUp(definition)
    } catch (error) {
      this.#options.log(
        `${definition.name}: could not be made again: ${error instanceof Error ? error.message : String(error)}`,
      )
    }
  }
}

/** Name servers that a gateway told. Several programs own resolv.conf(5) on Linux, and none of them is asked. */
function serverLines(news: IkeNews): string[] {
  if (news.kind !== 'assigned' || news.toPeer || !news.up) return []
  const servers = news.values.flatMap(({ option, address }) =>
    option === 'name-server' ? [`${address}`] : [],
  )
  if (servers.length === 0) return []
  return [
    `the gateway's name servers are ${servers.join(', ')} (write them into /etc/resolv.conf to ask them)`,
  ]
}

function describeEvent(event: TunnelEvent): string {
  if (event.name === 'up') return 'up'
  if (event.name === 'down') return `down: ${event.reason}`
  const { path, direction, spi, kind } = event
  const what = { soft: 'soft lifetime', hard: 'lifetime', overflow: 'sequence numbers' }[kind]
  const end = kind === 'soft' ? 'it ends soon' : 'it carries nothing any more'
  return `${path}: ${what} of the ${direction} SA 0x${spi.toString(16).padStart(8, '0')} reached: ${end}`
}

/** The error of a tunnel with the place of its definition, where it has none of its own. */
function placed(error: unknown, name: string, where: string | undefined): unknown {
  if (!(error instanceof WarrenError) || error.details.where !== undefined) return error
  const summary = error.message.split(/: found |: expected |; /)[0]!
  const place = where === undefined ? name : `${where}: ${name}`
  return new WarrenError(error.code, summary, { ...error.details, where: place })
}

const secretOf = ({
  id,
  key,
}: {
  readonly id: string
  readonly key: Uint8Array
}): { id: string; key: string } => ({
  id,
  key: hexOf(key, 0, key.length),
})

/** Of IKE SAs, and of their children both directions. */
function negotiatedKeys({ ike }: Tunnel): (DaemonSaKeys | DaemonIkeKeys)[] {
  return (ike?.sessions() ?? []).flatMap(({ spis, agreed, keys, children, local, remote }) => {
    const hex = (bytes: Uint8Array): string => hexOf(bytes, 0, bytes.length)
    const sa: DaemonIkeKeys = {
      protocol: 'ike',
      initiatorSpi: hex(spis.initiator),
      responderSpi: hex(spis.responder),
      encryption: agreed.encryption?.name ?? 'ENCR_NULL',
      ...(agreed.integrity === undefined ? {} : { integrity: agreed.integrity }),
      ...{ ei: hex(keys.ei), er: hex(keys.er), ai: hex(keys.ai), ar: hex(keys.ar) },
    }
    const [here, there] = [`${local.address}`, `${remote.address}`]
    const ofChildren = [...children.values()].flatMap((child) => {
      const one = (
        spi: number,
        source: string,
        destination: string,
        { encryption, integrity }: { readonly encryption?: Uint8Array; readonly integrity?: Uint8Array },
      ): DaemonSaKeys => ({
        ...{ protocol: child.agreed.protocol === 'ah' ? 'ah' : 'esp', spi, source, destination },
        ...(child.agreed.encryption === undefined || encryption === undefined
          ? {}
          : { encryption: secretOf({ id: child.agreed.encryption.name, key: encryption }) }),
        ...(child.agreed.integrity === undefined || integrity === undefined
          ? {}
          : { authentication: secretOf({ id: child.agreed.integrity, key: integrity }) }),
      })
      return [
        one(child.spiOut, here, there, child.keys.outbound),
        one(child.spiIn, there, here, child.keys.inbound),
      ]
    })
    return [sa, ...ofChildren]
  })
}

const counted = (list: readonly unknown[], what: string, many = `${what}s`): string =>
  `${list.length} ${list.length === 1 ? what : many}`

/** `gif0: gif 192.168.1.1 --> 192.168.1.2, mtu 1280, inet 172.16.0.1 --> 172.16.0.2`. */
function describe({
  name,
  kind,
  outer,
  ipsec,
  ike,
  key,
  tunnelId,
  mtu,
  addresses,
  routes,
  where,
}: TunnelDefinition): string {
  const parts = [
    ipsec !== undefined
      ? `ipsec, ${counted(ipsec.flows, 'flow')}, ${counted(ipsec.sas, 'SA')}`
      : ike !== undefined
        ? `ikev2, ${counted(ike.policies, 'policy', 'policies')} at ${ike.addresses.join(', ')}`
        : outer === undefined
          ? `${kind} without tunnel addresses`
          : `${kind} ${outer.local} --> ${outer.remote}`,
  ]
  if (key !== undefined) parts.push(`key ${key}`)
  if (kind === 'eoip') parts.push(`tunnel id ${tunnelId ?? 0}`)
  parts.push(`mtu ${mtu}`)
  for (const address of addresses)
    parts.push(`${address.address.family === 4 ? 'inet' : 'inet6'} ${describeAddress(address)}`)
  for (const { destination, gateway } of routes)
    parts.push(`route ${destination}${gateway === undefined ? '' : ` via ${gateway}`}`)
  return `${name}: ${parts.join(', ')}${where === undefined ? '' : ` (${where})`}`
}
