/** The article's command blocks up to its EtherIP section, as they stand there. */

/** "Configuring the host", all of it. */
export const HOST = `# network configuration
sysctl net.inet.ip.forwarding=1
sysctl net.inet6.ip6.forwarding=1

# enable forwarding after reboot
echo net.inet.ip.forwarding=1 >> /etc/sysctl.conf
echo net.inet6.ip6.forwarding=1 >> /etc/sysctl.conf

# packet filter configuration
echo "anchor vmd" >> /etc/pf.conf
pfctl -nf /etc/pf.conf && pfctl -f /etc/pf.conf

# vmd configuration
touch /etc/vm.conf
mkdir -p /home/_vmd/disk
mkdir -p /home/_vmd/iso
ftp -o /home/_vmd/iso/install66.iso $(cat /etc/installurl)/6.6/amd64/install66.iso
rcctl enable vmd
rcctl start vmd

# bridge creation
ifconfig bridge1 create
echo "up" >> /etc/hostname.bridge1
cat >> /etc/vm.conf << EOF
switch "local" {
    interface "bridge1"
}
EOF

# alice vm configuration
vmctl create -s 10G /home/_vmd/disk/alice.qcow2
cat >> /etc/vm.conf << EOF
vm "alice" {
    memory 512M
    disk "/home/_vmd/disk/alice.qcow2"
    cdrom "/home/_vmd/iso/install66.iso"
    interface { switch "local" }
    disable
}
EOF

# bob vm configuration
vmctl create -s 10G /home/_vmd/disk/bob.qcow2
cat >> /etc/vm.conf << EOF
vm "bob" {
    memory 512M
    disk "/home/_vmd/disk/bob.qcow2"
    cdrom "/home/_vmd/iso/install66.iso"
    interface { switch "local" }
    disable
}
EOF

rcctl reload vmd
vmctl start -c alice
vmctl start -c bob
`

/** "Post-installation configuration": the addresses. */
export const ADDRESSES = `# on alice
echo "inet 192.168.1.1/24" >> /etc/hostname.vio0
echo "inet6 fd3e:62ee:99db:bb1a::1/64" >> /etc/hostname.vio0
echo "up" >> /etc/hostname.vio0
sh /etc/netstart vio0

# on bob
echo "inet 192.168.1.2/24" >> /etc/hostname.vio0
echo "inet6 fd3e:62ee:99db:bb1a::2/64" >> /etc/hostname.vio0
echo "up" >> /etc/hostname.vio0
sh /etc/netstart vio0
`

/** Its check. */
export const PINGS = `# on alice
ping -c3 192.168.1.2
ping6 -c3 fd3e:62ee:99db:bb1a::2
# on bob
ping -c3 192.168.1.1
ping6 -c3 fd3e:62ee:99db:bb1a::1
`

/** "Configuring IP over IP tunnel (ipv4)". */
export const GIF = `# on alice
ifconfig gif0 create
ifconfig gif0 tunnel 192.168.1.1 192.168.1.2
ifconfig gif0 alias 172.16.0.1 172.16.0.2

# on alice
# you can eventually store the configuration
echo "tunnel 192.168.1.1 192.168.1.2" >> /etc/hostname.gif0
echo "alias 172.16.0.1 172.16.0.2" >> /etc/hostname.gif0
echo "up" >> /etc/hostname.gif0

# on bob
ifconfig gif0 create
ifconfig gif0 tunnel 192.168.1.2 192.168.1.1
ifconfig gif0 alias 172.16.0.2 172.16.0.1

# you can eventually store the configuration
echo "tunnel 192.168.1.2 192.168.1.1" >> /etc/hostname.gif0
echo "alias 172.16.0.2 172.16.0.1" >> /etc/hostname.gif0
echo "up" >> /etc/hostname.gif0
`

export const GIF_PING = `# on the host
tcpdump -i bridge0

# on alice
tcpdump -i vio0
ping -c3 172.16.0.2
`

export const GIF_VERBOSE = `# on the host
tcpdump -XXvvv -i bridge0
`

/** The same tunnel over IPv6. */
export const GIF6 = `# on alice
ifconfig gif0 -tunnel -inet
ifconfig gif0 tunnel fd3e:62ee:99db:bb1a::1 fd3e:62ee:99db:bb1a::2
ifconfig gif0 alias 172.16.0.1 172.16.0.2
# on bob
ifconfig gif0 -tunnel -inet
ifconfig gif0 tunnel fd3e:62ee:99db:bb1a::2 fd3e:62ee:99db:bb1a::1
ifconfig gif0 alias 172.16.0.2 172.16.0.1

# on the host
tcpdump -XXvvv -i bridge0
`

/** "Configuring a GRE tunnel". */
export const GRE = `# on both virtual machine
sysctl net.inet.gre.allow=1

# if you want to enable it after a reboot
echo net.inet.gre.allow=1 >> /etc/sysctl.conf

# on alice
ifconfig gre0 create up
ifconfig gre0 tunnel 192.168.1.1 192.168.1.2
ifconfig gre0 inet 172.16.0.1 172.16.0.2
# on bob
ifconfig gre0 create up
ifconfig gre0 tunnel 192.168.1.2 192.168.1.1
ifconfig gre0 inet 172.16.0.2 172.16.0.1
`

export const GRE_PING = `# on alice
ping -c3 172.16.0.2
# on bob
ping -c3 172.16.0.1
`

/** "Configuring MikroTik Ethernet over IP tunnel". */
export const EOIP = `# on alice
ifconfig eoip0 create tunnel 192.168.1.1 192.168.1.2
# on bob
ifconfig eoip0 create tunnel 192.168.1.2 192.168.1.1
`
