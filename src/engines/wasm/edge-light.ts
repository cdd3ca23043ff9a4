/** The kernels as modules of an edge function; without relaxed SIMD, which local emulators over an older Node cannot compile. */

import eccSimd from "../../ecc-simd.wasm?module";
import rsaSimd from "../../rsa-simd.wasm?module";
import simd from "../../simd.wasm?module";
import { ecLoader } from "./load-ec-kernel.ts";
import { mainLoader } from "./load-kernel.ts";
import { rsaLoader } from "./load-rsa-kernel.ts";

/** Gives the loaders the imported modules. */
export async function provideKernels(): Promise<void> {
  mainLoader.provide({ simd });
  ecLoader.provide({ simd: eccSimd });
  rsaLoader.provide({ simd: rsaSimd });
}
