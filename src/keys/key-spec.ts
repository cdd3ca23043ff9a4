/**
 * What a key can be and do, as data: the vendor's key specs, usages and algorithms with the facts that operations
 * need. No key bytes, no engine. Source: kms API key types and specifications; SHA-384 and SHA-512 are Keyplane's.
 */

import { ensure, KmsError } from "../errors.ts";

export type KeySpec =
  | "Aliyun_AES_256"
  | "Aliyun_AES_192"
  | "Aliyun_AES_128"
  | "RSA_2048"
  | "RSA_3072"
  | "RSA_4096"
  | "EC_P256"
  | "EC_P256K"
  | "HMAC_SHA_256"
  | "HMAC_SHA_384"
  | "HMAC_SHA_512";

export type KeyUsage = "ENCRYPT/DECRYPT" | "SIGN/VERIFY" | "GENERATE_VERIFY_MAC";

export type EncryptionAlgorithm =
  | "AES_GCM"
  | "RSAES_OAEP_SHA_256"
  | "RSAES_OAEP_SHA_1"
  | "ECIES_DH_SHA_1_XOR_HMAC"
  | BlockAlgorithm;
/** Of hardware keys only, as at the vendor. They authenticate nothing. */
export type BlockAlgorithm = "AES_CBC" | "AES_ECB";
export type SignatureAlgorithm =
  | "RSA_PSS_SHA_256"
  | "RSA_PSS_SHA_384"
  | "RSA_PSS_SHA_512"
  | "RSA_PKCS1_SHA_256"
  | "RSA_PKCS1_SHA_384"
  | "RSA_PKCS1_SHA_512"
  | "ECDSA_SHA_256"
  | "ECDSA_SHA_384"
  | "ECDSA_SHA_512";
export type MacAlgorithm = "HMAC_SHA_256" | "HMAC_SHA_384" | "HMAC_SHA_512";

type Hash = "SHA-1" | "SHA-256" | "SHA-384" | "SHA-512";

/** What the material of a spec is. `parameter` is bits for AES and RSA, the curve for EC, the hash for HMAC. */
export type KeyMaterialType =
  | { readonly type: "aes"; readonly byteLength: 16 | 24 | 32 }
  | { readonly type: "rsa"; readonly modulusBits: 2048 | 3072 | 4096 }
  | { readonly type: "ec"; readonly curve: "P-256" | "secp256k1" }
  | { readonly type: "hmac"; readonly hash: Hash; readonly byteLength: 32 | 48 | 64 };

interface SpecFacts {
  readonly material: KeyMaterialType;
  /** First one is the default. */
  readonly usages: readonly KeyUsage[];
}

const SIGN_OR_ENCRYPT: readonly KeyUsage[] = ["SIGN/VERIFY", "ENCRYPT/DECRYPT"];

const SPECS: Readonly<Record<KeySpec, SpecFacts>> = {
  Aliyun_AES_256: { material: { type: "aes", byteLength: 32 }, usages: ["ENCRYPT/DECRYPT"] },
  Aliyun_AES_192: { material: { type: "aes", byteLength: 24 }, usages: ["ENCRYPT/DECRYPT"] },
  Aliyun_AES_128: { material: { type: "aes", byteLength: 16 }, usages: ["ENCRYPT/DECRYPT"] },
  RSA_2048: { material: { type: "rsa", modulusBits: 2048 }, usages: SIGN_OR_ENCRYPT },
  RSA_3072: { material: { type: "rsa", modulusBits: 3072 }, usages: SIGN_OR_ENCRYPT },
  RSA_4096: { material: { type: "rsa", modulusBits: 4096 }, usages: SIGN_OR_ENCRYPT },
  EC_P256: { material: { type: "ec", curve: "P-256" }, usages: SIGN_OR_ENCRYPT },
  EC_P256K: { material: { type: "ec", curve: "secp256k1" }, usages: SIGN_OR_ENCRYPT },
  HMAC_SHA_256: {
    material: { type: "hmac", hash: "SHA-256", byteLength: 32 },
    usages: ["GENERATE_VERIFY_MAC"],
  },
  HMAC_SHA_384: {
    material: { type: "hmac", hash: "SHA-384", byteLength: 48 },
    usages: ["GENERATE_VERIFY_MAC"],
  },
  HMAC_SHA_512: {
    material: { type: "hmac", hash: "SHA-512", byteLength: 64 },
    usages: ["GENERATE_VERIFY_MAC"],
  },
};

/** Specs of the key pairs that GenerateDataKeyPair makes. */
export type KeyPairSpec = "RSA_2048" | "RSA_3072" | "RSA_4096" | "EC_P256" | "EC_P256K";

/** Every spec, in the order of the documentation. */
export const KEY_SPECS: readonly KeySpec[] = Object.keys(SPECS) as KeySpec[];

export function materialOf(spec: KeySpec): KeyMaterialType {
  return SPECS[spec].material;
}

/** Tells public-key specs from secret-key ones (AES, HMAC). */
export function isAsymmetric(spec: KeySpec): boolean {
  const { type } = SPECS[spec].material;
  return type === "rsa" || type === "ec";
}

/** Returns the usages a spec may be created for, the default first. */
export function usagesOf(spec: KeySpec): readonly KeyUsage[] {
  return SPECS[spec].usages;
}

export type SignatureScheme =
  | { readonly scheme: "pss"; readonly hash: Hash; readonly saltLength: number }
  | { readonly scheme: "pkcs1"; readonly hash: Hash }
  | { readonly scheme: "ecdsa"; readonly hash: Hash };

/** Parameters of each signature algorithm; the PSS salt is as long as the hash, as the vendor's samples have it. */
const SIGNATURE_SCHEMES: Readonly<Record<SignatureAlgorithm, SignatureScheme>> = {
  RSA_PSS_SHA_256: { scheme: "pss", hash: "SHA-256", saltLength: 32 },
  RSA_PSS_SHA_384: { scheme: "pss", hash: "SHA-384", saltLength: 48 },
  RSA_PSS_SHA_512: { scheme: "pss", hash: "SHA-512", saltLength: 64 },
  RSA_PKCS1_SHA_256: { scheme: "pkcs1", hash: "SHA-256" },
  RSA_PKCS1_SHA_384: { scheme: "pkcs1", hash: "SHA-384" },
  RSA_PKCS1_SHA_512: { scheme: "pkcs1", hash: "SHA-512" },
  ECDSA_SHA_256: { scheme: "ecdsa", hash: "SHA-256" },
  ECDSA_SHA_384: { scheme: "ecdsa", hash: "SHA-384" },
  ECDSA_SHA_512: { scheme: "ecdsa", hash: "SHA-512" },
};

const HASH_BYTES: Readonly<Record<Hash, number>> = {
  "SHA-1": 20,
  "SHA-256": 32,
  "SHA-384": 48,
  "SHA-512": 64,
};

export function hashLength(hash: Hash): number {
  return HASH_BYTES[hash];
}

/** Hash of each OAEP algorithm; MGF1 uses the same one, the label is empty. */
export const OAEP_HASHES: Readonly<Record<"RSAES_OAEP_SHA_256" | "RSAES_OAEP_SHA_1", "SHA-256" | "SHA-1">> = {
  RSAES_OAEP_SHA_256: "SHA-256",
  RSAES_OAEP_SHA_1: "SHA-1",
};

/** Returns the longest plaintext OAEP takes, k - 2h - 2 bytes (RFC 8017, 7.1.1). */
export function oaepMaxPlaintext(modulusBits: number, hash: Hash): number {
  return modulusBits / 8 - 2 * hashLength(hash) - 2;
}

/**
 * Resolves the signature algorithm of a call.
 *
 * @param requested the request's `algorithm`; absent = RSA_PSS_SHA_256 or ECDSA_SHA_256
 * @throws KmsError `InvalidParameter` when the spec has no such algorithm
 */
export function signatureScheme(
  spec: KeySpec,
  requested: string | undefined,
): { algorithm: SignatureAlgorithm; scheme: SignatureScheme } {
  const isRsa = SPECS[spec].material.type === "rsa";
  const algorithm = requested ?? (isRsa ? "RSA_PSS_SHA_256" : "ECDSA_SHA_256");
  const scheme = Object.hasOwn(SIGNATURE_SCHEMES, algorithm)
    ? SIGNATURE_SCHEMES[algorithm as SignatureAlgorithm]
    : undefined;
  ensure(
    scheme !== undefined && (scheme.scheme === "ecdsa") !== isRsa,
    "InvalidParameter",
    `algorithm is not one that ${spec} signs with.`,
  );
  return { algorithm: algorithm as SignatureAlgorithm, scheme };
}

/** Encryption algorithms of each kind of key, the default first. */
const ENCRYPTION_ALGORITHMS: Readonly<Record<KeyMaterialType["type"], readonly EncryptionAlgorithm[]>> = {
  aes: ["AES_GCM"],
  rsa: ["RSAES_OAEP_SHA_256", "RSAES_OAEP_SHA_1"],
  ec: ["ECIES_DH_SHA_1_XOR_HMAC"],
  hmac: [],
};

export function isBlockAlgorithm(algorithm: string): algorithm is BlockAlgorithm {
  return algorithm === "AES_CBC" || algorithm === "AES_ECB";
}

/**
 * Resolves the encryption algorithm of a call.
 *
 * @param requested the request's `algorithm`; absent = AES_GCM, RSAES_OAEP_SHA_256 or ECIES_DH_SHA_1_XOR_HMAC
 * @param isHardware adds the block modes that hardware keys have
 * @throws KmsError `InvalidParameter` when the spec has no such algorithm
 */
export function encryptionAlgorithm(
  spec: KeySpec,
  requested: string | undefined,
  isHardware: boolean = false,
): EncryptionAlgorithm {
  if (isHardware && requested !== undefined && isBlockAlgorithm(requested)) {
    if (SPECS[spec].material.type === "aes") return requested;
  }
  const algorithms = ENCRYPTION_ALGORITHMS[SPECS[spec].material.type];
  const algorithm = requested === undefined ? algorithms[0] : algorithms.find((known) => known === requested);
  if (algorithm === undefined)
    throw new KmsError("InvalidParameter", `algorithm is not one that ${spec} encrypts with.`);
  return algorithm;
}
