/** Keys of both kinds at once. */
import type { CryptoProvider } from '../../crypto/provider.js'
import type { OpenedEsp, OpenedIke, Opener, Sealed, SealedIke, VerifiedAh } from '../opener.js'
import { EspOpener, type EspOpenerOptions } from './esp-opener.js'
import { parseEspSa, type SaKeys } from './esp-sa.js'
import { IkeOpener } from './ike-opener.js'
import { type IkeSaKeys, looksLikeIkev2Table, parseIkev2Table } from './ikev2-table.js'

export interface Keys {
  readonly sas: readonly SaKeys[]
  readonly ikeSas: readonly IkeSaKeys[]
}

/**
 * Reads a file of keys, of ESP and AH or of IKE: `ikev2_decryption_table` is told by its first fields, which are two SPIs
 * of IKE. Throws `WarrenError` INSPECT_KEYS.
 */
export const parseKeys = (text: string, where: string): Keys =>
  looksLikeIkev2Table(text)
    ? { sas: [], ikeSas: parseIkev2Table(text, where) }
    : { sas: parseEspSa(text, where), ikeSas: [] }

export const joinKeys = (all: readonly Keys[]): Keys => ({
  sas: all.flatMap(({ sas }) => sas),
  ikeSas: all.flatMap(({ ikeSas }) => ikeSas),
})

/** Opens ESP, AH and IKE. */
export class KeyOpener implements Opener {
  readonly #esp: EspOpener
  readonly #ike: IkeOpener

  constructor({ sas, ikeSas }: Keys, provider: CryptoProvider, options: EspOpenerOptions = {}) {
    this.#esp = new EspOpener(sas, provider, options)
    this.#ike = new IkeOpener(ikeSas, provider, options)
  }

  openEsp(sealed: Sealed): OpenedEsp | string | undefined {
    return this.#esp.openEsp(sealed)
  }
  verifyAh(sealed: Sealed): VerifiedAh | string | undefined {
    return this.#esp.verifyAh(sealed)
  }
  openIke(sealed: SealedIke): OpenedIke | string | undefined {
    return this.#ike.openIke(sealed)
  }

  destroy(): void {
    this.#esp.destroy()
    this.#ike.destroy()
  }
}
