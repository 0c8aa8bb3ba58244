/** What the article shows of iked beside its scenarios: the verbose dump with its bytes, and a log when it goes wrong. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type PlayedCommand, Player } from '../player.js'
import { testbedLab } from '../run.js'
import { IKED_COMMON, IKED_PSK_ALICE, IKED_PSK_BOB } from './article-ikev2.js'

const play = async (script: string): Promise<readonly PlayedCommand[]> =>
  new Player(await testbedLab(), { keepGoing: true }).play(script)

const outputOf = (played: readonly PlayedCommand[], host: string, command: string): string =>
  played.find((one) => one.host === host && one.command.trim() === command)?.stdout ?? ''

test('tcpdump -v -X: each message as in the article, cut where its 116 bytes of snap length end', async () => {
  const dump = 'tcpdump -v -X -i bridge0'
  const played = await play(`${IKED_COMMON}
# on the host
${dump}
${IKED_PSK_ALICE}
${IKED_PSK_BOB}
`)
  const text = outputOf(played, 'host', dump)
  const message = (from: number, exchange: string, id: string, payload: string): RegExp => {
    const to = 3 - from
    const cookie = exchange === 'IKE_SA_INIT' && from === 2 ? '0{16}' : '(?!0{16})[0-9a-f]{16}'
    return new RegExp(
      [
        `^\\d\\d:\\d\\d:\\d\\d\\.\\d{6} 192\\.168\\.1\\.${from}\\.isakmp > 192\\.168\\.1\\.${to}\\.isakmp: isakmp v2\\.0 exchange ${exchange}`,
        `\\tcookie: [0-9a-f]{16}->${cookie} msgid: ${id} len: \\d+`,
        // A first answer that is short shows its SA whole, and then the next payload is what is cut.
        `\\tpayload: ${payload} len: \\d+(\\n\\t {4}.*)*(\\n\\tpayload: KE len: \\d+)? \\[\\|isakmp\\] \\(ttl 64, id \\d+, len \\d+\\)`,
        '  0000: 4500 [0-9a-f]{4} [0-9a-f]{4} 0000 4011 [0-9a-f]{4} c0a8 010[12]  .{16}',
        '(  00[1-5]0: ([0-9a-f]{4} ){8} .{16}\\n){5}  0060: ([0-9a-f]{4} ){3} +.{6}$',
      ].join('\\n'),
      'm',
    )
  }
  for (const one of [
    message(2, 'IKE_SA_INIT', '00000000', 'SA'),
    message(1, 'IKE_SA_INIT', '00000000', 'SA'),
    message(2, 'IKE_AUTH', '00000001', 'E'),
    message(1, 'IKE_AUTH', '00000001', 'E'),
  ])
    assert.match(text, one)
})

test('another psk on bob: both logs name it with the line of the file, and neither has a secret in it', async () => {
  const played = await play(`${IKED_COMMON}
${IKED_PSK_ALICE}
${IKED_PSK_BOB.replace('dont_use_psk', 'use_a_key')}
# on bob
sleep 5
cat /var/log/daemon
# on alice
cat /var/log/daemon
`)
  const [bob, alice] = played.slice(-2).map(({ stdout }) => stdout)
  assert.match(
    alice ?? '',
    /alice iked\[\d+\]: spi=0x[0-9a-f]{16}: the pre-shared keys differ \(write the same psk on both sides \(\/etc\/iked\.conf:1(:1)?\)\)/,
  )
  assert.match(
    bob ?? '',
    /bob iked\[\d+\]: spi=0x[0-9a-f]{16}: AUTHENTICATION_FAILED: .*srcid FQDN\/bob\.my\.domain by psk \(write the same psk on both sides \(\/etc\/iked\.conf:1/,
  )
  assert.doesNotMatch(`${alice}${bob}`, /bad_idea/)
})
