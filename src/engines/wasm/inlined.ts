/** Every build of the kernels, carried as text: where size does not matter and nothing may be awaited. */

import type { Engine, WasmModules } from "../engine.ts";
import { WASM_HEX as BASE } from "./bytes/base.ts";
import { WASM_HEX as ECC_BASE } from "./bytes/ecc-base.ts";
import { WASM_HEX as ECC_RELAXED } from "./bytes/ecc-relaxed.ts";
import { WASM_HEX as ECC_SIMD } from "./bytes/ecc-simd.ts";
import { WASM_HEX as RELAXED } from "./bytes/relaxed.ts";
import { WASM_HEX as RSA_BASE } from "./bytes/rsa-base.ts";
import { WASM_HEX as RSA_RELAXED } from "./bytes/rsa-relaxed.ts";
import { WASM_HEX as RSA_SIMD } from "./bytes/rsa-simd.ts";
import { WASM_HEX as SIMD } from "./bytes/simd.ts";
import { createWasmEngine as createEngine, type WasmEngineOptions } from "./index.ts";
import { ecLoader } from "./load-ec-kernel.ts";
import { mainLoader } from "./load-kernel.ts";
import { rsaLoader } from "./load-rsa-kernel.ts";
import { bestModule } from "./module.ts";

/** Gives the loaders all builds; compiles none. */
export function provideInlinedKernels(): void {
  mainLoader.provide({ base: BASE, simd: SIMD, relaxed: RELAXED });
  ecLoader.provide({ base: ECC_BASE, simd: ECC_SIMD, relaxed: ECC_RELAXED });
  rsaLoader.provide({ base: RSA_BASE, simd: RSA_SIMD, relaxed: RSA_RELAXED });
}

/** Creates an engine as `createWasmEngine` does, over the kernels carried here. */
export function createWasmEngine(options?: WasmEngineOptions): Engine {
  provideInlinedKernels();
  return createEngine(options);
}

/**
 * Compiles the best supported build of each module.
 *
 * @throws KmsError `Rejected.UnsupportedOperation`
 */
export function compileInlinedKernels(): WasmModules {
  provideInlinedKernels();
  return {
    main: bestModule(mainLoader),
    ecc: bestModule(ecLoader),
    rsa: bestModule(rsaLoader),
  };
}
