/** Compiles the inner steps of the vector kernels for tests, and gives their definitions by the letter of the standards. */

import { createCipheriv } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { compileKernel } from "../../.config/build-wasm.mjs";
import { probeSwizzle } from "../../src/engines/wasm/probe.ts";

export const VECTOR_TARGETS = ["simd", "relaxed"] as const;
export type VectorTarget = (typeof VECTOR_TARGETS)[number];

if (!probeSwizzle("relaxed")) setFlagsFromString("--experimental-wasm-relaxed-simd");

/** The exports of assembly/probe-simd.ts. */
export interface SimdProbe {
  readonly memory: WebAssembly.Memory;
  loadKey(context: number, keyLength: number): void;
  loadBulkOf(set: number, context: number, keyLength: number): void;
  useKey(context: number, keyLength: number, set: number): void;
  absorb(blocks: number, count: number): void;
  makeKeystream(iv: number, counter: number, count: number): void;
  substituteWord(word: number): number;
  encryptBlocks4(out: number, roundKeys: number, rounds: number, blocks: number): void;
  encryptBlocks16(out: number, roundKeys: number, rounds: number, blocks: number): void;
  encryptBlocks32(blocks: number, planes: number, rounds: number): void;
  expandKeyBitsliced(planes: number, roundKeys: number, rounds: number): void;
  transposePlanes(vectors: number): void;
  subPlanes(planes: number): void;
  buildPowerTable(table: number, power: number): void;
  absorbUpToEight(accumulator: number, tables: number, blocks: number, count: number): void;
  hashEight(set: number, count: number): void;
  readonly STARTS: WebAssembly.Global<"i32">;
  readonly LANES: WebAssembly.Global<"i32">;
}

// Addresses of assembly/memory.ts, and free ones.
export const STATE = 0x400;
export const KEY = 0x600;
export const IV = 0x620;
export const DATA = 0x8000;
export const KEYSTREAM = 0x18100;
export const CONTEXT = 0x20000;
export const SET = 0x160000;
export const PLANES = 0x170000;

export async function loadSimdProbe(target: VectorTarget): Promise<SimdProbe> {
  const wasm = await compileKernel({ entry: "assembly/probe-simd.ts", target });
  return new WebAssembly.Instance(new WebAssembly.Module(wasm)).exports as unknown as SimdProbe;
}

/** Multiplies in GF(2^128) bit by bit as SP 800-38D, 6.3 writes it. */
function multiplyBlocks(x: bigint, y: bigint): bigint {
  let z = 0n;
  let v = y;
  for (let i = 127n; i >= 0n; i--) {
    if ((x >> i) & 1n) z ^= v;
    v = v & 1n ? (v >> 1n) ^ (0xe1n << 120n) : v >> 1n;
  }
  return z;
}

const toBigInt = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString("hex") || "0"}`);

/** Hashes whole blocks (SP 800-38D, 6.4). */
export function ghash(h: Uint8Array, blocks: Uint8Array): Uint8Array {
  let sum = 0n;
  for (let i = 0; i < blocks.length; i += 16) {
    sum = multiplyBlocks(sum ^ toBigInt(blocks.subarray(i, i + 16)), toBigInt(h));
  }
  return new Uint8Array(Buffer.from(sum.toString(16).padStart(32, "0"), "hex"));
}

/** Encrypts blocks with OpenSSL. */
export function encryptWithOpenssl(key: Uint8Array, blocks: Uint8Array): Uint8Array {
  const cipher = createCipheriv(`aes-${key.length * 8}-ecb`, key, null).setAutoPadding(false);
  return new Uint8Array(cipher.update(blocks));
}
