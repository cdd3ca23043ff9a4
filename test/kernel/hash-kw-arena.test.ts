/** The hash and key wrap kernels as the host calls them: refusals, order of calls, wiping, and no write elsewhere. */

import { createHash, createHmac, randomBytes } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import {
  AES_KEY_WORDS,
  AES_KW_REGIONS,
  DATA_CAPACITY,
  DATA_START,
  HASH_REGIONS,
  type HashKwKernel,
  KEY,
  loadKernel,
  TARGETS,
} from "./hash-kw-kernel.ts";

const CANARY = 0xa5;
/** Where static data may begin; below it everything is an arena. */
const ARENA_END = 0x60000;

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

describe.each(TARGETS)("the %s build", { timeout: 60_000 }, (target) => {
  let kernel: HashKwKernel;
  let arena: Uint8Array;

  beforeEach(async () => {
    kernel = await loadKernel(target);
    arena = new Uint8Array(kernel.memory.buffer, 0, ARENA_END);
  }, 60_000);

  const put = (bytes: Uint8Array, at = DATA_START): void => arena.set(bytes, at);
  const digest = (length: number): Uint8Array =>
    arena.slice(kernel.HASH_DIGEST.value, kernel.HASH_DIGEST.value + length);
  const isEmpty = (): boolean => arena.every((byte) => byte === 0);

  /** Gives the first address that is not the canary, outside the regions that an operation may write; -1 if none. */
  function overrun(allowed: readonly (readonly [number, number])[]): number {
    const outside = arena.slice();
    for (const [start, end] of allowed) outside.fill(CANARY, start, end);
    return outside.findIndex((byte) => byte !== CANARY);
  }

  test("arguments out of range are refused", () => {
    const refused: readonly (() => number)[] = [
      () => kernel.hashBegin(0),
      () => kernel.hashBegin(5),
      () => kernel.hashBegin(-1),
      () => kernel.hashOnce(0, 0),
      () => kernel.hashOnce(2, DATA_CAPACITY + 1),
      () => kernel.hashOnce(2, -1),
      () => kernel.hmacLoadKey(5, 0),
      () => kernel.hmacLoadKey(2, DATA_CAPACITY + 1),
      () => kernel.hmacLoadKey(2, -1),
      () => kernel.hmacOnce(0, 0, 0),
      () => kernel.hmacOnce(2, 1, DATA_CAPACITY),
      () => kernel.hmacOnce(2, DATA_CAPACITY + 1, 0),
      () => kernel.hmacOnce(2, -1, 1),
      () => kernel.hmacOnce(2, 1, -1),
    ];
    for (const call of refused) {
      arena.fill(CANARY);
      expect(call(), call.toString()).toBe(0);
      expect(overrun([]), call.toString()).toBe(-1);
    }
  });

  test("a key wrap whose arguments are out of range is refused, and key and data are wiped", () => {
    const refused: readonly (() => number)[] = [
      () => kernel.aesKwWrap(15, 16),
      () => kernel.aesKwWrap(0, 16),
      () => kernel.aesKwWrap(64, 16),
      () => kernel.aesKwWrap(32, 8),
      () => kernel.aesKwWrap(32, 20),
      () => kernel.aesKwWrap(32, DATA_CAPACITY + 8),
      () => kernel.aesKwWrap(32, -8),
      () => kernel.aesKwUnwrap(20, 24),
      () => kernel.aesKwUnwrap(32, 16),
      () => kernel.aesKwUnwrap(32, 25),
      () => kernel.aesKwUnwrap(32, DATA_CAPACITY + 16),
      () => kernel.aesKwUnwrap(32, -8),
      () => kernel.aesKwpWrap(33, 1),
      () => kernel.aesKwpWrap(32, 0),
      () => kernel.aesKwpWrap(32, DATA_CAPACITY + 1),
      () => kernel.aesKwpUnwrap(33, 16),
      () => kernel.aesKwpUnwrap(32, 8),
      () => kernel.aesKwpUnwrap(32, 17),
      () => kernel.aesKwpUnwrap(32, DATA_CAPACITY + 16),
    ];
    const data = [DATA_START, DATA_START + DATA_CAPACITY + 8] as const;
    for (const call of refused) {
      arena.fill(CANARY);
      expect(call(), call.toString()).toBe(0);
      expect(overrun([KEY, AES_KW_REGIONS, data]), call.toString()).toBe(-1);
      for (const region of [KEY, AES_KW_REGIONS, data]) {
        expect(arena.subarray(...region).every((byte) => byte === 0)).toBe(true);
      }
    }
  });

  test("calls out of order are refused", () => {
    expect([kernel.hashAbsorb(0), kernel.hashEnd(), kernel.hmacBegin()]).toEqual([0, 0, 0]);
    expect([kernel.hashBegin(2), kernel.hmacBegin(), kernel.hashEnd(), kernel.hashEnd()]).toEqual([
      1, 0, 1, 0,
    ]);
    expect([kernel.hmacLoadKey(2, 0), kernel.hashAbsorb(0), kernel.hashEnd()]).toEqual([1, 0, 0]);
    expect([kernel.hmacBegin(), kernel.hashAbsorb(1), kernel.hashEnd()]).toEqual([1, 1, 1]);
    expect([kernel.hashAbsorb(0), kernel.hmacBegin()]).toEqual([0, 1]);
    expect(kernel.hashAbsorb(DATA_CAPACITY + 1)).toBe(0);
    kernel.hashWipe();
    expect([kernel.hashAbsorb(0), kernel.hashEnd(), kernel.hmacBegin()]).toEqual([0, 0, 0]);
  });

  test("a message begun anew forgets the one before, and its key", () => {
    put(random(40));
    kernel.hmacLoadKey(4, 40);
    kernel.hmacBegin();
    put(random(30));
    kernel.hashAbsorb(30);
    expect(kernel.hashOnce(2, 0)).toBe(1);
    expect(digest(32)).toEqual(new Uint8Array(createHash("sha256").digest()));
    expect(kernel.hmacBegin()).toBe(0);
    kernel.hashWipe();
    expect(isEmpty()).toBe(true);
  });

  test("hashing and HMAC write their regions and the input alone, and wipe the input", () => {
    for (const length of [0, 1, 64, 200, 65_000, DATA_CAPACITY]) {
      for (const hash of [1, 2, 3, 4]) {
        arena.fill(CANARY);
        expect(kernel.hashOnce(hash, length)).toBe(1);
        expect(overrun([HASH_REGIONS, [DATA_START, DATA_START + length]])).toBe(-1);
        expect(arena.subarray(DATA_START, DATA_START + length).every((byte) => byte === 0)).toBe(true);

        arena.fill(CANARY);
        const keyLength = length >> 1;
        expect(kernel.hmacOnce(hash, keyLength, length - keyLength)).toBe(1);
        expect(overrun([HASH_REGIONS, [DATA_START, DATA_START + length]])).toBe(-1);
        expect(arena.subarray(DATA_START, DATA_START + length).every((byte) => byte === 0)).toBe(true);
        kernel.hashWipe();
        expect(arena.subarray(...HASH_REGIONS).every((byte) => byte === 0)).toBe(true);
      }
    }
  });

  test("one loaded key serves several messages in chunks", () => {
    const key = random(100);
    put(key);
    expect(kernel.hmacLoadKey(3, 100)).toBe(1);
    for (const lengths of [[], [5], [128, 0, 1], [DATA_CAPACITY, 17]]) {
      const expected = createHmac("sha384", key);
      expect(kernel.hmacBegin()).toBe(1);
      for (const length of lengths) {
        const chunk = random(length);
        expected.update(chunk);
        put(chunk);
        expect(kernel.hashAbsorb(length)).toBe(1);
      }
      expect(kernel.hashEnd()).toBe(1);
      expect(digest(48)).toEqual(new Uint8Array(expected.digest()));
    }
    kernel.hashWipe();
    expect(isEmpty()).toBe(true);
  });

  test("wrapping and unwrapping write their regions and the data alone, and wipe all but the result", () => {
    for (const [wrap, unwrap, length] of [
      ["aesKwWrap", "aesKwUnwrap", 16],
      ["aesKwWrap", "aesKwUnwrap", 64],
      ["aesKwpWrap", "aesKwpUnwrap", 1],
      ["aesKwpWrap", "aesKwpUnwrap", 8],
      ["aesKwpWrap", "aesKwpUnwrap", 9],
      ["aesKwpWrap", "aesKwpUnwrap", 63],
    ] as const) {
      const padded = (length + 7) & ~7;
      const allowed = [AES_KEY_WORDS, KEY, AES_KW_REGIONS, [DATA_START, DATA_START + padded + 8]] as const;
      const [kek, key] = [random(24), random(length)];
      arena.fill(CANARY);
      put(kek, KEY[0]);
      put(key, DATA_START + 8);
      expect(kernel[wrap](24, length)).not.toBe(0);
      expect(overrun(allowed)).toBe(-1);
      for (const region of [AES_KEY_WORDS, KEY, AES_KW_REGIONS]) {
        expect(arena.subarray(...region).every((byte) => byte === 0)).toBe(true);
      }
      put(kek, KEY[0]);
      expect(kernel[unwrap](24, padded + 8)).toBe(unwrap === "aesKwUnwrap" ? 1 : length);
      expect(arena.slice(DATA_START + 8, DATA_START + 8 + length)).toEqual(key);
      expect(overrun(allowed)).toBe(-1);
      for (const region of [AES_KEY_WORDS, KEY, AES_KW_REGIONS]) {
        expect(arena.subarray(...region).every((byte) => byte === 0)).toBe(true);
      }
      put(kek, KEY[0]);
      expect(kernel[unwrap](24, padded + 8)).toBe(0);
      expect(overrun(allowed)).toBe(-1);
      expect(arena.subarray(DATA_START, DATA_START + padded + 8).every((byte) => byte === 0)).toBe(true);
    }
  });
});
