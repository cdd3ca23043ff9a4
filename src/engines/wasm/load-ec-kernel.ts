/** Loads the module of elliptic curves, which is compiled when an engine first needs it. */

import { bindEcKernel, type EcKernel } from "./ec-kernel.ts";
import { ECC_BASE_WASM_BASE64, ECC_RELAXED_WASM_BASE64 } from "./ecc-bytes.ts";
import { ModuleLoader } from "./module.ts";
import { probeFusedMultiplyAdd } from "./probe.ts";

export const ecLoader: ModuleLoader<EcKernel> = new ModuleLoader({
  bytes: { base: ECC_BASE_WASM_BASE64, relaxed: ECC_RELAXED_WASM_BASE64 },
  bind: bindEcKernel,
  isSupported: (build) => build === "relaxed" && probeFusedMultiplyAdd(),
  // Each curve has a self-test, which runs before its first use.
  answersRightly: () => true,
});
