/** Compiles and instantiates the hash and key wrap kernels for tests. */

import { compileKernel } from "../../.config/build-wasm.mjs";
import type { HashName } from "../../src/engines/engine.ts";

export const TARGETS = ["release", "debug"] as const;
export type Target = (typeof TARGETS)[number];

/** The numbers of assembly/hash/hash.ts, and what the standard says of each hash. */
export const HASH_FACTS: readonly {
  readonly name: HashName;
  readonly openssl: string;
  readonly id: number;
  readonly digestLength: number;
  readonly blockLength: number;
}[] = [
  { name: "SHA-1", openssl: "sha1", id: 1, digestLength: 20, blockLength: 64 },
  { name: "SHA-256", openssl: "sha256", id: 2, digestLength: 32, blockLength: 64 },
  { name: "SHA-384", openssl: "sha384", id: 3, digestLength: 48, blockLength: 128 },
  { name: "SHA-512", openssl: "sha512", id: 4, digestLength: 64, blockLength: 128 },
];

/** Regions of docs/memory-map.md, as [start, end). */
export const HASH_REGIONS: readonly [number, number] = [0x640, 0xb00];
export const HASH_SCHEDULE: readonly [number, number] = [0x640, 0x8c0];
export const AES_KW_REGIONS: readonly [number, number] = [0xb00, 0xf40];
export const AES_KEY_WORDS: readonly [number, number] = [0x500, 0x5f0];
export const KEY: readonly [number, number] = [0x600, 0x620];
export const DATA_START = 0x8000;
export const DATA_CAPACITY = 0x10000;

/** The exports of assembly/probe-hash-kw.ts. */
export interface HashKwProbe {
  readonly memory: WebAssembly.Memory;
  inverseSubBytes(planes: number): void;
  transpose(words: number): void;
  expandKey(roundKeys: number, key: number, keyLength: number, planes: number): void;
  encryptFourBlocks(blocks: number, roundKeys: number, rounds: number, planes: number): void;
  decryptFourBlocks(blocks: number, roundKeys: number, rounds: number, planes: number): void;
  zeroBit32(x: number): number;
  lessMask32(a: number, b: number): number;
  hashInit(context: number, hash: number): void;
  hashUpdate(context: number, hash: number, absorbed: bigint, data: number, length: number): bigint;
  hashFinal(digest: number, context: number, hash: number, absorbed: bigint): void;
  hmacInit(hmac: number, hash: number, key: number, keyLength: number): void;
  hmacStart(hmac: number, hash: number): bigint;
  hmacUpdate(hmac: number, hash: number, absorbed: bigint, data: number, length: number): bigint;
  hmacFinal(mac: number, hmac: number, hash: number, absorbed: bigint): void;
  sha1Compress(state: number, block: number): void;
  sha256Compress(state: number, block: number): void;
  sha512Compress(state: number, block: number): void;
}

/** The exports of assembly/index.ts that these kernels add. */
export interface HashKwKernel {
  readonly memory: WebAssembly.Memory;
  readonly HASH_DIGEST: WebAssembly.Global<"i32">;
  hashWipe(): void;
  hashBegin(hash: number): number;
  hashAbsorb(length: number): number;
  hashEnd(): number;
  hashOnce(hash: number, length: number): number;
  hmacLoadKey(hash: number, keyLength: number): number;
  hmacBegin(): number;
  hmacOnce(hash: number, keyLength: number, messageLength: number): number;
  aesKwWrap(kekLength: number, keyLength: number): number;
  aesKwUnwrap(kekLength: number, wrappedLength: number): number;
  aesKwpWrap(kekLength: number, keyLength: number): number;
  aesKwpUnwrap(kekLength: number, wrappedLength: number): number;
}

/** Compiles an entry once a test file; each call gives an instance of its own. */
function loader(entry: string): (target: Target) => Promise<WebAssembly.Exports> {
  const modules = new Map<Target, WebAssembly.Module>();
  return async (target) => {
    const module = modules.get(target) ?? new WebAssembly.Module(await compileKernel({ entry, target }));
    modules.set(target, module);
    return new WebAssembly.Instance(module).exports;
  };
}

const loadProbeExports = loader("assembly/probe-hash-kw.ts");
const loadKernelExports = loader("assembly/index.ts");

export async function loadProbe(target: Target): Promise<HashKwProbe> {
  return (await loadProbeExports(target)) as unknown as HashKwProbe;
}

export async function loadKernel(target: Target): Promise<HashKwKernel> {
  return (await loadKernelExports(target)) as unknown as HashKwKernel;
}
