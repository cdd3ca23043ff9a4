/** Compares the arithmetic modulo the primes and orders of the curves with BigInt; the debug build asserts its bounds. */

import { describe, expect, test } from "vitest";
import { generateEcc } from "../../assembly/generate/ecc.mjs";
import { A, B, CURVES, edges, inverse, makeProbe, mod, numbers, OUT } from "./ec-probe.ts";

const release = await makeProbe("release");
const debug = await makeProbe("debug");

/** Enough cases in the quick build, fewer in the one that checks every bound. */
const BUILDS = [
  { build: "release", kernel: release, cases: 60_000 },
  { build: "debug", kernel: debug, cases: 4_000 },
] as const;

test("the generated kernels are what the generators write", async () => {
  expect(await generateEcc({ check: true })).toBeUndefined();
});

describe.each(CURVES)("arithmetic modulo the prime of $name", ({ flag, p, scale }) => {
  const unscale = inverse(scale, p);
  const half = inverse(2n, p);

  describe.each(BUILDS)("in the $build build", ({ kernel, cases }) => {
    const { probe, put, get, limbs } = kernel;

    test("products, squares, differences and halves are right", () => {
      const left = numbers(1, edges(p));
      const right = numbers(2, edges(p).reverse());
      const wrong: string[] = [];
      const check = (what: string, a: bigint, b: bigint, expected: bigint): void => {
        const out = limbs(OUT);
        const reduced = out.every((limb, i) => limb <= (i === 8 ? 0x1100000n : 0x20100000n));
        if (mod(get(OUT) - expected, p) !== 0n || (what !== "half" && !reduced)) {
          wrong.push(`${what} of ${a.toString(16)} and ${b.toString(16)}`);
        }
      };
      for (let n = 0; n < cases; n++) {
        const [a, b] = [left.next().value, right.next().value];
        put(A, a);
        put(B, b);
        probe.multiply(flag, OUT, A, B);
        check("product", a, b, a * b * unscale);
        probe.square(flag, OUT, A);
        check("square", a, b, a * a * unscale);
        probe.subtract(flag, OUT, A, B);
        check("difference", a, b, a - b);
        probe.halfTriple(flag, OUT, A);
        check("half", a, b, 3n * a * half);
      }
      expect(wrong.slice(0, 5)).toEqual([]);
    });

    test("what is left unreduced may be multiplied, and subtracted in threes", () => {
      const left = numbers(3, edges(p));
      const right = numbers(4, edges(p).reverse());
      for (let n = 0; n < cases / 4; n++) {
        const [a, b] = [left.next().value, right.next().value];
        put(A, a);
        put(B, b);
        // Differences have the largest limbs of what counts as reduced.
        probe.subtract(flag, A, A, B);
        const difference = get(A);
        probe.addLimbs(OUT, A, A);
        probe.multiply(flag, OUT, OUT, A);
        expect(mod(get(OUT) - 2n * difference * difference * unscale, p)).toBe(0n);
        probe.addLimbs(OUT, A, A);
        probe.addLimbs(OUT, OUT, A);
        probe.subtract(flag, OUT, B, OUT);
        expect(mod(get(OUT) - b + 3n * difference, p)).toBe(0n);
        probe.halfTriple(flag, OUT, A);
        const tripled = get(OUT);
        probe.square(flag, OUT, OUT);
        expect(mod(get(OUT) - tripled * tripled * unscale, p)).toBe(0n);
      }
    });

    test("limbs of any size below their bound are multiplied and reduced right", () => {
      // The largest factors: one sum of two reduced elements, one reduced element.
      const largest = Array.from({ length: 9 }, (_, i) => (i === 8 ? 0x2200000n : 0x40000000n));
      const value = largest.reduce((sum, limb, i) => sum + (limb << BigInt(29 * i)), 0n);
      kernel.putLimbs(A, largest);
      kernel.putLimbs(B, largest);
      probe.multiply(flag, OUT, A, B);
      expect(mod(get(OUT) - value * value * unscale, p)).toBe(0n);
      probe.square(flag, OUT, A);
      expect(mod(get(OUT) - value * value * unscale, p)).toBe(0n);
      probe.reduce(flag, OUT, A);
      expect(get(OUT)).toBe(mod(value, p));
    });

    test("complete reduction, inversion and the way in and out are right", () => {
      const stream = numbers(5, edges(p));
      for (let n = 0; n < cases / 40; n++) {
        const a = stream.next().value;
        put(A, a);
        probe.reduce(flag, OUT, A);
        expect(get(OUT)).toBe(mod(a, p));
        const expected = mod(a, p) === 0n ? 0n : inverse(a * unscale, p) * scale;
        for (const vartime of [0, 1]) {
          probe.invert(flag, vartime, OUT, A);
          expect(mod(get(OUT) - expected, p)).toBe(0n);
        }
        put(A, mod(a, p));
        probe.enter(flag, OUT, A);
        expect(mod(get(OUT) - a * scale, p)).toBe(0n);
        probe.leave(flag, OUT, OUT);
        expect(get(OUT)).toBe(mod(a, p));
      }
    });
  });
});

describe.each(CURVES)("arithmetic modulo the order of $name", ({ flag, n }) => {
  const unscale = inverse(1n << 261n, n);

  test.each(BUILDS)("is right in the $build build", ({ kernel: { probe, put, get }, cases }) => {
    const left = numbers(6, edges(n));
    const right = numbers(7, edges(n).reverse());
    const wrong: string[] = [];
    for (let i = 0; i < cases; i++) {
      const [a, b] = [left.next().value, right.next().value];
      put(A, a);
      put(B, b);
      probe.orderMul(flag, OUT, A, B);
      const product = get(OUT);
      if (mod(product - a * b * unscale, n) !== 0n || product > n + n / 16n)
        wrong.push(`${a.toString(16)} by ${b.toString(16)}`);
      if (i % 40 !== 0) continue;
      probe.orderRed(flag, OUT, A);
      expect(get(OUT)).toBe(mod(a, n));
      const expected = mod(a, n) === 0n ? 0n : inverse(a * unscale, n) << 261n;
      for (const vartime of [0, 1]) {
        probe.orderInv(flag, vartime, OUT, A);
        expect(mod(get(OUT) - expected, n)).toBe(0n);
      }
    }
    expect(wrong.slice(0, 5)).toEqual([]);
  });
});

test.each(BUILDS)("scalars of secp256k1 split into two short ones ($build)", ({ kernel, cases }) => {
  const { probe, put, get, word } = kernel;
  const n = CURVES[1]?.n ?? 0n;
  const lambda = 0x5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72n;
  const stream = numbers(8, edges(n));
  const signed = (half: number, sign: number): bigint => (word(sign) === 1n ? -get(half) : get(half));
  for (let i = 0; i < cases / 4; i++) {
    const scalar = mod(stream.next().value, n);
    put(A, scalar);
    probe.splitScalar(A);
    const first = signed(probe.HALF_1.value, probe.SIGN_1.value);
    const second = signed(probe.HALF_2.value, probe.SIGN_2.value);
    expect(mod(first + second * lambda - scalar, n)).toBe(0n);
    for (const half of [first, second]) expect((half < 0n ? -half : half) >> 128n).toBe(0n);
  }
});
