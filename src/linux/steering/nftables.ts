/**
 * nf_tables over netlink (linux/netfilter/nf_tables.h): tables, chains, counters and rules as bytes, and batches that
 * take effect as a whole or not at all. Only what a guard needs. Numbers are in network order, save what the kernel
 * compares with its own (marks and interface indexes).
 */
import { concatBytes, type IpPrefix } from '../../base/index.js'
import {
  attribute,
  decodeAttributes,
  NETLINK_NETFILTER,
  type NetlinkRequest,
  NetlinkSocket,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  nested,
  readText,
  text,
  uint8,
  uint32,
} from '../netlink.js'

const NFNL_SUBSYS_NFTABLES = 10
const NFNL_MSG_BATCH_BEGIN = 16
const NFNL_MSG_BATCH_END = 17

const NFT_MSG_NEWTABLE = 0
const NFT_MSG_DELTABLE = 2
const NFT_MSG_NEWCHAIN = 3
const NFT_MSG_NEWRULE = 6
const NFT_MSG_NEWOBJ = 18
const NFT_MSG_GETOBJ = 19

const NFTA_LIST_ELEM = 1
const NFTA_TABLE_NAME = 1
const NFTA_CHAIN_TABLE = 1
const NFTA_CHAIN_NAME = 3
const NFTA_CHAIN_HOOK = 4
const NFTA_CHAIN_TYPE = 7
const NFTA_HOOK_HOOKNUM = 1
const NFTA_HOOK_PRIORITY = 2
const NFTA_RULE_TABLE = 1
const NFTA_RULE_CHAIN = 2
const NFTA_RULE_EXPRESSIONS = 4
const NFTA_OBJ_TABLE = 1
const NFTA_OBJ_NAME = 2
const NFTA_OBJ_TYPE = 3
const NFTA_OBJ_DATA = 4
const NFT_OBJECT_COUNTER = 1
const NFTA_COUNTER_PACKETS = 2

const NFTA_EXPR_NAME = 1
const NFTA_EXPR_DATA = 2
const NFTA_DATA_VALUE = 1
const NFTA_DATA_VERDICT = 2
const NFTA_VERDICT_CODE = 1
const NFTA_VERDICT_CHAIN = 2
const NFT_REG_VERDICT = 0
/** 16 bytes: holds whatever one expression hands the next. */
const NFT_REG_1 = 1

const NFT_BITWISE_FIELDS = { sreg: 1, dreg: 2, len: 3, mask: 4, xor: 5 } as const
const NFT_EXTHDR_FIELDS = { dreg: 1, type: 2, offset: 3, len: 4 } as const

export const NFPROTO_INET = 1
export const NFPROTO_IPV4 = 2
export const NFPROTO_IPV6 = 10

export const NF_INET_PRE_ROUTING = 0
export const NF_INET_POST_ROUTING = 4

export const NFT_META_MARK = 3
export const NFT_META_IIF = 4
export const NFT_META_OIF = 5
export const NFT_META_NFPROTO = 15
export const NFT_META_L4PROTO = 16

export const NFT_PAYLOAD_NETWORK_HEADER = 1
export const NFT_PAYLOAD_TRANSPORT_HEADER = 2

const VERDICTS = { drop: 0, accept: 1, jump: -3, return: -5 } as const
const COMPARISONS = { eq: 0, neq: 1 } as const

/** NLA_BE32. */
export function be32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)
}

export function be16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value)
}

function expression(name: string, ...attributes: readonly Uint8Array[]): Uint8Array {
  return nested(NFTA_LIST_ELEM, attribute(NFTA_EXPR_NAME, text(name)), nested(NFTA_EXPR_DATA, ...attributes))
}

const value = (type: number, bytes: Uint8Array): Uint8Array => nested(type, attribute(NFTA_DATA_VALUE, bytes))

/** Loads what the kernel knows of a packet. */
export function meta(key: number): Uint8Array {
  return expression('meta', attribute(2, be32(key)), attribute(1, be32(NFT_REG_1)))
}

/** Loads bytes of a header. A packet that has them not (a later fragment has no transport header) fails the rule. */
export function payload(base: number, offset: number, length: number): Uint8Array {
  return expression(
    'payload',
    attribute(1, be32(NFT_REG_1)),
    attribute(2, be32(base)),
    attribute(3, be32(offset)),
    attribute(4, be32(length)),
  )
}

/** Loads bytes of an IPv6 extension header; a packet without that header fails the rule. */
export function extensionHeader(type: number, offset: number, length: number): Uint8Array {
  return expression(
    'exthdr',
    attribute(NFT_EXTHDR_FIELDS.dreg, be32(NFT_REG_1)),
    attribute(NFT_EXTHDR_FIELDS.type, uint8(type)),
    attribute(NFT_EXTHDR_FIELDS.offset, be32(offset)),
    attribute(NFT_EXTHDR_FIELDS.len, be32(length)),
  )
}

/** Keeps the bits of the mask. */
export function bitwise(mask: Uint8Array): Uint8Array {
  return expression(
    'bitwise',
    attribute(NFT_BITWISE_FIELDS.sreg, be32(NFT_REG_1)),
    attribute(NFT_BITWISE_FIELDS.dreg, be32(NFT_REG_1)),
    attribute(NFT_BITWISE_FIELDS.len, be32(mask.length)),
    value(NFT_BITWISE_FIELDS.mask, mask),
    value(NFT_BITWISE_FIELDS.xor, new Uint8Array(mask.length)),
  )
}

export function compare(operator: keyof typeof COMPARISONS, bytes: Uint8Array): Uint8Array {
  return expression(
    'cmp',
    attribute(1, be32(NFT_REG_1)),
    attribute(2, be32(COMPARISONS[operator])),
    value(3, bytes),
  )
}

/** Both ends included, compared as bytes from the first on. */
export function range(from: Uint8Array, to: Uint8Array): Uint8Array {
  return expression(
    'range',
    attribute(1, be32(NFT_REG_1)),
    attribute(2, be32(COMPARISONS.eq)),
    value(3, from),
    value(4, to),
  )
}

/** Adds the packet to a counter of the table. */
export function count(counter: string): Uint8Array {
  const name = new TextEncoder().encode(counter)
  return expression('objref', attribute(1, be32(NFT_OBJECT_COUNTER)), attribute(2, name))
}

/** Ends the rule; `jump` needs the chain. */
export function verdict(kind: keyof typeof VERDICTS, chain?: string): Uint8Array {
  const code = attribute(NFTA_VERDICT_CODE, be32(VERDICTS[kind]))
  const parts = chain === undefined ? [code] : [code, attribute(NFTA_VERDICT_CHAIN, text(chain))]
  return expression(
    'immediate',
    attribute(1, be32(NFT_REG_VERDICT)),
    nested(2, nested(NFTA_DATA_VERDICT, ...parts)),
  )
}

/** A meta value that is one byte or, as marks and indexes, a number of the machine's own order. */
export function metaIs(key: number, wanted: number): Uint8Array {
  const isByte = key === NFT_META_NFPROTO || key === NFT_META_L4PROTO
  return concatBytes(meta(key), compare('eq', isByte ? uint8(wanted) : uint32(wanted)))
}

/** Source or destination of the IP header lies in a prefix; nothing for one that holds every address. */
export function addressIn(end: 'source' | 'destination', prefix: IpPrefix): Uint8Array {
  const { address, length, mask } = prefix
  if (length === 0) return new Uint8Array()
  const size = address.bytes.length
  const offset = (size === 4 ? 12 : 8) + (end === 'source' ? 0 : size)
  const load = payload(NFT_PAYLOAD_NETWORK_HEADER, offset, size)
  const masked = length === size * 8 ? load : concatBytes(load, bitwise(mask.bytes))
  return concatBytes(masked, compare('eq', address.bytes))
}

/** A chain; with a hook, one that packets come to by themselves. What no rule decides is let through. */
export interface ChainSpec {
  readonly name: string
  readonly hook?: { readonly number: number; readonly priority: number }
  /** Each the expressions of a rule. */
  readonly rules: readonly Uint8Array[]
}

function message(type: number, flags: number, attributes: readonly Uint8Array[]): NetlinkRequest {
  return {
    type: (NFNL_SUBSYS_NFTABLES << 8) | type,
    flags,
    // struct nfgenmsg: family, version, resource.
    body: Uint8Array.of(NFPROTO_INET, 0, 0, 0),
    attributes,
  }
}

/** Messages that put this in the place of whatever table has that name, in one step. */
export function tableRequests(
  table: string,
  counters: readonly string[],
  chains: readonly ChainSpec[],
): NetlinkRequest[] {
  const name = attribute(NFTA_TABLE_NAME, text(table))
  return [
    // Made if it is not there, so that it can be removed whether it was or not.
    ...removalRequests(table),
    message(NFT_MSG_NEWTABLE, NLM_F_CREATE, [name]),
    ...counters.map((counter) =>
      message(NFT_MSG_NEWOBJ, NLM_F_CREATE, [
        attribute(NFTA_OBJ_TABLE, text(table)),
        attribute(NFTA_OBJ_NAME, text(counter)),
        attribute(NFTA_OBJ_TYPE, be32(NFT_OBJECT_COUNTER)),
        nested(NFTA_OBJ_DATA),
      ]),
    ),
    // Every chain before the first rule: rules name chains.
    ...chains.map((chain) => message(NFT_MSG_NEWCHAIN, NLM_F_CREATE, chainAttributes(table, chain))),
    ...chains.flatMap((chain) => chain.rules.map((rule) => ruleMessage(table, chain.name, rule))),
  ]
}

export function removalRequests(table: string): NetlinkRequest[] {
  const name = attribute(NFTA_TABLE_NAME, text(table))
  return [message(NFT_MSG_NEWTABLE, NLM_F_CREATE, [name]), message(NFT_MSG_DELTABLE, 0, [name])]
}

function chainAttributes(table: string, { name, hook }: ChainSpec): Uint8Array[] {
  const attributes = [attribute(NFTA_CHAIN_TABLE, text(table)), attribute(NFTA_CHAIN_NAME, text(name))]
  if (hook !== undefined)
    attributes.push(
      attribute(NFTA_CHAIN_TYPE, text('filter')),
      nested(
        NFTA_CHAIN_HOOK,
        attribute(NFTA_HOOK_HOOKNUM, be32(hook.number)),
        attribute(NFTA_HOOK_PRIORITY, be32(hook.priority)),
      ),
    )
  return attributes
}

const NLM_F_APPEND = 0x800

function ruleMessage(table: string, chain: string, expressions: Uint8Array): NetlinkRequest {
  return message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, [
    attribute(NFTA_RULE_TABLE, text(table)),
    attribute(NFTA_RULE_CHAIN, text(chain)),
    nested(NFTA_RULE_EXPRESSIONS, expressions),
  ])
}

/** A socket to nf_tables. The constructor throws `LINUX_EPROTONOSUPPORT` where the kernel has no netfilter. */
export class NftablesSocket {
  readonly #socket: NetlinkSocket = new NetlinkSocket(NETLINK_NETFILTER)

  /** All of them, or none. `errno` is 0 when they are in force. */
  transact(requests: readonly NetlinkRequest[]): { errno: number; words?: string } {
    const bound = (type: number): NetlinkRequest => ({
      type,
      flags: 0,
      // The resource is the part of netfilter that is meant.
      body: Uint8Array.of(0, 0, 0, NFNL_SUBSYS_NFTABLES),
      attributes: [],
    })
    const last = requests.at(-1)
    if (last === undefined) return { errno: 0 }
    return this.#socket.tryBatch([
      bound(NFNL_MSG_BATCH_BEGIN),
      ...requests.slice(0, -1),
      { ...last, flags: last.flags | NLM_F_ACK },
      bound(NFNL_MSG_BATCH_END),
    ])
  }

  /** Packets that the counters of a table have seen; nothing where there is no such table. */
  counters(table: string): Map<string, number> {
    const { type, body, attributes } = message(NFT_MSG_GETOBJ, 0, [
      attribute(NFTA_OBJ_TABLE, text(table)),
      attribute(NFTA_OBJ_TYPE, be32(NFT_OBJECT_COUNTER)),
    ])
    const { answers } = this.#socket.tryRequest(type, NLM_F_DUMP, body, attributes)
    const found = new Map<string, number>()
    for (const answer of answers) {
      const object = decodeAttributes(answer.body, 4)
      const name = object.get(NFTA_OBJ_NAME)
      const data = object.get(NFTA_OBJ_DATA)
      const packets = data === undefined ? undefined : decodeAttributes(data, 0).get(NFTA_COUNTER_PACKETS)
      if (name === undefined || packets === undefined) continue
      found.set(readText(name), Number(new DataView(packets.buffer, packets.byteOffset).getBigUint64(0)))
    }
    return found
  }

  close(): void {
    this.#socket.close()
  }
}
