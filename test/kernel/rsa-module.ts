/** Compiles the RSA module, or its inner steps, for tests. */

import { setFlagsFromString } from "node:v8";
import { compileKernel } from "../../.config/build-wasm.mjs";
import { bindRsaKernel, type RsaKernel } from "../../src/engines/wasm/rsa-kernel.ts";

/** The builds, and those with asserts. */
export const TARGETS = ["release", "simd", "relaxed", "debug", "simd-debug", "relaxed-debug"] as const;
export type Target = (typeof TARGETS)[number];

async function instantiate(
  target: Target,
  entry?: string,
): Promise<{ readonly module: WebAssembly.Module; readonly exports: WebAssembly.Exports }> {
  setFlagsFromString("--experimental-wasm-relaxed-simd");
  const wasm = await compileKernel({ module: "rsa", target, ...(entry === undefined ? {} : { entry }) });
  const module = new WebAssembly.Module(wasm);
  return { module, exports: new WebAssembly.Instance(module).exports };
}

export async function makeKernel(target: Target): Promise<RsaKernel> {
  const { exports, module } = await instantiate(target);
  return bindRsaKernel(exports, module);
}

/** The exports of assembly/probe-rsa.ts. */
export interface RsaProbe {
  readonly memory: WebAssembly.Memory;
  readonly PAIR_LENGTH: WebAssembly.Global<"i32">;
  readonly PAIR_CONTEXT_LENGTH: WebAssembly.Global<"i32">;
  natAdd(out: number, a: number, b: number, words: number): number;
  natAddSmall(out: number, a: number, small: number, words: number): number;
  natDivide(quotient: number, rest: number, a: number, wordsA: number, m: number, wordsM: number): void;
  natEqualMask(a: number, b: number, words: number): number;
  natFromBytes(out: number, words: number, bytes: number, length: number): void;
  natGcd(out: number, a: number, b: number, words: number): void;
  natInverseSmall(out: number, m: number, words: number, e: number): number;
  natLessMask(a: number, b: number, words: number): number;
  natMultiply(out: number, a: number, wordsA: number, b: number, wordsB: number): void;
  natResidue(a: number, words: number, divisor: number): number;
  natResidueZero(a: number, words: number, divisor: number): number;
  natSelect(out: number, mask: number, a: number, b: number, words: number): void;
  natShiftRight(a: number, count: number, words: number): void;
  natSubtract(out: number, a: number, b: number, words: number): number;
  natSubtractSmall(out: number, a: number, small: number, words: number): number;
  natToBytes(bytes: number, length: number, a: number, words: number): void;
  natZeroMask(a: number, words: number): number;
  pairAdd(out: number, x: number, y: number, context: number): void;
  pairEnter(out: number, context: number, a: number, b: number): void;
  pairEnterLong(out: number, context: number, a: number): void;
  pairGet(words: number, half: number, x: number, context: number): void;
  pairJoin(out: number, a: number, b: number): void;
  pairLeave(a: number, b: number, x: number, context: number): void;
  pairLoad(context: number, size: number, a: number, b: number): void;
  pairMultiply(out: number, x: number, y: number, context: number): void;
  pairOne(out: number, context: number): void;
  pairPower(out: number, x: number, context: number, a: number, b: number): void;
  pairPowerPublic(
    out: number,
    base: number,
    context: number,
    exponent: number,
    bits: number,
    last: number,
  ): void;
  pairPrepare(): number;
  pairSet(out: number, half: number, words: number, size: number): void;
  pairSquare(out: number, x: number, context: number): void;
  pairWipe(): void;
}

export interface Probe extends RsaProbe {
  /** Writes a number as words. */
  put(address: number, value: bigint, words: number): void;
  /** Reads a number of so many words. */
  get(address: number, words: number): bigint;
}

/** Free places for the numbers of tests, each of 4 KiB: slots of private keys in every build. */
export const place = (index: number): number => 0x40000 + 0x1000 * index;

export async function makeProbe(target: Target): Promise<Probe> {
  const { exports: all } = await instantiate(target, "assembly/probe-rsa.ts");
  const exports = all as unknown as RsaProbe;
  const view = new DataView(exports.memory.buffer);
  if (exports.pairPrepare() !== 1) throw new Error("this machine has no fused multiply-add");
  return {
    ...exports,
    put(address, value, words) {
      for (let i = 0; i < words; i++) {
        view.setUint32(address + 4 * i, Number((value >> BigInt(32 * i)) & 0xffffffffn), true);
      }
    },
    get(address, words) {
      let value = 0n;
      for (let i = words - 1; i >= 0; i--)
        value = (value << 32n) | BigInt(view.getUint32(address + 4 * i, true));
      return value;
    },
  };
}
