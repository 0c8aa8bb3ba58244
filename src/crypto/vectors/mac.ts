/**
 * Published test cases of the integrity algorithms. Facts taken from RFC 3566 section 4.6, RFC 4494 section 3.2, RFC 2202
 * section 3, RFC 4868 section 2.7.2 and RFC 4231 section 4, under BCP 78 and the IETF Trust's Legal Provisions
 * (https://trustee.ietf.org/license-info).
 *
 * All is hexadecimal. ICVs are truncated as ESP has them. Keys shorter than ESP's are filled up with zeros, which HMAC does
 * itself (RFC 2104 section 2).
 */
import type { MacName } from '../names.js'

export interface MacVector {
  readonly source: string
  readonly algorithm: MacName
  readonly key: string
  readonly message: string
  readonly icv: string
}

export const MAC_VECTORS: readonly MacVector[] = [
  {
    source: 'RFC 3566 section 4.6, case 1',
    algorithm: 'AUTH_AES_XCBC_96',
    key: '000102030405060708090a0b0c0d0e0f',
    message: '',
    icv: '75f0251d528ac01c4573dfd5',
  },
  {
    source: 'RFC 3566 section 4.6, case 2',
    algorithm: 'AUTH_AES_XCBC_96',
    key: '000102030405060708090a0b0c0d0e0f',
    message: '000102',
    icv: '5b376580ae2f19afe7219cee',
  },
  {
    source: 'RFC 3566 section 4.6, case 3',
    algorithm: 'AUTH_AES_XCBC_96',
    key: '000102030405060708090a0b0c0d0e0f',
    message: '000102030405060708090a0b0c0d0e0f',
    icv: 'd2a246fa349b68a79998a439',
  },
  {
    source: 'RFC 3566 section 4.6, case 4',
    algorithm: 'AUTH_AES_XCBC_96',
    key: '000102030405060708090a0b0c0d0e0f',
    message: '000102030405060708090a0b0c0d0e0f10111213',
    icv: '47f51b4564966215b8985c63',
  },
  {
    source: 'RFC 3566 section 4.6, case 5',
    algorithm: 'AUTH_AES_XCBC_96',
    key: '000102030405060708090a0b0c0d0e0f',
    message: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
    icv: 'f54f0ec8d2b9f3d36807734b',
  },
  {
    source: 'RFC 3566 section 4.6, case 6',
    algorithm: 'AUTH_AES_XCBC_96',
    key: '000102030405060708090a0b0c0d0e0f',
    message: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021',
    icv: 'becbb3bccdb518a30677d548',
  },
  {
    source: 'RFC 3566 section 4.6, case 7',
    algorithm: 'AUTH_AES_XCBC_96',
    key: '000102030405060708090a0b0c0d0e0f',
    message:
      '00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000',
    icv: 'f0dafee895db30253761103b',
  },
  {
    source: 'RFC 4494 section 3.2, case 1',
    algorithm: 'AUTH_AES_CMAC_96',
    key: '2b7e151628aed2a6abf7158809cf4f3c',
    message: '',
    icv: 'bb1d6929e95937287fa37d12',
  },
  {
    source: 'RFC 4494 section 3.2, case 2',
    algorithm: 'AUTH_AES_CMAC_96',
    key: '2b7e151628aed2a6abf7158809cf4f3c',
    message: '6bc1bee22e409f96e93d7e117393172a',
    icv: '070a16b46b4d4144f79bdd9d',
  },
  {
    source: 'RFC 4494 section 3.2, case 3',
    algorithm: 'AUTH_AES_CMAC_96',
    key: '2b7e151628aed2a6abf7158809cf4f3c',
    message: '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411',
    icv: 'dfa66747de9ae63030ca3261',
  },
  {
    source: 'RFC 4494 section 3.2, case 4',
    algorithm: 'AUTH_AES_CMAC_96',
    key: '2b7e151628aed2a6abf7158809cf4f3c',
    message:
      '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710',
    icv: '51f0bebf7e3b9d92fc497417',
  },
  {
    source: 'RFC 2202 section 3, case 1',
    algorithm: 'AUTH_HMAC_SHA1_96',
    key: '0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b',
    message: '4869205468657265',
    icv: 'b617318655057264e28bc0b6',
  },
  {
    source: 'RFC 2202 section 3, case 2',
    algorithm: 'AUTH_HMAC_SHA1_96',
    key: '4a65666500000000000000000000000000000000',
    message: '7768617420646f2079612077616e7420666f72206e6f7468696e673f',
    icv: 'effcdf6ae5eb2fa2d27416d5',
  },
  {
    source: 'RFC 2202 section 3, case 3',
    algorithm: 'AUTH_HMAC_SHA1_96',
    key: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    message:
      'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',
    icv: '125d7342b9ac11cd91a39af4',
  },
  {
    source: 'RFC 2202 section 3, case 5',
    algorithm: 'AUTH_HMAC_SHA1_96',
    key: '0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c',
    message: '546573742057697468205472756e636174696f6e',
    icv: '4c1a03424b55e07fe7f27be1',
  },
  {
    source: 'RFC 4868 section 2.7.2.1, AUTH256-1',
    algorithm: 'AUTH_HMAC_SHA2_256_128',
    key: '0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b',
    message: '4869205468657265',
    icv: '198a607eb44bfbc69903a0f1cf2bbdc5',
  },
  {
    source: 'RFC 4868 section 2.7.2.1, AUTH256-2',
    algorithm: 'AUTH_HMAC_SHA2_256_128',
    key: '4a6566654a6566654a6566654a6566654a6566654a6566654a6566654a656665',
    message: '7768617420646f2079612077616e7420666f72206e6f7468696e673f',
    icv: '167f928588c5cc2eef8e3093caa0e87c',
  },
  {
    source: 'RFC 4868 section 2.7.2.1, AUTH256-3',
    algorithm: 'AUTH_HMAC_SHA2_256_128',
    key: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    message:
      'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',
    icv: 'cdcb1220d1ecccea91e53aba3092f962',
  },
  {
    source: 'RFC 4868 section 2.7.2.1, AUTH256-4',
    algorithm: 'AUTH_HMAC_SHA2_256_128',
    key: '0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20',
    message:
      'cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd',
    icv: '372efcf9b40b35c2115b1346903d2ef4',
  },
  {
    source: 'RFC 4868 section 2.7.2.2, AUTH384-1',
    algorithm: 'AUTH_HMAC_SHA2_384_192',
    key: '0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b',
    message: '4869205468657265',
    icv: 'b6a8d5636f5c6a7224f9977dcf7ee6c7fb6d0c48cbdee973',
  },
  {
    source: 'RFC 4868 section 2.7.2.2, AUTH384-2',
    algorithm: 'AUTH_HMAC_SHA2_384_192',
    key: '4a6566654a6566654a6566654a6566654a6566654a6566654a6566654a6566654a6566654a6566654a6566654a656665',
    message: '7768617420646f2079612077616e7420666f72206e6f7468696e673f',
    icv: '2c7353974f1842fd66d53c452ca42122b28c0b594cfb184d',
  },
  {
    source: 'RFC 4868 section 2.7.2.2, AUTH384-3',
    algorithm: 'AUTH_HMAC_SHA2_384_192',
    key: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    message:
      'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',
    icv: '809f439be00274321d4a538652164b53554a508184a0c316',
  },
  {
    source: 'RFC 4868 section 2.7.2.2, AUTH384-4',
    algorithm: 'AUTH_HMAC_SHA2_384_192',
    key: '0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f200a0b0c0d0e0f10111213141516171819',
    message:
      'cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd',
    icv: '5b540085c6e6358096532b2493609ed1cb298f774f87bb5c',
  },
  {
    source: 'RFC 4868 section 2.7.2.3, AUTH512-1',
    algorithm: 'AUTH_HMAC_SHA2_512_256',
    key: '0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b',
    message: '4869205468657265',
    icv: '637edc6e01dce7e6742a99451aae82df23da3e92439e590e43e761b33e910fb8',
  },
  {
    source: 'RFC 4868 section 2.7.2.3, AUTH512-2',
    algorithm: 'AUTH_HMAC_SHA2_512_256',
    key: '4a6566654a6566654a6566654a6566654a6566654a6566654a6566654a6566654a6566654a6566654a6566654a6566654a6566654a6566654a6566654a656665',
    message: '7768617420646f2079612077616e7420666f72206e6f7468696e673f',
    icv: 'cb370917ae8a7ce28cfd1d8f4705d6141c173b2a9362c15df235dfb251b15454',
  },
  {
    source: 'RFC 4868 section 2.7.2.3, AUTH512-3',
    algorithm: 'AUTH_HMAC_SHA2_512_256',
    key: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    message:
      'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',
    icv: '2ee7acd783624ca9398710f3ee05ae41b9f9b0510c87e49e586cc9bf961733d8',
  },
  {
    source: 'RFC 4868 section 2.7.2.3, AUTH512-4',
    algorithm: 'AUTH_HMAC_SHA2_512_256',
    key: '0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f40',
    message:
      'cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd',
    icv: '5e6688e5a3daec826ca32eaea224eff5e700628947470e13ad01302561bab108',
  },
  {
    source: 'RFC 4231 section 4.2',
    algorithm: 'AUTH_HMAC_SHA2_256_128',
    key: '0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b000000000000000000000000',
    message: '4869205468657265',
    icv: 'b0344c61d8db38535ca8afceaf0bf12b',
  },
  {
    source: 'RFC 4231 section 4.2',
    algorithm: 'AUTH_HMAC_SHA2_384_192',
    key: '0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b00000000000000000000000000000000000000000000000000000000',
    message: '4869205468657265',
    icv: 'afd03944d84895626b0825f4ab46907f15f9dadbe4101ec6',
  },
  {
    source: 'RFC 4231 section 4.2',
    algorithm: 'AUTH_HMAC_SHA2_512_256',
    key: '0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000',
    message: '4869205468657265',
    icv: '87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde',
  },
  {
    source: 'RFC 4231 section 4.3',
    algorithm: 'AUTH_HMAC_SHA2_256_128',
    key: '4a65666500000000000000000000000000000000000000000000000000000000',
    message: '7768617420646f2079612077616e7420666f72206e6f7468696e673f',
    icv: '5bdcc146bf60754e6a042426089575c7',
  },
  {
    source: 'RFC 4231 section 4.3',
    algorithm: 'AUTH_HMAC_SHA2_384_192',
    key: '4a6566650000000000000000000000000000000000000000000000000000000000000000000000000000000000000000',
    message: '7768617420646f2079612077616e7420666f72206e6f7468696e673f',
    icv: 'af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47',
  },
  {
    source: 'RFC 4231 section 4.3',
    algorithm: 'AUTH_HMAC_SHA2_512_256',
    key: '4a656665000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000',
    message: '7768617420646f2079612077616e7420666f72206e6f7468696e673f',
    icv: '164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554',
  },
  {
    source: 'RFC 4231 section 4.4',
    algorithm: 'AUTH_HMAC_SHA2_256_128',
    key: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa000000000000000000000000',
    message:
      'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',
    icv: '773ea91e36800e46854db8ebd09181a7',
  },
  {
    source: 'RFC 4231 section 4.4',
    algorithm: 'AUTH_HMAC_SHA2_384_192',
    key: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa00000000000000000000000000000000000000000000000000000000',
    message:
      'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',
    icv: '88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9feb',
  },
  {
    source: 'RFC 4231 section 4.4',
    algorithm: 'AUTH_HMAC_SHA2_512_256',
    key: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000',
    message:
      'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',
    icv: 'fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39',
  },
  {
    source: 'RFC 4231 section 4.5',
    algorithm: 'AUTH_HMAC_SHA2_256_128',
    key: '0102030405060708090a0b0c0d0e0f1011121314151617181900000000000000',
    message:
      'cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd',
    icv: '82558a389a443c0ea4cc819899f2083a',
  },
  {
    source: 'RFC 4231 section 4.5',
    algorithm: 'AUTH_HMAC_SHA2_384_192',
    key: '0102030405060708090a0b0c0d0e0f101112131415161718190000000000000000000000000000000000000000000000',
    message:
      'cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd',
    icv: '3e8a69b7783c25851933ab6290af6ca77a9981480850009c',
  },
  {
    source: 'RFC 4231 section 4.5',
    algorithm: 'AUTH_HMAC_SHA2_512_256',
    key: '0102030405060708090a0b0c0d0e0f10111213141516171819000000000000000000000000000000000000000000000000000000000000000000000000000000',
    message:
      'cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd',
    icv: 'b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3db',
  },
]
