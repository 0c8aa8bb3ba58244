/** One block of DES (FIPS 46-3): broken, and needed by MS-CHAPv2 (RFC 2759) alone. OpenSSL 3 has it no more. */

const INITIAL = [
  58, 50, 42, 34, 26, 18, 10, 2, 60, 52, 44, 36, 28, 20, 12, 4, 62, 54, 46, 38, 30, 22, 14, 6, 64, 56, 48, 40,
  32, 24, 16, 8, 57, 49, 41, 33, 25, 17, 9, 1, 59, 51, 43, 35, 27, 19, 11, 3, 61, 53, 45, 37, 29, 21, 13, 5,
  63, 55, 47, 39, 31, 23, 15, 7,
]
const FINAL: readonly number[] = INITIAL.map((_, i) => INITIAL.indexOf(i + 1) + 1)
const EXPANSION = Array.from({ length: 48 }, (_, i) => ((Math.floor(i / 6) * 4 + (i % 6) + 31) % 32) + 1)
const MIXING = [
  16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22,
  11, 4, 25,
]
const CHOICE_1 = [
  57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36,
  63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
]
const CHOICE_2 = [
  14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2, 41, 52, 31, 37, 47,
  55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
]
const SINGLE_SHIFTS: ReadonlySet<number> = new Set([0, 1, 8, 15])
/** The eight S-boxes, four rows of sixteen each, a hexadecimal digit an entry. */
const BOXES = [
  'e4d12fb83a6c5907' + '0f74e2d1a6cb9538' + '41e8d62bfc973a50' + 'fc8249175b3ea06d',
  'f18e6b34972dc05a' + '3d47f28ec01a69b5' + '0e7ba4d158c6932f' + 'd8a13f42b67c05e9',
  'a09e63f51dc7b428' + 'd709346a285ecbf1' + 'd6498f30b12c5ae7' + '1ad069874fe3b52c',
  '7de3069a1285bc4f' + 'd8b56f03472c1ae9' + 'a690cb7df13e5284' + '3f06a1d8945bc72e',
  '2c417ab6853fd0e9' + 'eb2c47d150fa3986' + '421bad78f9c5630e' + 'b8c71e2d6f09a453',
  'c1af92680d34e75b' + 'af427c9561de0b38' + '9ef528c3704a1db6' + '432c95fabe17608d',
  '4b2ef08d3c975a61' + 'd0b7491ae35c2f86' + '14bdc37eaf680592' + '6bd814a7950fe23c',
  'd2846fb1a93e50c7' + '1fd8a374c56b0e92' + '7b419ce206adf358' + '21e74a8dfc90356b',
].map((box) => Array.from(box, (digit) => Number.parseInt(digit, 16)))

const pick = (bits: readonly number[], places: readonly number[]): number[] =>
  places.map((place) => bits[place - 1]!)
const bitsOf = (bytes: Uint8Array): number[] =>
  Array.from({ length: bytes.length * 8 }, (_, i) => (bytes[i >> 3]! >> (7 - (i & 7))) & 1)

/** `key`: 8 bytes, whose lowest bits (parity) do not matter. */
export function desEncrypt(key: Uint8Array, block: Uint8Array): Uint8Array {
  let [c, d] = ((bits) => [bits.slice(0, 28), bits.slice(28)])(pick(bitsOf(key), CHOICE_1)) as [
    number[],
    number[],
  ]
  let [left, right] = ((bits) => [bits.slice(0, 32), bits.slice(32)])(pick(bitsOf(block), INITIAL)) as [
    number[],
    number[],
  ]
  for (let round = 0; round < 16; round++) {
    const by = SINGLE_SHIFTS.has(round) ? 1 : 2
    c = [...c.slice(by), ...c.slice(0, by)]
    d = [...d.slice(by), ...d.slice(0, by)]
    const roundKey = pick([...c, ...d], CHOICE_2)
    const mixed = pick(right, EXPANSION).map((bit, i) => bit ^ roundKey[i]!)
    const out: number[] = []
    for (let box = 0; box < 8; box++) {
      const [a, b, e, f, g, h] = mixed.slice(6 * box, 6 * box + 6) as [
        number,
        number,
        number,
        number,
        number,
        number,
      ]
      const value = BOXES[box]![(a * 2 + h) * 16 + b * 8 + e * 4 + f * 2 + g]!
      for (let bit = 3; bit >= 0; bit--) out.push((value >> bit) & 1)
    }
    const permuted = pick(out, MIXING)
    ;[left, right] = [right, left.map((bit, i) => bit ^ permuted[i]!)]
  }
  const bits = pick([...right, ...left], FINAL)
  const result = new Uint8Array(8)
  bits.forEach((bit, i) => {
    result[i >> 3]! |= bit << (7 - (i & 7))
  })
  return result
}

/** A key of 7 bytes with a bit of parity behind each seven (RFC 2759 section 8.6). */
export function desKeyOf(seven: Uint8Array): Uint8Array {
  const bits = bitsOf(seven)
  const key = new Uint8Array(8)
  for (let i = 0; i < 56; i++) key[Math.floor(i / 7)]! |= bits[i]! << (7 - (i % 7))
  return key
}
