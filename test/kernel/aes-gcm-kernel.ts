/** Compiles and instantiates the AES-GCM kernels for tests, and drives them the way an engine does. */

import { setFlagsFromString } from "node:v8";
import { compileKernel } from "../../.config/build-wasm.mjs";
import { probeSwizzle } from "../../src/engines/wasm/probe.ts";

/** Targets of the scalar kernels, and all of them. */
export const SCALAR_TARGETS = ["release", "debug"] as const;
export const TARGETS = ["release", "debug", "simd", "relaxed"] as const;
export type Target = (typeof TARGETS)[number];

if (!probeSwizzle("relaxed")) setFlagsFromString("--experimental-wasm-relaxed-simd");

/** The exports of assembly/index.ts. */
export interface AesGcmKernel {
  readonly memory: WebAssembly.Memory;
  readonly KEY: WebAssembly.Global<"i32">;
  readonly IV: WebAssembly.Global<"i32">;
  readonly TAG: WebAssembly.Global<"i32">;
  readonly AAD: WebAssembly.Global<"i32">;
  readonly AAD_CAPACITY: WebAssembly.Global<"i32">;
  readonly DATA: WebAssembly.Global<"i32">;
  readonly DATA_CAPACITY: WebAssembly.Global<"i32">;
  readonly AES_GCM_CONTEXT_COUNT: WebAssembly.Global<"i32">;
  readonly AES_GCM_BULK_COUNT: WebAssembly.Global<"i32">;
  readonly BATCH: WebAssembly.Global<"i32">;
  readonly BATCH_CAPACITY: WebAssembly.Global<"i32">;
  aesGcmLoadKey(slot: number, keyLength: number): number;
  aesGcmDropKey(slot: number): number;
  aesGcmSeal(
    slot: number,
    keyLength: number,
    aadLength: number,
    dataLength: number,
    bulk?: number,
    aadStays?: number,
  ): number;
  aesGcmOpen(slot: number, keyLength: number, aadLength: number, sealedLength: number, bulk?: number): number;
  aesGcmStart(slot: number, keyLength: number, bulk?: number): number;
  aesGcmLoadBulk(bulk: number, slot: number, keyLength: number): number;
  aesGcmDropBulk(bulk: number): number;
  aesGcmSealBatch(count: number): number;
  aesGcmGather(count: number): number;
  aesGcmOpenBatch(count: number): number;
  aesGcmSealPacked(
    slot: number,
    keyLength: number,
    count: number,
    aadLength: number,
    dataLength: number,
    bulk?: number,
  ): number;
  aesGcmOpenPacked(
    slot: number,
    keyLength: number,
    count: number,
    aadLength: number,
    dataLength: number,
    bulk?: number,
  ): number;
  aesGcmAad(length: number): number;
  aesGcmEncrypt(length: number): number;
  aesGcmWriteTag(): number;
  aesGcmAuthenticate(length: number): number;
  aesGcmVerify(): number;
  aesGcmDecrypt(length: number): number;
  aesGcmEnd(): void;
  aesGcmWipeData(length: number): number;
}

/** The exports of assembly/probe.ts. */
export interface AesGcmProbe {
  readonly memory: WebAssembly.Memory;
  subBytes(planes: number): void;
  transpose(words: number): void;
  sliceBlocks(planes: number, blocks: number): void;
  unsliceBlocks(blocks: number, planes: number): void;
  expandKey(roundKeys: number, key: number, keyLength: number, planes: number): void;
  encryptFourBlocks(blocks: number, roundKeys: number, rounds: number, planes: number): void;
  prepareHashKey(hashKey: number, h: number): void;
  absorbBlocks(accumulator: number, hashKey: number, blocks: number, count: number): void;
  equalBit(a: number, b: number, length: number): number;
}

const modules: Map<string, WebAssembly.Module> = new Map();

/** Makes a fresh instance; compiles each entry and target once a test file. */
async function instantiate(entry: string, target: Target): Promise<WebAssembly.Exports> {
  const name = `${entry} ${target}`;
  const module = modules.get(name) ?? new WebAssembly.Module(await compileKernel({ entry, target }));
  modules.set(name, module);
  return new WebAssembly.Instance(module).exports;
}

export async function loadProbe(target: Target): Promise<AesGcmProbe> {
  return (await instantiate("assembly/probe.ts", target)) as unknown as AesGcmProbe;
}

/** One instance with a view of its memory. */
export class KernelDriver {
  readonly kernel: AesGcmKernel;
  readonly memory: Uint8Array;
  /** Everything below the static tables of the module. */
  readonly arena: Uint8Array;
  /** Length of a key context. */
  readonly contextLength: number;

  private constructor(kernel: AesGcmKernel, vectors: boolean) {
    this.kernel = kernel;
    this.memory = new Uint8Array(kernel.memory.buffer);
    this.arena = this.memory.subarray(0, vectors ? 0x1b0000 : 0x60000);
    this.contextLength = vectors ? 0x1400 : 0x400;
  }

  static async load(target: Target): Promise<KernelDriver> {
    const exports = await instantiate("assembly/index.ts", target);
    return new KernelDriver(exports as unknown as AesGcmKernel, target === "simd" || target === "relaxed");
  }

  loadKey(slot: number, key: Uint8Array): number {
    this.memory.set(key, this.kernel.KEY.value);
    return this.kernel.aesGcmLoadKey(slot, key.length);
  }

  /** Copies to a region; AAD, padded, ends where the data begin. */
  put(region: "IV" | "TAG" | "AAD" | "DATA", bytes: Uint8Array): void {
    const start =
      region === "AAD" ? this.kernel.DATA.value - ((bytes.length + 15) & ~15) : this.kernel[region].value;
    this.memory.set(bytes, start);
  }

  take(region: "TAG" | "DATA", length: number): Uint8Array {
    return this.memory.slice(this.kernel[region].value, this.kernel[region].value + length);
  }

  /** Seals in one call; wipes what the engine would wipe. */
  seal(slot: number, keyLength: number, iv: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Uint8Array {
    this.put("IV", iv);
    this.put("AAD", aad);
    this.put("DATA", plaintext);
    if (this.kernel.aesGcmSeal(slot, keyLength, aad.length, plaintext.length) !== 1)
      throw new Error("refused");
    const sealed = this.take("DATA", plaintext.length + 16);
    this.clearData(sealed.length);
    return sealed;
  }

  open(
    slot: number,
    keyLength: number,
    iv: Uint8Array,
    sealed: Uint8Array,
    aad: Uint8Array,
  ): Uint8Array | undefined {
    this.put("IV", iv);
    this.put("AAD", aad);
    this.put("DATA", sealed);
    if (this.kernel.aesGcmOpen(slot, keyLength, aad.length, sealed.length) !== 1) return undefined;
    const plaintext = this.take("DATA", sealed.length - 16);
    this.clearData(plaintext.length);
    return plaintext;
  }

  clearData(length: number): void {
    this.memory.fill(0, this.kernel.DATA.value, this.kernel.DATA.value + length);
  }
}
