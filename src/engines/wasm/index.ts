/** The engine over the AssemblyScript kernels: runs wherever WebAssembly may be compiled, with no help from Node. */

import type { Capabilities, Engine } from "../engine.ts";
import { SelfTests } from "../self-test.ts";
import { WasmAesGcm } from "./aes-gcm.ts";
import { wasmHash, wasmHkdf, wasmHmac } from "./hash.ts";
import { hashKernelOf } from "./hash-kernel.ts";
import { loadKernel } from "./kernel.ts";
import { wasmAesKw, wasmAesKwp } from "./key-wrap.ts";
import { WasmState } from "./state.ts";

export interface WasmEngineOptions {
  /** A compiled `base.wasm`, for runtimes that refuse to compile bytes; the inlined kernels if absent. */
  readonly wasm?: WebAssembly.Module | undefined;
}

const HASH_NAMES = ["SHA-1", "SHA-256", "SHA-384", "SHA-512"] as const;
const AES_NAMES = ["AES-128", "AES-192", "AES-256"] as const;

const CAPABILITIES: Capabilities = {
  aesGcm: AES_NAMES,
  hmac: HASH_NAMES,
  hash: HASH_NAMES,
  hkdf: HASH_NAMES,
  aesKw: AES_NAMES,
  aesKwp: AES_NAMES,
};

/**
 * Creates an engine with keys and self-tests of its own over the realm's one instance of the kernels.
 *
 * @throws KmsError `Rejected.UnsupportedOperation` where the runtime refuses WebAssembly; `InvalidParameter` for a
 *   module that is not of these kernels
 */
export function createWasmEngine(options: WasmEngineOptions = {}): Engine {
  const kernel = loadKernel(options.wasm);
  const selfTests = new SelfTests();
  const state = new WasmState(selfTests);
  const hashKernel = hashKernelOf(kernel);
  const aesGcm = new WasmAesGcm(kernel, selfTests);
  return {
    name: "wasm",
    build: "base",
    capabilities: CAPABILITIES,
    aesGcm,
    hmac: wasmHmac(hashKernel, state),
    hash: wasmHash(hashKernel, state),
    hkdf: wasmHkdf(hashKernel, state),
    aesKw: wasmAesKw(hashKernel, state),
    aesKwp: wasmAesKwp(hashKernel, state),
    close() {
      state.close();
      aesGcm.close();
    },
  };
}
