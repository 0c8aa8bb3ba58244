/**
 * What a packet costs in cryptography alone: each suite of ESP, through `node:crypto` and through libcrypto by foreign
 * functions, in turn, at three lengths. Sealing is encrypting and computing the ICV; opening is the way back. libcrypto
 * works in lent memory, as the data plane has it.
 */
import {
  type CryptoProvider,
  encryptionAlgorithm,
  MACS,
  type MacName,
  nodeProvider,
} from '../src/crypto/index.js'
import { NativeMemory } from '../src/linux/ffi.js'
import { loadLibcrypto } from '../src/linux/libcrypto.js'

const ROUNDS = 7
const ROUND_MS = 15
const LENGTHS: readonly number[] = [64, 576, 1400]
const HEADER = 8
const BLOCK_LENGTH = 4096

interface Suite {
  readonly name: string
  readonly encryption: string
  readonly keyLength: number
  readonly mac?: MacName
}

const SUITES: readonly Suite[] = [
  { name: 'AES-128-GCM-16', encryption: 'ENCR_AES_GCM_16', keyLength: 16 },
  { name: 'AES-256-GCM-16', encryption: 'ENCR_AES_GCM_16', keyLength: 32 },
  { name: 'AES-256-CCM-16', encryption: 'ENCR_AES_CCM_16', keyLength: 32 },
  { name: 'ChaCha20-Poly1305', encryption: 'ENCR_CHACHA20_POLY1305', keyLength: 32 },
  { name: 'AES-128-GMAC', encryption: 'ENCR_NULL_AUTH_AES_GMAC', keyLength: 16 },
  { name: 'AES-256-CBC + SHA1-96', encryption: 'ENCR_AES_CBC', keyLength: 32, mac: 'AUTH_HMAC_SHA1_96' },
  {
    name: 'AES-256-CBC + SHA2-256',
    encryption: 'ENCR_AES_CBC',
    keyLength: 32,
    mac: 'AUTH_HMAC_SHA2_256_128',
  },
  {
    name: 'AES-256-CBC + SHA2-512',
    encryption: 'ENCR_AES_CBC',
    keyLength: 32,
    mac: 'AUTH_HMAC_SHA2_512_256',
  },
  { name: 'AES-128-CBC + XCBC', encryption: 'ENCR_AES_CBC', keyLength: 16, mac: 'AUTH_AES_XCBC_96' },
  { name: 'AES-128-CBC + CMAC', encryption: 'ENCR_AES_CBC', keyLength: 16, mac: 'AUTH_AES_CMAC_96' },
  {
    name: 'AES-256-CTR + SHA2-256',
    encryption: 'ENCR_AES_CTR',
    keyLength: 32,
    mac: 'AUTH_HMAC_SHA2_256_128',
  },
  { name: 'NULL + SHA2-256', encryption: 'ENCR_NULL', keyLength: 0, mac: 'AUTH_HMAC_SHA2_256_128' },
  { name: '3DES + SHA1-96', encryption: 'ENCR_3DES', keyLength: 24, mac: 'AUTH_HMAC_SHA1_96' },
]

interface Runner {
  seal(): void
  open(): boolean
  destroy(): void
}

/** One packet of `length` bytes behind an ESP header at the start of `bytes`, sealed and opened again and again. */
function runner(provider: CryptoProvider, suite: Suite, length: number, bytes: Uint8Array): Runner {
  const algorithm = encryptionAlgorithm(suite.encryption)
  const key = new Uint8Array(suite.keyLength).fill(1)
  const nonce = new Uint8Array(algorithm.nonceLength).fill(2)
  const end = HEADER + Math.ceil(length / algorithm.blockLength) * algorithm.blockLength
  if (algorithm.kind === 'aead') {
    const context = provider.aead(algorithm.name, key)
    // GMAC encrypts nothing: all of the packet is associated data.
    const start = algorithm.name === 'ENCR_NULL_AUTH_AES_GMAC' ? end : HEADER
    return {
      seal: () => context.seal(bytes, 0, start, start, end, nonce, end),
      open: () => context.open(bytes, 0, start, start, end, nonce, end),
      destroy: () => context.destroy(),
    }
  }
  const cipher = provider.cipher(algorithm.name, key)
  const name = suite.mac!
  const mac = provider.mac(name, new Uint8Array(macKeyLength(name)).fill(3))
  return {
    seal() {
      cipher.encrypt(bytes, HEADER, end, nonce)
      mac.compute(bytes, 0, end, undefined, bytes, end)
    },
    open() {
      if (!mac.verify(bytes, 0, end, undefined, end)) return false
      cipher.decrypt(bytes, HEADER, end, nonce)
      return true
    },
    destroy() {
      cipher.destroy()
      mac.destroy()
    },
  }
}

function macKeyLength(name: MacName): number {
  return MACS[name].keyLengths[0]!
}

/** Nanoseconds a call, over about `ROUND_MS`. */
function time(calls: number, call: () => unknown): number {
  const from = process.hrtime.bigint()
  for (let i = 0; i < calls; i++) call()
  return Number(process.hrtime.bigint() - from) / calls
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!
}

interface Figures {
  readonly seal: number[]
  readonly open: number[]
}

/** Opening leaves plaintext, so what is opened is sealed first and the difference taken. */
function round(subject: Runner, calls: number, figures: Figures): void {
  const seal = time(calls, () => subject.seal())
  const both = time(calls, () => {
    subject.seal()
    if (!subject.open()) throw new Error('a packet did not open')
  })
  figures.seal.push(seal)
  figures.open.push(both - seal)
}

export async function run(): Promise<void> {
  const native = loadLibcrypto()
  const memory = native === undefined ? undefined : new NativeMemory(BLOCK_LENGTH)
  if (native === undefined)
    console.log('this Node exports no libcrypto (or koffi is missing): node:crypto alone')
  else native.lend(memory!)
  console.log(
    `ns a packet, medians of ${ROUNDS} rounds in turn; Node ${process.version}, OpenSSL ${process.versions.openssl}`,
  )
  console.log(
    `${'suite'.padEnd(24)}${'bytes'.padStart(6)}${'node seal'.padStart(11)}${'open'.padStart(8)}${'libcrypto seal'.padStart(16)}${'open'.padStart(8)}${'ratio'.padStart(8)}`,
  )
  for (const suite of SUITES)
    for (const length of LENGTHS) {
      const figures: Figures[] = []
      const subjects = [runner(nodeProvider, suite, length, new Uint8Array(BLOCK_LENGTH))]
      if (native !== undefined) subjects.push(runner(native, suite, length, memory!.bytes))
      const calls = subjects.map((subject) => {
        time(300, () => subject.seal())
        figures.push({ seal: [], open: [] })
        return Math.ceil((ROUND_MS * 1e6) / time(300, () => subject.seal()))
      })
      for (let i = 0; i < ROUNDS; i++)
        for (const [j, subject] of subjects.entries()) round(subject, calls[j]!, figures[j]!)
      for (const subject of subjects) subject.destroy()
      const [node, lib] = figures.map(({ seal, open }) => ({ seal: median(seal), open: median(open) }))
      const column = (value: number | undefined, width: number): string =>
        (value === undefined ? '-' : value.toFixed(0)).padStart(width)
      const ratio = lib === undefined ? '-' : ((node!.seal + node!.open) / (lib.seal + lib.open)).toFixed(1)
      console.log(
        `${suite.name.padEnd(24)}${String(length).padStart(6)}${column(node!.seal, 11)}${column(node!.open, 8)}${column(lib?.seal, 16)}${column(lib?.open, 8)}${ratio.padStart(8)}`,
      )
    }
}
