/**
 * AES key wrap without padding (RFC 3394) and with padding (RFC 5649) over the kernels. A key to wrap passes the arena
 * whole, six times, so one that does not fit it is refused: keys are short.
 */

import { ensureBytes, equalBytesVartime } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import type { KeyWrap } from "../engine.ts";
import type { SelfTest } from "../self-test.ts";
import { AES_KW_ANSWER, AES_KWP_ANSWER, fromHex } from "../self-test-vectors.ts";
import { expectDone, type HashKernel } from "./hash-kernel.ts";
import type { WasmState } from "./state.ts";

/** Bytes of a semiblock, the unit of both modes, and of the check in front of the key. */
const SEMIBLOCK = 8;

/** What tells the two modes apart. */
interface WrapMode {
  readonly name: "aes-kw" | "aes-kwp";
  readonly answer: typeof AES_KW_ANSWER;
  readonly wrap: "aesKwWrap" | "aesKwpWrap";
  readonly minWrappedLength: number;
  checkKey(key: Uint8Array): void;
  /** Returns the length of the key, undefined where it does not unwrap. */
  unwrap(kernel: HashKernel, kekLength: number, wrappedLength: number): number | undefined;
}

const KW: WrapMode = {
  name: "aes-kw",
  answer: AES_KW_ANSWER,
  wrap: "aesKwWrap",
  minWrappedLength: 3 * SEMIBLOCK,
  checkKey(key) {
    ensure(
      key.length >= 2 * SEMIBLOCK && key.length % SEMIBLOCK === 0,
      "InvalidParameter",
      "A key to wrap has a multiple of 8 bytes and at least 16; AES-KWP takes the others.",
    );
  },
  unwrap: (kernel, kekLength, wrappedLength) =>
    kernel.aesKwUnwrap(kekLength, wrappedLength) === 1 ? wrappedLength - SEMIBLOCK : undefined,
};

const KWP: WrapMode = {
  name: "aes-kwp",
  answer: AES_KWP_ANSWER,
  wrap: "aesKwpWrap",
  minWrappedLength: 2 * SEMIBLOCK,
  checkKey(key) {
    ensure(key.length >= 1, "InvalidParameter", "A key to wrap has at least one byte.");
  },
  unwrap(kernel, kekLength, wrappedLength) {
    const keyLength = kernel.aesKwpUnwrap(kekLength, wrappedLength);
    return keyLength === 0 ? undefined : keyLength;
  },
};

/** Wipes what the host wrote; the kernel wiped the key encryption key unless something threw before it was called. */
function wipe(kernel: HashKernel, dataLength: number): void {
  kernel.key.fill(0);
  kernel.data.fill(0, 0, dataLength);
}

function wrapRaw(kernel: HashKernel, mode: WrapMode, kek: Uint8Array, key: Uint8Array): Uint8Array {
  const wrappedLength = SEMIBLOCK * (Math.ceil(key.length / SEMIBLOCK) + 1);
  try {
    kernel.key.set(kek);
    kernel.data.set(key, SEMIBLOCK);
    expectDone(kernel[mode.wrap](kek.length, key.length));
    return kernel.data.slice(0, wrappedLength);
  } finally {
    wipe(kernel, wrappedLength);
  }
}

function unwrapRaw(
  kernel: HashKernel,
  mode: WrapMode,
  kek: Uint8Array,
  wrapped: Uint8Array,
): Uint8Array | undefined {
  if (wrapped.length < mode.minWrappedLength || wrapped.length % SEMIBLOCK !== 0) return undefined;
  try {
    kernel.key.set(kek);
    kernel.data.set(wrapped);
    const keyLength = mode.unwrap(kernel, kek.length, wrapped.length);
    return keyLength === undefined ? undefined : kernel.data.slice(SEMIBLOCK, SEMIBLOCK + keyLength);
  } finally {
    wipe(kernel, wrapped.length);
  }
}

/** Wraps, unwraps, and sees that a changed byte is noticed. */
function selfTestOf(kernel: HashKernel, mode: WrapMode): SelfTest {
  return {
    name: mode.name,
    get expected() {
      return fromHex(mode.answer.wrapped);
    },
    compute() {
      const kek = fromHex(mode.answer.kek);
      const key = fromHex(mode.answer.key);
      const wrapped = wrapRaw(kernel, mode, kek, key);
      const unwrapped = unwrapRaw(kernel, mode, kek, wrapped);
      const forged = new Uint8Array(wrapped);
      forged[0] = (forged[0] ?? 0) ^ 1;
      const holds =
        unwrapped !== undefined &&
        equalBytesVartime(unwrapped, key) &&
        unwrapRaw(kernel, mode, kek, forged) === undefined;
      return holds ? wrapped : new Uint8Array(0);
    },
  };
}

function keyWrap(kernel: HashKernel, state: WasmState, mode: WrapMode): KeyWrap {
  const selfTest = selfTestOf(kernel, mode);
  const check = (kek: Uint8Array, data: Uint8Array, dataName: string): void => {
    state.require(selfTest);
    ensureBytes(kek, "kek");
    ensureBytes(data, dataName);
    ensure([16, 24, 32].includes(kek.length), "InvalidKeyMaterial", "An AES key has 16, 24 or 32 bytes.");
  };
  const ensureFits = (length: number): void =>
    ensure(
      length <= kernel.dataCapacity,
      "Rejected.UnsupportedOperation",
      "The wasm engine wraps keys of at most 65,536 bytes.",
    );
  return {
    wrap(kek, key) {
      check(kek, key, "key");
      mode.checkKey(key);
      ensureFits(key.length);
      return wrapRaw(kernel, mode, kek, key);
    },
    unwrap(kek, wrapped) {
      check(kek, wrapped, "wrapped");
      ensureFits(wrapped.length - SEMIBLOCK);
      return unwrapRaw(kernel, mode, kek, wrapped);
    },
  };
}

/** Makes AES-KW of one engine. */
export function wasmAesKw(kernel: HashKernel, state: WasmState): KeyWrap {
  return keyWrap(kernel, state, KW);
}

/** Makes AES-KWP of one engine. */
export function wasmAesKwp(kernel: HashKernel, state: WasmState): KeyWrap {
  return keyWrap(kernel, state, KWP);
}
