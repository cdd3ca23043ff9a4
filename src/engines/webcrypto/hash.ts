/** Hashes (FIPS 180-4), HMAC (FIPS 198-1) and HKDF (RFC 5869) over SubtleCrypto. */

import { concatBytes, copyBytes, ensureBytes } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import type { HashName, Hkdf, Hmac, Promised } from "../engine.ts";
import type { AsyncSelfTest } from "../self-test.ts";
import { fromHex, HASH_ANSWER, HKDF_ANSWER, HMAC_ANSWER, SELF_TEST_HASHES } from "../self-test-vectors.ts";
import { asSource, checkHash, HASH_LENGTHS } from "./arguments.ts";
import type { EngineState } from "./state.ts";

/** Longest HKDF output in blocks of the hash (RFC 5869, 2.3). */
const HKDF_MAX_BLOCKS = 255;
/** SubtleCrypto takes no empty key; HMAC pads one to zeros (FIPS 198-1, 4), as it does this. */
const EMPTY_KEY: Uint8Array = new Uint8Array(1);

async function digest(subtle: SubtleCrypto, hash: HashName, message: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await subtle.digest(hash, asSource(message)));
}

function importHmac(subtle: SubtleCrypto, hash: HashName, key: Uint8Array): Promise<CryptoKey> {
  const bytes = key.length === 0 ? EMPTY_KEY : key;
  return subtle.importKey("raw", asSource(bytes), { name: "HMAC", hash }, false, ["sign"]);
}

async function macWith(subtle: SubtleCrypto, key: CryptoKey, message: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await subtle.sign("HMAC", key, asSource(message)));
}

/** Reads both before its first wait; the message's copy is wiped. */
async function hmac(
  subtle: SubtleCrypto,
  hash: HashName,
  key: Uint8Array,
  message: Uint8Array,
): Promise<Uint8Array> {
  const imported = importHmac(subtle, hash, key);
  const own = copyBytes(message);
  try {
    return await macWith(subtle, await imported, own);
  } finally {
    own.fill(0);
  }
}

/** Extracts and expands; SubtleCrypto's own HKDF refuses empty input on some platforms and long infos on others. */
async function hkdf(
  subtle: SubtleCrypto,
  hash: HashName,
  ikm: Uint8Array,
  salt: Uint8Array,
  info: Uint8Array,
  length: number,
): Promise<Uint8Array> {
  const okm = new Uint8Array(length);
  const ownInfo = copyBytes(info);
  const prk = await hmac(subtle, hash, salt, ikm);
  const imported = importHmac(subtle, hash, prk);
  prk.fill(0);
  const key = await imported;
  let block: Uint8Array = new Uint8Array(0);
  for (let offset = 0, counter = 1; offset < length; offset += HASH_LENGTHS[hash], counter++) {
    const input = concatBytes(block, ownInfo, Uint8Array.of(counter));
    const next = await macWith(subtle, key, input);
    input.fill(0);
    block.fill(0);
    block = next;
    okm.set(block.subarray(0, length - offset), offset);
  }
  block.fill(0);
  ownInfo.fill(0);
  return okm;
}

/** Makes the hash function of one engine. */
export function webHash(state: EngineState): (hash: HashName, message: Uint8Array) => Promise<Uint8Array> {
  const { subtle } = state;
  const selfTest: AsyncSelfTest = {
    name: "hash",
    expected: fromHex(HASH_ANSWER.digests),
    compute: async () => {
      const message = fromHex(HASH_ANSWER.message);
      return concatBytes(
        ...(await Promise.all(SELF_TEST_HASHES.map((hash) => digest(subtle, hash, message)))),
      );
    },
  };
  return async (hash, message) => {
    state.enter();
    checkHash(hash);
    ensureBytes(message, "message");
    return state.run(selfTest, [message] as const, ([own]) => digest(subtle, hash, own));
  };
}

/** Makes HMAC of one engine. */
export function webHmac(state: EngineState): Promised<Hmac> {
  const { subtle } = state;
  const selfTest: AsyncSelfTest = {
    name: "hmac",
    expected: fromHex(HMAC_ANSWER.macs),
    compute: async () => {
      const [key, message] = [fromHex(HMAC_ANSWER.key), fromHex(HMAC_ANSWER.message)];
      return concatBytes(
        ...(await Promise.all(SELF_TEST_HASHES.map((hash) => hmac(subtle, hash, key, message)))),
      );
    },
  };
  return {
    async sign(hash, key, message) {
      state.enter();
      checkHash(hash);
      ensureBytes(key, "key");
      ensureBytes(message, "message");
      return state.run(selfTest, [key, message] as const, ([ownKey, own]) => hmac(subtle, hash, ownKey, own));
    },
  };
}

/** Makes HKDF of one engine; the output has 1 to 255 blocks' worth of bytes. */
export function webHkdf(state: EngineState): Promised<Hkdf> {
  const { subtle } = state;
  const selfTest: AsyncSelfTest = {
    name: "hkdf",
    expected: fromHex(HKDF_ANSWER.okm),
    compute: () =>
      hkdf(
        subtle,
        "SHA-256",
        fromHex(HKDF_ANSWER.ikm),
        fromHex(HKDF_ANSWER.salt),
        fromHex(HKDF_ANSWER.info),
        fromHex(HKDF_ANSWER.okm).length,
      ),
  };
  return async (hash, ikm, salt, info, length) => {
    state.enter();
    checkHash(hash);
    ensureBytes(ikm, "ikm");
    ensureBytes(salt, "salt");
    ensureBytes(info, "info");
    ensure(
      Number.isInteger(length) && length >= 1 && length <= HKDF_MAX_BLOCKS * HASH_LENGTHS[hash],
      "InvalidParameter",
      "length must be an integer from 1 to 255 times the hash length.",
    );
    return state.run(selfTest, [ikm, salt, info] as const, ([ownIkm, ownSalt, ownInfo]) =>
      hkdf(subtle, hash, ownIkm, ownSalt, ownInfo, length),
    );
  };
}
