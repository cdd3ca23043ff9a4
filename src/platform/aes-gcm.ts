/** AES-GCM alone, over the main module of the kernels: the least a page can load. */

import type { AesGcm } from "../engines/engine.ts";
import { SelfTests } from "../engines/self-test.ts";
import { WasmAesGcm } from "../engines/wasm/aes-gcm.ts";
import { provideMainKernels } from "../engines/wasm/lazy-main.ts";
import { mainLoader } from "../engines/wasm/load-kernel.ts";
import type { RelaxedSimd, WasmBuild } from "../engines/wasm/module.ts";

export interface LoadAesGcmOptions {
  /** Whether the relaxed SIMD build may run; see `LoadEngineOptions`. */
  readonly relaxedSimd?: RelaxedSimd;
  /** A compiled `base.wasm`, `simd.wasm` or `relaxed.wasm`, for runtimes that refuse to compile bytes. */
  readonly wasm?: WebAssembly.Module;
}

/** AES-GCM over the wasm kernels, with keys of its own. */
export interface AesGcmEngine {
  readonly build: WasmBuild;
  readonly aesGcm: AesGcm;
  /** Wipes every key; later calls are `InvalidParameter`. */
  close(): void;
}

/**
 * Loads AES-GCM with keys of its own.
 *
 * @throws KmsError `Rejected.UnsupportedOperation` where there is no WebAssembly or a policy forbids it,
 *   `InvalidParameter` for a module that is not of these kernels
 */
export async function loadAesGcm(options: LoadAesGcmOptions = {}): Promise<AesGcmEngine> {
  const { relaxedSimd = "auto", wasm } = options;
  if (wasm === undefined) await provideMainKernels(relaxedSimd);
  const kernel = wasm === undefined ? mainLoader.best(relaxedSimd) : mainLoader.ofModule(wasm);
  const aesGcm = new WasmAesGcm(kernel, new SelfTests());
  return { build: kernel.build, aesGcm, close: () => aesGcm.close() };
}
