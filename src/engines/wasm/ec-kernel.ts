/** Binds what the module of elliptic curves exports, assembly/ecdsa/index.ts, and names the parts of an item. */

import type { CurveName } from "../engine.ts";
import { buildOf, constantOf, memoryOf, type WasmBuild } from "./module.ts";

/** The functions. Each returns 0 where it refuses; curves and hashes go by their numbers. */
interface EcKernelFunctions {
  ecdsaSign(curve: number, hash: number, count: number, lowS: number, hedged: number): number;
  ecdsaVerify(curve: number, count: number): number;
  ecdsaLoadKey(curve: number, number: number): number;
  eccPublicKey(curve: number): number;
  eccDecodePoint(curve: number, length: number): number;
  eccDerive(curve: number): number;
}

interface EcKernelRegions {
  readonly build: WasmBuild;
  readonly memory: Uint8Array;
  readonly view: DataView;
  /** Address of the first item. */
  readonly items: number;
  readonly itemLength: number;
  /** Most items in one call. */
  readonly itemCount: number;
  /** How many public keys have a large table at a time. */
  readonly keyCount: number;
}

export interface EcKernel extends EcKernelFunctions, EcKernelRegions {}

/** Offsets of the parts of an item (assembly/ecdsa/items.ts). */
export const ItemPart = {
  /** A private key of 32 bytes, or a point as x ‖ y. */
  key: 0,
  digest: 64,
  /** r ‖ s, a point as x ‖ y or in SEC 1 form, or a shared x. */
  signature: 96,
  /** Additional input for the nonce, or the private key of an exchange. */
  extra: 160,
  random: 192,
  result: 224,
  recovery: 228,
  table: 232,
} as const;

/** The numbers the kernels know the curves by. */
export const CURVE_NUMBER: Readonly<Record<CurveName, number>> = { "P-256": 0, secp256k1: 1 };

const FUNCTION_NAMES: readonly (keyof EcKernelFunctions)[] = [
  "ecdsaSign",
  "ecdsaVerify",
  "ecdsaLoadKey",
  "eccPublicKey",
  "eccDecodePoint",
  "eccDerive",
];

/** @throws KmsError `InvalidParameter` where these are the exports of another module */
export function bindEcKernel(exports: WebAssembly.Exports): EcKernel {
  const { buffer } = memoryOf(exports, FUNCTION_NAMES);
  return {
    ...(exports as unknown as EcKernelFunctions),
    build: buildOf(exports),
    memory: new Uint8Array(buffer),
    view: new DataView(buffer),
    items: constantOf(exports, "ECC_ITEMS"),
    itemLength: constantOf(exports, "ECC_ITEM_LENGTH"),
    itemCount: constantOf(exports, "ECC_ITEM_COUNT"),
    keyCount: constantOf(exports, "ECC_KEY_COUNT"),
  };
}

/** Random bytes that are fetched many at a time, and erased as they leave. */
export class RandomPool {
  readonly #pool: Uint8Array<ArrayBuffer> = new Uint8Array(4096);
  #next: number = this.#pool.length;

  /** Erases what was fetched and not handed out; the next request fetches anew. */
  wipe(): void {
    this.#pool.fill(0);
    this.#next = this.#pool.length;
  }

  /** Writes `length` fresh bytes, at most 4,096, at `offset` of `out`. */
  writeTo(out: Uint8Array, offset: number, length: number): void {
    const pool = this.#pool;
    if (this.#next + length > pool.length) {
      crypto.getRandomValues(pool);
      this.#next = 0;
    }
    const start = this.#next;
    // A view for so few bytes would cost more than the loop.
    for (let i = 0; i < length; i++) {
      out[offset + i] = pool[start + i] ?? 0;
      pool[start + i] = 0;
    }
    this.#next = start + length;
  }
}
