/** ikectl ca and openssl on the testbed: an authority on alice, certificates for both, one taken back. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import type { Lab } from '../lab.js'
import { type PlayedCommand, Player } from '../player.js'
import { testbedLab } from '../run.js'
import { IKED_COMMON } from '../scenarios/article-ikev2.js'

interface Played {
  readonly lab: Lab
  play(text: string): Promise<readonly PlayedCommand[]>
  /** Both outputs of the last line. */
  last(text: string): Promise<string>
}

async function testbed(): Promise<Played> {
  const lab = await testbedLab()
  const play = (text: string): Promise<readonly PlayedCommand[]> =>
    new Player(lab, { keepGoing: true }).play(text)
  return {
    lab,
    play,
    last: async (text) => {
      const { stdout, stderr } = (await play(text)).at(-1)!
      return stdout + stderr
    },
  }
}

const ok = (played: readonly PlayedCommand[]): void => {
  for (const { command, exit, stderr } of played) assert.equal(exit, 0, `${command}: ${stderr}`)
}

const AUTHORITY = `# on alice
ikectl ca vpn create password secret
ikectl ca vpn install
ikectl ca vpn certificate alice.my.domain create
ikectl ca vpn certificate alice.my.domain install
ikectl ca vpn certificate bob.my.domain create
ikectl ca vpn certificate bob.my.domain export
scp bob.my.domain.tgz bob:/root/
# on bob
tar -xzf bob.my.domain.tgz -C /etc/iked
`

const POLICIES = `# on alice
echo "ikev2 passive esp from 172.16.1.0/24 to 172.16.1.0/24 local 192.168.1.1 rsa" > /etc/iked.conf
chmod 600 /etc/iked.conf
rcctl start iked
# on bob
echo "ikev2 active esp from 172.16.1.0/24 to 172.16.1.0/24 local 192.168.1.2 peer 192.168.1.1 dstid alice.my.domain rsa" > /etc/iked.conf
chmod 600 /etc/iked.conf
rcctl start iked
sleep 2
`

test('an authority, certificates of two hosts, an export that the other unpacks, and a tunnel by them; until one is revoked', async () => {
  const { play, last, lab } = await testbed()
  ok(await play(IKED_COMMON))
  const made = await play(AUTHORITY)
  ok(made)
  assert.equal(
    made[1]?.stdout,
    "certificate for CA 'vpn' installed into /etc/iked/ca/ca.crt\nCRL for CA 'vpn' installed to /etc/iked/crls/ca.crl\n",
  )
  assert.equal(made[5]?.stdout, 'exported files in /root/bob.my.domain.tgz\n')
  ok(await play(POLICIES))
  assert.match(await last('# on alice\nping -c2 172.16.1.2\n'), /2 packets received/)
  assert.match(
    await last('# on bob\nikectl show certstore\n'),
    /^CA: \/O=OpenBSD\/OU=iked\/CN=VPN CA\nCERT: \/O=OpenBSD\/OU=iked\/CN=bob\.my\.domain\n$/,
  )

  const revoked = await last('# on alice\nikectl ca vpn certificate bob.my.domain revoke\n')
  assert.match(revoked, /^Revoking Certificate [0-9A-F]{32}\.$/m)
  ok(
    await play('# on alice\nikectl ca vpn install\nikectl reset ca\n# on bob\nrcctl restart iked\nsleep 5\n'),
  )
  assert.match(
    await last('# on alice\ncat /var/log/daemon\n'),
    /was revoked.*\(make it a new certificate \(\/etc\/iked\.conf:1:1\)\)/,
  )
  assert.equal(lab.machine('alice')!.ipsec.sad.size, 0)
  assert.match(
    await last('# on alice\nikectl ca vpn certificate bob.my.domain revoke\n'),
    /ERROR:Already revoked, serial number/,
  )
})

test('show ca: each certificate as openssl shows it; one host whole', async () => {
  const { play, last, lab } = await testbed()
  ok(
    await play(
      '# on alice\nikectl ca vpn create password secret\nikectl ca vpn certificate 192.168.1.2 create server\n',
    ),
  )
  const shown = await last('# on alice\nikectl show ca vpn certificates\n')
  assert.match(
    shown,
    /subject= \/O=OpenBSD\/OU=iked\/CN=192\.168\.1\.2\nSHA1 Fingerprint=([0-9A-F]{2}:){19}[0-9A-F]{2}\nnotBefore=Jan 19 \d\d:\d\d:\d\d 2020 GMT\nnotAfter=Jan 18 \d\d:\d\d:\d\d 2021 GMT\n\n/,
  )
  const { fs } = lab.machine('alice')!
  const certificate = new X509Certificate(await fs.readFile('/etc/ssl/vpn/192.168.1.2.crt'))
  assert.ok(shown.includes(`SHA1 Fingerprint=${certificate.fingerprint}\n`))
  assert.equal(certificate.subjectAltName, 'IP Address:192.168.1.2')
  assert.ok(certificate.keyUsage.includes('1.3.6.1.5.5.7.3.1'))
  assert.ok(!certificate.keyUsage.includes('1.3.6.1.5.5.7.3.2'))
  assert.match(await last('# on alice\nikectl show ca vpn certificates 192.168.1.2\n'), /BEGIN CERTIFICATE/)
  const { mode } = await fs.stat('/etc/ssl/vpn/private/ca.key')
  assert.equal(mode & 0o777, 0o600)
  assert.match(await fs.readFile('/etc/ssl/vpn/private/ca.key'), /BEGIN ENCRYPTED PRIVATE KEY/)
})

test('a passphrase comes from standard input where none is given; one that is retyped wrong is refused', async () => {
  const { play, last, lab } = await testbed()
  assert.match(
    await last("# on alice\nprintf 'one\\ntwo\\n' | ikectl ca vpn create\n"),
    /passphrase does not match!/,
  )
  ok(await play("# on alice\nprintf 'one\\none\\n' | ikectl ca vpn create\n"))
  assert.equal(await lab.machine('alice')!.fs.readFile('/etc/ssl/vpn/ikeca.passwd'), 'one\none\n')
  ok(await play('# on bob\nikectl ca vpn create\nikectl ca vpn certificate bob create\n'))
  const { mode } = await lab.machine('bob')!.fs.stat('/etc/ssl/vpn/ikeca.passwd')
  assert.equal(mode & 0o777, 0o600)
})

test('ikectl ca: keys alone, what is not there, and words in ikectl’s way', async () => {
  const { play, last } = await testbed()
  assert.equal(await last('# on alice\nikectl ca nope install\n'), "ikectl: CA 'nope' does not exist\n")
  assert.equal(
    await last('# on alice\nikectl ca nope\n'),
    'missing argument:\nvalid commands/args:\n  create\n  delete\n  install\n  certificate\n  key\n  export\n',
  )
  assert.match(
    await last('# on alice\nikectl ca vpn certificate bob create bar\n'),
    /^unknown argument: bar.*\nvalid commands\/args:\n {2}<cr>\n {2}server\n {2}client\n {2}ocsp\n/,
  )
  ok(await play('# on alice\nikectl ca vpn create password x\n'))
  assert.equal(await last('# on alice\nikectl ca vpn key bob install\n'), "key for 'vpn' does not exist\n")
  ok(await play('# on alice\nikectl ca vpn key bob import /etc/iked/private/local.key\n'))
  ok(await play('# on alice\nikectl ca vpn key bob install /tmp/other\n'))
  assert.equal(
    await last('# on alice\ndiff /tmp/other/local.pub /etc/iked/local.pub && echo same\n'),
    'same\n',
  )
  assert.match(
    await last('# on alice\nikectl ca vpn certificate bob revoke\n'),
    /^ikectl: Problem with certificate for 'bob': No such file or directory\n$/,
  )
  assert.match(await last('# on alice\nikectl ca vpn certificate ../x create\n'), /no address and no name/)
  ok(await play('# on alice\nikectl ca vpn delete\n'))
  assert.match(await last('# on alice\nls /etc/ssl\n'), /^(?!.*vpn)/s)
})

/** The article's listing of rc(8), as it stands there; keys are made where none are. */
const MAKE_KEYS = `# on alice
cat > /root/make_keys << 'EOF'
make_keys() {
        local _isakmpd_key=/etc/isakmpd/private/local.key
        local _isakmpd_pub=/etc/isakmpd/local.pub
        local _iked_key=/etc/iked/private/local.key
        local _iked_pub=/etc/iked/local.pub

        if [[ ! -f $_isakmpd_key ]]; then
                echo -n "openssl: generating isakmpd/iked RSA keys... "
                if openssl genrsa -out $_isakmpd_key 2048 >/dev/null 2>&1 &&
                        chmod 600 $_isakmpd_key &&
                        openssl rsa -out $_isakmpd_pub -in $_isakmpd_key \\
                            -pubout >/dev/null 2>&1; then
                        echo done.
                else
                        echo failed.
                fi
        fi

        if [[ ! -f $_iked_key ]]; then
                # Just copy the generated isakmpd key
                cp $_isakmpd_key $_iked_key
                chmod 600 $_iked_key
                cp $_isakmpd_pub $_iked_pub
        fi

        if [[ ! -f /etc/soii.key ]]; then
                openssl rand -hex 16 > /etc/soii.key &&
                    chmod 600 /etc/soii.key && sysctl -q \\
                    "net.inet6.ip6.soiikey=$(</etc/soii.key)"
        fi
}
make_keys
EOF
rm /etc/isakmpd/private/local.key /etc/iked/private/local.key
sh /root/make_keys
`

test('make_keys of rc(8) runs as the article shows it, and iked takes what it makes', async () => {
  const { play, last, lab } = await testbed()
  const { fs } = lab.machine('alice')!
  const before = await fs.readFile('/etc/iked/local.pub')
  const played = await play(MAKE_KEYS)
  ok(played)
  assert.equal(played.at(-1)?.stdout, 'openssl: generating isakmpd/iked RSA keys... done.\n')
  assert.match(await fs.readFile('/etc/iked/private/local.key'), /^-----BEGIN RSA PRIVATE KEY-----/)
  assert.notEqual(await fs.readFile('/etc/iked/local.pub'), before)
  assert.match(await last('# on alice\ncat /etc/soii.key\n'), /^[0-9a-f]{32}\n$/)
  ok(
    await play(
      `${IKED_COMMON}# on alice\nscp /etc/iked/local.pub bob:/etc/iked/pubkeys/fqdn/alice.my.domain\nscp bob:/etc/iked/local.pub /etc/iked/pubkeys/fqdn/bob.my.domain\n${POLICIES}`,
    ),
  )
  assert.match(await last('# on bob\nping -c1 172.16.1.1\n'), /1 packets received/)
})

test('openssl: what it says, a curve, and what it cannot do', async () => {
  const { play, last } = await testbed()
  const [made, pub] = await play(
    '# on alice\nopenssl genrsa -out /tmp/k 2048\nopenssl rsa -out /tmp/k.pub -in /tmp/k -pubout\n',
  )
  assert.match(made?.stderr ?? '', /^Generating RSA private key, 2048 bit long modulus\n/)
  assert.equal(pub?.stderr, 'writing RSA key\n')
  assert.match(await last('# on alice\ncat /tmp/k.pub\n'), /^-----BEGIN PUBLIC KEY-----\n/)
  assert.match(
    await last(
      '# on alice\nopenssl ecparam -genkey -name prime256v1 -noout -out /tmp/e && openssl ec -in /tmp/e -pubout\n',
    ),
    /BEGIN PUBLIC KEY[\s\S]*read EC key\nwriting EC key\n/,
  )
  assert.match(await last('# on alice\nopenssl genrss\n'), /'genrss' is an invalid command.*genrsa/)
  assert.match(await last('# on alice\nopenssl rsa -in /tmp/none -pubout\n'), /No such file or directory/)
  assert.match(await last('# on alice\nopenssl rsa -in /tmp/e -pubout\n'), /unable to load Private Key/)
  assert.match(await last('# on alice\nopenssl genrsa 512\n'), /2048, 3072 or 4096/)
})
