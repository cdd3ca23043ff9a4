/** Compiles and instantiates the AES-GCM kernels for tests, and drives them the way an engine does. */

import { compileKernel } from "../../.config/build-wasm.mjs";

export const TARGETS = ["release", "debug"] as const;
export type Target = (typeof TARGETS)[number];

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
  aesGcmLoadKey(slot: number, keyLength: number): number;
  aesGcmDropKey(slot: number): number;
  aesGcmSeal(slot: number, keyLength: number, aadLength: number, dataLength: number): number;
  aesGcmOpen(slot: number, keyLength: number, aadLength: number, sealedLength: number): number;
  aesGcmStart(slot: number, keyLength: number): number;
  aesGcmAad(length: number): number;
  aesGcmEncrypt(length: number): number;
  aesGcmWriteTag(): number;
  aesGcmAuthenticate(length: number): number;
  aesGcmVerify(): number;
  aesGcmDecrypt(length: number): number;
  aesGcmEnd(): void;
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

  private constructor(kernel: AesGcmKernel) {
    this.kernel = kernel;
    this.memory = new Uint8Array(kernel.memory.buffer);
  }

  static async load(target: Target): Promise<KernelDriver> {
    return new KernelDriver((await instantiate("assembly/index.ts", target)) as unknown as AesGcmKernel);
  }

  loadKey(slot: number, key: Uint8Array): number {
    this.memory.set(key, this.kernel.KEY.value);
    return this.kernel.aesGcmLoadKey(slot, key.length);
  }

  put(region: "IV" | "TAG" | "AAD" | "DATA", bytes: Uint8Array): void {
    this.memory.set(bytes, this.kernel[region].value);
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
