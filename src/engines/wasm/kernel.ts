/** Binds the exports of a compiled kernel module: its functions, and views of the regions the host may touch. */

import { ensure, KmsError } from "../../errors.ts";

/** The builds of the kernels, by what they ask of the runtime: nothing, SIMD128, or relaxed SIMD as well. */
export type WasmBuild = "base" | "simd" | "relaxed";

/** What the kernels export: the functions of assembly/index.ts. Each returns 1, or 0 where it refuses. */
interface KernelFunctions {
  aesGcmLoadKey(slot: number, keyLength: number): number;
  aesGcmDropKey(slot: number): number;
  aesGcmLoadBulk(bulk: number, slot: number, keyLength: number): number;
  aesGcmDropBulk(bulk: number): number;
  /** `bulk` is 0, or one more than the number of the key's bulk tables. */
  aesGcmSeal(slot: number, keyLength: number, aadLength: number, dataLength: number, bulk: number): number;
  aesGcmOpen(slot: number, keyLength: number, aadLength: number, sealedLength: number, bulk: number): number;
  aesGcmStart(slot: number, keyLength: number, bulk: number): number;
  aesGcmAad(length: number): number;
  aesGcmEncrypt(length: number): number;
  aesGcmWriteTag(): number;
  aesGcmAuthenticate(length: number): number;
  aesGcmVerify(): number;
  aesGcmDecrypt(length: number): number;
  aesGcmEnd(): void;
  aesGcmWipeData(length: number): number;
  aesGcmSealBatch(count: number): number;
  aesGcmOpenBatch(count: number): number;
  aesGcmSealPacked(
    slot: number,
    keyLength: number,
    count: number,
    aadLength: number,
    dataLength: number,
    bulk: number,
  ): number;
  aesGcmOpenPacked(
    slot: number,
    keyLength: number,
    count: number,
    aadLength: number,
    dataLength: number,
    bulk: number,
  ): number;
}

/**
 * The memory and where its regions lie. Views stay valid, because the memory never grows. AAD, padded to whole blocks, ends
 * where the data begin.
 */
interface KernelRegions {
  readonly build: WasmBuild;
  /** Everything the module exports, for the bindings of other primitives. */
  readonly exports: WebAssembly.Exports;
  readonly memory: Uint8Array;
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
  readonly tag: Uint8Array;
  /** The AAD region; the data region follows it at once. */
  readonly aad: Uint8Array;
  /** One chunk and the tag behind it. */
  readonly data: Uint8Array;
  readonly dataStart: number;
  /** Most bytes of data in one call. */
  readonly dataCapacity: number;
  /** Descriptions of batched messages; assembly/aes-gcm/batch.ts draws them. */
  readonly batch: DataView;
  readonly batchStart: number;
  /** Most messages in one batch call. */
  readonly batchCapacity: number;
  /** Most bytes of one packed message: AAD and data padded to whole blocks, and a block more. */
  readonly windowLength: number;
  readonly contextCount: number;
  /** How many keys have tables for long messages at a time; 0 where the build knows none. */
  readonly bulkCount: number;
  /** From how many bytes of data on a single message profits from them. */
  readonly bulkFrom: number;
}

export interface Kernel extends KernelFunctions, KernelRegions {}

const FUNCTION_NAMES: readonly (keyof KernelFunctions)[] = [
  "aesGcmLoadKey",
  "aesGcmDropKey",
  "aesGcmLoadBulk",
  "aesGcmDropBulk",
  "aesGcmSeal",
  "aesGcmOpen",
  "aesGcmStart",
  "aesGcmAad",
  "aesGcmEncrypt",
  "aesGcmWriteTag",
  "aesGcmAuthenticate",
  "aesGcmVerify",
  "aesGcmDecrypt",
  "aesGcmEnd",
  "aesGcmWipeData",
  "aesGcmSealBatch",
  "aesGcmOpenBatch",
  "aesGcmSealPacked",
  "aesGcmOpenPacked",
];

const BUILD_NAMES: readonly WasmBuild[] = ["base", "simd", "relaxed"];
const LONGEST_KEY = 32;
const IV_LENGTH = 12;
const TAG_LENGTH = 16;
export const BATCH_DESCRIPTION_LENGTH = 32;

/**
 * Instantiates a module of the kernels.
 *
 * @throws KmsError `InvalidParameter` where it is another module, `Rejected.UnsupportedOperation` where the runtime refuses
 */
export function instantiateKernel(module: WebAssembly.Module): Kernel {
  ensure(
    WebAssembly.Module.imports(module).length === 0,
    "InvalidParameter",
    "wasm must be a module of the Keyplane kernels, which imports nothing.",
  );
  let exports: WebAssembly.Exports;
  try {
    exports = new WebAssembly.Instance(module).exports;
  } catch (cause) {
    throw new KmsError(
      "Rejected.UnsupportedOperation",
      "This runtime refuses to instantiate the WebAssembly module.",
      { cause },
    );
  }
  return bindExports(exports);
}

function bindExports(exports: WebAssembly.Exports): Kernel {
  const { memory } = exports;
  ensure(
    memory instanceof WebAssembly.Memory &&
      FUNCTION_NAMES.every((name) => typeof exports[name] === "function"),
    "InvalidParameter",
    "wasm must be a module of the Keyplane kernels.",
  );
  const bytes = new Uint8Array(memory.buffer);
  const region = (name: string, length: number): Uint8Array => {
    const start = constant(exports, name);
    return bytes.subarray(start, start + length);
  };
  const build = BUILD_NAMES[constant(exports, "BUILD")];
  ensure(build !== undefined, "InvalidParameter", "wasm must be a module of the Keyplane kernels.");
  const dataCapacity = constant(exports, "DATA_CAPACITY");
  const batchStart = constant(exports, "BATCH");
  const batchCapacity = constant(exports, "BATCH_CAPACITY");
  return {
    ...(exports as unknown as KernelFunctions),
    exports,
    build,
    memory: bytes,
    key: region("KEY", LONGEST_KEY),
    iv: region("IV", IV_LENGTH),
    tag: region("TAG", TAG_LENGTH),
    aad: region("AAD", constant(exports, "AAD_CAPACITY")),
    data: region("DATA", dataCapacity + TAG_LENGTH),
    dataStart: constant(exports, "DATA"),
    dataCapacity,
    batch: new DataView(memory.buffer, batchStart, batchCapacity * BATCH_DESCRIPTION_LENGTH),
    batchStart,
    batchCapacity,
    windowLength: constant(exports, "WINDOW_LENGTH"),
    contextCount: constant(exports, "AES_GCM_CONTEXT_COUNT"),
    bulkCount: constant(exports, "AES_GCM_BULK_COUNT"),
    bulkFrom: constant(exports, "AES_GCM_BULK_FROM"),
  };
}

function constant(exports: WebAssembly.Exports, name: string): number {
  const global = exports[name];
  ensure(
    global instanceof WebAssembly.Global,
    "InvalidParameter",
    "wasm must be a module of the Keyplane kernels.",
  );
  return global.value as number;
}
