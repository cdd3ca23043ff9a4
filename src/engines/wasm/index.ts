/** The engine over the AssemblyScript kernels: runs wherever WebAssembly may be compiled, with no help from Node. */

import type { Capabilities, Engine } from "../engine.ts";
import { SelfTests } from "../self-test.ts";
import { WasmAesGcm } from "./aes-gcm.ts";
import { loadKernel } from "./kernel.ts";

export interface WasmEngineOptions {
  /** A compiled `base.wasm`, for runtimes that refuse to compile bytes; the inlined kernels if absent. */
  readonly wasm?: WebAssembly.Module | undefined;
}

const CAPABILITIES: Capabilities = {
  aesGcm: ["AES-128", "AES-192", "AES-256"],
};

/**
 * Creates an engine with keys and self-tests of its own over the realm's one instance of the kernels.
 *
 * @throws KmsError `Rejected.UnsupportedOperation` where the runtime refuses WebAssembly; `InvalidParameter` for a
 *   module that is not of these kernels
 */
export function createWasmEngine(options: WasmEngineOptions = {}): Engine {
  const kernel = loadKernel(options.wasm);
  const aesGcm = new WasmAesGcm(kernel, new SelfTests());
  return {
    name: "wasm",
    build: "base",
    capabilities: CAPABILITIES,
    aesGcm,
    close: () => aesGcm.close(),
  };
}
