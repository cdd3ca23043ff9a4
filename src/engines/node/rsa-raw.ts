/**
 * The RSA operations over node:crypto, without handles. A message goes through OpenSSL's own padding; a bare digest
 * is encoded here and meets the raw operation. No signature leaves before the public key verified it.
 */

import { constants, privateDecrypt, publicEncrypt, sign, verify } from "node:crypto";
import { equalBytesVartime } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import type { HashName } from "../engine.ts";
import { type CheckedSignable, hashFacts, ownBytes } from "./arguments.ts";
import type { RsaPrivateSecret, RsaPublicSecret } from "./rsa-keys.ts";
import { encodePkcs1, encodePss, verifyPssBlock } from "./rsa-padding.ts";

/** A padding to sign with; the salt length of PSS in bytes. */
export type RsaSigning =
  | { readonly scheme: "pss"; readonly hash: HashName; readonly saltLength: number }
  | { readonly scheme: "pkcs1"; readonly hash: HashName };

/** A padding to verify with: "auto" takes a salt of any length. */
export type RsaPadding =
  | RsaSigning
  | { readonly scheme: "pss"; readonly hash: HashName; readonly saltLength: "auto" };

/** OAEP with one hash for both label and mask. */
export interface RsaOaep {
  readonly hash: HashName;
  readonly label: Uint8Array | undefined;
}

function opensslPadding(padding: RsaPadding): { padding: number; saltLength?: number } {
  if (padding.scheme === "pkcs1") return { padding: constants.RSA_PKCS1_PADDING };
  const saltLength = padding.saltLength === "auto" ? constants.RSA_PSS_SALTLEN_AUTO : padding.saltLength;
  return { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
}

function signUnchecked(secret: RsaPrivateSecret, signable: CheckedSignable, padding: RsaSigning): Buffer {
  const { privateKey: key, modulusLength } = secret;
  if (signable.kind === "message") {
    return sign(hashFacts(padding.hash).openssl, signable.message, { key, ...opensslPadding(padding) });
  }
  const block =
    padding.scheme === "pss"
      ? encodePss(padding.hash, signable.digest, padding.saltLength, modulusLength)
      : encodePkcs1(padding.hash, signable.digest, modulusLength);
  // RSASP1 and RSADP are one function (RFC 8017, 5); Deno has it by this name alone.
  return privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, block);
}

/**
 * Signs and checks the result: one faulty CRT half would give the factors of n away (Boneh, DeMillo, Lipton).
 *
 * @throws KmsError `InternalFailure` when the signature does not verify
 */
export function signRsa(
  secret: RsaPrivateSecret,
  signable: CheckedSignable,
  padding: RsaSigning,
): Uint8Array {
  const signature = ownBytes(signUnchecked(secret, signable, padding));
  const verified = verifyRsa(secret, signable, signature, padding);
  if (!verified) signature.fill(0);
  ensure(verified, "InternalFailure", "The RSA signature failed its check and was withheld.");
  return signature;
}

/** Verifies a signature of any shape; what is not a valid one is false. */
export function verifyRsa(
  { publicKey: key, modulusLength }: RsaPublicSecret,
  signable: CheckedSignable,
  signature: Uint8Array,
  padding: RsaPadding,
): boolean {
  if (signature.length !== modulusLength) return false;
  try {
    if (signable.kind === "message") {
      const openssl = hashFacts(padding.hash).openssl;
      return verify(openssl, signable.message, { key, ...opensslPadding(padding) }, signature);
    }
    const block = publicEncrypt({ key, padding: constants.RSA_NO_PADDING }, signature);
    return padding.scheme === "pss"
      ? verifyPssBlock(padding.hash, signable.digest, padding.saltLength, block)
      : equalBytesVartime(block, encodePkcs1(padding.hash, signable.digest, modulusLength));
  } catch {
    // OpenSSL throws for a signature that is not below the modulus.
    return false;
  }
}

function opensslOaep({ hash, label }: RsaOaep): {
  padding: number;
  oaepHash: string;
  oaepLabel?: Uint8Array;
} {
  const options = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: hashFacts(hash).openssl };
  return label === undefined || label.length === 0 ? options : { ...options, oaepLabel: label };
}

/** Encrypts a plaintext that is known to fit. */
export function encryptOaepRaw(
  { publicKey: key }: RsaPublicSecret,
  plaintext: Uint8Array,
  oaep: RsaOaep,
): Uint8Array {
  return ownBytes(publicEncrypt({ key, ...opensslOaep(oaep) }, plaintext));
}

/** Decrypts; every failure is the same undefined. */
export function decryptOaepRaw(
  { privateKey: key, modulusLength }: RsaPrivateSecret,
  ciphertext: Uint8Array,
  oaep: RsaOaep,
): Uint8Array | undefined {
  if (ciphertext.length !== modulusLength) return undefined;
  try {
    return ownBytes(privateDecrypt({ key, ...opensslOaep(oaep) }, ciphertext));
  } catch {
    return undefined;
  }
}
