/** Checks the group law of the curve kernels on every pair of small multiples, in many scalings, and on random points. */

import { describe, expect, test } from "vitest";
import { B, CURVES, inverse, makeProbe, mod, numbers, OUT, POINT } from "./ec-probe.ts";

const [X, Y, Z] = [0, 80, 160];

const BUILDS = [
  { build: "release", kernel: await makeProbe("release") },
  { build: "debug", kernel: await makeProbe("debug") },
] as const;

describe.each(CURVES)("points of $name", ({ flag, noble, p, n, scale }) => {
  const G = noble.Point.BASE;
  const known = new Map<bigint, { x: bigint; y: bigint }>();

  /** Gives a multiple of the generator, not infinity. */
  function multiple(scalar: bigint): { x: bigint; y: bigint } {
    const point = known.get(scalar) ?? G.multiply(scalar).toAffine();
    known.set(scalar, point);
    return point;
  }

  describe.each(BUILDS)("in the $build build", ({ kernel: { probe, put, get } }) => {
    /** Writes a multiple of the generator in Jacobian coordinates with this Z; infinity for 0. */
    function putPoint(address: number, factor: bigint, z: bigint): void {
      const scalar = mod(factor, n);
      const { x, y } = scalar === 0n ? { x: 1n, y: 1n } : multiple(scalar);
      const depth = scalar === 0n ? 0n : z;
      put(address + X, mod(x * z * z * scale, p));
      put(address + Y, mod(y * z * z * z * scale, p));
      put(address + Z, mod(depth * scale, p));
    }

    /** Reads a point's affine coordinates, or "infinity". */
    function readPoint(address: number): string {
      const [x, y, z] = [X, Y, Z].map((at) => mod(get(address + at) * inverse(scale, p), p));
      if (z === undefined || z === 0n) return "infinity";
      const unscale = inverse(z, p);
      return `${mod((x ?? 0n) * unscale ** 2n, p)} ${mod((y ?? 0n) * unscale ** 3n, p)}`;
    }

    function expected(factor: bigint): string {
      const scalar = mod(factor, n);
      if (scalar === 0n) return "infinity";
      const { x, y } = multiple(scalar);
      return `${x} ${y}`;
    }

    const small = [-5n, -4n, -3n, -2n, -1n, 0n, 1n, 2n, 3n, 4n, 5n];
    const scalings = [1n, 2n, p - 1n, 0x1234567890abcdef1234567890abcdefn];

    test("any sum of small multiples is right, equal, opposite and infinite ones among them", () => {
      for (const a of small) {
        for (const b of small.filter((factor) => factor !== 0n)) {
          for (const z of scalings) {
            putPoint(POINT, a, z);
            putPoint(B, b, 1n);
            probe.addVartime(flag, OUT, POINT, B);
            expect(readPoint(OUT), `${a} + ${b}`).toBe(expected(a + b));
            // In place as well.
            probe.addVartime(flag, POINT, POINT, B);
            expect(readPoint(POINT)).toBe(expected(a + b));
          }
        }
      }
    });

    test("sums in constant time are right wherever they are defined", () => {
      for (const a of small.filter((factor) => factor !== 0n)) {
        for (const b of small.filter((factor) => factor !== 0n && factor !== -a)) {
          for (const z of scalings) {
            putPoint(POINT, a, z);
            putPoint(B, b, 1n);
            probe.addOrDouble(flag, OUT, POINT, B);
            expect(readPoint(OUT), `${a} + ${b}`).toBe(expected(a + b));
            if (a === b) continue;
            probe.add(flag, OUT, POINT, B);
            expect(readPoint(OUT), `${a} + ${b}`).toBe(expected(a + b));
          }
        }
      }
    });

    test("doubles are right, infinity's too", () => {
      for (const a of small) {
        for (const z of scalings) {
          putPoint(POINT, a, z);
          probe.double(flag, POINT, POINT);
          expect(readPoint(POINT)).toBe(expected(2n * a));
        }
      }
    });

    test("long chains of additions and doublings stay right", () => {
      const stream = numbers(9, [1n, 2n, n - 1n, n - 2n, n >> 1n]);
      for (let chain = 0; chain < 12; chain++) {
        let sum = mod(stream.next().value, n);
        const step = mod(stream.next().value, n - 1n) + 1n;
        putPoint(POINT, sum, mod(stream.next().value, p - 1n) + 1n);
        putPoint(B, step, 1n);
        for (let i = 0; i < 40; i++) {
          if (i % 3 === 2) {
            probe.double(flag, POINT, POINT);
            sum *= 2n;
          } else {
            probe.addVartime(flag, POINT, POINT, B);
            sum += step;
          }
        }
        expect(readPoint(POINT)).toBe(expected(sum));
      }
    });
  });
});
