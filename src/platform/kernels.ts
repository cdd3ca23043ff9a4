/** Compiles the inlined kernels for the option `wasm`. */

import type { WasmModules } from "../engines/engine.ts";
import { compileInlinedKernels } from "../engines/wasm/inlined.ts";

let compiled: WasmModules | undefined;

/**
 * Compiles the best builds that this runtime supports, once: the option `wasm` of `Kms.open` and `loadEngine`.
 *
 * @throws KmsError `Rejected.UnsupportedOperation` where there is no WebAssembly or a policy forbids compiling
 */
export function compileKernels(): WasmModules {
  compiled ??= compileInlinedKernels();
  return compiled;
}
