/** Loads the build of the main module that serves this runtime, for an entry of few bytes: nothing else is in it. */

import { type Chunks, provideBest } from "./chunks.ts";
import { mainLoader } from "./load-kernel.ts";
import type { RelaxedSimd } from "./module.ts";

const MAIN: Chunks = {
  base: () => import("./bytes/base.ts"),
  simd: () => import("./bytes/simd.ts"),
  relaxed: () => import("./bytes/relaxed.ts"),
};

/** Loads the best build of the main module, as `provideBest` does. */
export function provideMainKernels(relaxedSimd: RelaxedSimd): Promise<void> {
  return provideBest(mainLoader, MAIN, relaxedSimd);
}
