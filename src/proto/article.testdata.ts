/** The article's own dumps of its gif tunnels, over IPv4 and over IPv6: whole, the ping's pattern continued to its end. */
import { hexBytes } from './testing.js'

/** ICMP echo request 172.16.0.1 > 172.16.0.2 in IPv4 192.168.1.1 > 192.168.1.2, id 15809, ttl 64. */
export const gif4: Uint8Array = hexBytes(`
  4500 0068 3dc1 0000 4004 b97d c0a8 0101
  c0a8 0102 4500 0054 b1f6 0000 ff01 b18e
  ac10 0001 ac10 0002 0800 7d4a aa08 0001
  5896 e585 356b ab31 2549 8f94 dea0 35d7
  2019 d75f 1ddc 60c5 1819 1a1b 1c1d 1e1f
  2021 2223 2425 2627 2829 2a2b 2c2d 2e2f
  3031 3233 3435 3637`)

/** The same ping in IPv6 fd3e:62ee:99db:bb1a::1 > ::2, flow label 0xe, hop limit 64. */
export const gif6: Uint8Array = hexBytes(`
  6000 000e 0054 0440 fd3e 62ee 99db bb1a
  0000 0000 0000 0001 fd3e 62ee 99db bb1a
  0000 0000 0000 0002 4500 0054 ea18 0000
  ff01 796c ac10 0001 ac10 0002 0800 4d27
  a894 0002 5947 f52c 54bb 8b2c d9d7 38ca
  1a90 1655 1610 2a09 db8a 0238 1819 1a1b
  1c1d 1e1f 2021 2223 2425 2627 2829 2a2b
  2c2d 2e2f 3031 3233 3435 3637`)
