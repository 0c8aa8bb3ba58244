/** What the article shows of iked(8): its exchanges in tcpdump's words, its log, and ESP with what was negotiated. */
import { printed, refuse, type ScenarioRun, type WirePacket } from './scenario.js'

/** `command` printed both messages of an exchange between bob and alice, two lines each, `times` over. */
export function exchanged(run: ScenarioRun, exchange: string, times: number, command: string): void {
  for (const [from, to] of [
    [2, 1],
    [1, 2],
  ]) {
    const ends = `192.168.1.${from}.isakmp > 192.168.1.${to}.isakmp`.replaceAll('.', '\\.')
    const line = new RegExp(`^[\\d:.]{15} ${ends}: isakmp v2\\.0 exchange ${exchange}$`)
    printed(run, 'host', command, line, times)
  }
  const id = exchange === 'IKE_SA_INIT' ? '00000000' : '00000001'
  const cookie = new RegExp(`^\\tcookie: [0-9a-f]{16}->[0-9a-f]{16} msgid: ${id} len: \\d+$`)
  printed(run, 'host', command, cookie, 2 * times)
}

/** Ends of an IKE SA as a log shows them: the peer's, ours. */
export type LogEnds = readonly [peer: string, local: string]

const ENDS: Readonly<Record<'alice' | 'bob', LogEnds>> = {
  alice: ['192.168.1.2:500', '192.168.1.1:500'],
  bob: ['192.168.1.1:500', '192.168.1.2:500'],
}

/**
 * `command` printed the article's five lines in its order: bob began. `ends`: of IKE_SA_INIT and of what follows; `.` in
 * them is a digit.
 */
export function logged(
  run: ScenarioRun,
  host: 'alice' | 'bob',
  command: string,
  [first, rest]: readonly [LogEnds, LogEnds] = [ENDS[host], ENDS[host]],
): void {
  const [verb, other] = host === 'alice' ? (['recv', 'send'] as const) : (['send', 'recv'] as const)
  const line = (how: 'recv' | 'send', exchange: string, [peer, local]: LogEnds): string =>
    `${how} ${exchange} peer ${peer} local ${local}, \\d+ bytes${how === 'recv' ? ", policy 'policy1'" : ''}`
  const wanted = [
    line(verb, 'IKE_SA_INIT req 0', first),
    line(other, 'IKE_SA_INIT res 0', first),
    line(verb, 'IKE_AUTH req 1', rest),
    line(other, 'IKE_AUTH res 1', rest),
    `sa_state: VALID -> ESTABLISHED from ${rest[0]} to ${rest[1]} policy 'policy1'`,
  ]
  const text = run.played
    .filter((one) => one.host === host && one.command.trim() === command)
    .map(({ stdout }) => stdout)
    .join('')
  const stamp = `[A-Z][a-z]{2} [ \\d]\\d [\\d:]{8} ${host} iked\\[\\d+\\]: spi=0x[0-9a-f]{16}: `
  if (new RegExp(wanted.map((one) => `${stamp}${one}\\n`).join('')).test(text)) return
  const seen = text.trimEnd().split('\n').at(-1) || 'nothing'
  refuse(`${host}: ${command}`, seen, 'the article’s five lines, up to ESTABLISHED')
}

/** Every ESP packet has an SPI of an SA that iked had set up, and there were some of both directions. */
export function negotiated({ lab }: ScenarioRun, wire: readonly WirePacket[]): void {
  const known = new Map(lab.securityAssociations.map((sa) => [sa.spi, `${sa.source} > ${sa.destination}`]))
  const used = new Set<string>()
  for (const { spi } of wire) {
    if (spi === undefined) continue
    const ends = known.get(spi)
    if (ends === undefined)
      refuse('on the bridge', `ESP with SPI 0x${spi.toString(16)}`, 'an SPI that was negotiated')
    else used.add(ends)
  }
  if (used.size < 2) refuse('on the bridge', `ESP in ${used.size} directions`, 'two')
}
