/** Binds the exports of the main module: its functions, and views of the regions the host may touch. */

import { buildOf, constantOf, memoryOf, type WasmBuild } from "./module.ts";

/** What the kernels export: the functions of assembly/index.ts. Each returns 1, or 0 where it refuses. */
interface KernelFunctions {
  aesGcmLoadKey(slot: number, keyLength: number): number;
  aesGcmDropKey(slot: number): number;
  aesGcmLoadBulk(bulk: number, slot: number, keyLength: number): number;
  aesGcmDropBulk(bulk: number): number;
  /** `bulk` is 0, or one more than the number of the key's bulk tables. */
  /** `aadStays` is 1 where all blocks of the AAD but the last are those of the call before. */
  aesGcmSeal(
    slot: number,
    keyLength: number,
    aadLength: number,
    dataLength: number,
    bulk: number,
    aadStays: number,
  ): number;
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
  aesGcmGather(count: number): number;
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
  "aesGcmGather",
  "aesGcmOpenBatch",
  "aesGcmSealPacked",
  "aesGcmOpenPacked",
];

const LONGEST_KEY = 32;
const IV_LENGTH = 12;
const TAG_LENGTH = 16;
export const BATCH_DESCRIPTION_LENGTH = 32;

/** @throws KmsError `InvalidParameter` where these are the exports of another module */
export function bindKernel(exports: WebAssembly.Exports): Kernel {
  const memory = memoryOf(exports, FUNCTION_NAMES);
  const bytes = new Uint8Array(memory.buffer);
  const region = (name: string, length: number): Uint8Array => {
    const start = constantOf(exports, name);
    return bytes.subarray(start, start + length);
  };
  const constant = (name: string): number => constantOf(exports, name);
  const dataCapacity = constant("DATA_CAPACITY");
  const batchStart = constant("BATCH");
  const batchCapacity = constant("BATCH_CAPACITY");
  return {
    ...(exports as unknown as KernelFunctions),
    exports,
    build: buildOf(exports),
    memory: bytes,
    key: region("KEY", LONGEST_KEY),
    iv: region("IV", IV_LENGTH),
    tag: region("TAG", TAG_LENGTH),
    aad: region("AAD", constant("AAD_CAPACITY")),
    data: region("DATA", dataCapacity + TAG_LENGTH),
    dataStart: constant("DATA"),
    dataCapacity,
    batch: new DataView(memory.buffer, batchStart, batchCapacity * BATCH_DESCRIPTION_LENGTH),
    batchStart,
    batchCapacity,
    windowLength: constant("WINDOW_LENGTH"),
    contextCount: constant("AES_GCM_CONTEXT_COUNT"),
    bulkCount: constant("AES_GCM_BULK_COUNT"),
    bulkFrom: constant("AES_GCM_BULK_FROM"),
  };
}
