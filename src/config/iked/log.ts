/** News of IKE as lines of iked's log. */

import { formatEndpoint, type IkeNews } from '../../proto/ikev2/index.js'
import { IkeExchange, ikeExchangeNames } from '../../wire/ike/index.js'

/** What iked(8) calls the states of an IKE SA. */
const STATES: Readonly<Record<string, string>> = {
  'half-open': 'SA_INIT',
  authenticating: 'VALID',
  established: 'ESTABLISHED',
  rekeyed: 'CLOSING',
  closing: 'CLOSING',
  closed: 'CLOSED',
}

export interface LogLine {
  readonly text: string
  /** Shown after `ikectl log verbose`, or with -v. */
  readonly verbose: boolean
}

const line = (text: string, verbose = false): LogLine => ({ text, verbose })

export function spiText(spi: Uint8Array): string {
  return `0x${Array.from(spi, (byte) => byte.toString(16).padStart(2, '0')).join('')}`
}

export function linesOf(news: IkeNews): LogLine[] {
  const { spi, local, remote, policy } = news
  const of = `spi=${spiText(spi)}: `
  const name = policy === undefined ? '' : ` policy '${policy.name}'`
  const peer = formatEndpoint(remote)
  switch (news.kind) {
    case 'received':
    case 'sent': {
      const exchange = ikeExchangeNames[news.exchange] ?? `exchange ${news.exchange}`
      const verb = news.kind === 'sent' ? 'send' : 'recv'
      const what = `${verb} ${exchange} ${news.isResponse ? 'res' : 'req'} ${news.messageId}`
      const suffix = news.kind === 'sent' || name === '' ? '' : `,${name}`
      const text = `${of}${what} peer ${peer} local ${formatEndpoint(local)}, ${news.length} bytes${suffix}`
      // Whether a peer lives is asked all day long.
      return [line(text, news.exchange === IkeExchange.informational)]
    }
    case 'state': {
      // iked has a state between the proof of an identity and the first child; here they come in one step.
      const from = news.to === 'established' ? 'VALID' : (STATES[news.from] ?? news.from)
      const to = STATES[news.to] ?? news.to
      const isLoud = news.to === 'established' || news.to === 'closed'
      const lines = [
        line(`${of}sa_state: ${from} -> ${to} from ${peer} to ${formatEndpoint(local)}${name}`, !isLoud),
      ]
      if (news.to === 'closed' && news.reason !== undefined) lines.push(line(`${of}sa_free: ${news.reason}`))
      return lines
    }
    case 'child':
      return [
        line(
          `${of}${news.up ? 'ikev2_childsa_enable: loaded' : 'ikev2_childsa_delete: deleted'} ${news.text}`,
          true,
        ),
      ]
    case 'assigned': {
      const { toPeer, values, peer: name } = news
      const addresses = values.filter(({ option }) => option === 'address').map(({ address }) => `${address}`)
      const text = toPeer ? `assigned address ${addresses} to ${name}` : `obtained lease: ${addresses}`
      return news.up && addresses.length > 0 ? [line(`${of}${text}`)] : []
    }
    case 'problem':
      return [
        line(`${of}${news.text}${news.mend === undefined ? '' : ` (${news.mend})`}`, news.verbose === true),
      ]
  }
}
