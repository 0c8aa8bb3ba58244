/** The article's command blocks of its section on iked(8), as they stand there. */

/** Before the first section; where the lines belong is the text's "on each server". */
export const IKED_COMMON = `# on each server
sysctl net.inet.esp.enable=1
sysctl net.inet.ah.enable=1
touch /etc/iked.conf
chmod 600 /etc/iked.conf

# on alice
ifconfig vether0 create alias 172.16.1.1/24 up
echo "alias 172.16.1.1/24 up" >> /etc/hostname.vether0

# on bob
ifconfig vether0 create alias 172.16.1.2/24 up
echo "alias 172.16.1.2/24 up" >> /etc/hostname.vether0
`

/** "Pre Shared Key (PSK) authentication". */
export const IKED_PSK_ALICE = `# on alice
cat >> /etc/iked.conf << 'EOF'
iked2 passive esp from 192.168.1.0/24 to 192.168.1.0/24 \\
    from 172.16.1.0/24 to 172.16.1.0/24 \\
    local 192.168.1.1 \\
    psk "dont_use_psk_its_a_bad_idea"
EOF
rcctl start iked
`

/** Its second line is not in the article, whose block begins with what it writes. */
export const IKED_PSK_BOB = `# on bob
cat >> /etc/iked.conf << 'EOF'
iked2 active esp from 192.168.1.0/24 to 192.168.1.0/24 \\
    from 172.16.1.0/24 to 172.16.1.0/24 \\
    local 192.168.1.2 peer 192.168.1.1 \\
    psk "dont_use_psk_its_a_bad_idea"
EOF
rcctl start iked
`

const IPV6_PATCH = `
# patch with the private IPv6 address
patch /etc/iked.conf - <<'EOF'
--- iked.conf.old       Sun Jan 19 20:54:32 2020
+++ iked.conf   Sun Jan 19 21:02:19 2020
@@ -1,4 +1,5 @@
 ikev2 passive esp from 192.168.1.0/24 to 192.168.1.0/24 \\
+       from fdd0:48b3:1360:ab79::/64 to fdd0:48b3:1360:ab79::/64 \\
        from 172.16.1.0/24 to 172.16.1.0/24 \\
        local 192.168.1.1 psk "dont_use_psk_its_a_bad_idea"
EOF
`

/** "What about IPv6 now?" */
export const IKED_IPV6: string = `# on alice
ifconfig vether0 inet6 alias fdd0:48b3:1360:ab79::1/64
${IPV6_PATCH}
# reload our iked service
rcctl restart iked
# on bob
ifconfig vether0 inet6 alias fdd0:48b3:1360:ab79::2/64
${IPV6_PATCH}
# restart out iked service
rcctl restart iked
`

/** Its checks, without the prompts that the article shows before them. */
export const IKED_IPV6_TALK = `# on alice
ping6 -c1 fdd0:48b3:1360:ab79::2
# on alice
uname -a | nc -l6 8888
# on bob
uname -a | nc -6 fdd0:48b3:1360:ab79::1 8888
`

/**
 * "Public Key authentication". The keys are put where an identity of type IPV4 is looked for: the policies, which the
 * article does not show, have to say so.
 */
export const IKED_KEYS = `# on alice
scp /etc/iked/local.pub bob:/etc/iked/pubkeys/ipv4/192.168.1.1
# on bob
scp /etc/ked.local.pub alice:/etc/iked/pubkeys/ipv4/192.168.1.2
# on alice
cat > /etc/iked.conf << 'EOF'
ikev2 passive esp from 192.168.1.0/24 to 192.168.1.0/24 \\
    from 172.16.1.0/24 to 172.16.1.0/24 \\
    local 192.168.1.1 \\
    srcid 192.168.1.1
EOF
# on bob
cat > /etc/iked.conf << 'EOF'
ikev2 active esp from 192.168.1.0/24 to 192.168.1.0/24 \\
    from 172.16.1.0/24 to 172.16.1.0/24 \\
    local 192.168.1.2 peer 192.168.1.1 \\
    srcid 192.168.1.2 dstid 192.168.1.1
EOF
# on alice
rcctl restart iked
tail -f /var/log/daemon
# on bob
rcctl restart iked
tail -f /var/log/daemon
`
