/** Loads the builds that serve this runtime, and no others: of all modules at once, or of each when it is first needed. */

import type { LazyModule } from "../choose-engine.ts";
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
    provideModule("ecc", relaxedSimd),
    provideModule("rsa", relaxedSimd),
  ]);
}

/** The modules that have been loaded or are being loaded, by name and `relaxedSimd`. */
const loads: Map<string, { readonly done: Promise<void>; isDone: boolean }> = new Map();

/**
 * Loads the best build of one module, which is compiled at its first use.
 *
 * @returns undefined when it is there; who asks while it is loaded waits for the same
 * @throws KmsError `Rejected.UnsupportedOperation`; it is tried again when next asked for
 */
export function provideModule(module: LazyModule, relaxedSimd: RelaxedSimd): Promise<void> | undefined {
  const id = `${module} ${relaxedSimd}`;
  const known = loads.get(id);
  if (known !== undefined) return known.isDone ? undefined : known.done;
  const provided =
    module === "ecc" ? provideBest(ecLoader, ECC, relaxedSimd) : provideBest(rsaLoader, RSA, relaxedSimd);
  const load = {
    isDone: false,
    done: provided.then(
      () => {
        load.isDone = true;
      },
      (error: unknown) => {
        loads.delete(id);
        throw error;
      },
    ),
  };
  loads.set(id, load);
  return load.done;
}

/** Loads the best build that the runtime has the instructions for, without compiling it. */
async function provideBest<Kernel>(
  loader: ModuleLoader<Kernel>,
  chunks: Chunks,
  relaxedSimd: RelaxedSimd,
): Promise<void> {
  for (const build of loader.supported(relaxedSimd)) {
    if (chunks[build] !== undefined) return fetchChunk(loader, chunks, build);
  }
}
