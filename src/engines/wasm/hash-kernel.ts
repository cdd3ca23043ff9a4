/** Binds what the main module exports for hashing, HMAC and AES key wrap: assembly/hash/index.ts and assembly/aes-kw/index.ts. */

import type { Kernel } from "./kernel.ts";
import { constantOf, memoryOf } from "./module.ts";

/** The functions. Each returns 0 where it refuses; the hash numbers are those of assembly/hash/hash.ts. */
interface HashKernelFunctions {
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

/** Views of the regions these kernels share with the host. */
interface HashKernelRegions {
  /** Where a key encryption key goes; wiped by the kernel. */
  readonly key: Uint8Array;
  /** Input of everything; a wrapped key is 8 bytes longer than `dataCapacity` at most. */
  readonly data: Uint8Array;
  /** Most bytes to absorb, or to wrap, in one call. */
  readonly dataCapacity: number;
  /** The digest or MAC of the last message, until `hashWipe`. */
  readonly digest: Uint8Array;
}

export interface HashKernel extends HashKernelFunctions, HashKernelRegions {}

const FUNCTION_NAMES: readonly (keyof HashKernelFunctions)[] = [
  "hashWipe",
  "hashBegin",
  "hashAbsorb",
  "hashEnd",
  "hashOnce",
  "hmacLoadKey",
  "hmacBegin",
  "hmacOnce",
  "aesKwWrap",
  "aesKwUnwrap",
  "aesKwpWrap",
  "aesKwpUnwrap",
];

const LONGEST_DIGEST = 64;

/** @throws KmsError `InvalidParameter` where the module lacks these kernels */
export function hashKernelOf(kernel: Kernel): HashKernel {
  const { exports } = kernel;
  memoryOf(exports, FUNCTION_NAMES);
  const start = constantOf(exports, "HASH_DIGEST");
  return {
    ...(exports as unknown as HashKernelFunctions),
    key: kernel.key,
    data: kernel.data,
    dataCapacity: kernel.dataCapacity,
    digest: kernel.memory.subarray(start, start + LONGEST_DIGEST),
  };
}

/** Fails where the kernel refuses what the host has checked. */
export function expectDone(result: number): void {
  if (result === 0) throw new Error("internal: the kernel refused a call");
}
