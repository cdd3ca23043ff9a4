/** Keys of OpenSSL's making and things to sign, for the RSA suites. */

import { createHash, generateKeyPairSync, type KeyObject } from "node:crypto";
import type { HashName } from "../../src/engines/engine.ts";
import { OPENSSL_HASH, utf8 } from "./engine-support.ts";

/** A key of OpenSSL's making. */
export interface OpensslPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly pkcs8: Uint8Array;
  readonly spki: Uint8Array;
}

/** Makes a pair with OpenSSL and exports both halves. */
export function opensslPair(modulusLength: number, publicExponent = 0x10001): OpensslPair {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength, publicExponent });
  return {
    privateKey,
    publicKey,
    pkcs8: new Uint8Array(privateKey.export({ format: "der", type: "pkcs8" })),
    spki: new Uint8Array(publicKey.export({ format: "der", type: "spki" })),
  };
}

export const message = utf8("a message of no importance");

/** Gives the message and its digest, the two things that can be signed. */
export function signables(
  hash: HashName,
  text = message,
): [{ message: Uint8Array; hash: HashName }, Uint8Array] {
  return [{ message: text, hash }, new Uint8Array(createHash(OPENSSL_HASH[hash]).update(text).digest())];
}
