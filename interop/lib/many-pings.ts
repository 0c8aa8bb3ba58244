/**
 * A pinger for a kernel that has little time: hundreds of destinations by one process. Perl, since nothing smaller is on
 * every Debian. It reads `FAMILY SOURCE DESTINATION SIZE` a line and prints the lines that got no whole answer.
 */
export const MANY_PINGS: string = String.raw`use strict; use Socket qw(:all);
my ($window, $wait) = (32, 4);
my (%socket, @lines);
sub opened {
  my ($family, $source) = @_;
  return $socket{"$family $source"} //= do {
    my $v4 = $family == 4;
    socket(my $s, $v4 ? AF_INET : AF_INET6, SOCK_RAW, $v4 ? 1 : 58) or die "socket: $!";
    bind($s, $v4 ? pack_sockaddr_in(0, inet_aton($source)) : pack_sockaddr_in6(0, inet_pton(AF_INET6, $source))) or die "bind $source: $!";
    setsockopt($s, SOL_SOCKET, 33, pack("i", 4 << 20));
    $s;
  };
}
sub sum {
  my $total = unpack("%32n*", $_[0] . (length($_[0]) % 2 ? "\0" : ""));
  $total = ($total & 0xffff) + ($total >> 16) while $total >> 16;
  return ~$total & 0xffff;
}
my $pattern = join("", map { chr } 0 .. 255) x 40;
sub data { my ($n, $size) = @_; return substr($pattern, $n & 255, $size) }
@lines = map { chomp; [split ' '] } <STDIN>;
my $bad = 0;
for (my $at = 0; $at < @lines; $at += $window) {
  my $last = $at + $window > @lines ? $#lines : $at + $window - 1;
  my %open;
  for my $n ($at .. $last) {
    my ($family, $source, $destination, $size) = @{$lines[$n]};
    my $s = opened($family, $source);
    my $body = pack("nn", $n & 0xffff, 7) . data($n, $size);
    my $message = $family == 4 ? pack("CCn", 8, 0, sum(pack("CCn", 8, 0, 0) . $body)) . $body : pack("CCn", 128, 0, 0) . $body;
    my $to = $family == 4 ? pack_sockaddr_in(0, inet_aton($destination)) : pack_sockaddr_in6(0, inet_pton(AF_INET6, $destination));
    if (defined send($s, $message, 0, $to)) { $open{$n & 0xffff} = $n } else { print "@{$lines[$n]}: $!\n"; $bad++ }
  }
  my $until = $wait;
  while (%open) {
    my $bits = ""; vec($bits, fileno($_), 1) = 1 for values %socket;
    my ($ready, $left) = select($bits, undef, undef, $until);
    last if $ready <= 0;
    for my $key (keys %socket) {
      my $s = $socket{$key};
      next unless vec($bits, fileno($s), 1);
      my $from = recv($s, my $packet, 65536, 0);
      $packet = substr($packet, 4 * (ord($packet) & 15)) if $key =~ /^4/;
      my ($type, $code, $check, $id) = unpack("CCnn", $packet);
      next unless $type == ($key =~ /^4/ ? 0 : 129) and exists $open{$id};
      my $n = $open{$id};
      if (substr($packet, 8) eq data($n, $lines[$n][3])) { delete $open{$id} } else { print "@{$lines[$n]}: other data\n" }
    }
  }
  for my $n (sort { $a <=> $b } values %open) { print "@{$lines[$n]}: no answer\n"; $bad++ }
}
print "$bad of " . scalar(@lines) . " failed\n";
`

/** Holds the kernel's UDP port 4500 as its own IKE daemon would: what makes it take ESP in UDP (RFC 3948). */
export const ESP_IN_UDP = `use strict; use Socket qw(:all);
for my $family (AF_INET, AF_INET6) {
  socket(my $s, $family, SOCK_DGRAM, 17) or die $!;
  setsockopt($s, 41, 26, pack("i", 1)) if $family == AF_INET6;
  setsockopt($s, 17, 100, pack("i", 2)) or die "UDP_ENCAP: $!";
  # A policy that takes in the outer UDP packet would refuse it before it is opened: this socket is past policies.
  for my $way (0, 1) {
    my $bypass = pack("x40 S x14 x64 x32 L L C4 x4", $family, 0, 0, $way, 0, 0, 0);
    setsockopt($s, $family == AF_INET ? 0 : 41, $family == AF_INET ? 17 : 35, $bypass) or die "XFRM_POLICY: $!";
  }
  bind($s, $family == AF_INET ? pack_sockaddr_in(4500, INADDR_ANY) : pack_sockaddr_in6(4500, IN6ADDR_ANY)) or die "bind: $!";
  push @main::kept, $s;
}
if (fork) { exit 0 }
close STDIN; close STDOUT; close STDERR;
sleep 1000 while 1;
`
