/**
 * Project Wycheproof's files (https://github.com/C2SP/wycheproof, testvectors_v1, Apache-2.0), where they are at hand:
 * `WARREN_WYCHEPROOF=FOLDER npm test`. The files are not kept here; a sample in their form, made of published vectors,
 * holds the reader of them to its word.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type AeadName, MACS, type MacName } from './names.js'
import { nodeProvider } from './node-provider.js'
import type { CryptoProvider } from './provider.js'
import { hex, onHeap, Sample, toHex } from './testing.js'

/** The members that are read; sizes are in bits, the rest is hexadecimal. */
interface WycheproofTest {
  readonly tcId: number
  readonly key: string
  readonly iv?: string
  readonly aad?: string
  readonly msg: string
  readonly ct?: string
  readonly tag: string
  readonly result: 'valid' | 'invalid' | 'acceptable'
}

interface WycheproofFile {
  readonly testGroups: readonly {
    readonly keySize: number
    readonly ivSize?: number
    readonly tagSize: number
    readonly tests: readonly WycheproofTest[]
  }[]
}

/** What of a file is ours: the AEAD or MAC for a group's sizes, undefined where ESP has none such. */
type Choice = (group: WycheproofFile['testGroups'][number]) => AeadName | MacName | undefined

const aead =
  (name: AeadName, ivSize: number): Choice =>
  (group) =>
    group.ivSize === ivSize && group.tagSize === 128 ? name : undefined

const mac =
  (name: MacName, tagSize: number): Choice =>
  (group) =>
    group.keySize === 8 * MACS[name].keyLengths[0]! && group.tagSize === tagSize ? name : undefined

const FILES: Readonly<Record<string, Choice>> = {
  'aes_gcm_test.json': aead('ENCR_AES_GCM_16', 96),
  'aes_ccm_test.json': aead('ENCR_AES_CCM_16', 88),
  'aes_gmac_test.json': aead('ENCR_NULL_AUTH_AES_GMAC', 96),
  'chacha20_poly1305_test.json': aead('ENCR_CHACHA20_POLY1305', 96),
  'aes_cmac_test.json': mac('AUTH_AES_CMAC_96', 128),
  'hmac_sha1_test.json': mac('AUTH_HMAC_SHA1_96', 160),
  'hmac_sha256_test.json': mac('AUTH_HMAC_SHA2_256_128', 128),
  'hmac_sha384_test.json': mac('AUTH_HMAC_SHA2_384_192', 192),
  'hmac_sha512_test.json': mac('AUTH_HMAC_SHA2_512_256', 256),
}

/** Runs what applies; returns how many cases that was. */
function runFile(provider: CryptoProvider, file: WycheproofFile, choose: Choice): number {
  let ran = 0
  for (const group of file.testGroups) {
    const name = choose(group)
    if (name === undefined) continue
    for (const t of group.tests) {
      if (t.result === 'acceptable') continue
      if (name in MACS) runMac(provider, name as MacName, t)
      else runAead(provider, name as AeadName, t)
      ran++
    }
  }
  return ran
}

function runAead(provider: CryptoProvider, name: AeadName, t: WycheproofTest): void {
  const context = provider.aead(name, hex(t.key))
  // A GMAC file has messages; here they are associated data.
  const [aad, text, sealed] = t.ct === undefined ? [t.msg, '', ''] : [t.aad!, t.msg, t.ct]
  const received = new Sample(onHeap, hex(aad), hex(sealed), hex(t.tag))
  assert.equal(received.open(context, hex(t.iv!)), t.result === 'valid', `${name}, case ${t.tcId}`)
  if (t.result === 'valid') {
    assert.equal(received.text, text, `${name}, case ${t.tcId}`)
    received.seal(context, hex(t.iv!))
    assert.equal(received.text + received.icv, sealed + t.tag, `${name}, case ${t.tcId}`)
  }
  context.destroy()
}

function runMac(provider: CryptoProvider, name: MacName, t: WycheproofTest): void {
  const context = provider.mac(name, hex(t.key))
  const { icvLength } = context.algorithm
  const icv = hex(t.tag).subarray(0, icvLength)
  const received = new Sample(onHeap, new Uint8Array(0), hex(t.msg), icv)
  const verified = context.verify(received.bytes, received.start, received.end, undefined, received.icvAt)
  // A wrong tag whose wrong bits all lie beyond ESP's truncation is right for ESP.
  if (t.result === 'valid' || t.tag.length === 2 * icvLength)
    assert.equal(verified, t.result === 'valid', `${name}, case ${t.tcId}`)
  const out = new Uint8Array(icvLength)
  context.compute(received.bytes, received.start, received.end, undefined, out)
  assert.equal(toHex(out) === toHex(icv), verified, `${name}, case ${t.tcId}`)
  context.destroy()
}

const SAMPLE_KEY = '7d773d00c144c525ac619d18c84a3f47'
const SAMPLE = {
  tcId: 1,
  key: SAMPLE_KEY,
  iv: 'd966426743457e9182443bc6',
  aad: '335467aeffffffff',
  msg: '01020201',
  ct: '437f866b',
  tag: 'cb3f699fe9b0822bac961c4504bef270',
  result: 'valid',
} as const satisfies WycheproofTest

function sampleFile(...tests: WycheproofTest[]): WycheproofFile {
  return {
    testGroups: [
      { keySize: 128, ivSize: 96, tagSize: 128, tests },
      { keySize: 128, ivSize: 128, tagSize: 128, tests: [{ ...SAMPLE, tcId: 99, tag: '' }] },
    ],
  }
}

test('a sample in the form of Wycheproof: right, wrong, and a wrong claim is found', () => {
  const choose = FILES['aes_gcm_test.json']!
  const forged: WycheproofTest = { ...SAMPLE, tag: SAMPLE.tag.replace('cb', 'cc'), result: 'invalid' }
  assert.equal(runFile(nodeProvider, sampleFile(SAMPLE, forged), choose), 2)
  assert.throws(() => runFile(nodeProvider, sampleFile({ ...forged, result: 'valid' }), choose), /case 1/)
  assert.throws(() => runFile(nodeProvider, sampleFile({ ...SAMPLE, result: 'invalid' }), choose), /case 1/)
  const cmac: WycheproofTest = {
    tcId: 7,
    key: '2b7e151628aed2a6abf7158809cf4f3c',
    msg: '',
    tag: 'bb1d6929e95937287fa37d129b756746',
    result: 'valid',
  }
  const file = { testGroups: [{ keySize: 128, tagSize: 128, tests: [cmac] }] }
  assert.equal(runFile(nodeProvider, file, FILES['aes_cmac_test.json']!), 1)
  const bad = {
    testGroups: [{ keySize: 128, tagSize: 128, tests: [{ ...cmac, tag: `00${cmac.tag.slice(2)}` }] }],
  }
  assert.throws(() => runFile(nodeProvider, bad, FILES['aes_cmac_test.json']!), /case 7/)
})

const folder = process.env.WARREN_WYCHEPROOF
if (folder !== undefined) {
  // Only where Linux has it: this room must not import the room of foreign functions, so it is found at run time.
  const linux = (await import(new URL('../linux/libcrypto.js', import.meta.url).href)) as {
    loadLibcrypto(): CryptoProvider | undefined
  }
  for (const provider of [nodeProvider, linux.loadLibcrypto()])
    for (const [name, choose] of Object.entries(FILES))
      if (provider !== undefined)
        test(`Wycheproof ${name}, ${provider.name}`, () => {
          const file = JSON.parse(readFileSync(join(folder, name), 'utf8')) as WycheproofFile
          assert.ok(runFile(provider, file, choose) > 0, 'no case applies')
        })
}
