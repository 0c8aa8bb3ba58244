/** Numbers of IKE, under their IANA names: "Internet Key Exchange Version 2 (IKEv2) Parameters". */
import type { CodeTable } from '../field.js'

/** Exchange types of both versions. */
export const IkeExchange = {
  identityProtection: 2,
  aggressive: 4,
  informationalV1: 5,
  quickMode: 32,
  ikeSaInit: 34,
  ikeAuth: 35,
  createChildSa: 36,
  informational: 37,
  ikeIntermediate: 43,
  ikeFollowupKe: 44,
} as const

export const ikeExchangeNames: CodeTable = {
  0: 'none',
  1: 'base',
  2: 'identity protection (main mode)',
  3: 'authentication only',
  4: 'aggressive',
  5: 'informational (version 1)',
  6: 'transaction (mode config)',
  32: 'quick mode',
  33: 'new group mode',
  34: 'IKE_SA_INIT',
  35: 'IKE_AUTH',
  36: 'CREATE_CHILD_SA',
  37: 'INFORMATIONAL',
  38: 'IKE_SESSION_RESUME',
  43: 'IKE_INTERMEDIATE',
  44: 'IKE_FOLLOWUP_KE',
}

/** RFC 7296 section 3.2. */
export const IkePayloadType = {
  none: 0,
  sa: 33,
  ke: 34,
  idI: 35,
  idR: 36,
  cert: 37,
  certReq: 38,
  auth: 39,
  nonce: 40,
  notify: 41,
  delete: 42,
  vendor: 43,
  tsI: 44,
  tsR: 45,
  encrypted: 46,
  config: 47,
  eap: 48,
  encryptedFragment: 53,
} as const

export const ikePayloadNames: CodeTable = {
  0: 'none',
  33: 'Security association (SA)',
  34: 'Key exchange (KE)',
  35: 'Identification, initiator (IDi)',
  36: 'Identification, responder (IDr)',
  37: 'Certificate (CERT)',
  38: 'Certificate request (CERTREQ)',
  39: 'Authentication (AUTH)',
  40: 'Nonce',
  41: 'Notify (N)',
  42: 'Delete (D)',
  43: 'Vendor ID (V)',
  44: 'Traffic selectors, initiator (TSi)',
  45: 'Traffic selectors, responder (TSr)',
  46: 'Encrypted and authenticated (SK)',
  47: 'Configuration (CP)',
  48: 'Extensible authentication (EAP)',
  49: 'Generic secure password method (GSPM)',
  53: 'Encrypted and authenticated fragment (SKF)',
  54: 'Puzzle solution (PS)',
}

/** RFC 7296 section 3.3.1. */
export const IkeProtocol = { none: 0, ike: 1, ah: 2, esp: 3 } as const
export const ikeProtocolNames: CodeTable = { 0: 'none', 1: 'IKE', 2: 'AH', 3: 'ESP' }

/** RFC 7296 section 3.3.2; 6 to 12 are of RFC 9370. */
export const TransformType = { encr: 1, prf: 2, integ: 3, ke: 4, esn: 5, addke1: 6, addke7: 12 } as const
export const transformTypeNames: CodeTable = {
  1: 'ENCR',
  2: 'PRF',
  3: 'INTEG',
  4: 'KE',
  5: 'ESN',
  6: 'ADDKE1',
  7: 'ADDKE2',
  8: 'ADDKE3',
  9: 'ADDKE4',
  10: 'ADDKE5',
  11: 'ADDKE6',
  12: 'ADDKE7',
}

export const encrNames: CodeTable = {
  1: 'ENCR_DES_IV64',
  2: 'ENCR_DES',
  3: 'ENCR_3DES',
  4: 'ENCR_RC5',
  5: 'ENCR_IDEA',
  6: 'ENCR_CAST',
  7: 'ENCR_BLOWFISH',
  11: 'ENCR_NULL',
  12: 'ENCR_AES_CBC',
  13: 'ENCR_AES_CTR',
  14: 'ENCR_AES_CCM_8',
  15: 'ENCR_AES_CCM_12',
  16: 'ENCR_AES_CCM_16',
  18: 'ENCR_AES_GCM_8',
  19: 'ENCR_AES_GCM_12',
  20: 'ENCR_AES_GCM_16',
  21: 'ENCR_NULL_AUTH_AES_GMAC',
  23: 'ENCR_CAMELLIA_CBC',
  24: 'ENCR_CAMELLIA_CTR',
  25: 'ENCR_CAMELLIA_CCM_8',
  26: 'ENCR_CAMELLIA_CCM_12',
  27: 'ENCR_CAMELLIA_CCM_16',
  28: 'ENCR_CHACHA20_POLY1305',
  29: 'ENCR_AES_CCM_8_IIV',
  30: 'ENCR_AES_GCM_16_IIV',
  31: 'ENCR_CHACHA20_POLY1305_IIV',
}

export const prfNames: CodeTable = {
  1: 'PRF_HMAC_MD5',
  2: 'PRF_HMAC_SHA1',
  4: 'PRF_AES128_XCBC',
  5: 'PRF_HMAC_SHA2_256',
  6: 'PRF_HMAC_SHA2_384',
  7: 'PRF_HMAC_SHA2_512',
  8: 'PRF_AES128_CMAC',
}

export const integNames: CodeTable = {
  0: 'NONE',
  1: 'AUTH_HMAC_MD5_96',
  2: 'AUTH_HMAC_SHA1_96',
  5: 'AUTH_AES_XCBC_96',
  8: 'AUTH_AES_CMAC_96',
  9: 'AUTH_AES_128_GMAC',
  10: 'AUTH_AES_192_GMAC',
  11: 'AUTH_AES_256_GMAC',
  12: 'AUTH_HMAC_SHA2_256_128',
  13: 'AUTH_HMAC_SHA2_384_192',
  14: 'AUTH_HMAC_SHA2_512_256',
}

/** Key exchange methods; 1035 is of the private range, as OpenIKED has it. */
export const keyExchangeNames: CodeTable = {
  0: 'NONE',
  1: 'MODP_768',
  2: 'MODP_1024',
  5: 'MODP_1536',
  14: 'MODP_2048',
  15: 'MODP_3072',
  16: 'MODP_4096',
  17: 'MODP_6144',
  18: 'MODP_8192',
  19: 'ECP_256',
  20: 'ECP_384',
  21: 'ECP_521',
  22: 'MODP_1024_160',
  23: 'MODP_2048_224',
  24: 'MODP_2048_256',
  25: 'ECP_192',
  26: 'ECP_224',
  27: 'BRAINPOOL_P224R1',
  28: 'BRAINPOOL_P256R1',
  29: 'BRAINPOOL_P384R1',
  30: 'BRAINPOOL_P512R1',
  31: 'CURVE25519',
  32: 'CURVE448',
  35: 'ML_KEM_512',
  36: 'ML_KEM_768',
  37: 'ML_KEM_1024',
  1035: 'SNTRUP761X25519',
}

export const esnNames: CodeTable = { 0: 'no extended sequence numbers', 1: 'extended sequence numbers' }

/** The names of a transform type's ids. */
export function transformIdNames(type: number): CodeTable | undefined {
  switch (type) {
    case TransformType.encr:
      return encrNames
    case TransformType.prf:
      return prfNames
    case TransformType.integ:
      return integNames
    case TransformType.esn:
      return esnNames
    default:
      return type === TransformType.ke || (type >= TransformType.addke1 && type <= TransformType.addke7)
        ? keyExchangeNames
        : undefined
  }
}

/** RFC 7296 section 3.5. */
export const IdType = {
  ipv4: 1,
  fqdn: 2,
  rfc822: 3,
  ipv6: 5,
  asn1Dn: 9,
  asn1Gn: 10,
  keyId: 11,
  null: 13,
} as const
export const idTypeNames: CodeTable = {
  1: 'IPv4 address',
  2: 'FQDN',
  3: 'RFC822 address (user FQDN)',
  5: 'IPv6 address',
  9: 'ASN.1 distinguished name',
  10: 'ASN.1 general name',
  11: 'key id',
  12: 'FC_NAME',
  13: 'NULL',
}

/** RFC 7296 section 3.6. */
export const CertEncoding = { pkcs7: 1, x509: 4, crl: 7, hashAndUrl: 12, ocsp: 14, rawKey: 15 } as const
export const certEncodingNames: CodeTable = {
  1: 'PKCS #7',
  4: 'X.509 certificate, signature',
  7: 'certificate revocation list',
  11: 'raw RSA key (obsolete)',
  12: 'hash and URL of an X.509 certificate',
  13: 'hash and URL of a bundle',
  14: 'OCSP content',
  15: 'raw public key',
}

/** RFC 7296 section 3.8. */
export const AuthMethod = {
  rsaSignature: 1,
  sharedKey: 2,
  dssSignature: 3,
  ecdsa256: 9,
  ecdsa384: 10,
  ecdsa521: 11,
  null: 13,
  digitalSignature: 14,
} as const
export const authMethodNames: CodeTable = {
  1: 'RSA digital signature',
  2: 'shared key message integrity code',
  3: 'DSS digital signature',
  9: 'ECDSA with SHA-256 on P-256',
  10: 'ECDSA with SHA-384 on P-384',
  11: 'ECDSA with SHA-512 on P-521',
  12: 'generic secure password',
  13: 'NULL',
  14: 'digital signature',
}

/** RFC 7296 section 3.10.1 and later ones; below 16384 errors, from there status. */
export const NotifyType = {
  unsupportedCriticalPayload: 1,
  invalidIkeSpi: 4,
  invalidMajorVersion: 5,
  invalidSyntax: 7,
  invalidMessageId: 9,
  invalidSpi: 11,
  noProposalChosen: 14,
  invalidKePayload: 17,
  authenticationFailed: 24,
  singlePairRequired: 34,
  noAdditionalSas: 35,
  internalAddressFailure: 36,
  failedCpRequired: 37,
  tsUnacceptable: 38,
  invalidSelectors: 39,
  unacceptableAddresses: 40,
  unexpectedNatDetected: 41,
  temporaryFailure: 43,
  childSaNotFound: 44,
  stateNotFound: 47,
  initialContact: 16384,
  setWindowSize: 16385,
  additionalTsPossible: 16386,
  ipcompSupported: 16387,
  natDetectionSourceIp: 16388,
  natDetectionDestinationIp: 16389,
  cookie: 16390,
  useTransportMode: 16391,
  httpCertLookupSupported: 16392,
  rekeySa: 16393,
  espTfcPaddingNotSupported: 16394,
  nonFirstFragmentsAlso: 16395,
  mobikeSupported: 16396,
  additionalIp4Address: 16397,
  additionalIp6Address: 16398,
  noAdditionalAddresses: 16399,
  updateSaAddresses: 16400,
  cookie2: 16401,
  noNatsAllowed: 16402,
  authLifetime: 16403,
  multipleAuthSupported: 16404,
  redirectSupported: 16406,
  redirect: 16407,
  redirectedFrom: 16408,
  eapOnlyAuthentication: 16417,
  childlessSupported: 16418,
  fragmentationSupported: 16430,
  signatureHashAlgorithms: 16431,
  usePpk: 16435,
  ppkIdentity: 16436,
  noPpkAuth: 16437,
  intermediateExchangeSupported: 16438,
  additionalKeyExchange: 16441,
} as const

/** From here on a notify reports a state, not an error. */
export const NOTIFY_STATUS = 16384

export const notifyNames: CodeTable = {
  1: 'UNSUPPORTED_CRITICAL_PAYLOAD',
  4: 'INVALID_IKE_SPI',
  5: 'INVALID_MAJOR_VERSION',
  7: 'INVALID_SYNTAX',
  9: 'INVALID_MESSAGE_ID',
  11: 'INVALID_SPI',
  14: 'NO_PROPOSAL_CHOSEN',
  17: 'INVALID_KE_PAYLOAD',
  24: 'AUTHENTICATION_FAILED',
  34: 'SINGLE_PAIR_REQUIRED',
  35: 'NO_ADDITIONAL_SAS',
  36: 'INTERNAL_ADDRESS_FAILURE',
  37: 'FAILED_CP_REQUIRED',
  38: 'TS_UNACCEPTABLE',
  39: 'INVALID_SELECTORS',
  40: 'UNACCEPTABLE_ADDRESSES',
  41: 'UNEXPECTED_NAT_DETECTED',
  42: 'USE_ASSIGNED_HoA',
  43: 'TEMPORARY_FAILURE',
  44: 'CHILD_SA_NOT_FOUND',
  45: 'INVALID_GROUP_ID',
  46: 'AUTHORIZATION_FAILED',
  47: 'STATE_NOT_FOUND',
  16384: 'INITIAL_CONTACT',
  16385: 'SET_WINDOW_SIZE',
  16386: 'ADDITIONAL_TS_POSSIBLE',
  16387: 'IPCOMP_SUPPORTED',
  16388: 'NAT_DETECTION_SOURCE_IP',
  16389: 'NAT_DETECTION_DESTINATION_IP',
  16390: 'COOKIE',
  16391: 'USE_TRANSPORT_MODE',
  16392: 'HTTP_CERT_LOOKUP_SUPPORTED',
  16393: 'REKEY_SA',
  16394: 'ESP_TFC_PADDING_NOT_SUPPORTED',
  16395: 'NON_FIRST_FRAGMENTS_ALSO',
  16396: 'MOBIKE_SUPPORTED',
  16397: 'ADDITIONAL_IP4_ADDRESS',
  16398: 'ADDITIONAL_IP6_ADDRESS',
  16399: 'NO_ADDITIONAL_ADDRESSES',
  16400: 'UPDATE_SA_ADDRESSES',
  16401: 'COOKIE2',
  16402: 'NO_NATS_ALLOWED',
  16403: 'AUTH_LIFETIME',
  16404: 'MULTIPLE_AUTH_SUPPORTED',
  16405: 'ANOTHER_AUTH_FOLLOWS',
  16406: 'REDIRECT_SUPPORTED',
  16407: 'REDIRECT',
  16408: 'REDIRECTED_FROM',
  16409: 'TICKET_LT_OPAQUE',
  16410: 'TICKET_REQUEST',
  16411: 'TICKET_ACK',
  16412: 'TICKET_NACK',
  16413: 'TICKET_OPAQUE',
  16414: 'LINK_ID',
  16415: 'USE_WESP_MODE',
  16416: 'ROHC_SUPPORTED',
  16417: 'EAP_ONLY_AUTHENTICATION',
  16418: 'CHILDLESS_IKEV2_SUPPORTED',
  16419: 'QUICK_CRASH_DETECTION',
  16420: 'IKEV2_MESSAGE_ID_SYNC_SUPPORTED',
  16421: 'IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED',
  16422: 'IKEV2_MESSAGE_ID_SYNC',
  16423: 'IPSEC_REPLAY_COUNTER_SYNC',
  16424: 'SECURE_PASSWORD_METHODS',
  16425: 'PSK_PERSIST',
  16426: 'PSK_CONFIRM',
  16427: 'ERX_SUPPORTED',
  16428: 'IFOM_CAPABILITY',
  16429: 'GROUP_SENDER',
  16430: 'IKEV2_FRAGMENTATION_SUPPORTED',
  16431: 'SIGNATURE_HASH_ALGORITHMS',
  16432: 'CLONE_IKE_SA_SUPPORTED',
  16433: 'CLONE_IKE_SA',
  16434: 'PUZZLE',
  16435: 'USE_PPK',
  16436: 'PPK_IDENTITY',
  16437: 'NO_PPK_AUTH',
  16438: 'INTERMEDIATE_EXCHANGE_SUPPORTED',
  16439: 'IP4_ALLOWED',
  16440: 'IP6_ALLOWED',
  16441: 'ADDITIONAL_KEY_EXCHANGE',
  16442: 'USE_AGGFRAG',
  16443: 'SUPPORTED_AUTH_METHODS',
}

/** RFC 7427 section 7. */
export const HashAlgorithm = { sha1: 1, sha256: 2, sha384: 3, sha512: 4, identity: 5 } as const

/** RFC 7296 section 3.13.1. */
export const SelectorType = { ipv4Range: 7, ipv6Range: 8 } as const
export const selectorTypeNames: CodeTable = { 7: 'IPv4 address range', 8: 'IPv6 address range' }

/** RFC 7296 section 3.15. */
export const ConfigType = { request: 1, reply: 2, set: 3, ack: 4 } as const
export const configTypeNames: CodeTable = { 1: 'CFG_REQUEST', 2: 'CFG_REPLY', 3: 'CFG_SET', 4: 'CFG_ACK' }

/** RFC 7296 section 3.15.1. */
export const ConfigAttribute = {
  ip4Address: 1,
  ip4Netmask: 2,
  ip4Dns: 3,
  ip4Nbns: 4,
  ip4Dhcp: 6,
  applicationVersion: 7,
  ip6Address: 8,
  ip6Dns: 10,
  ip6Dhcp: 12,
  ip4Subnet: 13,
  supportedAttributes: 14,
  ip6Subnet: 15,
  dnsDomain: 25,
} as const
export const configAttributeNames: CodeTable = {
  1: 'INTERNAL_IP4_ADDRESS',
  2: 'INTERNAL_IP4_NETMASK',
  3: 'INTERNAL_IP4_DNS',
  4: 'INTERNAL_IP4_NBNS',
  6: 'INTERNAL_IP4_DHCP',
  7: 'APPLICATION_VERSION',
  8: 'INTERNAL_IP6_ADDRESS',
  10: 'INTERNAL_IP6_DNS',
  12: 'INTERNAL_IP6_DHCP',
  13: 'INTERNAL_IP4_SUBNET',
  14: 'SUPPORTED_ATTRIBUTES',
  15: 'INTERNAL_IP6_SUBNET',
  16: 'MIP6_HOME_PREFIX',
  17: 'INTERNAL_IP6_LINK',
  18: 'INTERNAL_IP6_PREFIX',
  19: 'HOME_AGENT_ADDRESS',
  20: 'P_CSCF_IP4_ADDRESS',
  21: 'P_CSCF_IP6_ADDRESS',
  22: 'FTT_KAT',
  23: 'EXTERNAL_SOURCE_IP4_NAT_INFO',
  24: 'TIMEOUT_PERIOD_FOR_LIVENESS_CHECK',
  25: 'INTERNAL_DNS_DOMAIN',
  26: 'INTERNAL_DNSSEC_TA',
  27: 'ENCDNS_IP4',
  28: 'ENCDNS_IP6',
  29: 'ENCDNS_DIGEST_INFO',
}
