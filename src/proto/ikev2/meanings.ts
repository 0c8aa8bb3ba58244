/** What an error that a peer sends most likely means, and the mend in the words of iked.conf(5). */
import { NotifyType, notifyNames } from '../../wire/ike/index.js'

const MEANINGS: Readonly<Record<number, readonly [text: string, mend: string]>> = {
  [NotifyType.noProposalChosen]: [
    'the peer takes none of our proposals',
    'compare ikesa and childsa (enc, auth, prf, group) with the peer’s; its log names what differs',
  ],
  [NotifyType.invalidKePayload]: ['the peer wants another group than we allow', 'add that group to ikesa'],
  [NotifyType.authenticationFailed]: [
    'the peer does not believe who we are',
    'compare psk, or our public key on the peer, and srcid here with dstid there',
  ],
  [NotifyType.tsUnacceptable]: [
    'the peer allows none of our networks',
    'compare from and to: what is from here has to be to there',
  ],
  [NotifyType.invalidSyntax]: [
    'the peer cannot read what we sent, which a wrong key also looks like',
    'compare psk; then look at the peer’s log',
  ],
  [NotifyType.singlePairRequired]: [
    'the peer takes one pair of addresses at a time',
    'write a policy for each',
  ],
  [NotifyType.noAdditionalSas]: ['the peer wants no further child', 'put all flows into one policy'],
  [NotifyType.internalAddressFailure]: ['the peer has no address for us', 'look at its pool of addresses'],
  [NotifyType.failedCpRequired]: ['the peer wants to be asked for an address', 'add request address any'],
  [NotifyType.temporaryFailure]: ['the peer is busy with another exchange', 'nothing: it is tried again'],
  [NotifyType.childSaNotFound]: ['the peer no longer has that child', 'nothing: it is made anew'],
  [NotifyType.invalidMajorVersion]: [
    'the peer speaks another version of IKE',
    'write ikev2 there, or IKEv1 here',
  ],
}

export function meaningOf(type: number): { readonly text: string; readonly mend: string } {
  const name = notifyNames[type] ?? `error ${type}`
  const [text, mend] = MEANINGS[type] ?? ['the peer refused', 'look at the peer’s log']
  return { text: `${name}: ${text}`, mend }
}
