/**
 * Faults after which the vector arithmetic has no numbers left: infinities, what is no number, constants that make every digit
 * 0. Both sides of the check of a result would be the same then, in one half alone, and such a result gives away a prime.
 */

import { describe, expect, test } from "vitest";
import { RawRsa } from "../../../src/engines/wasm/rsa-raw.ts";
import { makeKernel } from "../../kernel/rsa-module.ts";
import { partsOf, power, type RsaNumbers, seededKeys, toBytes, toNumber } from "../../support/rsa-keys.ts";
import { rsaMemory } from "../../support/rsa-memory.ts";

/** The first of the constants of each build. */
const CONSTANTS = { simd: [0x44b8000000000000n, 9], relaxed: [0x4668000000000000n, 16] } as const;

describe.each(["simd", "relaxed"] as const)("the %s build", async (build) => {
  const kernel = await makeKernel(build);
  const { memory, input, output } = kernel;
  const { slots, slotLength, constants, places, context, digits } = rsaMemory(build);
  const doubles = new DataView(memory.buffer);

  /** Loads a key, and gives a call that tells whether a result left that is not the right one. */
  function loaded(numbers: RsaNumbers): { slot: number; misleads(): boolean } {
    const raw = new RawRsa(kernel);
    const key = raw.importPrivate(partsOf(numbers), raw);
    const length = numbers.n.toString(16).length / 2;
    const right = power(5n, numbers.d, numbers.n);
    const message = toBytes(5n, length);
    const run = (): number => {
      input.set(message);
      return kernel.rsaPrivate(key.slot);
    };
    input.set(message);
    expect(raw.privateOperation(key)).toBe(true);
    expect(toNumber(output.subarray(0, length))).toBe(right);
    const sound = memory.slice();
    return {
      slot: slots + key.slot * slotLength,
      misleads() {
        try {
          const answer = run();
          const left = toNumber(output.subarray(0, length));
          return answer === 1 ? left !== right : left !== 0n;
        } catch (error) {
          // A length that became too large took it out of the memory; `RawRsa` wipes what it left.
          expect(error).toBeInstanceOf(WebAssembly.RuntimeError);
          return false;
        } finally {
          memory.set(sound);
        }
      },
    };
  }

  test("lets nothing leave after a number in a loaded key became infinite or none", () => {
    const [numbers] = seededKeys("absorbing", 2048, 1) as [RsaNumbers];
    const { slot, misleads } = loaded(numbers);
    const wrong: string[] = [];
    let struck = 0;
    for (let at = slot + (places[4] ?? 0) - 0x20; at < slot + slotLength; at += 8) {
      if (doubles.getFloat64(at, true) === 0) continue;
      struck += 1;
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
        doubles.setFloat64(at, value, true);
        if (misleads()) wrong.push(`${value} at ${at - slot}`);
      }
    }
    expect(struck).toBeGreaterThan(150);
    expect(wrong).toEqual([]);
  });

  test("lets nothing leave after one bit made a digit of 1 infinite, in keys of 4096 bits", () => {
    for (const numbers of seededKeys("absorbing", 4096, 1)) {
      const { slot, misleads } = loaded(numbers);
      for (let at = slot; at < slot + slotLength; at += 8) {
        if (Math.abs(doubles.getFloat64(at, true)) !== 1) continue;
        memory[at + 7] = (memory[at + 7] ?? 0) ^ 0x40;
        expect(misleads(), `${at - slot}`).toBe(false);
      }
    }
  });

  test.each([0, 1])("lets nothing leave after what takes numbers to half %s became 0", (lane) => {
    const [numbers] = seededKeys("absorbing", 2048, 1) as [RsaNumbers];
    const { slot, misleads } = loaded(numbers);
    // Behind the size and the moduli, the scaled moduli and their factors.
    const factors = slot + context + 16 + 32 * digits + 16;
    for (let i = 0; i < 2 * digits; i++) doubles.setFloat64(factors + 16 * i + 8 * lane, 0, true);
    expect(misleads()).toBe(false);
  });

  test("lets nothing leave after any bit of its constants changed", () => {
    const [first, count] = CONSTANTS[build];
    const words = new BigUint64Array(memory.buffer, constants[0], (constants[1] - constants[0]) / 8);
    const staticStart = words.indexOf(first);
    expect(staticStart).toBeGreaterThanOrEqual(0);
    const [numbers] = seededKeys("absorbing", 2048, 1) as [RsaNumbers];
    const { misleads } = loaded(numbers);
    const wrong: string[] = [];
    for (let word = staticStart; word < staticStart + count; word++) {
      for (let bit = 0n; bit < 64n; bit++) {
        words[word] = (words[word] ?? 0n) ^ (1n << bit);
        if (misleads()) wrong.push(`bit ${bit} of word ${word - staticStart}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});
