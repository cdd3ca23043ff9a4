/**
 * The group formulas of the curve kernels on curves of a few dozen points, where every sum of every two points in every
 * scaling can be checked. They are compiled from the shipped source with another field below them.
 */

import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { compileKernel } from "../../.config/build-wasm.mjs";

/**
 * A field of a small prime in the words of assembly/ecdsa/field.ts: numbers in the lowest limb. Every second result is p too
 * large, since elements of the real fields are not unique either.
 */
const TINY_FIELD = `
export type P256 = u32;
export type Secp256k1 = u64;

const ONE: usize = 0x3000;
const FIELD_ONE: usize = 216;
let prime: u64 = 3;
let results: u64 = 0;

export function setPrime(p: u64): void {
  prime = p;
  memory.fill(ONE, 0, 72);
  store<u64>(ONE, 1);
}
function put(out: usize, value: u64): void {
  for (let i: usize = 8; i < 72; i += 8) store<u64>(out + i, 0);
  results += 1;
  store<u64>(out, value % prime + (results & 1) * prime);
}
export function constants<C>(): usize {
  return ONE - FIELD_ONE;
}
export function fieldMultiply<C>(out: usize, a: usize, b: usize): void {
  put(out, load<u64>(a) * load<u64>(b));
}
export function fieldSquare<C>(out: usize, a: usize): void {
  put(out, load<u64>(a) * load<u64>(a));
}
export function fieldSubtract<C>(out: usize, a: usize, b: usize): void {
  put(out, load<u64>(a) + 8 * prime - load<u64>(b));
}
export function fieldHalfTriple<C>(out: usize, a: usize): void {
  put(out, 3 * load<u64>(a) * ((prime + 1) >> 1));
}
export function fieldIsZero<C>(a: usize): u64 {
  return load<u64>(a) % prime === 0 ? 1 : 0;
}
export function fieldIsZeroVartime<C>(a: usize): u64 {
  return fieldIsZero<C>(a);
}
`;

const PROBE = `
import { P256, Secp256k1 } from "./ecdsa/field";
import { addMixed, addMixedOrDouble, addMixedVartime, doublePoint } from "./ecdsa/point";
export { setPrime } from "./ecdsa/field";

export function double(p256: bool, out: usize, a: usize): void {
  if (p256) doublePoint<P256>(out, a);
  else doublePoint<Secp256k1>(out, a);
}
export function add(p256: bool, out: usize, a: usize, b: usize): void {
  if (p256) addMixed<P256>(out, a, b);
  else addMixed<Secp256k1>(out, a, b);
}
export function addOrDouble(p256: bool, out: usize, a: usize, b: usize): void {
  if (p256) addMixedOrDouble<P256>(out, a, b);
  else addMixedOrDouble<Secp256k1>(out, a, b);
}
export function addVartime(p256: bool, out: usize, a: usize, b: usize): void {
  if (p256) addMixedVartime<P256>(out, a, b);
  else addMixedVartime<Secp256k1>(out, a, b);
}
`;

interface Probe {
  readonly memory: WebAssembly.Memory;
  setPrime(p: bigint): void;
  double(p256: number, out: number, a: number): void;
  add(p256: number, out: number, a: number, b: number): void;
  addOrDouble(p256: number, out: number, a: number, b: number): void;
  addVartime(p256: number, out: number, a: number, b: number): void;
}

const root = mkdtempSync(join(tmpdir(), "keyplane-tiny-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

async function compileProbe(): Promise<Probe> {
  const project = resolve(import.meta.dirname, "../..");
  cpSync(join(project, "assembly"), join(root, "assembly"), { recursive: true });
  symlinkSync(join(project, "node_modules"), join(root, "node_modules"));
  writeFileSync(join(root, "assembly/ecdsa/field.ts"), TINY_FIELD);
  writeFileSync(join(root, "assembly/probe-tiny.ts"), PROBE);
  const entry = "assembly/probe-tiny.ts";
  const wasm = await compileKernel({ module: "ecc", entry, target: "debug", root });
  return new WebAssembly.Instance(new WebAssembly.Module(wasm)).exports as unknown as Probe;
}

const probe = await compileProbe();
const view = new DataView(probe.memory.buffer);
const [A, B, OUT] = [0x1000, 0x1200, 0x1400] as const;
const [X, Y, Z] = [0, 80, 160] as const;

/** An affine point, or undefined for infinity. */
type Point = readonly [number, number] | undefined;

/** A curve y² = x³ + ax + b over a small prime whose order is prime as well, so that no point has the order 2. */
class TinyCurve {
  readonly p: number;
  readonly a: number;
  readonly points: Point[] = [undefined];
  readonly #inverses: number[] = [];

  constructor(p: number, a: number, b: number) {
    this.p = p;
    this.a = a;
    for (let x = 1; x < p; x++) {
      for (let y = 1; y < p; y++) if ((x * y) % p === 1) this.#inverses[x] = y;
    }
    for (let x = 0; x < p; x++) {
      for (let y = 0; y < p; y++) if ((y * y - x ** 3 - a * x - b) % p === 0) this.points.push([x, y]);
    }
  }

  mod(value: number): number {
    return ((value % this.p) + this.p) % this.p;
  }

  inverse(value: number): number {
    const inverse = this.#inverses[this.mod(value)];
    if (inverse === undefined) throw new Error("zero has no inverse");
    return inverse;
  }

  /** The chord and tangent law as textbooks have it. */
  add(P: Point, Q: Point): Point {
    if (P === undefined) return Q;
    if (Q === undefined) return P;
    const [[x1, y1], [x2, y2]] = [P, Q];
    if (x1 === x2 && this.mod(y1 + y2) === 0) return undefined;
    const slope =
      x1 === x2
        ? this.mod((3 * x1 * x1 + this.a) * this.inverse(2 * y1))
        : this.mod((y2 - y1) * this.inverse(this.mod(x2 - x1)));
    const x = this.mod(slope * slope - x1 - x2);
    return [x, this.mod(slope * (x1 - x) - y1)];
  }
}

const isSame = (P: Point, Q: Point): boolean => P?.[0] === Q?.[0] && P?.[1] === Q?.[1];
const isPrime = (n: number): boolean =>
  n > 2 && Array.from({ length: n - 2 }, (_, i) => i + 2).every((d) => n % d !== 0);

/** Curves of one shape, of a few orders. */
function curvesOf(a: number, least: number, count: number): TinyCurve[] {
  const found: TinyCurve[] = [];
  for (let p = least; found.length < count; p++) {
    if (!isPrime(p)) continue;
    for (let b = 1; b < p; b++) {
      const curve = new TinyCurve(p, a, b);
      if (!isPrime(curve.points.length) || curve.points.length === p) continue;
      found.push(curve);
      break;
    }
  }
  return found;
}

const SHAPES = [
  { shape: "a = -3, as on P-256", flag: 1, curves: curvesOf(-3, 13, 4) },
  { shape: "a = 0, as on secp256k1", flag: 0, curves: curvesOf(0, 13, 4) },
];

function put(address: number, value: number): void {
  for (let at = 8; at < 72; at += 8) view.setBigUint64(address + at, 0n, true);
  view.setBigUint64(address, BigInt(value), true);
}

function putPoint(curve: TinyCurve, address: number, point: Point, z: number): void {
  const [x, y] = point ?? [1, 1];
  const depth = point === undefined ? 0 : z;
  put(address + X, curve.mod(x * z * z));
  put(address + Y, curve.mod(y * z * z * z));
  put(address + Z, depth);
}

function readPoint(curve: TinyCurve, address: number): Point {
  const [x = 0, y = 0, z = 0] = [X, Y, Z].map(
    (at) => Number(view.getBigUint64(address + at, true)) % curve.p,
  );
  if (z === 0) return undefined;
  const unscale = curve.inverse(z);
  return [curve.mod(x * unscale * unscale), curve.mod(y * unscale * unscale * unscale)];
}

describe.each(SHAPES)("on curves with $shape", ({ flag, curves }) => {
  test("there are curves of several orders, all prime", () => {
    expect(curves).toHaveLength(4);
    for (const { points } of curves) expect(points.length).toBeGreaterThan(6);
  });

  test("every sum and every double is right, in every scaling", () => {
    let sums = 0;
    const wrong: string[] = [];
    for (const curve of curves) {
      probe.setPrime(BigInt(curve.p));
      const check = (what: string, P: Point, Q: Point, z: number, expected: Point, at: number): void => {
        sums += 1;
        const actual = readPoint(curve, at);
        if (!isSame(actual, expected)) wrong.push(`${what} of ${P} and ${Q}, Z = ${z}, p = ${curve.p}`);
      };
      for (const P of curve.points) {
        for (let z = 1; z < curve.p; z++) {
          const twice = curve.add(P, P);
          putPoint(curve, A, P, z);
          probe.double(flag, OUT, A);
          check("double", P, P, z, twice, OUT);
          for (const Q of curve.points) {
            if (Q === undefined) continue;
            const expected = curve.add(P, Q);
            putPoint(curve, A, P, z);
            put(B + X, Q[0]);
            put(B + Y, Q[1]);
            probe.addVartime(flag, OUT, A, B);
            check("sum", P, Q, z, expected, OUT);
            if (P === undefined || expected === undefined) continue;
            probe.addOrDouble(flag, OUT, A, B);
            check("sum or double", P, Q, z, expected, OUT);
            if (!isSame(P, Q)) {
              probe.add(flag, OUT, A, B);
              check("plain sum", P, Q, z, expected, OUT);
            }
            probe.addOrDouble(flag, A, A, B);
            check("sum or double in place", P, Q, z, expected, A);
          }
        }
      }
    }
    expect(wrong.slice(0, 5)).toEqual([]);
    expect(sums).toBeGreaterThan(50_000);
  });
});
