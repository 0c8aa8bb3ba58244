/** rcctl, iked, ikectl and scp on the testbed, with files as they are written. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seconds } from '../../base/index.js'
import type { Lab } from '../lab.js'
import { type PlayedCommand, Player } from '../player.js'
import { testbedLab } from '../run.js'
import { IKED_COMMON, IKED_PSK_ALICE, IKED_PSK_BOB } from '../scenarios/article-ikev2.js'

interface Played {
  readonly lab: Lab
  play(text: string): Promise<readonly PlayedCommand[]>
  /** The output of the last line. */
  last(text: string): Promise<string>
  spis(name: string): string
}

async function testbed(): Promise<Played> {
  const lab = await testbedLab()
  const play = (text: string): Promise<readonly PlayedCommand[]> =>
    new Player(lab, { keepGoing: true }).play(text)
  await play(IKED_COMMON)
  return {
    lab,
    play,
    last: async (text) => {
      const { stdout, stderr } = (await play(text)).at(-1)!
      return stdout + stderr
    },
    spis: (name) =>
      lab
        .machine(name)!
        .ipsec.sad.list()
        .map(({ sa }) => sa.spi.toString(16))
        .join(' '),
  }
}

async function running(): Promise<Played> {
  const played = await testbed()
  await played.play(`${IKED_PSK_ALICE}${IKED_PSK_BOB}`)
  assert.equal(played.lab.machine('bob')!.ipsec.sad.size, 2)
  return played
}

test('rcctl: a file with a mistake starts nothing, and says file, line and what was meant', async () => {
  const { play, last, lab } = await testbed()
  const [, start, check] = await play(
    '# on alice\necho "ikev2 pol passive esq from 10.0.0.0/8 to 10.1.0.0/16" > /etc/iked.conf\nrcctl start iked\nrcctl check iked\n',
  )
  assert.equal(start?.exit, 1)
  assert.match(start?.stdout ?? '', /^iked\(failed\)$/m)
  assert.match(start?.stderr ?? '', /iked\.conf:1:.*esq/)
  assert.match(start?.stderr ?? '', /esp/)
  assert.equal(check?.stdout, 'iked(failed)\n')
  assert.match(await last('# on alice\ncat /var/log/daemon\n'), /esq/)
  assert.equal(lab.machine('alice')?.iked, undefined)
})

test('rcctl: permissions are checked as iked does', async () => {
  const { play } = await testbed()
  const played = await play(
    '# on alice\necho "ikev2 esp from 10.0.0.0/8 to 10.1.0.0/16 peer 192.168.1.2 psk xxxx" > /etc/iked.conf\nchmod 644 /etc/iked.conf\nrcctl start iked\n',
  )
  assert.match(played.at(-1)!.stderr, /group\/world readable\/writeable.*chmod 600/)
})

test('reload: what is as it was stays, down to its SPIs; what changed is made anew; a mistake changes nothing', async () => {
  const { play, spis } = await running()
  const before = spis('bob')
  assert.notEqual(before, '')
  await play('# on bob\nrcctl reload iked\n# on alice\nrcctl reload iked\n')
  assert.equal(spis('bob'), before)

  const [, wrong] = await play('# on bob\necho nonsense >> /etc/iked.conf\nrcctl reload iked\n')
  assert.equal(wrong?.exit, 1)
  assert.match(wrong?.stderr ?? '', /iked\.conf:5/)
  assert.equal(spis('bob'), before)

  await play(
    "# on bob\nsed -i -e '/nonsense/d' -e 's/from 172.16.1.0\\/24 to/from 172.16.1.2 to/' /etc/iked.conf\nrcctl reload iked\nsleep 2\n",
  )
  assert.notEqual(spis('bob'), before)
  assert.equal(spis('bob').split(' ').length, 2)
  assert.equal(spis('alice'), spis('bob'))
})

test('stop says goodbye: SAs and flows are gone on both sides, and what they covered is open', async () => {
  const { play, last, lab, spis } = await running()
  await play('# on bob\nrcctl stop iked\nsleep 1\n')
  assert.equal(spis('alice'), '')
  assert.equal(spis('bob'), '')
  assert.equal(lab.machine('bob')!.ipsec.spd.size, 0)
  assert.match(await last('# on alice\ncat /var/log/daemon\n'), /sa_state: ESTABLISHED -> CLOSED/)
  assert.match(await last('# on bob\nping -c1 192.168.1.1\n'), /1 packets received/)
})

test('ikectl: reset sa, reset id, passive and active', async () => {
  const { play, last, spis } = await running()
  const before = spis('alice')
  assert.equal(await last('# on bob\nikectl reset sa\n'), 'reset request sent.\n')
  await play('# on bob\nsleep 1\n')
  assert.notEqual(spis('alice'), before)
  assert.equal(spis('alice'), spis('bob'))

  await play('# on alice\nikectl reset id FQDN/nobody\nsleep 1\n')
  assert.notEqual(spis('alice'), '')
  await play('# on alice\nikectl reset id FQDN/bob.my.domain\n')
  await play('# on bob\nikectl passive\nsleep 600\n')
  assert.equal(spis('bob'), '')
  await play('# on bob\nikectl active\nsleep 1\n')
  assert.notEqual(spis('bob'), '')
})

test('ikectl: decouple takes all out of the kernel, couple brings flows back at once and SAs under new keys', async () => {
  const { play, last, spis, lab } = await running()
  const before = spis('alice')
  const { spd } = lab.machine('alice')!.ipsec
  await play('# on alice\nikectl decouple\n')
  assert.equal(spis('alice'), '')
  assert.equal(spd.size, 0)
  assert.match(await last('# on alice\nikectl show sa\n'), /sa_flows: .* \(\) @/)
  await play('# on alice\nikectl couple\nsleep 2\n')
  assert.ok(spd.size > 0)
  assert.equal(spis('alice').split(' ').length, 2)
  for (const spi of spis('alice').split(' ')) assert.ok(!before.includes(spi))
  assert.match(await last('# on alice\nping -c2 172.16.1.2\n'), /2 packets received/)
})

test('ikectl: verbose logs show children, brief ones do not; monitor and iked -d show them as they come', async () => {
  const { play, last } = await running()
  assert.doesNotMatch(await last('# on bob\ncat /var/log/daemon\n'), /childsa/)
  assert.equal(await last('# on bob\nikectl log verbose\n'), 'logging request sent.\n')
  const monitored = await play('# on bob\nikectl monitor\nikectl reset sa\nsleep 1\n')
  assert.match(monitored[0]!.stdout, /ctl_log: .*sa_state: VALID -> ESTABLISHED/)
  assert.match(monitored[0]!.stdout, /^\ttimestamp: 1579455\d{3}, /m)
  assert.match(await last('# on bob\ncat /var/log/daemon\n'), /ikev2_childsa_enable: loaded esp tunnel spi/)
  const foreground = await play('# on bob\nrcctl stop iked\niked -dv\nping -c1 172.16.1.1\n')
  assert.match(foreground[1]!.stdout, /send IKE_SA_INIT req 0/)
  assert.match(foreground[2]!.stdout, /1 packets received/)
  assert.match(await last('# on bob\nrcctl check iked\n'), /iked\(failed\)/)
})

test('ikectl: words may be cut short; what it does not know it says, with what it knows', async () => {
  const { last } = await running()
  assert.match(
    await last('# on alice\nikectl sh s\n'),
    /ambiguous argument: s\nvalid commands\/args:\n {2}ca\n {2}sa\n {2}certstore\n {2}stats/,
  )
  assert.match(await last('# on alice\nikectl sho sa\n'), /^iked_sas: /)
  assert.match(await last('# on alice\nikectl shwo\n'), /unknown argument: shwo.*show/)
  assert.match(
    await last('# on alice\nikectl reset\n'),
    /^missing argument:\nvalid commands\/args:\n {2}all\n/,
  )
  assert.match(await last('# on alice\nikectl reload now\n'), /superfluous argument: now/)
  assert.match(
    await last('# on alice\nikectl -q show stats\n'),
    /^ike:\n\t1 IKE SA created\n\t1 IKE SA established\n/,
  )
  assert.match(await last('# on the host\nikectl show sa\n'), /iked\.sock: No such file or directory/)
})

test('iked -n checks a file and starts nothing', async () => {
  const { play, last, lab } = await running()
  await play('# on alice\nrcctl stop iked\n')
  assert.match(await last('# on alice\niked -n\n'), /configuration OK/)
  assert.match(await last('# on alice\niked -nv\n'), /ikev2 .*passive.*esp/)
  assert.equal(lab.machine('alice')?.iked, undefined)
  assert.match(await last('# on alice\niked -n -f /etc/nowhere\n'), /No such file/)
  assert.match(await last('# on alice\niked -x\n'), /unknown option -- x\nusage: iked/)
})

test('an enabled iked is there after a boot, with its keys and its file; one that is not is not', async () => {
  const { play, last, lab } = await running()
  await play('# on bob\nrcctl enable iked\nreboot\nsleep 2\n')
  assert.equal(await last('# on bob\nrcctl check iked\n'), 'iked(ok)\n')
  await lab.clock.advance(seconds(5))
  assert.match(await last('# on bob\nping -c2 172.16.1.1\n'), /2 packets received/)
  await play('# on alice\nreboot\n')
  assert.equal(await last('# on alice\nrcctl check iked\n'), 'iked(failed)\n')
})

test('keys of the first boot: RSA, each machine its own, the private one for root alone', async () => {
  const { last } = await testbed()
  const key = await last('# on alice\ncat /etc/iked/local.pub\n')
  assert.match(key, /^-----BEGIN PUBLIC KEY-----\n/)
  assert.notEqual(await last('# on bob\ncat /etc/iked/local.pub\n'), key)
  assert.equal(await last('# on alice\ncat /etc/isakmpd/local.pub\n'), key)
  assert.match(await last('# on alice\nstat /etc/iked/private/local.key\n'), /0600/)
})

test('scp: files and folders, by name and by address, both ways; what it cannot do it says', async () => {
  const { play, last } = await testbed()
  await play('# on alice\nscp /etc/iked/local.pub bob:/etc/iked/pubkeys/fqdn/alice.my.domain\n')
  assert.match(await last('# on bob\ncat /etc/iked/pubkeys/fqdn/alice.my.domain\n'), /BEGIN PUBLIC KEY/)
  await play('# on bob\nscp root@192.168.1.1:/etc/myname /tmp\n')
  assert.equal(await last('# on bob\ncat /tmp/myname\n'), 'alice.my.domain\n')
  await play('# on bob\nscp -r /etc/iked/pubkeys alice:/tmp/keys\n')
  assert.match(await last('# on alice\nls /tmp/keys/fqdn\n'), /alice\.my\.domain/)
  assert.match(await last('# on alice\nscp /etc/iked/pubkeys bob:/tmp\n'), /not a regular file/)
  assert.match(await last('# on alice\nscp /etc/myname carol:/tmp\n'), /Could not resolve hostname carol/)
  assert.match(await last('# on alice\nscp /etc/nothing bob:/tmp\n'), /scp: \/etc\/nothing: No such file/)
  assert.match(await last('# on alice\nscp /etc/myname bob:/no/where\n'), /No such file or directory/)
  assert.match(
    await last('# on alice\nscp /etc/ked.local.pub bob:/tmp\n'),
    /\/etc\/iked\/local\.pub is meant: taking that/,
  )
})
