/**
 * Compares the arithmetic on pairs, two elements in doubles, with BigInt, and point steps made of it with the group law. The
 * debug build asserts that every limb is whole and every column of a product in its bounds.
 */

import { describe, expect, test } from "vitest";
import { compileKernel } from "../../.config/build-wasm.mjs";
import { allowRelaxedSimd } from "../ctime/builds.ts";
import { CURVES, edges, inverse, mod, numbers } from "./ec-probe.ts";

allowRelaxedSimd();

/** The exports of assembly/probe-pair.ts. */
interface PairProbe {
  readonly memory: WebAssembly.Memory;
  readonly SUM: WebAssembly.Global<"i32">;
  readonly PICKED_PAIR: WebAssembly.Global<"i32">;
  multiply(p256: number, out: number, a: number, b: number): void;
  square(p256: number, out: number, a: number): void;
  carry(p256: number, a: number): void;
  unpack(out: number, a: number, b: number): void;
  leave(p256: number, out: number, pair: number, lane: number, factor: number): void;
  onSum(p256: number, eight: number, step: number, infinite: number): number;
}

const LIMBS = [0, 1, 2, 3, 4, 5] as const;
const LANES = [0, 1] as const;
const MASK = (1n << 43n) - 1n;
const R = 1n << 258n;
/** A reduced limb is little above 2^42 in magnitude, the highest little above 2^40. */
const REDUCED = 2 ** 42 + 2 ** 37;
const REDUCED_TOP = 2 ** 40 + 2 ** 37;

const [A, B, OUT, WORDS] = [0x1000, 0x1100, 0x1200, 0x1300] as const;

async function makeProbe(target: "relaxed" | "relaxed-debug") {
  const wasm = await compileKernel({ module: "ecc", entry: "assembly/probe-pair.ts", target });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm));
  const probe = exports as unknown as PairProbe;
  const view = new DataView(probe.memory.buffer);
  const limb = (address: number, lane: number, i: number): number =>
    view.getFloat64(address + 16 * i + 8 * lane, true);
  return {
    probe,
    /** Writes limbs from 0 up to 43 bits, or with `signed` from -2^42 up; the last takes what is left. */
    put(address: number, lane: number, value: bigint, signed = false): void {
      let rest = value;
      for (const i of LIMBS) {
        let digit = i < 5 ? rest & MASK : rest;
        if (signed && i < 5 && digit > MASK >> 1n) digit -= MASK + 1n;
        rest = (rest - digit) >> 43n;
        view.setFloat64(address + 16 * i + 8 * lane, Number(digit), true);
      }
    },
    putLimbs(address: number, lane: number, limbs: readonly number[]): void {
      for (const i of LIMBS) view.setFloat64(address + 16 * i + 8 * lane, limbs[i] ?? 0, true);
    },
    get: (address: number, lane: number): bigint =>
      LIMBS.reduceRight((value, i) => (value << 43n) + BigInt(limb(address, lane, i)), 0n),
    isReduced: (address: number, lane: number): boolean =>
      LIMBS.every((i) => Math.abs(limb(address, lane, i)) <= (i < 5 ? REDUCED : REDUCED_TOP)),
    putWords(address: number, value: bigint): void {
      for (let i = 0; i < 4; i++)
        view.setBigUint64(address + 8 * i, BigInt.asUintN(64, value >> BigInt(64 * i)), true);
    },
    /** Writes and reads elements of nine limbs of 29 bits. */
    putElement(address: number, value: bigint): void {
      for (let i = 0; i < 9; i++) {
        view.setBigUint64(address + 8 * i, (value >> BigInt(29 * i)) & 0x1fffffffn, true);
      }
    },
    elementLimbs: (address: number): bigint[] =>
      Array.from({ length: 9 }, (_, i) => view.getBigUint64(address + 8 * i, true)),
    getElement(address: number): bigint {
      return this.elementLimbs(address).reduceRight((value, next) => (value << 29n) + next, 0n);
    },
  };
}

/** Enough cases in the quick build, two lanes each, fewer in the one that checks every bound. */
const BUILDS = [
  { build: "relaxed", kernel: await makeProbe("relaxed"), cases: 30_000 },
  { build: "debug", kernel: await makeProbe("relaxed-debug"), cases: 3_000 },
] as const;

describe.each(CURVES)("pairs of elements modulo the prime of $name", ({ flag, p, n, noble }) => {
  const unscale = flag === 1 ? inverse(R, p) : 1n;

  describe.each(BUILDS)("in the $build build", ({ kernel, cases }) => {
    const { probe, put, putLimbs, get, isReduced, putWords, putElement, elementLimbs } = kernel;

    test("products and squares are right and reduced in both lanes", () => {
      const left = numbers(11, edges(p));
      const right = numbers(12, edges(p).reverse());
      const wrong: string[] = [];
      for (let count = 0; count < cases; count++) {
        const values = LANES.map((lane) => {
          const [a, b] = [left.next().value, right.next().value];
          put(A, lane, a, count % 2 === 0);
          put(B, lane, b, count % 3 === 0);
          return { a, b };
        });
        probe.multiply(flag, OUT, A, B);
        values.forEach(({ a, b }, lane) => {
          if (mod(get(OUT, lane) - a * b * unscale, p) !== 0n || !isReduced(OUT, lane)) {
            wrong.push(`product of ${a.toString(16)} and ${b.toString(16)}`);
          }
        });
        probe.square(flag, A, A);
        values.forEach(({ a }, lane) => {
          if (mod(get(A, lane) - a * a * unscale, p) !== 0n || !isReduced(A, lane)) {
            wrong.push(`square of ${a.toString(16)}`);
          }
        });
      }
      expect(wrong.slice(0, 5)).toEqual([]);
    });

    test("the largest sums that points make may be multiplied, of either sign", () => {
      const largest = 10 * 2 ** 42;
      const stream = numbers(13, edges(p));
      for (let count = 0; count < cases / 10; count++) {
        const bits = stream.next().value;
        // All limbs at the bound, in every mixture of signs.
        for (const lane of LANES) {
          const sign = (place: number): number => ((bits >> BigInt(8 * lane + place)) & 1n ? -1 : 1);
          putLimbs(
            A,
            lane,
            LIMBS.map((i) => (count === 0 ? 1 : sign(i)) * largest),
          );
          putLimbs(
            B,
            lane,
            LIMBS.map((i) => (count === 0 ? 1 : sign(i + 20)) * largest),
          );
        }
        const values = LANES.map((lane) => ({ a: get(A, lane), b: get(B, lane) }));
        probe.multiply(flag, OUT, A, B);
        values.forEach(({ a, b }, lane) => {
          expect(mod(get(OUT, lane) - a * b * unscale, p)).toBe(0n);
        });
        probe.square(flag, OUT, A);
        values.forEach(({ a }, lane) => {
          expect(mod(get(OUT, lane) - a * a * unscale, p)).toBe(0n);
        });
        probe.carry(flag, A);
        values.forEach(({ a }, lane) => {
          expect(mod(get(A, lane) - a, p)).toBe(0n);
          expect(isReduced(A, lane)).toBe(true);
        });
      }
    });

    test("words become pairs, and lanes become elements that are reduced", () => {
      const stream = numbers(14, edges(p));
      for (let count = 0; count < cases / 10; count++) {
        const values = LANES.map((lane) => {
          const value = stream.next().value;
          putWords(WORDS + 32 * lane, value);
          return value;
        });
        probe.unpack(OUT, WORDS, WORDS + 32);
        expect(LANES.map((lane) => get(OUT, lane))).toEqual(values);
        // Limbs of either sign and far above those of reduced pairs.
        for (const lane of LANES) {
          putLimbs(
            A,
            lane,
            LIMBS.map(
              (i) => Number(((values[lane] ?? 0n) >> BigInt(30 * i + 5)) & 0xffffffffffffn) - 2 ** 47,
            ),
          );
          const expected = get(A, lane);
          for (const factor of flag === 1 ? [1, 8] : [1]) {
            probe.leave(flag, B, A, 8 * lane, factor);
            expect(mod(kernel.getElement(B) - BigInt(factor) * expected, p)).toBe(0n);
            const limbs = elementLimbs(B);
            expect(limbs.every((limb, i) => limb <= (i < 8 ? 0x1fffffffn : 0x1000000n))).toBe(true);
          }
        }
      }
    });

    // Elements of P-256 stand 2^261 times as high as their numbers.
    const scale = flag === 1 ? 1n << 261n : 1n;
    const sum = probe.SUM.value;

    function putSum(factor: bigint, z: bigint): void {
      const { x, y } = noble.Point.BASE.multiply(mod(factor, n)).toAffine();
      putElement(sum, mod(x * z * z * scale, p));
      putElement(sum + 80, mod(y * z * z * z * scale, p));
      putElement(sum + 160, mod(z * scale, p));
    }

    function pick(factor: bigint, eight: number): void {
      const { x, y } = noble.Point.BASE.multiply(mod(factor, n)).toAffine();
      const height = flag === 1 && eight === 0 ? R : scale;
      putWords(WORDS, mod(x * height, p));
      putWords(WORDS + 32, mod(y * height, p));
      probe.unpack(probe.PICKED_PAIR.value, WORDS, WORDS + 32);
    }

    function readSum(): string {
      const [x = 0n, y = 0n, z = 0n] = [0, 80, 160].map((at) =>
        mod(kernel.getElement(sum + at) * inverse(scale, p), p),
      );
      const down = inverse(z, p);
      return `${mod(x * down ** 2n, p)} ${mod(y * down ** 3n, p)}`;
    }

    function expected(factor: bigint): string {
      const { x, y } = noble.Point.BASE.multiply(mod(factor, n)).toAffine();
      return `${x} ${y}`;
    }

    const small = [-4n, -3n, -2n, -1n, 1n, 2n, 3n, 4n];
    const scalings = [1n, p - 1n, 0x1234567890abcdef1234567890abcdefn];
    const heights = flag === 1 ? [0, 1] : [0];

    test("doubles are right", () => {
      for (const factor of small) {
        for (const z of scalings) {
          putSum(factor, z);
          probe.onSum(flag, 0, 0, 0);
          expect(readSum()).toBe(expected(2n * factor));
        }
      }
    });

    test.each(heights)(
      "sums are right, equal, opposite and infinite points among them (height %i)",
      (eight) => {
        for (const a of small) {
          for (const b of small) {
            pick(b, eight);
            for (const z of scalings) {
              putSum(a, z);
              expect(probe.onSum(flag, eight, 2, 0)).toBe(Number(a === -b));
              if (a !== -b) expect(readSum(), `${a} + ${b}`).toBe(expected(a + b));
              if (a === b || a === -b) continue;
              putSum(a, z);
              probe.onSum(flag, eight, 1, 0);
              expect(readSum(), `${a} + ${b}`).toBe(expected(a + b));
            }
          }
          pick(a, eight);
          expect(probe.onSum(flag, eight, 2, 1)).toBe(0);
          expect(readSum()).toBe(expected(a));
        }
      },
    );

    test.each(heights)("long chains stay right (height %i)", (eight) => {
      const stream = numbers(15, [1n, 2n, n - 1n, n - 2n, n >> 1n]);
      for (let chain = 0; chain < 8; chain++) {
        let factor = mod(stream.next().value, n - 1n) + 1n;
        const step = mod(stream.next().value, n - 1n) + 1n;
        putSum(factor, mod(stream.next().value, p - 1n) + 1n);
        pick(step, eight);
        let infinite = 0;
        for (let i = 0; i < 40; i++) {
          const doubling = eight === 0 && i % 3 === 2;
          infinite = probe.onSum(flag, eight, doubling ? 0 : 2, infinite);
          factor = doubling ? 2n * factor : factor + step;
        }
        expect(readSum()).toBe(expected(factor));
      }
    });
  });
});
