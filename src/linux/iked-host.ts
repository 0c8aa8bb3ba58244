/** What iked.conf(5) has to know of this machine, and its keys below a folder. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { hostname, networkInterfaces } from 'node:os'
import { type IpAddress, parseIpAddress } from '../base/index.js'
import { type CredentialsReader, IkedCredentials } from '../config/iked/credentials.js'
import type { IkedTunnelHost } from '../config/index.js'
import { RouteNetlink } from './rtnetlink.js'
import { Steering } from './steering/index.js'

/** Addresses that nobody has: the way there is the default route (RFC 5737, RFC 3849). */
const ANYWHERE: readonly string[] = ['192.0.2.0', '2001:db8::']

/** `folder`: where keys and certificates are, as `/etc/iked`. */
export function linuxIkedHost(folder: string): IkedTunnelHost {
  return {
    view: {
      hostname: hostname(),
      addresses: addressesOf(() => true).filter((address) => !address.isLoopback),
      localFor: (peer) => ask((routes) => routes.routeTo(peer, Steering.mark)?.source),
      interfaceAddresses(name) {
        const wanted = name === 'egress' ? egress() : new Set([name])
        const found = addressesOf((one) => wanted.has(one))
        return found.length > 0 || exists(`/sys/class/net/${name}`) ? found : undefined
      },
    },
    credentials(conf, say) {
      const credentials = new IkedCredentials({
        reader: files,
        wallClock: () => Date.now(),
        folder,
        partialChain: conf.options.certPartialChain,
      })
      for (const { text, mend } of credentials.problems) say(`${text} (${mend})`)
      return credentials
    },
  }
}

function addressesOf(belongs: (name: string) => boolean): IpAddress[] {
  return Object.entries(networkInterfaces())
    .filter(([name]) => belongs(name))
    .flatMap(([, infos = []]) => infos.flatMap(({ address }) => parseIpAddress(address) ?? []))
    .filter((address) => !(address.family === 6 && address.isLinkLocal))
}

/** OpenBSD's group of the interfaces that default routes lead through. */
function egress(): Set<string> {
  const indexes = ask((routes) =>
    ANYWHERE.map((text) => routes.routeTo(parseIpAddress(text)!, Steering.mark)?.interfaceIndex),
  )
  const names = exists('/sys/class/net') ? readdirSync('/sys/class/net') : []
  return new Set(
    names.filter((name) => {
      const index = read(`/sys/class/net/${name}/ifindex`)
      return index !== undefined && indexes.includes(Number(Buffer.from(index).toString('latin1')))
    }),
  )
}

function ask<T>(question: (routes: RouteNetlink) => T): T {
  const routes = new RouteNetlink()
  try {
    return question(routes)
  } finally {
    routes.close()
  }
}

const exists = (path: string): boolean => {
  try {
    statSync(path)
    return true
  } catch {
    return false
  }
}

function read(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path)
  } catch {
    return undefined
  }
}

const files: CredentialsReader = {
  read,
  list(path) {
    try {
      return readdirSync(path)
    } catch {
      return []
    }
  },
  mode(path) {
    try {
      return statSync(path).mode
    } catch {
      return undefined
    }
  },
}
