/** Numbers of PKCS #11 2.40 and 3.0 that the TypeScript side uses; the names are the standard's. */

export const CKO = { publicKey: 2, privateKey: 3, secretKey: 4 } as const;

export const CKK = { rsa: 0x0, ec: 0x3, aes: 0x1f } as const;

export const CKA = {
  class: 0x0,
  token: 0x1,
  private: 0x2,
  label: 0x3,
  keyType: 0x100,
  id: 0x102,
  sensitive: 0x103,
  encrypt: 0x104,
  decrypt: 0x105,
  wrap: 0x106,
  unwrap: 0x107,
  sign: 0x108,
  verify: 0x10a,
  modulus: 0x120,
  modulusBits: 0x121,
  publicExponent: 0x122,
  valueLength: 0x161,
  extractable: 0x162,
  neverExtractable: 0x164,
  ecParams: 0x180,
  ecPoint: 0x181,
} as const;

export const CKM = {
  rsaKeyPairGen: 0x0,
  rsaPkcs: 0x1,
  rsaOaep: 0x9,
  rsaPss: 0xd,
  ecKeyPairGen: 0x1040,
  ecdsa: 0x1041,
  aesKeyGen: 0x1080,
  aesEcb: 0x1081,
  aesCbc: 0x1082,
  /** CKM_CLOUDHSM_AES_GCM. */
  cloudHsmAesGcm: 0x80001087,
  aesGcm: 0x1087,
  aesKeyWrapPad: 0x210a,
  aesKeyWrapKwp: 0x210b,
} as const;

/** Names of the mechanisms above, for messages. */
export const MECHANISM_NAMES: ReadonlyMap<number, string> = new Map([
  [CKM.rsaKeyPairGen, "CKM_RSA_PKCS_KEY_PAIR_GEN"],
  [CKM.rsaPkcs, "CKM_RSA_PKCS"],
  [CKM.rsaOaep, "CKM_RSA_PKCS_OAEP"],
  [CKM.rsaPss, "CKM_RSA_PKCS_PSS"],
  [CKM.ecKeyPairGen, "CKM_EC_KEY_PAIR_GEN"],
  [CKM.ecdsa, "CKM_ECDSA"],
  [CKM.aesKeyGen, "CKM_AES_KEY_GEN"],
  [CKM.aesEcb, "CKM_AES_ECB"],
  [CKM.aesCbc, "CKM_AES_CBC"],
  [CKM.aesGcm, "CKM_AES_GCM"],
  [CKM.aesKeyWrapPad, "CKM_AES_KEY_WRAP_PAD"],
  [CKM.aesKeyWrapKwp, "CKM_AES_KEY_WRAP_KWP"],
]);

export const CKR = {
  hostMemory: 0x2,
  generalError: 0x5,
  functionFailed: 0x6,
  argumentsBad: 0x7,
  dataInvalid: 0x20,
  dataLenRange: 0x21,
  deviceError: 0x30,
  deviceMemory: 0x31,
  deviceRemoved: 0x32,
  encryptedDataInvalid: 0x40,
  encryptedDataLenRange: 0x41,
  aeadDecryptFailed: 0x42,
  functionNotSupported: 0x54,
  keyHandleInvalid: 0x60,
  keySizeRange: 0x62,
  keyTypeInconsistent: 0x63,
  keyFunctionNotPermitted: 0x68,
  mechanismInvalid: 0x70,
  mechanismParamInvalid: 0x71,
  objectHandleInvalid: 0x82,
  operationActive: 0x90,
  pinIncorrect: 0xa0,
  pinExpired: 0xa3,
  pinLocked: 0xa4,
  sessionCount: 0xb1,
  sessionHandleInvalid: 0xb3,
  tokenNotPresent: 0xe0,
  userAnotherAlreadyLoggedIn: 0x104,
  domainParamsInvalid: 0x130,
  curveNotSupported: 0x140,
  cryptokiNotInitialized: 0x190,
} as const;
