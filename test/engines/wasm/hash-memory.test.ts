/** That hashing, HMAC, HKDF and key wrapping leave no byte of a key, a message or a result in the wasm memory. */

import { randomBytes } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { beforeEach, describe, expect, test } from "vitest";
import type { Engine } from "../../../src/engines/engine.ts";
import { WASM_HEX as BASE_WASM_HEX } from "../../../src/engines/wasm/bytes/base.ts";
import { WASM_HEX as RELAXED_WASM_HEX } from "../../../src/engines/wasm/bytes/relaxed.ts";
import { WASM_HEX as SIMD_WASM_HEX } from "../../../src/engines/wasm/bytes/simd.ts";
import { createWasmEngine } from "../../../src/engines/wasm/inlined.ts";
import { mainLoader } from "../../../src/engines/wasm/load-kernel.ts";
import { probeSwizzle } from "../../../src/engines/wasm/probe.ts";
import { codeOf, flipBit, HASHES, served } from "../../conformance/engine-support.ts";

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

if (!probeSwizzle("relaxed")) setFlagsFromString("--experimental-wasm-relaxed-simd");

const BUILDS = [
  { build: "base", text: BASE_WASM_HEX },
  { build: "simd", text: SIMD_WASM_HEX },
  { build: "relaxed", text: RELAXED_WASM_HEX },
];

describe.each(BUILDS)("the memory of a wasm engine ($build)", { timeout: 60_000 }, ({ text }) => {
  let engine: Engine;
  let memory: Uint8Array;
  let before: Uint8Array;

  // A module of its own gives each test an instance of its own.
  beforeEach(() => {
    const module = new WebAssembly.Module(new Uint8Array(Buffer.from(text, "hex")));
    engine = createWasmEngine({ wasm: module });
    memory = mainLoader.ofModule(module).memory;
    before = memory.slice();
  });

  /** Gives the first address that a call changed for good; -1 if none. */
  const residue = (): number => memory.findIndex((byte, address) => byte !== before[address]);

  test("begins with public constants alone and notices a byte that is left", () => {
    expect(residue()).toBe(-1);
    memory[0x700] = 1;
    expect(residue()).toBe(0x700);
  });

  test.each([1, 64, 100, 200_000])("keeps nothing of hashing and HMAC over %i bytes", (length) => {
    for (const name of HASHES) {
      served(engine, "hash")(name, random(length));
      expect(residue()).toBe(-1);
      served(engine, "hmac").sign(name, random(40), random(length));
      expect(residue()).toBe(-1);
      served(engine, "hmac").sign(name, random(length), random(40));
      expect(residue()).toBe(-1);
    }
  });

  test.each([10, 70_000])("keeps nothing of HKDF over %i bytes", (length) => {
    for (const name of HASHES) {
      served(engine, "hkdf")(name, random(length), random(length), random(length), 200);
      expect(residue()).toBe(-1);
    }
  });

  test("keeps nothing of a key wrapped, unwrapped or refused", () => {
    for (const mode of ["aesKw", "aesKwp"] as const) {
      const wrap = served(engine, mode);
      for (const length of mode === "aesKw" ? [16, 32, 4096] : [1, 8, 33, 4095]) {
        const kek = random(32);
        const wrapped = wrap.wrap(kek, random(length));
        expect(residue()).toBe(-1);
        expect(wrap.unwrap(kek, wrapped)).toBeDefined();
        expect(residue()).toBe(-1);
        expect(wrap.unwrap(kek, flipBit(wrapped, 77))).toBeUndefined();
        expect(residue()).toBe(-1);
      }
      expect(codeOf(() => wrap.wrap(random(20), random(16)))).toBe("InvalidKeyMaterial");
      expect(codeOf(() => wrap.wrap(random(16), new Uint8Array(0)))).toBe("InvalidParameter");
      expect(residue()).toBe(-1);
    }
  });

  test("keeps nothing of a call that throws", () => {
    class LyingArray extends Uint8Array {
      override get length(): number {
        return 16;
      }
    }
    const liar = new LyingArray(random(70_000));
    const key = random(32);
    expect(() => served(engine, "hash")("SHA-256", liar)).toThrow(RangeError);
    expect(() => served(engine, "hmac").sign("SHA-256", key, liar)).toThrow(RangeError);
    expect(() => served(engine, "hkdf")("SHA-256", liar, key, key, 40)).toThrow(RangeError);
    for (const mode of ["aesKw", "aesKwp"] as const) {
      expect(() => served(engine, mode).wrap(key, liar)).toThrow(RangeError);
    }
    expect(residue()).toBe(-1);
  });
});
