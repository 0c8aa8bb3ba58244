/** Options of neighbour discovery (RFC 4861 section 4.6), typed. */
import {
  IpPrefix,
  Ipv6Address,
  MacAddress,
  readUint32,
  toHex,
  writeUint16,
  writeUint32,
} from '../base/index.js'
import type { OptionLayout, WireOption } from './options.js'

export const NdOption = {
  sourceLinkLayerAddress: 1,
  targetLinkLayerAddress: 2,
  prefixInformation: 3,
  redirectedHeader: 4,
  mtu: 5,
  rdnss: 25,
} as const

export interface PrefixInformation {
  readonly prefix: IpPrefix
  readonly onLink: boolean
  readonly autonomous: boolean
  /** Seconds; 0xffffffff is forever. */
  readonly validLifetime: number
  /** Seconds; 0xffffffff is forever. */
  readonly preferredLifetime: number
}

/** What a message's options say; those of a length that is not theirs are left out (RFC 4861 section 9). */
export interface NdOptions {
  sourceLinkLayerAddress?: MacAddress
  targetLinkLayerAddress?: MacAddress
  prefixes: PrefixInformation[]
  mtu?: number
  /** Start of the packet that was redirected. */
  redirectedPacket?: Uint8Array
}

const FOREVER = 0xffffffff
const lifetime = (seconds: number): string => (seconds === FOREVER ? 'forever' : `${seconds}s`)

export const ndOptionLayout: OptionLayout = {
  ref: 'RFC 4861 section 4.6',
  single: [],
  unit: 8,
  countsItself: true,
  names: {
    1: 'Source link-layer address',
    2: 'Target link-layer address',
    3: 'Prefix information',
    4: 'Redirected header',
    5: 'MTU',
    14: 'Nonce',
    24: 'Route information',
    25: 'Recursive DNS server',
    31: 'DNS search list',
  },
  describe: (option) => {
    const { sourceLinkLayerAddress, targetLinkLayerAddress, mtu, prefixes } = readNdOptions([option])
    const address = sourceLinkLayerAddress ?? targetLinkLayerAddress
    if (address !== undefined) return String(address)
    if (mtu !== undefined) return `${mtu} bytes`
    const [info] = prefixes
    if (info === undefined) return undefined
    const flags = `${info.onLink ? ', on-link' : ''}${info.autonomous ? ', autonomous' : ''}`
    return `${info.prefix}${flags}, valid ${lifetime(info.validLifetime)}, preferred ${lifetime(info.preferredLifetime)}`
  },
}

/** Sorts a message's options by meaning; of two that say the same, the first counts. */
export function readNdOptions(options: readonly WireOption[]): NdOptions {
  const found: NdOptions = { prefixes: [] }
  for (const { kind, data } of options) {
    if (kind === NdOption.sourceLinkLayerAddress && data.length === 6)
      found.sourceLinkLayerAddress ??= new MacAddress(data)
    else if (kind === NdOption.targetLinkLayerAddress && data.length === 6)
      found.targetLinkLayerAddress ??= new MacAddress(data)
    else if (kind === NdOption.mtu && data.length === 6) found.mtu ??= readUint32(data, 2)
    else if (kind === NdOption.redirectedHeader && data.length >= 6)
      found.redirectedPacket ??= data.subarray(6)
    else if (kind === NdOption.prefixInformation && data.length === 30 && data[0]! <= 128)
      found.prefixes.push({
        prefix: new IpPrefix(new Ipv6Address(data.subarray(14, 30)), data[0]!),
        onLink: (data[1]! & 0x80) !== 0,
        autonomous: (data[1]! & 0x40) !== 0,
        validLifetime: readUint32(data, 2),
        preferredLifetime: readUint32(data, 6),
      })
  }
  return found
}

export const sourceLinkLayerAddress = (address: MacAddress): WireOption => ({
  kind: NdOption.sourceLinkLayerAddress,
  data: address.bytes,
})

export const targetLinkLayerAddress = (address: MacAddress): WireOption => ({
  kind: NdOption.targetLinkLayerAddress,
  data: address.bytes,
})

export function prefixInformation(info: PrefixInformation): WireOption {
  const data = new Uint8Array(30)
  data[0] = info.prefix.length
  data[1] = (info.onLink ? 0x80 : 0) | (info.autonomous ? 0x40 : 0)
  writeUint32(data, 2, info.validLifetime)
  writeUint32(data, 6, info.preferredLifetime)
  data.set(info.prefix.address.bytes, 14)
  return { kind: NdOption.prefixInformation, data }
}

export function mtuOption(mtu: number): WireOption {
  const data = new Uint8Array(6)
  writeUint16(data, 0, 0)
  writeUint32(data, 2, mtu)
  return { kind: NdOption.mtu, data }
}

/** `packet` is cut to whole 8-byte units, as the option's length wants it. */
export function redirectedHeader(packet: Uint8Array): WireOption {
  const length = packet.length - (packet.length % 8)
  const data = new Uint8Array(6 + length)
  data.set(packet.subarray(0, length), 6)
  return { kind: NdOption.redirectedHeader, data }
}

/** A link-layer address as text, whatever its length: for printers. */
export const linkLayerText = (data: Uint8Array): string =>
  data.length === 6 ? String(new MacAddress(data)) : toHex(data)
