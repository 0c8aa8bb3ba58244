/** The hexadecimal dumps that the article shows (its IPv4-in-IPv4 and IPv4-in-IPv6 sections), with their lines. */

export interface ArticlePacket {
  readonly name: string
  /** Microseconds after midnight. */
  readonly time: number
  /** On the wire; the dump has the first 102 bytes. */
  readonly originalLength: number
  /** What the article prints above the dump, its line breaks taken out. */
  readonly verbose: string
  readonly short: string
  readonly dump: string
}

const at = (hours: number, minutes: number, seconds: number): number =>
  ((hours * 60 + minutes) * 60 + seconds) * 1_000_000

export const articlePackets: readonly ArticlePacket[] = [
  {
    name: 'IPv4 in IPv4, echo request',
    time: at(17, 35, 1) + 121_296,
    originalLength: 104,
    verbose:
      '17:35:01.121296 192.168.1.1 > 192.168.1.2: 172.16.0.1 > 172.16.0.2: icmp: echo request (id:aa08 seq:1) (ttl 255, id 45558, len 84) (ttl 64, id 15809, len 104)',
    short: '172.16.0.1 > 172.16.0.2: icmp: echo request (encap)',
    dump: `0000: 4500 0068 3dc1 0000 4004 b97d c0a8 0101  E..h=...@..}....
0010: c0a8 0102 4500 0054 b1f6 0000 ff01 b18e  ....E..T........
0020: ac10 0001 ac10 0002 0800 7d4a aa08 0001  ..........}J....
0030: 5896 e585 356b ab31 2549 8f94 dea0 35d7  X...5k.1%I....5.
0040: 2019 d75f 1ddc 60c5 1819 1a1b 1c1d 1e1f   .._..\`.........
0050: 2021 2223 2425 2627 2829 2a2b 2c2d 2e2f   !"#$%&'()*+,-./
0060: 3031 3233 3435                           012345`,
  },
  {
    name: 'IPv4 in IPv4, echo reply',
    time: at(17, 35, 1) + 122_106,
    originalLength: 104,
    verbose:
      '17:35:01.122106 192.168.1.2 > 192.168.1.1: 172.16.0.2 > 172.16.0.1: icmp: echo reply (id:aa08 seq:1) (ttl 255, id 1121, len 84) (ttl 64, id 35595, len 104)',
    short: '172.16.0.2 > 172.16.0.1: icmp: echo reply (encap)',
    dump: `0000: 4500 0068 8b0b 0000 4004 6c33 c0a8 0102  E..h....@.l3....
0010: c0a8 0101 4500 0054 0461 0000 ff01 5f24  ....E..T.a...._$
0020: ac10 0002 ac10 0001 0000 854a aa08 0001  ...........J....
0030: 5896 e585 356b ab31 2549 8f94 dea0 35d7  X...5k.1%I....5.
0040: 2019 d75f 1ddc 60c5 1819 1a1b 1c1d 1e1f   .._..\`.........
0050: 2021 2223 2425 2627 2829 2a2b 2c2d 2e2f   !"#$%&'()*+,-./
0060: 3031 3233 3435                           012345`,
  },
  {
    name: 'IPv4 in IPv6, echo request',
    time: at(18, 0, 17) + 797_228,
    originalLength: 124,
    verbose:
      '18:00:17.797228 fd3e:62ee:99db:bb1a::1 > fd3e:62ee:99db:bb1a::2: 172.16.0.1 > 172.16.0.2: icmp: echo request (id:a894 seq:2) (ttl 255, id 59928, len 84) [flowlabel 0xe] (len 84, hlim 64)',
    short:
      'fd3e:62ee:99db:bb1a::1 > fd3e:62ee:99db:bb1a::2: 172.16.0.1 > 172.16.0.2: icmp: echo request [flowlabel 0xe]',
    dump: `0000: 6000 000e 0054 0440 fd3e 62ee 99db bb1a  \`....T.@.>b.....
0010: 0000 0000 0000 0001 fd3e 62ee 99db bb1a  .........>b.....
0020: 0000 0000 0000 0002 4500 0054 ea18 0000  ........E..T....
0030: ff01 796c ac10 0001 ac10 0002 0800 4d27  ..yl..........M'
0040: a894 0002 5947 f52c 54bb 8b2c d9d7 38ca  ....YG.,T..,..8.
0050: 1a90 1655 1610 2a09 db8a 0238 1819 1a1b  ...U..*....8....
0060: 1c1d 1e1f 2021                           .... !`,
  },
  {
    name: 'IPv4 in IPv6, echo reply',
    time: at(18, 0, 17) + 798_045,
    originalLength: 124,
    verbose:
      '18:00:17.798045 fd3e:62ee:99db:bb1a::2 > fd3e:62ee:99db:bb1a::1: 172.16.0.2 > 172.16.0.1: icmp: echo reply (id:a894 seq:2) (ttl 255, id 50294, len 84) [flowlabel 0xc] (len 84, hlim 64)',
    short:
      'fd3e:62ee:99db:bb1a::2 > fd3e:62ee:99db:bb1a::1: 172.16.0.2 > 172.16.0.1: icmp: echo reply [flowlabel 0xc]',
    dump: `0000: 6000 000c 0054 0440 fd3e 62ee 99db bb1a  \`....T.@.>b.....
0010: 0000 0000 0000 0002 fd3e 62ee 99db bb1a  .........>b.....
0020: 0000 0000 0000 0001 4500 0054 c476 0000  ........E..T.v..
0030: ff01 9f0e ac10 0002 ac10 0001 0000 5527  ..............U'
0040: a894 0002 5947 f52c 54bb 8b2c d9d7 38ca  ....YG.,T..,..8.
0050: 1a90 1655 1610 2a09 db8a 0238 1819 1a1b  ...U..*....8....
0060: 1c1d 1e1f 2021                           .... !`,
  },
]
