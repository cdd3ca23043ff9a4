/** Montgomery arithmetic on pairs of numbers against BigInt, in builds that ship and in those that assert every bound. */

import { describe, expect, test } from "vitest";
import { generateRsa } from "../../assembly/generate/rsa.mjs";
import { power, seededNumber } from "../support/rsa-keys.ts";
import { makeProbe, type Probe, place, TARGETS } from "./rsa-module.ts";

const SIZES = [1024, 1536, 2048, 3072, 4096] as const;
const [CONTEXT, X, Y, OUT, A, B] = [place(0), place(4), place(6), place(8), place(10), place(11)];

test("the generated kernels are what the generator writes", async () => {
  expect(await generateRsa({ check: true })).toBeUndefined();
});

/** Moduli where carries go furthest or nothing happens, and others: odd, with the top bit set. */
function moduli(size: number): bigint[] {
  const top = 1n << BigInt(size - 1);
  const all = (1n << BigInt(size)) - 1n;
  const digits = (period: number, ones: number): bigint => {
    let value = 0n;
    for (let at = 0; at < size; at += period) value |= ((1n << BigInt(ones)) - 1n) << BigInt(at);
    return (value | top | 1n) & all;
  };
  return [
    all,
    top | 1n,
    top | (1n << 51n) | 1n,
    all ^ (1n << BigInt(size >> 1)),
    digits(51, 50),
    digits(51, 1),
    digits(28, 27),
    digits(24, 23),
    digits(23, 22),
    top + ((1n << 51n) - 1n),
    ...[1, 2, 3].map((i) => seededNumber(`modulus ${size} ${i}`, size) | top | 1n),
  ];
}

/** Numbers below a modulus, the awkward ones first. */
function residues(modulus: bigint, seed: string): bigint[] {
  const size = modulus.toString(2).length;
  const half = (1n << 50n) - 1n;
  return [
    0n,
    1n,
    modulus - 1n,
    modulus >> 1n,
    (1n << BigInt(size - 1)) - 1n,
    modulus - half,
    // Digits of 24 and 23 bits as large as they become.
    ...[24, 23].map((bits) => {
      let value = 0n;
      for (let at = bits - 1; at < size; at += bits) value |= 1n << BigInt(at);
      return value % modulus;
    }),
    (seededNumber(`${seed} a`, size) * 5n) % modulus,
    seededNumber(`${seed} b`, size) % modulus,
  ];
}

describe.each(TARGETS)("in the %s build", async (target) => {
  const probe = await makeProbe(target);
  const readBoth = (probe: Probe, words: number): bigint[] => {
    probe.pairLeave(A, B, OUT, CONTEXT);
    return [probe.get(A, words), probe.get(B, words)];
  };

  test.each(SIZES)("products, squares and sums of %s bits are what BigInt says", (size) => {
    const words = size / 32;
    const all = moduli(size);
    for (const [i, m] of all.entries()) {
      const k = all[(i + 1) % all.length] ?? m;
      probe.put(A, m, words);
      probe.put(B, k, words);
      probe.pairLoad(CONTEXT, size, A, B);
      const [left, right] = [residues(m, `left ${i}`), residues(k, `right ${i}`)];
      for (const [j, a] of left.entries()) {
        const b = right[(j * 3 + i) % right.length] ?? 0n;
        probe.put(A, a, words);
        probe.put(B, b, words);
        probe.pairEnter(X, CONTEXT, A, B);
        probe.put(A, b % m, words);
        probe.put(B, a % k, words);
        probe.pairEnter(Y, CONTEXT, A, B);
        probe.pairMultiply(OUT, X, Y, CONTEXT);
        expect(readBoth(probe, words)).toEqual([(a * b) % m, (a * b) % k]);
        probe.pairSquare(OUT, X, CONTEXT);
        expect(readBoth(probe, words)).toEqual([(a * a) % m, (b * b) % k]);
        // Sums may be squared, which is where their digits are largest.
        probe.pairAdd(OUT, X, Y, CONTEXT);
        probe.pairSquare(OUT, OUT, CONTEXT);
        expect(readBoth(probe, words)).toEqual([(a + b) ** 2n % m, (a + b) ** 2n % k]);
      }
    }
  });

  test.each(SIZES)("long chains of %s bits stay right", (size) => {
    const words = size / 32;
    for (const [i, m] of moduli(size)
      .slice(0, target.endsWith("debug") ? 3 : 11)
      .entries()) {
      probe.put(A, m, words);
      probe.pairLoad(CONTEXT, size, A, A);
      const a = (m - 1n) / 3n;
      const b = seededNumber(`chain ${i}`, size) % m;
      probe.put(A, a, words);
      probe.put(B, b, words);
      probe.pairEnter(X, CONTEXT, A, B);
      const rounds = 60;
      for (let round = 0; round < rounds; round++)
        probe.pairSquare(round === 0 ? OUT : OUT, round === 0 ? X : OUT, CONTEXT);
      expect(readBoth(probe, words)).toEqual([power(a, 1n << 60n, m), power(b, 1n << 60n, m)]);
    }
  });

  test.each([1024, 1536, 2048])(
    "powers of %s bits are what BigInt says, each half by its own exponent",
    (size) => {
      const words = size / 32;
      const [m = 3n, k = 3n] = moduli(size).slice(-2);
      probe.put(A, m, words);
      probe.put(B, k, words);
      probe.pairLoad(CONTEXT, size, A, B);
      const full = (1n << BigInt(size)) - 1n;
      const exponents = [0n, 1n, full, m - 2n, seededNumber("exponent", size)];
      for (const [i, e] of exponents.slice(0, target.endsWith("debug") ? 3 : 5).entries()) {
        const f = exponents[(i + 1) % exponents.length] ?? 0n;
        const [a, b] = [seededNumber(`base ${i}`, size), full - BigInt(i)];
        probe.put(A, a, words);
        probe.put(B, b, words);
        probe.pairEnter(X, CONTEXT, A, B);
        probe.put(place(12), e, words + 2);
        probe.put(place(13), f, words + 2);
        probe.pairPower(OUT, X, CONTEXT, place(12), place(13));
        expect(readBoth(probe, words)).toEqual([power(a, e, m), power(b, f, k)]);
      }
    },
  );

  test.each([1024, 1536, 2048])("numbers of twice %s bits enter, and one is one", (size) => {
    const words = size / 32;
    const [m = 3n, k = 3n] = moduli(size).slice(0, 2);
    probe.put(A, m, words);
    probe.put(B, k, words);
    probe.pairLoad(CONTEXT, size, A, B);
    for (const long of [
      0n,
      1n,
      (1n << BigInt(2 * size)) - 1n,
      seededNumber("long", 2 * size),
      m * k,
      m * k - 1n,
    ]) {
      probe.put(place(12), long, 2 * words);
      probe.pairEnterLong(OUT, CONTEXT, place(12));
      expect(readBoth(probe, words)).toEqual([long % m, long % k]);
    }
    probe.pairOne(OUT, CONTEXT);
    expect(readBoth(probe, words)).toEqual([1n, 1n]);
  });
});
