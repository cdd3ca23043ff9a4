/** Compiles the inner steps of the curve kernels for tests, and moves numbers in and out of them. */

import { p256 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { compileKernel } from "../../.config/build-wasm.mjs";

/** The exports of assembly/probe-ecc.ts; `p256` picks the curve. */
interface EcProbe {
  readonly memory: WebAssembly.Memory;
  readonly HALF_1: WebAssembly.Global<"i32">;
  readonly HALF_2: WebAssembly.Global<"i32">;
  readonly SIGN_1: WebAssembly.Global<"i32">;
  readonly SIGN_2: WebAssembly.Global<"i32">;
  addLimbs(out: number, a: number, b: number): void;
  multiply(p256: number, out: number, a: number, b: number): void;
  square(p256: number, out: number, a: number): void;
  subtract(p256: number, out: number, a: number, b: number): void;
  halfTriple(p256: number, out: number, a: number): void;
  reduce(p256: number, out: number, a: number): void;
  enter(p256: number, out: number, a: number): void;
  leave(p256: number, out: number, a: number): void;
  invert(p256: number, vartime: number, out: number, a: number): void;
  orderMul(p256: number, out: number, a: number, b: number): void;
  orderRed(p256: number, out: number, a: number): void;
  orderInv(p256: number, vartime: number, out: number, a: number): void;
  splitScalar(scalar: number): void;
  double(p256: number, out: number, a: number): void;
  add(p256: number, out: number, a: number, b: number): void;
  addOrDouble(p256: number, out: number, a: number, b: number): void;
  addVartime(p256: number, out: number, a: number, b: number): void;
}

export interface Curve {
  readonly name: string;
  /** 1 for P-256. */
  readonly flag: number;
  readonly noble: typeof p256;
  readonly p: bigint;
  readonly n: bigint;
  /** What a product is divided by. */
  readonly scale: bigint;
}

const curve = (name: string, flag: number, noble: typeof p256): Curve => ({
  name,
  flag,
  noble,
  p: noble.Point.CURVE().p,
  n: noble.Point.CURVE().n,
  scale: flag === 1 ? 1n << 261n : 1n,
});

export const CURVES: readonly Curve[] = [curve("P-256", 1, p256), curve("secp256k1", 0, secp256k1)];

/** Gives the remainder that is not negative. */
export const mod = (value: bigint, modulus: bigint): bigint => ((value % modulus) + modulus) % modulus;

/** Inverts modulo a prime. */
export function inverse(value: bigint, modulus: bigint): bigint {
  let [a, b, x, y] = [mod(value, modulus), modulus, 1n, 0n];
  while (a > 1n) {
    const quotient = a / b;
    [a, b] = [b, a % b];
    [x, y] = [y, x - quotient * y];
  }
  return mod(x, modulus);
}

const LIMB = (1n << 29n) - 1n;

/** Places for numbers, far from what the kernels use. */
export const [A, B, OUT, POINT] = [0x1000, 0x1100, 0x1200, 0x1400] as const;

export async function makeProbe(target: "release" | "debug") {
  const wasm = await compileKernel({ module: "ecc", entry: "assembly/probe-ecc.ts", target });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm));
  const probe = exports as unknown as EcProbe;
  const view = new DataView(probe.memory.buffer);
  return {
    probe,
    /** Writes a number in limbs of 29 bits; the last takes what is left. */
    put(address: number, value: bigint): void {
      for (let i = 0; i < 9; i++) {
        const limb = value >> BigInt(29 * i);
        view.setBigUint64(address + 8 * i, i < 8 ? limb & LIMB : limb, true);
      }
    },
    /** Writes limbs as they are. */
    putLimbs(address: number, limbs: readonly bigint[]): void {
      limbs.forEach((limb, i) => {
        view.setBigUint64(address + 8 * i, limb, true);
      });
    },
    get(address: number): bigint {
      let value = 0n;
      for (let i = 8; i >= 0; i--) value = (value << 29n) + view.getBigUint64(address + 8 * i, true);
      return value;
    },
    limbs: (address: number): bigint[] =>
      Array.from({ length: 9 }, (_, i) => view.getBigUint64(address + 8 * i, true)),
    word: (address: number): bigint => view.getBigUint64(address, true),
  };
}

/** Numbers of 256 bits where carries and reductions are most likely to go wrong. */
export function edges(...moduli: readonly bigint[]): bigint[] {
  const values = [0n, 1n, 2n, (1n << 256n) - 1n, (1n << 255n) - 1n, 1n << 255n];
  for (const modulus of moduli) values.push(modulus - 1n, modulus, modulus + 1n, modulus - 2n, modulus >> 1n);
  for (let limb = 1n; limb < 9n; limb++) {
    values.push((1n << (29n * limb)) - 1n, 1n << (29n * limb), (LIMB << (29n * limb)) & ((1n << 256n) - 1n));
  }
  return values;
}

/** A stream of 256-bit numbers, the same on every run: every edge early on, then one in eight. */
export function* numbers(seed: number, values: readonly bigint[]): Generator<bigint, never> {
  let state = BigInt(seed) * 0x9e3779b97f4a7c15n + 1n;
  const next = (): bigint => {
    state = (state * 0x5851f42d4c957f2dn + 0x14057b7ef767814fn) & ((1n << 128n) - 1n);
    return state >> 64n;
  };
  yield* values;
  while (true) {
    const choice = next();
    yield (choice & 7n) === 0n
      ? (values[Number((choice >> 8n) % BigInt(values.length))] ?? 0n)
      : (next() << 192n) | (next() << 128n) | (next() << 64n) | next();
  }
}
