/** Hashes (FIPS 180-4), HMAC (FIPS 198-1) and HKDF (RFC 5869) over node:crypto. */

import { createHash, createHmac } from "node:crypto";
import { concatBytes, ensureBytes } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import type { HashName, Hkdf, Hmac } from "../engine.ts";
import type { SelfTest } from "../self-test.ts";
import { fromHex, HASH_ANSWER, HKDF_ANSWER, HMAC_ANSWER, SELF_TEST_HASHES } from "../self-test-vectors.ts";
import { hashFacts, ownBytes } from "./arguments.ts";
import type { EngineState } from "./state.ts";

/** Longest HKDF output in blocks of the hash (RFC 5869, 2.3). */
const HKDF_MAX_BLOCKS = 255;

/** Hashes parts end to end. */
export function hashParts(hash: HashName, ...parts: readonly Uint8Array[]): Uint8Array {
  const context = createHash(hashFacts(hash).openssl);
  for (const part of parts) context.update(part);
  return ownBytes(context.digest());
}

function hmacParts(hash: HashName, key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const context = createHmac(hashFacts(hash).openssl, key);
  for (const part of parts) context.update(part);
  return ownBytes(context.digest());
}

/** Extracts and expands; an empty salt is the zero salt, as HMAC pads its key with zeros. hkdfSync would refuse an info above 1,024 bytes. */
function hkdfRaw(
  hash: HashName,
  ikm: Uint8Array,
  salt: Uint8Array,
  info: Uint8Array,
  length: number,
): Uint8Array {
  const okm = new Uint8Array(length);
  const prk = hmacParts(hash, salt, ikm);
  let block: Uint8Array = new Uint8Array(0);
  for (let offset = 0, counter = 1; offset < length; offset += prk.length, counter++) {
    const next = hmacParts(hash, prk, block, info, Uint8Array.of(counter));
    block.fill(0);
    block = next;
    okm.set(block.subarray(0, length - offset), offset);
  }
  block.fill(0);
  prk.fill(0);
  return okm;
}

const hashSelfTest: SelfTest = {
  name: "hash",
  expected: fromHex(HASH_ANSWER.digests),
  compute: () =>
    concatBytes(...SELF_TEST_HASHES.map((hash) => hashParts(hash, fromHex(HASH_ANSWER.message)))),
};

const hmacSelfTest: SelfTest = {
  name: "hmac",
  expected: fromHex(HMAC_ANSWER.macs),
  compute: () =>
    concatBytes(
      ...SELF_TEST_HASHES.map((hash) =>
        hmacParts(hash, fromHex(HMAC_ANSWER.key), fromHex(HMAC_ANSWER.message)),
      ),
    ),
};

const hkdfSelfTest: SelfTest = {
  name: "hkdf",
  expected: fromHex(HKDF_ANSWER.okm),
  compute: () =>
    hkdfRaw(
      "SHA-256",
      fromHex(HKDF_ANSWER.ikm),
      fromHex(HKDF_ANSWER.salt),
      fromHex(HKDF_ANSWER.info),
      fromHex(HKDF_ANSWER.okm).length,
    ),
};

/** Makes the hash function of one engine. */
export function nodeHash(state: EngineState): (hash: HashName, message: Uint8Array) => Uint8Array {
  return (hash, message) => {
    state.require(hashSelfTest);
    ensureBytes(message, "message");
    return hashParts(hash, message);
  };
}

/** Makes HMAC of one engine. */
export function nodeHmac(state: EngineState): Hmac {
  return {
    sign(hash, key, message) {
      state.require(hmacSelfTest);
      ensureBytes(key, "key");
      ensureBytes(message, "message");
      return hmacParts(hash, key, message);
    },
  };
}

/** Makes HKDF of one engine; the output has 1 to 255 blocks' worth of bytes. */
export function nodeHkdf(state: EngineState): Hkdf {
  return (hash, ikm, salt, info, length) => {
    state.require(hkdfSelfTest);
    const { byteLength } = hashFacts(hash);
    ensureBytes(ikm, "ikm");
    ensureBytes(salt, "salt");
    ensureBytes(info, "info");
    ensure(
      Number.isInteger(length) && length >= 1 && length <= HKDF_MAX_BLOCKS * byteLength,
      "InvalidParameter",
      "length must be an integer from 1 to 255 times the hash length.",
    );
    return hkdfRaw(hash, ikm, salt, info, length);
  };
}
