/** For tests of iked in the lab: the article's testbed with its two inner networks, and policies by hand. */
import { IpPrefix, parseIpAddress, seconds } from '../../base/index.js'
import { addressIdentity, type IkePolicy, selectorOfPrefix } from '../../proto/ikev2/index.js'
import { CHILD_SUITE, IKE_SUITE, noCredentials } from '../../proto/ikev2/testing.js'
import type { Lab } from '../lab.js'
import type { LabMachine } from '../machine.js'
import { type PlayedCommand, Player } from '../player.js'
import { testbedLab } from '../run.js'
import type { IkedConfiguration } from './daemon.js'
import { startIked, stopIked } from './service.js'

const secret = new TextEncoder().encode('dont_use_psk_its_a_bad_idea')

export const flow = (local: string, remote: string): IkePolicy['flows'][number] => ({
  local: selectorOfPrefix(IpPrefix.parse(local)!),
  remote: selectorOfPrefix(IpPrefix.parse(remote)!),
})

/** Alice waits, bob begins. */
export function policy(own: 'alice' | 'bob', overrides: Partial<IkePolicy> = {}): IkePolicy {
  const [mine, theirs] = own === 'alice' ? [1, 2] : [2, 1]
  const local = parseIpAddress(`192.168.1.${mine}`)!
  const peer = parseIpAddress(`192.168.1.${theirs}`)!
  return {
    name: 'policy1',
    initiate: own === 'bob',
    local,
    peer: new IpPrefix(peer, 32),
    ikeSuites: [IKE_SUITE],
    childSuites: [CHILD_SUITE],
    childProtocol: 'esp',
    mode: 'tunnel',
    flows: [flow('192.168.1.0/24', '192.168.1.0/24'), flow('172.16.1.0/24', '172.16.1.0/24')],
    localId: addressIdentity(local),
    localAuth: { kind: 'psk', secret },
    remoteAuth: { kind: 'psk', secret },
    childLifetime: {},
    mobike: false,
    fragmentation: true,
    forceUdp: false,
    ...overrides,
  }
}

export const configuration = (...policies: readonly IkePolicy[]): IkedConfiguration => ({
  policies,
  credentials: noCredentials,
})

export interface Pair {
  readonly lab: Lab
  readonly alice: LabMachine
  readonly bob: LabMachine
  /** Runs a line on a machine; its output. */
  run(name: string, line: string): Promise<PlayedCommand>
  /** Lines of /var/log/daemon without time, host and process. */
  log(name: string): Promise<string[]>
  start(name: 'alice' | 'bob', overrides?: Partial<IkePolicy>): Promise<void>
  stop(name: 'alice' | 'bob'): void
  wait(span: number): Promise<void>
}

/** The testbed with vether0 of the article on both machines, and no daemon yet. */
export async function ikedPair(options: Parameters<typeof testbedLab>[0] = {}): Promise<Pair> {
  const lab = await testbedLab(options)
  const machine = (name: string): LabMachine => lab.machine(name)!
  const run = async (name: string, line: string): Promise<PlayedCommand> => {
    const [played] = await new Player(lab, { keepGoing: true }).play(`# on ${name}\n${line}\n`)
    return played!
  }
  await run('alice', 'ifconfig vether0 create alias 172.16.1.1/24 up')
  await run('bob', 'ifconfig vether0 create alias 172.16.1.2/24 up')
  return {
    lab,
    get alice() {
      return machine('alice')
    },
    get bob() {
      return machine('bob')
    },
    run,
    log: async (name) =>
      (await machine(name).fs.readFile('/var/log/daemon'))
        .split('\n')
        .slice(0, -1)
        .map((line) => line.replace(/^.*? iked\[\d+\]: /, '')),
    start: async (name, overrides) => {
      const problems = await startIked(machine(name), {
        configuration: configuration(policy(name, overrides)),
      })
      if (problems.length > 0) throw new Error(problems.join('\n'))
    },
    stop: (name) => stopIked(machine(name)),
    wait: (span) => lab.clock.advance(seconds(span)),
  }
}
