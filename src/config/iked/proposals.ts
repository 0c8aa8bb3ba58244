/** `ikesa auth … enc … prf … group …` and `childsa auth … enc … group … esn`, each with what iked adds of itself. */
import { refuse, type Token } from '../grammar/tokens.js'
import {
  DEFAULTS,
  ENCRYPTIONS,
  type IkedProposal,
  type Kind,
  type Named,
  named,
  type Phase,
} from './algorithms.js'
import type { IkedOperands } from './operands.js'

const KINDS: readonly Kind[] = ['enc', 'auth', 'prf', 'group']
/** RFC 9370: slots of additional key exchanges. */
const SLOTS: readonly string[] = ['addke1', 'addke2', 'addke3', 'addke4', 'addke5', 'addke6', 'addke7']

interface Written {
  readonly start: Token
  readonly lists: Readonly<Record<Kind, { readonly token: Token; readonly named: Named }[]>>
  readonly esn: boolean[]
  readonly slots: { readonly token: Token; readonly named: Named }[][]
}

/** All blocks of one phase; without any the defaults. `ah`: the children are AH's. */
export function parseProposals(operands: IkedOperands, phase: Phase, ah: boolean): IkedProposal[] {
  const { stream } = operands
  const proposals: IkedProposal[] = []
  for (let token = stream.peek(); stream.take(phase); token = stream.peek()) {
    const written = readBlock(operands, phase, token)
    proposals.push(...complete(operands, phase, ah, written))
    if (proposals.length > 64)
      refuse(token, 'CONFIG_LIMIT', `too many ${phase} blocks`, { expected: 'at most 64 proposals' })
  }
  if (proposals.length > 0) return proposals
  const { combined, plain } = DEFAULTS[phase]
  return ah ? [{ ...plain, enc: [] }] : [combined, plain]
}

function readBlock(operands: IkedOperands, phase: Phase, start: Token): Written {
  const { stream } = operands
  const written: Written = { start, lists: { enc: [], auth: [], prf: [], group: [] }, esn: [], slots: [] }
  for (;;) {
    const token = stream.peek()
    const kind = KINDS.find((one) => stream.take(one))
    if (kind !== undefined) {
      const value = operands.word(`an algorithm for ${kind}`)
      written.lists[kind].push({ token: value, named: named(value, kind, phase) })
    } else if (SLOTS.includes(token.text) && !token.quoted) {
      stream.next()
      const value = operands.word(`a key exchange for ${token.text}`)
      const slot = SLOTS.indexOf(token.text)
      for (let i = written.slots.length; i <= slot; i++) written.slots.push([])
      written.slots[slot]!.push({ token: value, named: named(value, 'group', phase) })
    } else if (stream.take('esn') || stream.take('noesn')) {
      if (phase === 'ikesa')
        refuse(token, 'CONFIG_BAD_VALUE', 'cannot use ESN with ikesa', {
          found: `"${token.text}"`,
          expected: 'auth, enc, prf or group',
          mend: `write ${token.text} behind childsa`,
        })
      written.esn.push(token.text === 'esn')
    } else return written
  }
}

/** What is offered of a block. What Warren has not is left out with a warning, unless nothing of its kind is left. */
function complete(
  operands: IkedOperands,
  phase: Phase,
  ah: boolean,
  { start, lists, esn, slots }: Written,
): IkedProposal[] {
  const words = (kind: Kind): string[] => {
    const there = lists[kind].flatMap(({ named: { name } }) => (name === undefined ? [] : [name]))
    const [first] = lists[kind]
    if (there.length === 0 && first !== undefined)
      refuse(first.token, 'CONFIG_UNSUPPORTED', first.named.warning ?? 'not offered', {
        ...(first.named.mend === undefined ? {} : { mend: first.named.mend }),
      })
    for (const { token, named: one } of lists[kind])
      if (one.warning !== undefined)
        operands.warn(token, `${one.warning}${one.name === undefined ? ' (left out)' : ''}`)
    return [...new Set(there)]
  }
  const additional = slotWords(operands, slots)
  const [enc, auth, prf, group] = [words('enc'), words('auth'), words('prf'), words('group')]
  if (phase === 'ikesa' && group.includes('none'))
    refuse(start, 'CONFIG_BAD_VALUE', 'IKE group can not be "none"', {
      found: 'ikesa … group none',
      expected: 'a group',
      mend: 'write group none behind childsa, or nothing there: it is the default',
    })
  if (phase === 'childsa' && prf.length > 0) operands.warn(start, 'prf is for ikesa alone (left out)')
  if (ah && enc.length > 0)
    refuse(start, 'CONFIG_BAD_VALUE', 'ah does not encrypt', {
      found: `childsa … enc ${enc[0]}`,
      expected: 'auth alone',
      mend: 'remove enc, or write esp for ah',
    })
  const combined = enc.filter((name) => ENCRYPTIONS.get(name)?.combined)
  if (combined.length > 0 && combined.length < enc.length)
    refuse(
      start,
      'CONFIG_BAD_VALUE',
      'cannot mix encryption transforms with implicit and non-implicit authentication',
      {
        found: `enc ${enc.join(' enc ')}`,
        expected: 'one kind in each block',
        mend: `write two blocks: ${phase} enc ${combined.join(' enc ')} ${phase} enc ${enc.filter((name) => !combined.includes(name)).join(' enc ')}`,
      },
    )
  if (combined.length > 0 && auth.length > 0)
    refuse(start, 'CONFIG_BAD_VALUE', 'authentication is implicit for given encryption transforms', {
      found: `enc ${enc.join(' enc ')} auth ${auth.join(' auth ')}`,
      expected: 'no auth beside them',
      mend: 'remove auth from this block',
    })
  if (phase === 'childsa' && additional.length > 0 && !group.some((one) => one !== 'none'))
    refuse(start, 'CONFIG_MISSING_VALUE', 'additional key exchanges need one that they are added to', {
      found: `childsa … addke1 … ${group.length === 0 ? 'without group' : 'group none'}`,
      expected: 'a group beside addke',
      mend: 'write group curve25519 before addke1',
    })
  const or = <T>(list: readonly T[], standard: readonly T[]): readonly T[] =>
    list.length > 0 ? list : standard
  const filled = (standard: IkedProposal): IkedProposal => ({
    enc: ah ? [] : or(enc, standard.enc),
    prf: phase === 'ikesa' ? or(prf, standard.prf) : [],
    auth: or(auth, standard.auth),
    group: or(group, standard.group),
    esn: or([...new Set(esn)], standard.esn),
    ...(additional.length === 0 ? {} : { additional }),
  })
  const standards = DEFAULTS[phase]
  const isPlain = ah || enc.length > combined.length || auth.length > 0
  // Neither enc nor auth: both of the defaults with what else was written.
  return [
    ...(isPlain ? [] : [filled(standards.combined)]),
    ...(combined.length > 0 ? [] : [filled(standards.plain)]),
  ]
}

/** What each slot may be; one that Warren has not is left out with a warning, and no slot is left without any. */
function slotWords(operands: IkedOperands, slots: Written['slots']): string[][] {
  return slots.map((list) => {
    const names = list.flatMap(({ token, named: { name, warning, mend } }) => {
      if (name === undefined && list.length === 1)
        refuse(token, 'CONFIG_UNSUPPORTED', warning ?? 'not offered', {
          ...(mend === undefined ? {} : { mend }),
        })
      if (warning !== undefined) operands.warn(token, `${warning}${name === undefined ? ' (left out)' : ''}`)
      return name === undefined ? [] : [name]
    })
    return [...new Set(names)]
  })
}
