/**
 * Loads the builds of the modules that are asked for which serve this runtime, and no others. The main module's best build is
 * carried: what a page needs first must not wait for another file when most browsers take that one.
 */

import { WASM_HEX } from "./bytes/relaxed.ts";
import { type Chunks, provideBest } from "./chunks.ts";
import { ecLoader } from "./load-ec-kernel.ts";
import { mainLoader } from "./load-kernel.ts";
import { rsaLoader } from "./load-rsa-kernel.ts";
import type { ModuleName, RelaxedSimd } from "./module.ts";

const MAIN: Chunks = {
  base: () => import("./bytes/base.ts"),
  simd: () => import("./bytes/simd.ts"),
  relaxed: async () => ({ WASM_HEX }),
};
const ECC: Chunks = {
  base: () => import("./bytes/ecc-base.ts"),
  simd: () => import("./bytes/ecc-simd.ts"),
  relaxed: () => import("./bytes/ecc-relaxed.ts"),
};
const RSA: Chunks = {
  base: () => import("./bytes/rsa-base.ts"),
  simd: () => import("./bytes/rsa-simd.ts"),
  relaxed: () => import("./bytes/rsa-relaxed.ts"),
};

const PROVIDE: Readonly<Record<ModuleName, (relaxedSimd: RelaxedSimd) => Promise<void>>> = {
  main: (relaxedSimd) => provideBest(mainLoader, MAIN, relaxedSimd),
  ecc: (relaxedSimd) => provideBest(ecLoader, ECC, relaxedSimd),
  rsa: (relaxedSimd) => provideBest(rsaLoader, RSA, relaxedSimd),
};

/**
 * Loads the best builds of some modules, at the same time.
 *
 * @throws KmsError like `provideBest`
 */
export async function provideKernels(
  relaxedSimd: RelaxedSimd,
  modules: readonly ModuleName[],
): Promise<void> {
  await Promise.all(modules.map((module) => PROVIDE[module](relaxedSimd)));
}
