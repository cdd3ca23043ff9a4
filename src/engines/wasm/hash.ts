/**
 * Hashes (FIPS 180-4), HMAC (FIPS 198-1) and HKDF (RFC 5869) over the kernels. What fits the arena takes one call; longer
 * input passes through it in chunks. Nothing of a message, a key or a digest stays in the arena after a call.
 */

import { concatBytes, ensureBytes } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import type { HashName, Hkdf, Hmac } from "../engine.ts";
import type { SelfTest } from "../self-test.ts";
import { fromHex, HASH_ANSWER, HKDF_ANSWER, HMAC_ANSWER, SELF_TEST_HASHES } from "../self-test-vectors.ts";
import { expectDone, type HashKernel } from "./hash-kernel.ts";
import type { WasmState } from "./state.ts";

/** Longest HKDF output in blocks of the hash (RFC 5869, 2.3). */
const HKDF_MAX_BLOCKS = 255;

/** The number the kernels know a hash by, and its output length in bytes. */
export interface HashFacts {
  readonly id: number;
  readonly byteLength: number;
}

const HASHES: ReadonlyMap<unknown, HashFacts> = new Map<HashName, HashFacts>([
  ["SHA-1", { id: 1, byteLength: 20 }],
  ["SHA-256", { id: 2, byteLength: 32 }],
  ["SHA-384", { id: 3, byteLength: 48 }],
  ["SHA-512", { id: 4, byteLength: 64 }],
]);

/** @throws KmsError `InvalidParameter` for anything but the name of a hash */
export function hashFacts(hash: unknown): HashFacts {
  const facts = HASHES.get(hash);
  ensure(facts !== undefined, "InvalidParameter", "hash must be SHA-1, SHA-256, SHA-384 or SHA-512.");
  return facts;
}

/** Does work that leaves secrets in the arena, and wipes them; the kernel wipes the input where nothing throws. */
function wiped<T>(kernel: HashKernel, work: () => T): T {
  try {
    return work();
  } catch (error) {
    kernel.data.fill(0);
    throw error;
  } finally {
    kernel.hashWipe();
  }
}

/** Hands bytes to the message in progress, a chunk at a time. */
function absorb(kernel: HashKernel, bytes: Uint8Array): void {
  const { data, dataCapacity } = kernel;
  for (let start = 0; start < bytes.length; start += dataCapacity) {
    const chunk = bytes.subarray(start, start + dataCapacity);
    data.set(chunk);
    expectDone(kernel.hashAbsorb(chunk.length));
  }
}

export function hashRaw(kernel: HashKernel, { id, byteLength }: HashFacts, message: Uint8Array): Uint8Array {
  return wiped(kernel, () => {
    if (message.length <= kernel.dataCapacity) {
      kernel.data.set(message);
      expectDone(kernel.hashOnce(id, message.length));
    } else {
      expectDone(kernel.hashBegin(id));
      absorb(kernel, message);
      expectDone(kernel.hashEnd());
    }
    return kernel.digest.slice(0, byteLength);
  });
}

/** Loads a key for any number of messages; the caller wipes. A key beyond the arena is hashed first, as HMAC would do. */
function loadKey(kernel: HashKernel, facts: HashFacts, key: Uint8Array): void {
  if (key.length <= kernel.dataCapacity) {
    kernel.data.set(key);
    expectDone(kernel.hmacLoadKey(facts.id, key.length));
    return;
  }
  const digest = hashRaw(kernel, facts, key);
  kernel.data.set(digest);
  digest.fill(0);
  expectDone(kernel.hmacLoadKey(facts.id, facts.byteLength));
}

function hmacRaw(kernel: HashKernel, facts: HashFacts, key: Uint8Array, message: Uint8Array): Uint8Array {
  return wiped(kernel, () => {
    if (key.length + message.length <= kernel.dataCapacity) {
      kernel.data.set(key);
      kernel.data.set(message, key.length);
      expectDone(kernel.hmacOnce(facts.id, key.length, message.length));
    } else {
      loadKey(kernel, facts, key);
      expectDone(kernel.hmacBegin());
      absorb(kernel, message);
      expectDone(kernel.hashEnd());
    }
    return kernel.digest.slice(0, facts.byteLength);
  });
}

/** Extracts and expands; an empty salt is the zero salt, as HMAC pads its key with zeros. */
function hkdfRaw(
  kernel: HashKernel,
  facts: HashFacts,
  ikm: Uint8Array,
  salt: Uint8Array,
  info: Uint8Array,
  length: number,
): Uint8Array {
  const okm = new Uint8Array(length);
  const prk = hmacRaw(kernel, facts, salt, ikm);
  const counter = new Uint8Array(1);
  const block = kernel.digest.subarray(0, facts.byteLength);
  wiped(kernel, () => {
    loadKey(kernel, facts, prk);
    prk.fill(0);
    for (let offset = 0; offset < length; offset += facts.byteLength) {
      counter[0] = offset / facts.byteLength + 1;
      expectDone(kernel.hmacBegin());
      if (offset > 0) absorb(kernel, block);
      absorb(kernel, info);
      absorb(kernel, counter);
      expectDone(kernel.hashEnd());
      okm.set(block.subarray(0, length - offset), offset);
    }
  });
  return okm;
}

/** Makes the hash function of one engine. */
export function wasmHash(
  kernel: HashKernel,
  state: WasmState,
): (hash: HashName, message: Uint8Array) => Uint8Array {
  const selfTest: SelfTest = {
    name: "hash",
    get expected() {
      return fromHex(HASH_ANSWER.digests);
    },
    compute: () =>
      concatBytes(
        ...SELF_TEST_HASHES.map((hash) => hashRaw(kernel, hashFacts(hash), fromHex(HASH_ANSWER.message))),
      ),
  };
  return (hash, message) => {
    state.require(selfTest);
    ensureBytes(message, "message");
    return hashRaw(kernel, hashFacts(hash), message);
  };
}

/** Makes HMAC of one engine. */
export function wasmHmac(kernel: HashKernel, state: WasmState): Hmac {
  const selfTest: SelfTest = {
    name: "hmac",
    get expected() {
      return fromHex(HMAC_ANSWER.macs);
    },
    compute: () =>
      concatBytes(
        ...SELF_TEST_HASHES.map((hash) =>
          hmacRaw(kernel, hashFacts(hash), fromHex(HMAC_ANSWER.key), fromHex(HMAC_ANSWER.message)),
        ),
      ),
  };
  return {
    sign(hash, key, message) {
      state.require(selfTest);
      ensureBytes(key, "key");
      ensureBytes(message, "message");
      return hmacRaw(kernel, hashFacts(hash), key, message);
    },
  };
}

/** Makes HKDF of one engine; the output has 1 to 255 blocks' worth of bytes. */
export function wasmHkdf(kernel: HashKernel, state: WasmState): Hkdf {
  const selfTest: SelfTest = {
    name: "hkdf",
    get expected() {
      return fromHex(HKDF_ANSWER.okm);
    },
    compute: () =>
      hkdfRaw(
        kernel,
        hashFacts("SHA-256"),
        fromHex(HKDF_ANSWER.ikm),
        fromHex(HKDF_ANSWER.salt),
        fromHex(HKDF_ANSWER.info),
        HKDF_ANSWER.okm.length / 2,
      ),
  };
  return (hash, ikm, salt, info, length) => {
    state.require(selfTest);
    const facts = hashFacts(hash);
    ensureBytes(ikm, "ikm");
    ensureBytes(salt, "salt");
    ensureBytes(info, "info");
    ensure(
      Number.isInteger(length) && length >= 1 && length <= HKDF_MAX_BLOCKS * facts.byteLength,
      "InvalidParameter",
      "length must be an integer from 1 to 255 times the hash length.",
    );
    return hkdfRaw(kernel, facts, ikm, salt, info, length);
  };
}
