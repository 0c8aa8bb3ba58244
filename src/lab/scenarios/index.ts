/** The scenarios, in the article's order. */
import { eoip, etherip } from './bridged.js'
import { espManual } from './esp.js'
import { gif, gif6 } from './gif.js'
import { gre } from './gre.js'
import { ikev2Ipv6, ikev2Psk, ikev2Pubkey } from './ikev2.js'
import { ikev2Natt } from './ikev2-natt.js'
import type { Scenario } from './scenario.js'
import { testbed } from './testbed.js'

export const scenarios: readonly Scenario[] = [
  testbed,
  gif,
  gif6,
  gre,
  eoip,
  etherip,
  espManual,
  ikev2Psk,
  ikev2Ipv6,
  ikev2Pubkey,
  ikev2Natt,
]

export type { Scenario, ScenarioRun } from './scenario.js'
