/** AES key wrap (RFC 3394) over SubtleCrypto, which wraps keys only: the bytes go in and out as an HMAC key. */

import { ensureBytes } from "../../bytes.ts";
import { ensure, KmsError } from "../../errors.ts";
import type { KeyWrap, Promised } from "../engine.ts";
import type { AsyncSelfTest } from "../self-test.ts";
import { AES_KW_ANSWER, fromHex } from "../self-test-vectors.ts";
import { asSource } from "./arguments.ts";
import type { EngineState } from "./state.ts";

const SEMIBLOCK = 8;
/** The usage is of no consequence, and neither is the hash: an HMAC key is any bytes at all. */
const ANY_KEY = { name: "HMAC", hash: "SHA-256" } as const;

function importKek(subtle: SubtleCrypto, kek: Uint8Array): Promise<CryptoKey> {
  return subtle.importKey("raw", asSource(kek), "AES-KW", false, ["wrapKey", "unwrapKey"]);
}

async function wrap(subtle: SubtleCrypto, kek: Uint8Array, key: Uint8Array): Promise<Uint8Array> {
  const [importedKek, importedKey] = await Promise.all([
    importKek(subtle, kek),
    subtle.importKey("raw", asSource(key), ANY_KEY, true, ["sign"]),
  ]);
  return new Uint8Array(await subtle.wrapKey("raw", importedKey, importedKek, "AES-KW"));
}

async function unwrap(
  subtle: SubtleCrypto,
  kek: Uint8Array,
  wrapped: Uint8Array,
): Promise<Uint8Array | undefined> {
  if (wrapped.length < 3 * SEMIBLOCK || wrapped.length % SEMIBLOCK !== 0) return undefined;
  // Public, and the caller may change its own before the key has been imported.
  const own = new Uint8Array(wrapped);
  const importedKek = await importKek(subtle, kek);
  let key: CryptoKey;
  try {
    key = await subtle.unwrapKey("raw", own, importedKek, "AES-KW", ANY_KEY, true, ["sign"]);
  } catch {
    return undefined;
  }
  return new Uint8Array(await subtle.exportKey("raw", key));
}

/** Wraps, unwraps, and sees that a changed byte is noticed. */
function selfTest(subtle: SubtleCrypto): AsyncSelfTest {
  return {
    name: "aes-kw",
    expected: fromHex(AES_KW_ANSWER.wrapped),
    async compute() {
      const kek = fromHex(AES_KW_ANSWER.kek);
      const key = fromHex(AES_KW_ANSWER.key);
      const wrapped = await wrap(subtle, kek, key);
      const forged = new Uint8Array(wrapped);
      forged[0] = (forged[0] ?? 0) ^ 1;
      const unwrapped = await unwrap(subtle, kek, wrapped);
      const holds =
        unwrapped?.every((byte, i) => byte === key[i]) && (await unwrap(subtle, kek, forged)) === undefined;
      return holds && unwrapped?.length === key.length ? wrapped : new Uint8Array(0);
    },
  };
}

/**
 * Makes AES-KW of one engine.
 *
 * @param lengths key lengths in bytes that the platform serves
 */
export function webAesKw(state: EngineState, lengths: readonly number[]): Promised<KeyWrap> {
  const { subtle } = state;
  const test = selfTest(subtle);
  const check = (kek: Uint8Array, data: Uint8Array, dataName: string): void => {
    state.enter();
    ensureBytes(kek, "kek");
    ensureBytes(data, dataName);
    ensure([16, 24, 32].includes(kek.length), "InvalidKeyMaterial", "An AES key has 16, 24 or 32 bytes.");
    if (!lengths.includes(kek.length)) {
      throw new KmsError("Rejected.UnsupportedOperation", "This platform's WebCrypto has no AES-192.");
    }
  };
  return {
    async wrap(kek, key) {
      check(kek, key, "key");
      ensure(
        key.length >= 2 * SEMIBLOCK && key.length % SEMIBLOCK === 0,
        "InvalidParameter",
        "A key to wrap has a multiple of 8 bytes and at least 16.",
      );
      return state.run(test, [kek, key] as const, ([ownKek, own]) => wrap(subtle, ownKek, own));
    },
    async unwrap(kek, wrapped) {
      check(kek, wrapped, "wrapped");
      return state.run(test, [kek, wrapped] as const, ([ownKek, own]) => unwrap(subtle, ownKek, own));
    },
  };
}
