/** AES key wrap without padding (RFC 3394) and with padding (RFC 5649) over node:crypto. */

import { createCipheriv, createDecipheriv } from "node:crypto";
import { ensureBytes } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import type { KeyWrap } from "../engine.ts";
import type { SelfTest } from "../self-test.ts";
import { AES_KW_ANSWER, AES_KWP_ANSWER, fromHex } from "../self-test-vectors.ts";
import { ownBytes } from "./arguments.ts";
import type { EngineState } from "./state.ts";
import { hasCipher } from "./support.ts";

/** Bytes of a semiblock, the unit of both modes. */
const SEMIBLOCK = 8;

/** What tells the two modes apart. */
interface WrapMode {
  readonly prefix: "aes" | "id-aes";
  readonly suffix: "wrap" | "wrap-pad";
  /** The initial value that unwrapping finds again: RFC 3394, 2.2.3.1; RFC 5649, 3. */
  readonly iv: Uint8Array;
  readonly minWrappedLength: number;
  readonly selfTest: SelfTest;
  checkKey(key: Uint8Array): void;
}

/** Names the cipher as Node and Deno both do. */
function cipherName(kekLength: number, mode: WrapMode): string {
  return `${mode.prefix}${kekLength * 8}-${mode.suffix}`;
}

function wrapRaw(mode: WrapMode, kek: Uint8Array, key: Uint8Array): Uint8Array {
  const context = createCipheriv(cipherName(kek.length, mode), kek, mode.iv);
  const wrapped = context.update(key);
  context.final();
  return ownBytes(wrapped);
}

function unwrapRaw(mode: WrapMode, kek: Uint8Array, wrapped: Uint8Array): Uint8Array | undefined {
  if (wrapped.length < mode.minWrappedLength || wrapped.length % SEMIBLOCK !== 0) return undefined;
  const context = createDecipheriv(cipherName(kek.length, mode), kek, mode.iv);
  try {
    const key = context.update(wrapped);
    context.final();
    return ownBytes(key);
  } catch {
    return undefined;
  }
}

const KW: WrapMode = {
  prefix: "aes",
  suffix: "wrap",
  iv: new Uint8Array(SEMIBLOCK).fill(0xa6),
  minWrappedLength: 3 * SEMIBLOCK,
  selfTest: selfTest("aes-kw", AES_KW_ANSWER, () => KW),
  checkKey(key) {
    // OpenSSL wraps an empty key without a word.
    ensure(
      key.length >= 2 * SEMIBLOCK && key.length % SEMIBLOCK === 0,
      "InvalidParameter",
      "A key to wrap has a multiple of 8 bytes and at least 16; AES-KWP takes the others.",
    );
  },
};

const KWP: WrapMode = {
  prefix: "id-aes",
  suffix: "wrap-pad",
  iv: Uint8Array.of(0xa6, 0x59, 0x59, 0xa6),
  minWrappedLength: 2 * SEMIBLOCK,
  selfTest: selfTest("aes-kwp", AES_KWP_ANSWER, () => KWP),
  checkKey(key) {
    ensure(key.length >= 1, "InvalidParameter", "A key to wrap has at least one byte.");
  },
};

/** Wraps, unwraps, and sees that a changed byte is noticed. */
function selfTest(
  name: string,
  answer: { readonly kek: string; readonly key: string; readonly wrapped: string },
  mode: () => WrapMode,
): SelfTest {
  return {
    name,
    expected: fromHex(answer.wrapped),
    compute() {
      const kek = fromHex(answer.kek);
      const wrapped = wrapRaw(mode(), kek, fromHex(answer.key));
      const unwrapped = unwrapRaw(mode(), kek, wrapped);
      const forged = new Uint8Array(wrapped);
      forged[0] = (forged[0] ?? 0) ^ 1;
      const key = Buffer.from(fromHex(answer.key));
      const holds = unwrapped !== undefined && key.equals(unwrapped) && !unwrapRaw(mode(), kek, forged);
      return holds ? wrapped : new Uint8Array(0);
    },
  };
}

function keyWrap(state: EngineState, mode: WrapMode): KeyWrap | undefined {
  if (![16, 24, 32].every((length) => hasCipher(cipherName(length, mode)))) return undefined;
  const check = (kek: Uint8Array, data: Uint8Array, dataName: string): void => {
    state.require(mode.selfTest);
    ensureBytes(kek, "kek");
    ensureBytes(data, dataName);
    ensure([16, 24, 32].includes(kek.length), "InvalidKeyMaterial", "An AES key has 16, 24 or 32 bytes.");
  };
  return {
    wrap(kek, key) {
      check(kek, key, "key");
      mode.checkKey(key);
      return wrapRaw(mode, kek, key);
    },
    unwrap(kek, wrapped) {
      check(kek, wrapped, "wrapped");
      return unwrapRaw(mode, kek, wrapped);
    },
  };
}

/** Makes AES-KW of one engine; undefined where the runtime has none. */
export function nodeAesKw(state: EngineState): KeyWrap | undefined {
  return keyWrap(state, KW);
}

/** Makes AES-KWP of one engine; undefined where the runtime has none. */
export function nodeAesKwp(state: EngineState): KeyWrap | undefined {
  return keyWrap(state, KWP);
}
