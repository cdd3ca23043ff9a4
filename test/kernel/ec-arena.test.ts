/** Looks for writes of the curve kernels outside their regions, and checks that arguments out of range are refused. */

import { createHash, randomBytes } from "node:crypto";
import { p256 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { describe, expect, test } from "vitest";
import { compileKernel } from "../../.config/build-wasm.mjs";
import { allowRelaxedSimd } from "../ctime/builds.ts";

/** The exports in use; assembly/ecdsa/index.ts tells what they take. */
interface EcKernel {
  readonly memory: WebAssembly.Memory;
  readonly ECC_ITEMS: WebAssembly.Global<"i32">;
  readonly ECC_ITEM_COUNT: WebAssembly.Global<"i32">;
  readonly ECC_KEY_COUNT: WebAssembly.Global<"i32">;
  ecdsaSign(curve: number, hash: number, count: number, lowS: number, hedged: number): number;
  ecdsaVerify(curve: number, count: number): number;
  ecdsaLoadKey(curve: number, number: number): number;
  eccPublicKey(curve: number): number;
  eccDecodePoint(curve: number, length: number): number;
  eccDerive(curve: number): number;
}

allowRelaxedSimd();

const CANARY = 0xa5;
/** Regions of docs/memory-map.md that hashing writes, as [start, end). */
const HASH_REGIONS = [0x640, 0xb00] as const;
const TABLE_LENGTH = 0x25000;
const PAIRS_LENGTH = 0x600;
const STATIC_DATA = 0x2000;
const CURVES = 0x10000;
const KEY_TABLES = CURVES + 0x200000;

const BUILDS = [
  { build: "base", target: "release" },
  { build: "debug", target: "debug" },
  { build: "simd", target: "simd" },
  { build: "relaxed", target: "relaxed" },
] as const;

describe.each(BUILDS)("the $build curve kernels", async ({ target }) => {
  const wasm = await compileKernel({ module: "ecc", target });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm));
  const kernel = exports as unknown as EcKernel;
  const memory = Buffer.from(kernel.memory.buffer);
  const items = kernel.ECC_ITEMS.value;
  const tables = CURVES + 0x10000;

  /** Tells whether the memory before the curves' is untouched, but for the regions of hashing and the static data. */
  function isUntouched(): boolean {
    const canary = Buffer.alloc(STATIC_DATA, CANARY);
    return (
      memory.compare(canary, 0, HASH_REGIONS[0], 0, HASH_REGIONS[0]) === 0 &&
      memory.compare(canary, HASH_REGIONS[1], STATIC_DATA, HASH_REGIONS[1], STATIC_DATA) === 0
    );
  }

  test("write nowhere but in their own regions", { timeout: 60_000 }, () => {
    const before = Buffer.from(memory.subarray(STATIC_DATA, CURVES));
    memory.fill(CANARY, 0, STATIC_DATA);
    for (const [curve, noble] of [p256, secp256k1].entries()) {
      const scalar = new Uint8Array(randomBytes(32)).fill(1, 0, 1);
      const digest = new Uint8Array(createHash("sha256").update(scalar).digest());
      const point = noble.getPublicKey(scalar, false);
      memory.set(scalar, items);
      expect(kernel.eccPublicKey(curve)).toBe(1);
      expect(new Uint8Array(memory.subarray(items + 96, items + 160))).toEqual(point.subarray(1));
      for (const encoded of [point, noble.getPublicKey(scalar, true)]) {
        memory.set(encoded, items + 96);
        expect(kernel.eccDecodePoint(curve, encoded.length)).toBe(1);
      }
      const last = kernel.ECC_KEY_COUNT.value - 1;
      // Behind the last table the memory ends.
      const before = KEY_TABLES + TABLE_LENGTH * last;
      expect(before + TABLE_LENGTH).toBe(memory.length);
      memory.fill(CANARY, before - 4096, before);
      expect(kernel.ecdsaLoadKey(curve, last)).toBe(1);
      expect(memory.subarray(before - 4096, before).every((byte) => byte === CANARY)).toBe(true);
      const count = kernel.ECC_ITEM_COUNT.value;
      const itemsEnd = items + 0x300 * count;
      // The relaxed build keeps pairs there.
      const behindItems = itemsEnd + (target === "relaxed" ? PAIRS_LENGTH : 0);
      memory.fill(CANARY, behindItems, tables - 0x8000);
      for (let i = 0; i < count; i++) {
        memory.set(scalar, items + 0x300 * i);
        memory.set(digest, items + 0x300 * i + 64);
      }
      expect(kernel.ecdsaSign(curve, 2, count, 0, 0)).toBe(1);
      for (let i = 0; i < count; i++) {
        const item = items + 0x300 * i;
        memory.set(point.subarray(1), item);
        memory.set(digest, item + 64);
        memory.writeUInt32LE(i % 2 === 0 ? 0 : last + 1, item + 232);
      }
      expect(kernel.ecdsaVerify(curve, count)).toBe(1);
      for (let i = 0; i < count; i++) expect(memory.readUInt32LE(items + 0x300 * i + 224)).toBe(1);
      expect(memory.subarray(behindItems, tables - 0x8000).every((byte) => byte === CANARY)).toBe(true);
      memory.set(scalar, items + 160);
      expect(kernel.eccDerive(curve)).toBe(1);
      expect(isUntouched()).toBe(true);
    }
    expect(memory.subarray(STATIC_DATA, CURVES).equals(before)).toBe(true);
  });

  test("refuse arguments out of range and write nothing then", () => {
    const before = createHash("sha256").update(memory).digest();
    const { ECC_ITEM_COUNT: most, ECC_KEY_COUNT: keys } = kernel;
    for (const refused of [
      kernel.ecdsaSign(2, 2, 1, 0, 0),
      kernel.ecdsaSign(-1, 2, 1, 0, 0),
      kernel.ecdsaSign(0, 0, 1, 0, 0),
      kernel.ecdsaSign(0, 5, 1, 0, 0),
      kernel.ecdsaSign(0, 2, 0, 0, 0),
      kernel.ecdsaSign(1, 2, most.value + 1, 0, 0),
      kernel.ecdsaSign(1, 2, -1, 0, 0),
      kernel.ecdsaVerify(2, 1),
      kernel.ecdsaVerify(0, 0),
      kernel.ecdsaVerify(0, most.value + 1),
      kernel.ecdsaLoadKey(2, 0),
      kernel.ecdsaLoadKey(0, keys.value),
      kernel.ecdsaLoadKey(0, -1),
      kernel.eccPublicKey(2),
      kernel.eccDecodePoint(2, 65),
      kernel.eccDecodePoint(0, 64),
      kernel.eccDecodePoint(0, 0),
      kernel.eccDerive(2),
    ]) {
      expect(refused).toBe(0);
    }
    expect(createHash("sha256").update(memory).digest()).toEqual(before);
    // The number of a table is read from the item.
    memory.writeUInt32LE(keys.value + 1, items + 232);
    expect(kernel.ecdsaVerify(0, 1)).toBe(0);
  });

  test.each([0, 1])("refuse scalars of zero and from the order on (curve %i)", (curve) => {
    const order = (curve === 0 ? p256 : secp256k1).Point.CURVE().n;
    for (const value of [0n, order, order + 1n, (1n << 256n) - 1n]) {
      memory.write(value.toString(16).padStart(64, "0"), items, "hex");
      expect(kernel.eccPublicKey(curve)).toBe(0);
    }
  });
});
