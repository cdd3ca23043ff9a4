/** Loads the builds of all modules that serve this runtime, and no others. */

import { type Chunks, fetchChunk, provideMainKernels } from "./lazy-main.ts";
import { ecLoader } from "./load-ec-kernel.ts";
import { rsaLoader } from "./load-rsa-kernel.ts";
import type { ModuleLoader, RelaxedSimd } from "./module.ts";

const ECC: Chunks = {
  base: () => import("./bytes/ecc-base.ts"),
  simd: () => import("./bytes/ecc-simd.ts"),
  relaxed: () => import("./bytes/ecc-relaxed.ts"),
};
const RSA: Chunks = {
  base: () => import("./bytes/rsa-base.ts"),
  relaxed: () => import("./bytes/rsa-relaxed.ts"),
};

/**
 * Loads the best builds of all modules; those but the main one are compiled at their first use.
 *
 * @throws KmsError like `provideMainKernels`
 */
export async function provideKernels(relaxedSimd: RelaxedSimd): Promise<void> {
  await Promise.all([
    provideMainKernels(relaxedSimd),
    provideBest(ecLoader, ECC, relaxedSimd),
    provideBest(rsaLoader, RSA, relaxedSimd),
  ]);
}

/** Loads the best build that the runtime has the instructions for, without compiling it. */
async function provideBest<Kernel>(
  loader: ModuleLoader<Kernel>,
  chunks: Chunks,
  relaxedSimd: RelaxedSimd,
): Promise<void> {
  const best = loader.supported(relaxedSimd).find((build) => chunks[build] !== undefined);
  if (best !== undefined) await fetchChunk(loader, chunks, best);
}
