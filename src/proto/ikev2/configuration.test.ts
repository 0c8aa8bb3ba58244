import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { IpPrefix, Ipv4Address, parseIpAddress, SeededRandom, seconds } from '../../base/index.js'
import {
  ConfigAttribute,
  ConfigType,
  IkeExchange,
  type IkePayload,
  NotifyType,
} from '../../wire/ike/index.js'
import type { IkeNews } from './context.js'
import { parseIdentity } from './identity.js'
import { findNotify, findPayload } from './init.js'
import type { ConfigurationValue, Flow, IkePolicy } from './policy.js'
import { formatSelector, selectorOfPrefix } from './selectors.js'
import type { RequestHandler } from './session.js'
import { Link, pair, policyOf, Side, spisOf } from './testing.js'
import { RawPeer } from './testing-raw.js'

const value = (
  option: ConfigurationValue['option'],
  text?: string,
  family: 4 | 6 = text?.includes(':') === true ? 6 : 4,
): ConfigurationValue => {
  if (text === undefined) return { option, family }
  const [address, length] = text.split('/')
  return {
    option,
    family,
    address: parseIpAddress(address!)!,
    ...(length === undefined ? {} : { prefixLength: Number(length) }),
  }
}
const flow = (local: string, remote: string, dynamic?: Flow['dynamic']): Flow => ({
  local: selectorOfPrefix(IpPrefix.parse(local)!),
  remote: selectorOfPrefix(IpPrefix.parse(remote)!),
  ...(dynamic === undefined ? {} : { dynamic }),
})

const SERVES = [
  value('address', '10.9.0.0/24'),
  value('netmask', '255.255.255.0'),
  value('name-server', '172.16.1.53'),
  value('name-server', '172.16.1.54'),
  value('protected-subnet', '172.16.1.0/24'),
]
const REQUESTS = [value('address'), value('netmask'), value('name-server'), value('protected-subnet')]
const GATEWAY: Partial<IkePolicy> = {
  flows: [flow('172.16.1.0/24', '0.0.0.0/0', 'remote')],
  serves: SERVES,
}
const CLIENT: Partial<IkePolicy> = {
  flows: [flow('0.0.0.0/0', '172.16.1.0/24', 'local')],
  requests: REQUESTS,
}

type Assignment = IkeNews & { kind: 'assigned' }
const assignments = (side: Side): Assignment[] =>
  side.news.filter((one): one is Assignment => one.kind === 'assigned')
const shown = (values: readonly ConfigurationValue[]): string[] =>
  values.map(
    ({ option, address, prefixLength }) =>
      `${option} ${address}${prefixLength === undefined ? '' : `/${prefixLength}`}`,
  )
const addressOf = (side: Side): string =>
  shown(assignments(side).at(-1)!.values)[0]!.replace(/^address |\/.*/g, '')
const trafficOf = (side: Side): string[] =>
  side.machine
    .sessions()
    .flatMap(({ children }) => [...children.values()])
    .map(({ traffic: { local, remote } }) => `${local.map(formatSelector)} > ${remote.map(formatSelector)}`)

function begun(gateway: Partial<IkePolicy> = {}, client: Partial<IkePolicy> = {}, seed = 1): Link {
  const link = pair({ ...GATEWAY, ...gateway }, { ...CLIENT, ...client }, seed)
  link.start()
  return link
}

describe('a client and its gateway', () => {
  test('an address and what belongs to it; flows are narrowed to it on both sides', () => {
    const link = begun()
    assert.equal(link.sides[1].policies.length, 0, 'nothing comes from an address that is not there')
    link.run(2)
    const [a, b] = link.sides
    assert.deepEqual([a.established, b.established], [1, 1], `${a.problems()} ${b.problems()}`)
    assert.deepEqual(spisOf(a), spisOf(b))
    const address = addressOf(b)
    assert.match(address, /^10\.9\.0\.\d+$/)
    assert.deepEqual(shown(assignments(b)[0]!.values), [
      `address ${address}/24`,
      'netmask 255.255.255.0',
      'name-server 172.16.1.53',
      'name-server 172.16.1.54',
      'protected-subnet 172.16.1.0/24',
    ])
    assert.deepEqual(
      [assignments(b)[0]!.up, assignments(b)[0]!.toPeer, assignments(b)[0]!.peer],
      [true, false, 'FQDN/host1.example'],
    )
    assert.deepEqual([assignments(a)[0]!.toPeer, assignments(a)[0]!.peer], [true, 'FQDN/host2.example'])
    assert.deepEqual(trafficOf(a), [`172.16.1.0/24 > ${address}`])
    assert.deepEqual(trafficOf(b), [`${address} > 172.16.1.0/24`])
    for (const side of link.sides)
      for (const { source, destination, paths } of side.policies) {
        assert.deepEqual([source.length, destination.length].sort(), [24, 32])
        assert.equal(paths.length, 1)
      }
  })

  test('policies close what comes from the address before anybody has it', () => {
    const [gateway, client] = [
      new Side({ policies: [policyOf(1, GATEWAY)], random: new SeededRandom(1) }),
      new Side({ policies: [policyOf(2, CLIENT)], random: new SeededRandom(2) }),
    ]
    const link = new Link([gateway, client])
    const order: string[] = []
    const { machine } = client
    const poll = machine.poll.bind(machine)
    machine.poll = () => {
      const output = poll()
      if (output?.kind === 'policies') order.push(`policies ${output.policies.length}`)
      else if (
        output?.kind === 'event' &&
        output.event.name === 'news' &&
        output.event.news.kind === 'assigned'
      )
        order.push(`assigned ${output.event.news.up}`)
      return output
    }
    link.start()
    link.run(2)
    machine.stop(link.now)
    client.drain()
    assert.deepEqual(order.slice(0, 4), ['policies 0', 'policies 2', 'assigned true', 'assigned false'])
  })

  test('IPv6, and both families at once', () => {
    const serves = [...SERVES, value('address', 'fd00:9::/64'), value('name-server', 'fd00:1::53')]
    const link = begun(
      { serves, flows: [...GATEWAY.flows!, flow('fd00:1::/64', '::/0', 'remote')] },
      {
        requests: [value('address'), value('address', undefined, 6), value('name-server', undefined, 6)],
        flows: [...CLIENT.flows!, flow('::/0', 'fd00:1::/64', 'local')],
      },
    )
    link.run(2)
    const values = shown(assignments(link.sides[1])[0]!.values)
    assert.match(
      values.join(),
      /^address 10\.9\.0\.\d+,address fd00:9::[\da-f:]+\/128,name-server fd00:1::53$/,
    )
    assert.match(
      trafficOf(link.sides[1]).join(),
      /^10\.9\.0\.\d+,fd00:9::[\da-f:]+ > 172.16.1.0\/24,fd00:1::\/64$/,
    )
  })

  test('the address lasts over new IKE SAs and children, and goes back with the last', () => {
    const link = begun({}, { ikeLifetime: seconds(100), childLifetime: { seconds: 60 } })
    link.run(2)
    const [a, b] = link.sides
    const address = addressOf(b)
    link.run(500)
    assert.deepEqual([a.established, b.established, a.paths.size], [1, 1, 1])
    assert.deepEqual(trafficOf(b), [`${address} > 172.16.1.0/24`])
    assert.deepEqual([assignments(a).length, assignments(b).length], [1, 1], 'said once')
    assert.equal(a.machine.sessions().length, 1)
    b.machine.stop(link.now)
    link.flush(b)
    link.run(1)
    assert.deepEqual(
      [a, b].map((side) => assignments(side).map(({ up }) => up)),
      [
        [true, false],
        [true, false],
      ],
    )
  })

  test('without a child the address’ flows are closed', () => {
    const link = begun()
    link.run(2)
    const [, b] = link.sides
    const [session] = b.machine.sessions()
    session!.dropChild([...session!.children.values()][0]!, link.now)
    b.machine.timeout(link.now)
    b.drain()
    assert.equal(b.policies.length, 2)
    assert.ok(b.policies.every(({ action, paths }) => action === 'require' && paths.length === 0))
  })

  test('a sticky address comes again', () => {
    const link = begun({ stickyAddress: true })
    link.run(2)
    const first = addressOf(link.sides[1])
    for (let i = 0; i < 3; i++) {
      link.sides[0].machine.deletePeer('FQDN/host2.example', link.now)
      link.flush(link.sides[0])
      link.run(30)
      assert.equal(addressOf(link.sides[1]), first)
    }
    assert.equal(assignments(link.sides[1]).length, 7)
  })

  test('one that does not ask is told that it has to (FAILED_CP_REQUIRED)', () => {
    const link = begun({}, { requests: [], flows: [flow('10.9.0.5/32', '172.16.1.0/24')] })
    link.run(2)
    assert.match(link.sides[0].problems().join(), /asks for no address/)
    assert.match(link.sides[1].problems().join(), /no child: FAILED_CP_REQUIRED/)
    assert.deepEqual([link.sides[0].paths.size, link.sides[0].established], [0, 1])
  })

  test('a gateway that gives none: the client goes, says why, and tries again later', () => {
    const link = begun({ serves: [], flows: [flow('172.16.1.0/24', '0.0.0.0/0')] })
    link.run(2)
    assert.match(link.sides[1].problems().join(), /gave no IPv4 address/)
    assert.deepEqual(
      link.sides.map(({ established, paths }) => [established, paths.size]),
      [
        [0, 0],
        [0, 0],
      ],
    )
    link.run(60)
    assert.ok(link.sides[1].problems().length >= 2)
  })
})

describe('a gateway and many', () => {
  const { remoteId: _remoteId, ...open } = policyOf(1)
  const gateway = (pool: string, overrides: Partial<IkePolicy> = {}): Side => {
    const side = new Side({
      policies: [
        {
          ...open,
          ...GATEWAY,
          serves: [value('address', pool)],
          peer: IpPrefix.parse('192.168.1.0/24')!,
          ...overrides,
        },
      ],
      random: new SeededRandom(8),
    })
    side.machine.start(link.now)
    side.drain()
    return side
  }
  const link = pair()
  const ASK: IkePayload = {
    kind: 'CP',
    type: ConfigType.request,
    attributes: [{ type: ConfigAttribute.ip4Address, value: new Uint8Array(0) }],
  }
  const come = (side: Side, host: number, cp: readonly IkePayload[] = [ASK]): readonly IkePayload[] => {
    const raw = new RawPeer(side, {
      address: Ipv4Address.parse(`192.168.1.${host}`)!,
      seed: host,
      id: parseIdentity(`raw${host}.example`),
    })
    raw.init(link.now)
    return raw.ask(IkeExchange.ikeAuth, [...cp, ...raw.proof(0x1000 + host).map(all)], link.now)!
  }
  /** It asks for everything, as clients do that do not know what they will get. */
  const all = (payload: IkePayload): IkePayload =>
    payload.kind === 'TSi' ? { ...payload, selectors: ALL } : payload
  const ALL = [
    {
      type: 7,
      protocol: 0,
      startPort: 0,
      endPort: 65535,
      startAddress: new Uint8Array(4),
      endAddress: new Uint8Array(4).fill(255),
    },
  ]
  const given = (said: readonly IkePayload[]): string =>
    [...(findPayload(said, 'CP')?.attributes[0]?.value ?? [])].join('.')

  test('each has its own; behind the last there is none (INTERNAL_ADDRESS_FAILURE)', () => {
    const side = gateway('10.9.0.0/30')
    const [one, two, three] = [11, 12, 13].map((host) => come(side, host))
    assert.deepEqual([given(one!), given(two!)].sort(), ['10.9.0.1', '10.9.0.2'])
    assert.equal(given(three!), '')
    assert.ok(findNotify(three!, NotifyType.internalAddressFailure) !== undefined)
    assert.match(side.problems().join(), /every IPv4 address of the pool is taken/)
    assert.deepEqual([side.established, side.paths.size], [3, 2])
    const tsi = findPayload(one!, 'TSi')!.selectors
    assert.deepEqual(
      tsi.map(({ startAddress }) => [...startAddress].join('.')),
      [given(one!)],
    )
    assert.deepEqual(tsi[0]!.startAddress, tsi[0]!.endAddress)
    // One goes, and another has its address.
    side.machine.deletePeer('raw11.example', link.now)
    side.machine.sessions()[0]!.close('gone', false, link.now)
    side.drain()
    assert.equal(given(come(side, 14)), given(one!))
  })

  test('a flow of a whole network is the client’s address alone, so that none takes another’s packets', () => {
    const side = gateway('10.9.0.0/24', { flows: [flow('172.16.1.0/24', '10.9.0.0/16')] })
    const said = come(side, 11)
    assert.deepEqual(trafficOf(side), [`172.16.1.0/24 > ${given(said)}`])
  })

  test('enforcesingleikesa: an identity’s newer IKE SA replaces the older one, and nobody else’s', () => {
    for (const singleSa of [true, false]) {
      const side = gateway('10.9.0.0/24', { singleSa })
      come(side, 11)
      for (const seed of [1, 2]) {
        const raw = new RawPeer(side, { seed, id: parseIdentity('same.example') })
        raw.init(link.now)
        raw.ask(IkeExchange.ikeAuth, [ASK, ...raw.proof(0x2000 + seed).map(all)], link.now)
      }
      assert.equal(side.established, singleSa ? 2 : 3)
      assert.equal(side.paths.size, singleSa ? 2 : 3)
    }
  })

  test('an attribute of a wrong length is an empty one', () => {
    const side = gateway('10.9.0.0/24')
    const odd = { type: ConfigAttribute.ip4Address, value: Uint8Array.of(10, 9, 0) }
    assert.match(
      given(come(side, 11, [{ kind: 'CP', type: ConfigType.request, attributes: [odd, odd] }])),
      /^10\.9\.0/,
    )
    assert.equal(side.established, 1)
  })

  test('INFORMATIONAL: no version is told, what was given is, nothing is set', () => {
    const side = gateway('10.9.0.0/24')
    const raw = new RawPeer(side, { id: parseIdentity('raw.example') })
    raw.init(link.now)
    const said = raw.ask(IkeExchange.ikeAuth, [ASK, ...raw.proof().map(all)], link.now)!
    const ask = (type: number, types: readonly number[]): IkePayload | undefined =>
      findPayload(
        raw.ask(
          IkeExchange.informational,
          [{ kind: 'CP', type, attributes: types.map((one) => ({ type: one, value: new Uint8Array(0) })) }],
          link.now,
        )!,
        'CP',
      )
    const { applicationVersion, ip4Address, ip4Dns } = ConfigAttribute
    assert.deepEqual(ask(ConfigType.request, [applicationVersion, ip4Address, ip4Dns, 16000]), {
      kind: 'CP',
      type: ConfigType.reply,
      attributes: [
        { type: applicationVersion, value: new Uint8Array(0) },
        { type: ip4Address, value: findPayload(said, 'CP')!.attributes[0]!.value },
      ],
    })
    assert.deepEqual(ask(ConfigType.set, [ip4Address]), { kind: 'CP', type: ConfigType.ack, attributes: [] })
    assert.equal(ask(ConfigType.reply, [ip4Address]), undefined)
  })
})

describe('a hostile gateway', () => {
  /** What it answers in place of its own configuration payload. */
  function answering(attributes: readonly (readonly [type: number, ...bytes: number[]])[]): Side {
    const link = begun()
    link.run(1, () => link.sides[0].machine.sessions().length > 0)
    const handlers = link.sides[0].machine.sessions()[0]!.options.requests as Record<number, RequestHandler>
    const honest = handlers[IkeExchange.ikeAuth]!
    handlers[IkeExchange.ikeAuth] = (one, payloads, now) =>
      (honest(one, payloads, now) ?? []).map((payload) =>
        payload.kind === 'CP'
          ? {
              ...payload,
              attributes: attributes.map(([type, ...bytes]) => ({ type, value: Uint8Array.from(bytes) })),
            }
          : payload,
      )
    link.run(2)
    return link.sides[1]
  }

  test('addresses that nobody can have, or of a wrong length, are none', () => {
    for (const bytes of [
      [0, 0, 0, 0],
      [127, 0, 0, 1],
      [224, 0, 0, 1],
      [255, 255, 255, 255],
      [10, 9, 0],
      [],
    ]) {
      const client = answering([[ConfigAttribute.ip4Address, ...bytes]])
      assert.match(client.problems().join(), /gave no IPv4 address/, `${bytes}`)
      assert.equal(client.paths.size, 0)
    }
  })

  test('an address that its own selectors do not cover leaves no child', () => {
    const client = answering([[ConfigAttribute.ip4Address, 10, 8, 0, 1]])
    assert.match(client.problems().join(), /no child: the peer answers with other networks/)
    assert.equal(client.paths.size, 0)
  })

  test('what was not asked for is not heeded, and of many values there is an end (CVE-2024-3661)', () => {
    const link = begun(
      {
        serves: [
          ...SERVES,
          value('dhcp-server', '172.16.1.67'),
          ...Array.from({ length: 90 }, (_, i) => value('name-server', `172.16.1.${i + 100}`)),
        ],
      },
      { requests: [value('address'), value('name-server')] },
    )
    link.run(2)
    const values = shown(assignments(link.sides[1])[0]!.values)
    assert.equal(values.length, 64)
    assert.ok(values.slice(1).every((one) => one.startsWith('name-server ')))
  })
})

test('seeds: loss, and IKE SAs made anew; both ends have one address, and it goes back', () => {
  const failures: number[] = []
  for (let seed = 1; seed <= 100; seed++) {
    const link = begun({}, { ikeLifetime: seconds(120), childLifetime: { seconds: 70 } }, seed)
    link.fault = (datagram, random) =>
      random.below(6) === 0 ? [] : [{ delayMs: 1 + random.below(300), datagram }]
    link.run(250)
    link.fault = (datagram) => [{ delayMs: 5, datagram }]
    link.run(350)
    const [a, b] = link.sides
    const address = addressOf(b)
    if (
      `${spisOf(a)}` !== `${spisOf(b)}` ||
      !trafficOf(a).every((one) => one === `172.16.1.0/24 > ${address}`) ||
      trafficOf(b).length === 0
    )
      failures.push(seed)
    for (const side of link.sides) side.machine.stop(link.now)
    link.flush(b)
    for (const side of link.sides) {
      side.drain()
      // Whatever was given was taken back.
      const balance = assignments(side).reduce((sum, { up }) => sum + (up ? 1 : -1), 0)
      if (balance !== 0) failures.push(seed)
    }
  }
  assert.deepEqual(failures, [])
})
