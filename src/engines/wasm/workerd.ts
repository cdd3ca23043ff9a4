/** The kernels as modules of a Worker; its V8 always has SIMD, and relaxed SIMD is proved before it serves. */

import eccRelaxed from "../../ecc-relaxed.wasm";
import eccSimd from "../../ecc-simd.wasm";
import relaxed from "../../relaxed.wasm";
import rsaRelaxed from "../../rsa-relaxed.wasm";
import rsaSimd from "../../rsa-simd.wasm";
import simd from "../../simd.wasm";
import { ecLoader } from "./load-ec-kernel.ts";
import { mainLoader } from "./load-kernel.ts";
import { rsaLoader } from "./load-rsa-kernel.ts";

/** Gives the loaders the imported modules. */
export async function provideKernels(): Promise<void> {
  mainLoader.provide({ simd, relaxed });
  ecLoader.provide({ simd: eccSimd, relaxed: eccRelaxed });
  rsaLoader.provide({ simd: rsaSimd, relaxed: rsaRelaxed });
}
