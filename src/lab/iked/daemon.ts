/**
 * iked(8) on a machine of the lab: IKEv2's machine with the lab's clock, its datagrams through the stack past the
 * policies, its SAs and policies in the kernel, its news in /var/log/daemon.
 */
import { type Instant, WarrenError } from '../../base/index.js'
import { LogLimit } from '../../config/iked/log-limit.js'
import { type Credentials, Ike2Machine, type IkeNews, type IkePolicy } from '../../proto/ikev2/index.js'
import type { UdpDatagram, UdpSocket } from '../../stack/index.js'
import { IkeExchange } from '../../wire/ike/index.js'
import type { LabMachine } from '../machine.js'
import { IkedKernel } from './kernel.js'
import { linesOf } from './news.js'
import type { IkedStatistics } from './show.js'

const IKE_PORT = 500
const NAT_PORT = 4500
/** Where syslogd(8) puts what daemons say. */
export const DAEMON_LOG = '/var/log/daemon'

/** What /etc/iked.conf and /etc/iked come to. */
export interface IkedConfiguration {
  readonly policies: readonly IkePolicy[]
  readonly credentials: Credentials
  /** Reads certificates, authorities and our own key again. */
  readonly rereadCredentials?: () => void
  /** `show certstore`: a line for each certificate that is trusted or known. */
  readonly certificateStore?: () => string[]
  /** Called once the daemon has done with it. */
  readonly close?: () => void
  /** `set passive`: waits to be spoken to, whatever the policies say. */
  readonly passive?: boolean
  /** `set decouple`: nothing goes into the kernel. */
  readonly decoupled?: boolean
}

export type LogListener = (text: string, verbose: boolean) => void

export interface LogOptions {
  readonly verbose?: boolean
  readonly listener?: LogListener
}

export class Iked {
  readonly pid: number
  verbose: boolean
  readonly kernel: IkedKernel
  /** Hears every line of the log, whatever its level: `ikectl monitor`, `iked -d`. */
  readonly listeners: Set<LogListener> = new Set()
  readonly statistics: IkedStatistics = {
    created: 0,
    established: 0,
    failed: 0,
    removed: 0,
    rekeyed: 0,
    childrenCreated: 0,
    childrenRemoved: 0,
    sent: 0,
    received: 0,
  }
  readonly #host: LabMachine
  #configuration: IkedConfiguration
  #passive: boolean
  #ike: Ike2Machine
  readonly #limit = new LogLimit()
  readonly #socket: UdpSocket
  readonly #stopListening: () => void
  #cancelTimer: (() => void) | undefined
  #timerAt: Instant | undefined
  #running = true

  /** @throws WarrenError STACK_ADDRESS_IN_USE where another daemon has port 500 */
  constructor(
    host: LabMachine,
    pid: number,
    configuration: IkedConfiguration,
    { verbose = false, listener }: LogOptions = {},
  ) {
    this.verbose = verbose
    if (listener !== undefined) this.listeners.add(listener)
    this.#host = host
    this.pid = pid
    this.#configuration = configuration
    this.#passive = configuration.passive === true
    const { stack, ipsec } = host
    this.#socket = stack.udp.bind({
      port: IKE_PORT,
      bypassPolicies: true,
      onDatagram: (datagram, now) => this.#hear(datagram, IKE_PORT, now),
    })
    this.#stopListening = ipsec.listenForIke((datagram, now) => this.#hear(datagram, NAT_PORT, now))
    this.kernel = new IkedKernel(ipsec, (pathId, lifetime, now) => {
      if (!this.#running) return
      this.#ike.reached(pathId, lifetime, now)
      this.#drain(now)
    })
    if (configuration.decoupled === true) this.kernel.decouple()
    this.#ike = this.#begin(host.now())
  }

  get ike(): Ike2Machine {
    return this.#ike
  }

  get policies(): readonly IkePolicy[] {
    return this.#configuration.policies
  }

  /** Says goodbye to every peer, and takes what it had loaded out of the kernel. */
  stop(now: Instant): void {
    if (!this.#running) return
    this.#ike.stop(now)
    this.#drain(now)
    this.#end()
    for (const process of ['ikev2', 'ca', 'control']) this.log(`${process} exiting, pid ${this.pid}`)
    this.log('parent terminating')
  }

  /** The machine is switched off: nobody is told anything. */
  kill(): void {
    if (this.#running) this.#end()
  }

  #end(): void {
    this.#running = false
    this.#cancelTimer?.()
    this.#socket.close()
    this.#stopListening()
    this.kernel.close()
    this.#configuration.close?.()
  }

  /** `reload`: SAs of policies that are as they were stay. */
  reload(configuration: IkedConfiguration, now: Instant): void {
    if (configuration.close !== this.#configuration.close) this.#configuration.close?.()
    this.#configuration = configuration
    if (configuration.passive !== undefined) this.#passive = configuration.passive
    this.#ike.reload(this.#policies(), configuration.credentials, now)
    this.#drain(now)
  }

  /** `reset sa`: all SAs end, and are made again where this side begins. */
  reset(now: Instant): void {
    this.#ike.stop(now)
    this.#drain(now)
    this.#ike = this.#begin(now)
  }

  /** `reset id`: the SAs of that peer. */
  resetId(id: string, now: Instant): void {
    this.#ike.deletePeer(id, now)
    this.#drain(now)
  }

  /** `reset policy`: none is left until the next reload; SAs end with theirs. */
  resetPolicies(now: Instant): void {
    this.reload({ ...this.#configuration, policies: [] }, now)
  }

  /** `reset all`: nothing is left but the daemon. */
  resetAll(now: Instant): void {
    this.resetPolicies(now)
    this.resetCa()
  }

  /** `reset ca`: certificates and keys are read again. */
  resetCa(): void {
    this.#configuration.rereadCredentials?.()
  }

  certificateStore(): string[] {
    return this.#configuration.certificateStore?.() ?? []
  }

  get established(): number {
    return this.#ike.sessions().filter(({ state }) => state === 'established').length
  }

  /** `passive` and `active` of ikectl(8). */
  setPassive(passive: boolean, now: Instant): void {
    if (passive === this.#passive) return
    this.#passive = passive
    this.#ike.reload(this.#policies(), this.#configuration.credentials, now)
    this.#drain(now)
  }

  couple(now: Instant): void {
    this.kernel.couple(now)
  }

  decouple(): void {
    this.kernel.decouple()
  }

  log(text: string, verbose = false): void {
    for (const listener of this.listeners) listener(text, verbose)
    if (verbose && !this.verbose) return
    this.#host.log(`iked[${this.pid}]`, text, DAEMON_LOG).catch(() => this.#host.counters.add('log.failed'))
  }

  #policies(): readonly IkePolicy[] {
    const { policies } = this.#configuration
    return this.#passive ? policies.map((policy) => ({ ...policy, initiate: false })) : policies
  }

  #begin(now: Instant): Ike2Machine {
    const ike = new Ike2Machine({
      policies: this.#policies(),
      credentials: this.#configuration.credentials,
      random: this.#host.random,
    })
    this.#ike = ike
    ike.onWake = () => {
      if (ike === this.#ike) this.#arm(this.#host.now())
    }
    ike.start(now)
    this.#drain(now)
    return ike
  }

  #hear(
    { source, sourcePort, destination, data, ttl, trafficClass }: UdpDatagram,
    localPort: number,
    now: Instant,
  ): void {
    if (!this.#running) return
    this.#ike.receive(
      {
        carrier: {
          kind: 'udp',
          protocol: 17,
          local: destination,
          remote: source,
          localPort,
          remotePort: sourcePort,
        },
        payload: data,
        ttl,
        trafficClass,
      },
      now,
    )
    this.#drain(now)
  }

  #drain(now: Instant): void {
    const ike = this.#ike
    this.#host.lab.rememberIke(ike.sessions())
    /** iked says that an SA is established once its answer is on its way. */
    let established: IkeNews | undefined
    for (let output = ike.poll(); output !== undefined; output = ike.poll())
      switch (output.kind) {
        case 'transmit':
          this.#host.transmit(output.datagram)
          break
        case 'install':
          this.#load(() => this.kernel.install(output.path))
          break
        case 'remove':
          this.kernel.remove(output.pathId)
          break
        case 'policies':
          this.#load(() => this.kernel.setPolicies(output.policies))
          break
        case 'event':
          if (output.event.name !== 'news') break
          if (output.event.news.kind === 'state' && output.event.news.to === 'established') {
            if (established !== undefined) this.#tell(established)
            established = output.event.news
            break
          }
          this.#tell(output.event.news)
          if (output.event.news.kind !== 'sent' || established === undefined) break
          this.#tell(established)
          established = undefined
          break
        default:
          break
      }
    if (established !== undefined) this.#tell(established)
    this.#arm(now)
  }

  #load(work: () => void): void {
    try {
      work()
    } catch (error) {
      if (!(error instanceof WarrenError)) throw error
      this.log(`pfkey_write: ${error.message}`)
    }
  }

  /** What was assigned to us stands on the interface that `iface` names: the address alone, no network beside it. */
  #assign({ up, values, policy }: IkeNews & { readonly kind: 'assigned' }): void {
    const { stack } = this.#host
    if (policy?.iface === undefined) return
    const ifc = stack.interfaces.get(policy.iface)
    if (ifc === undefined) {
      if (up) this.log(`${policy.iface}: no such interface`)
      return
    }
    const now = this.#host.now()
    for (const { option, address } of values) {
      if (option !== 'address' || address === undefined) continue
      const stands = ifc.addresses.some((own) => own.address.equals(address))
      if (up) {
        stack.addAddress(ifc, { address, prefixLength: 8 * address.bytes.length }, now)
        // As with ifconfig(8): an interface that gets an address is up.
        stack.setUp(ifc, true, now)
      } else if (stands) stack.removeAddress(ifc, address, now)
    }
  }

  #tell(news: IkeNews): void {
    if (news.kind === 'assigned' && !news.toPeer) this.#assign(news)
    this.#count(news)
    for (const { text, verbose } of linesOf(news)) {
      // What is not written need not be left out.
      const isWritten = !verbose || this.verbose || this.listeners.size > 0
      for (const line of isWritten ? this.#limit.take([text], this.#host.now()) : []) this.log(line, verbose)
    }
  }

  #count(news: IkeNews): void {
    const counts = this.statistics
    if (news.kind === 'sent') counts.sent++
    else if (news.kind === 'received') counts.received++
    else if (news.kind === 'child') counts[news.up ? 'childrenCreated' : 'childrenRemoved']++
    else if (news.kind === 'state') {
      if (news.to === 'established') counts.established++
      if (news.to === 'rekeyed') counts.rekeyed++
      if (news.to !== 'closed') return
      counts.removed++
      if (news.from === 'half-open' || news.from === 'authenticating') counts.failed++
    }
    if (news.kind === 'received' && news.exchange === IkeExchange.ikeSaInit) counts.created++
  }

  #arm(now: Instant): void {
    const next = this.#running ? this.#ike.nextTimeout() : undefined
    if (next === this.#timerAt && this.#cancelTimer !== undefined) return
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#timerAt = next
    if (next === undefined) return
    this.#cancelTimer = this.#host.schedule(next < now ? now : next, (at) => {
      this.#cancelTimer = undefined
      this.#ike.timeout(at)
      this.#drain(at)
    })
  }
}
