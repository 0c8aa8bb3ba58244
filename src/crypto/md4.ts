/** MD4 (RFC 1320): broken, and needed by MS-CHAPv2 (RFC 2759) alone. OpenSSL 3 has it no more. */

const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by))

/** Which word, and how far to turn, for each step of the three rounds. */
const ORDERS: readonly (readonly number[])[] = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15],
  [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15],
]
const TURNS: readonly (readonly number[])[] = [
  [3, 7, 11, 19],
  [3, 5, 9, 13],
  [3, 9, 11, 15],
]
const ADDED: readonly number[] = [0, 0x5a827999, 0x6ed9eba1]
const MIXES: readonly ((x: number, y: number, z: number) => number)[] = [
  (x, y, z) => (x & y) | (~x & z),
  (x, y, z) => (x & y) | (x & z) | (y & z),
  (x, y, z) => x ^ y ^ z,
]

export function md4(message: Uint8Array): Uint8Array {
  const padded = new Uint8Array((((message.length + 8) >> 6) + 1) << 6)
  padded.set(message)
  padded[message.length] = 0x80
  const view = new DataView(padded.buffer)
  view.setUint32(padded.length - 8, message.length << 3, true)
  view.setUint32(padded.length - 4, Math.floor(message.length / 0x2000_0000), true)
  const state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476]
  for (let block = 0; block < padded.length; block += 64) {
    let [a, b, c, d] = state as [number, number, number, number]
    for (let round = 0; round < 3; round++)
      for (let step = 0; step < 16; step++) {
        const word = view.getUint32(block + 4 * ORDERS[round]![step]!, true)
        const sum = (a + MIXES[round]!(b, c, d) + word + ADDED[round]!) | 0
        ;[a, b, c, d] = [d, rotate(sum, TURNS[round]![step & 3]!), b, c]
      }
    for (const [i, value] of [a, b, c, d].entries()) state[i] = (state[i]! + value) | 0
  }
  const digest = new Uint8Array(16)
  const out = new DataView(digest.buffer)
  state.forEach((value, i) => {
    out.setUint32(4 * i, value, true)
  })
  padded.fill(0)
  return digest
}
