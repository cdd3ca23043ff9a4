/** Checks what callers of the WebCrypto engine's RSA choose (RFC 8017): schemes, hashes, salts, labels. */

import { ensureBytes } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import type {
  HashName,
  OaepOptions,
  Pkcs1Options,
  PssOptions,
  Signable,
  VerifyPssOptions,
} from "../engine.ts";
import { checkHash, checkOptions, HASH_LENGTHS, messageOf } from "./arguments.ts";

/** A checked choice of signature scheme. */
export interface Scheme {
  readonly name: "RSA-PSS" | "RSASSA-PKCS1-v1_5";
  readonly hash: HashName;
  readonly saltLength?: number;
}

export interface Oaep {
  readonly hash: HashName;
  readonly label: Uint8Array;
}

export const NO_LABEL: Uint8Array = new Uint8Array(0);

export function pkcs1Scheme(options: Pkcs1Options): Scheme {
  const { hash } = checkOptions(options);
  checkHash(hash);
  return { name: "RSASSA-PKCS1-v1_5", hash };
}

export function pssScheme(options: PssOptions, modulusLength: number): Scheme {
  const { hash, saltLength } = checkOptions(options);
  checkHash(hash);
  const length = saltLength ?? HASH_LENGTHS[hash];
  // RFC 8017, 9.1.1, step 3.
  ensure(
    Number.isInteger(length) && length >= 0 && length <= modulusLength - HASH_LENGTHS[hash] - 2,
    "InvalidParameter",
    "saltLength must be a non-negative integer that fits the modulus.",
  );
  return { name: "RSA-PSS", hash, saltLength: length };
}

export function pssSchemeToVerify(options: VerifyPssOptions, modulusLength: number): Scheme {
  const { saltLength } = checkOptions(options);
  ensure(
    saltLength !== "auto",
    "Rejected.UnsupportedOperation",
    "WebCrypto verifies PSS with a salt of a given length only.",
  );
  return pssScheme(options as PssOptions, modulusLength);
}

export function readOaep(options: OaepOptions): Oaep {
  const { hash, mgfHash = hash, label = NO_LABEL } = checkOptions(options);
  checkHash(hash);
  checkHash(mgfHash);
  ensureBytes(label, "label");
  ensure(
    mgfHash === hash,
    "Rejected.UnsupportedOperation",
    "The WebCrypto engine takes the same hash for MGF1 as for OAEP.",
  );
  return { hash, label };
}

/**
 * Takes the message of a signable.
 *
 * @throws KmsError `InvalidParameter` where its hash, or a digest's length, is not the scheme's; `Rejected.UnsupportedOperation` for a digest
 */
export function messageFor({ hash }: Scheme, signable: Signable): Uint8Array {
  const isMatching = (length: number): boolean => length === HASH_LENGTHS[hash];
  if (ArrayBuffer.isView(signable)) {
    ensureBytes(signable, "signable");
    ensure(isMatching(signable.length), "InvalidParameter", "The digest must be of options.hash.");
  }
  const checked = messageOf(signable);
  ensure(checked.hash === hash, "InvalidParameter", "The message's hash must be options.hash.");
  return checked.message;
}
