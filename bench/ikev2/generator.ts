/**
 * Many initiators of IKEv2 in one process, against whatever responder: each begins at an address of its own, proves itself by
 * a pre-shared key, makes one child and is silent from then on. Its argument is a `Load` as JSON; it prints a `Made`.
 */
import { createSocket, type Socket } from 'node:dgram'
import { type Instant, IpPrefix, Ipv4Address, instantAt, SeededRandom } from '../../src/base/index.js'
import { Ike2Machine, type IkeEvent, type IkePolicy, type Suite } from '../../src/proto/ikev2/index.js'
import { selectorOfPrefix } from '../../src/proto/ikev2/selectors.js'
import { noCredentials, policyOf } from '../../src/proto/ikev2/testing.js'
import type { Datagram, Output } from '../../src/proto/machine.js'
import { innerOf, type Load, type Made, NAT_PORT, outerOf, RESPONDER, SECRET } from './load.js'

const IKE: Suite = {
  encryption: [{ name: 'ENCR_AES_GCM_16', keyBits: 256 }],
  integrity: [],
  prf: ['PRF_HMAC_SHA2_256'],
  keyExchange: ['CURVE25519'],
  esn: [],
}
const CHILD: Suite = { ...IKE, prf: [], keyExchange: [], esn: [false] }
const responder = Ipv4Address.parse(RESPONDER)!

const now = (): Instant => instantAt(Math.round(performance.now() * 1000))
const prefix = (text: string): IpPrefix => IpPrefix.parse(text)!

function policy(local: Ipv4Address, index: number, { sharedInside, lifetime }: Load): IkePolicy {
  const secret = new TextEncoder().encode(SECRET)
  const { remoteId: _any, ...base } = policyOf(2, {
    initiate: true,
    local,
    peer: new IpPrefix(responder, 32),
    localId: { type: 1, data: local.bytes },
    localAuth: { kind: 'psk', secret },
    remoteAuth: { kind: 'psk', secret },
    ikeSuites: [IKE],
    childSuites: [CHILD],
    // UDP is all that a data path without the kernel's IPsec has; the first message goes to its port at once.
    forceUdp: true,
    childLifetime: lifetime ?? {},
    flows: [
      {
        local: selectorOfPrefix(prefix(sharedInside ? '10.128.0.0/9' : `${innerOf(index)}/32`)),
        remote: selectorOfPrefix(prefix('10.1.0.2/32')),
      },
    ],
  })
  return base
}

/** One of them; `done` is called once it stands, or does not. */
class Initiator {
  readonly #machine: Ike2Machine
  readonly #socket: Socket
  readonly #local: Ipv4Address
  readonly #done: (stands: boolean) => void
  #over = false

  constructor(index: number, load: Load, done: (stands: boolean) => void) {
    this.#local = Ipv4Address.parse(outerOf(index))!
    this.#done = done
    this.#machine = new Ike2Machine({
      policies: [policy(this.#local, index, load)],
      credentials: noCredentials,
      random: new SeededRandom(process.pid * 100_003 + index),
    })
    this.#socket = createSocket('udp4')
    this.#socket.on('error', () => this.#end(false))
    this.#socket.on('message', (payload, { port }) => {
      const carrier = { kind: 'udp', protocol: 17, local: this.#local, remote: responder } as const
      const datagram: Datagram = { carrier: { ...carrier, localPort: NAT_PORT, remotePort: port }, payload }
      this.#machine.receive(datagram, now())
      this.#drain()
    })
    this.#socket.bind(NAT_PORT, `${this.#local}`, () => {
      this.#machine.start(now())
      this.#drain()
    })
  }

  tick(): void {
    const at = now()
    if (this.#over || (this.#machine.nextTimeout() ?? at + 1) > at) return
    this.#machine.timeout(at)
    this.#drain()
  }

  #drain(): void {
    for (let output = this.#machine.poll(); output !== undefined; output = this.#machine.poll())
      this.#heed(output)
  }

  #heed(output: Output<IkeEvent>): void {
    if (this.#over) return
    if (output.kind === 'transmit') this.#socket.send(output.datagram.payload, NAT_PORT, RESPONDER)
    else if (output.kind === 'install') this.#end(true)
    else if (output.kind === 'event' && output.event.name === 'news') {
      const { news } = output.event
      if (news.kind === 'problem') process.stderr.write(`${this.#local}: ${news.text}\n`)
      if (news.kind === 'state' && news.to === 'closed') this.#end(false)
    }
  }

  #end(stands: boolean): void {
    if (this.#over) return
    this.#over = true
    // What is still to be sent goes before the socket does.
    setImmediate(() => this.#socket.close())
    this.#done(stands)
  }
}

function main(load: Load): void {
  const { count, parallel, from } = load
  const active = new Set<Initiator>()
  let [next, stood, failed] = [0, 0, 0]
  const began = performance.now()
  const clock = setInterval(() => {
    for (const one of active) one.tick()
  }, 200)
  let told = false
  const more = (): void => {
    if (told) return
    if (stood + failed === count) {
      told = true
      clearInterval(clock)
      const made: Made = { stood, failed, seconds: (performance.now() - began) / 1000 }
      process.stdout.write(`${JSON.stringify(made)}\n`)
      return
    }
    while (next < count && active.size < parallel) {
      const one: Initiator = new Initiator(from + next++, load, (stands) => {
        active.delete(one)
        if (stands) stood++
        else failed++
        setImmediate(more)
      })
      active.add(one)
    }
  }
  more()
}

main(JSON.parse(process.argv[2] ?? '{}') as Load)
