import { type IpAddress, type Ipv4Address, type Ipv6Address, parseIpAddress } from '../../../base/index.js'
import type { NetworkInterface } from '../../../stack/index.js'
import type { CommandContext } from '../../command.js'

/** Names and addresses as a user types them: numeric, with a zone, or from /etc/hosts. */

export interface ResolvedHost {
  readonly address: IpAddress
  /** What to print in messages: the address without its name. */
  readonly text: string
  /** The zone of a link-local address: `fe80::1%vio0`. */
  readonly zone?: NetworkInterface
}

/** The first address of `family` (0: any) that `name` stands for; the lab has no name service but /etc/hosts. */
export async function resolveHost(
  context: CommandContext,
  name: string,
  family: 0 | 4 | 6,
): Promise<ResolvedHost | undefined> {
  const [plain = '', zoneName] = name.split('%', 2)
  const address = parseIpAddress(plain)
  if (address !== undefined) {
    if (family !== 0 && address.family !== family) return undefined
    if (zoneName === undefined) return { address, text: name }
    const zone = context.host.stack.interfaces.get(zoneName)
    return zone === undefined ? undefined : { address, text: name, zone }
  }
  const found = (await readHosts(context)).find(
    (entry) => entry.names.includes(name) && (family === 0 || entry.address.family === family),
  )
  return found === undefined ? undefined : { address: found.address, text: `${found.address}` }
}

async function readHosts(
  context: CommandContext,
): Promise<{ address: Ipv4Address | Ipv6Address; names: string[] }[]> {
  let text = ''
  try {
    text = await context.fs.readFile('/etc/hosts')
  } catch {
    return []
  }
  return text.split('\n').flatMap((line) => {
    const [first = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/)
    const address = parseIpAddress(first)
    return address === undefined ? [] : [{ address, names }]
  })
}

/** What errno's text is for what the stack says of a packet that did not go out. */
export function sendError(result: string): string {
  switch (result) {
    case 'no-route':
    case 'unreachable':
      return 'No route to host'
    case 'no-source':
      return "Can't assign requested address"
    case 'too-big':
      return 'Message too long'
    case 'down':
      return 'Host is down'
    case 'blocked':
      return 'Permission denied'
    default:
      return result
  }
}
