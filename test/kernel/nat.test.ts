/** Numbers as words against BigInt: what keys are imported, checked and made with. */

import { describe, expect, test } from "vitest";
import { inverseOf, seededNumber, toBytes, toNumber } from "../support/rsa-keys.ts";
import { makeProbe, place, TARGETS } from "./rsa-module.ts";

const [A, B, OUT, REST] = [place(0), place(1), place(2), place(4)];
const ALL = 0xffffffff;

const gcd = (a: bigint, b: bigint): bigint => (b === 0n ? a : gcd(b, a % b));

/** Numbers of so many words: edges of carries first. */
function numbers(words: number, seed: string): bigint[] {
  const all = (1n << BigInt(32 * words)) - 1n;
  return [
    0n,
    1n,
    2n,
    all,
    all - 1n,
    all >> 1n,
    1n << BigInt(32 * words - 1),
    all ^ BigInt(ALL),
    BigInt(ALL),
    ...[1, 2, 3].map((i) => seededNumber(`${seed} ${words} ${i}`, 32 * words)),
    seededNumber(seed, 32 * words) >> BigInt(13 * words),
  ];
}

describe.each(TARGETS.filter((target) => !/simd|relaxed/.test(target)))("in the %s build", async (target) => {
  const probe = await makeProbe(target);
  const { put, get } = probe;

  test.each([1, 2, 7, 32, 64])(
    "sums, differences, products and comparisons of %s words are BigInt's",
    (words) => {
      const range = 1n << BigInt(32 * words);
      for (const a of numbers(words, "a")) {
        for (const b of numbers(words, "b")) {
          put(A, a, words);
          put(B, b, words);
          expect(probe.natAdd(OUT, A, B, words)).toBe(Number((a + b) / range));
          expect(get(OUT, words)).toBe((a + b) % range);
          expect(probe.natSubtract(OUT, A, B, words)).toBe(Number(a < b));
          expect(get(OUT, words)).toBe((a - b + range) % range);
          probe.natMultiply(OUT, A, words, B, words);
          expect(get(OUT, 2 * words)).toBe(a * b);
          expect(probe.natLessMask(A, B, words) >>> 0).toBe(a < b ? ALL : 0);
          expect(probe.natEqualMask(A, B, words) >>> 0).toBe(a === b ? ALL : 0);
          probe.natSelect(OUT, ALL, A, B, words);
          expect(get(OUT, words)).toBe(a);
          probe.natSelect(OUT, 0, A, B, words);
          expect(get(OUT, words)).toBe(b);
        }
        expect(probe.natZeroMask(A, words) >>> 0).toBe(a === 0n ? ALL : 0);
        expect(probe.natAddSmall(OUT, A, ALL, words)).toBe(Number((a + BigInt(ALL)) / range));
        expect(get(OUT, words)).toBe((a + BigInt(ALL)) % range);
        expect(probe.natSubtractSmall(OUT, A, 3, words)).toBe(Number(a < 3n));
        expect(get(OUT, words)).toBe((a - 3n + range) % range);
        for (const count of [1, 13, 31]) {
          put(OUT, a, words);
          probe.natShiftRight(OUT, count, words);
          expect(get(OUT, words)).toBe(a >> BigInt(count));
        }
      }
    },
  );

  test("bytes become words and words bytes", () => {
    const memory = new Uint8Array(probe.memory.buffer);
    for (const [length, words] of [
      [0, 2],
      [5, 2],
      [8, 2],
      [128, 32],
      [144, 64],
    ] as const) {
      const value = length === 0 ? 0n : seededNumber("bytes", 8 * length);
      memory.set(toBytes(value, length), A);
      probe.natFromBytes(OUT, words, A, length);
      expect(get(OUT, words)).toBe(value);
      probe.natToBytes(B, 4 * words + 3, OUT, words);
      expect(toNumber(memory.slice(B, B + 4 * words + 3))).toBe(value);
    }
  });

  test.each([
    [1, 1],
    [4, 2],
    [2, 4],
    [64, 32],
  ])("%s words divided by %s leave BigInt's quotient and remainder", (wordsA, wordsM) => {
    for (const a of numbers(wordsA, "dividend")) {
      for (const m of numbers(wordsM, "divisor").filter((value) => value > 0n)) {
        put(A, a, wordsA);
        put(B, m, wordsM);
        probe.natDivide(OUT, REST, A, wordsA, B, wordsM);
        expect([get(OUT, wordsA), get(REST, wordsM)]).toEqual([a / m, a % m]);
        probe.natDivide(A, REST, A, wordsA, B, wordsM);
        expect(get(A, wordsA)).toBe(a / m);
      }
    }
  });

  test.each([1, 3, 32])("the greatest common divisor of numbers of %s words is Euclid's", (words) => {
    const common = seededNumber("common", 16 * words);
    const pairs = numbers(words, "a").flatMap((a) => numbers(words, "b").map((b) => [a, b] as const));
    const limit = 1n << BigInt(16 * words);
    for (const [a, b] of [...pairs, [common * (limit - 2n), common * (limit - 8n)] as const]) {
      put(A, a, words);
      put(B, b, words);
      probe.natGcd(OUT, A, B, words);
      expect(get(OUT, words)).toBe(gcd(a, b));
      expect([get(A, words), get(B, words)]).toEqual([a, b]);
    }
  });

  test.each([1, 2, 33, 64])("residues of %s words and inverses of small numbers are BigInt's", (words) => {
    for (const divisor of [3, 17, 65537, 3 * 5 * 7 * 11 * 13 * 17 * 19, 0x7fffffff, 0x7ffffffd]) {
      const small = BigInt(divisor);
      for (const a of [...numbers(words, "a"), small, small - 1n, small + 1n].filter(
        (value) => value < 1n << BigInt(32 * words),
      )) {
        const multiple = a - (a % small);
        put(A, a, words);
        put(B, multiple, words);
        expect(probe.natResidue(A, words, divisor) >>> 0).toBe(Number(a % small));
        expect(probe.natResidueZero(A, words, divisor)).toBe(Number(a % small === 0n));
        expect(probe.natResidueZero(B, words, divisor)).toBe(1);
        if (a < 2n) continue;
        const coprime = gcd(a, small) === 1n;
        expect(probe.natInverseSmall(OUT, A, words, divisor)).toBe(Number(coprime));
        if (coprime) expect(get(OUT, words)).toBe(inverseOf(small, a));
      }
    }
  });
});
