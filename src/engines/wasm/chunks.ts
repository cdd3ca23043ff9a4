/**
 * Loads the build of a module that serves this runtime, and no other: each is a chunk of its own where a bundler splits, or a
 * file of its own in the package.
 */

import { KmsError } from "../../errors.ts";
import type { ModuleLoader, RelaxedSimd, WasmBuild } from "./module.ts";

/** Loads the text of one build. */
type Chunk = () => Promise<{ readonly WASM_HEX: string }>;

/** The builds of one module. */
export type Chunks = Readonly<Partial<Record<WasmBuild, Chunk>>>;

/**
 * Loads the best build of a module and proves it; goes on to the next where its answers are wrong.
 *
 * @throws KmsError `Rejected.UnsupportedOperation` where there is no WebAssembly, a policy forbids it, or there is no import()
 */
export async function provideBest<Kernel>(
  loader: ModuleLoader<Kernel>,
  chunks: Chunks,
  relaxedSimd: RelaxedSimd,
): Promise<void> {
  for (const build of loader.supported(relaxedSimd)) {
    const load = chunks[build];
    if (load === undefined) continue;
    try {
      loader.provide({ [build]: (await load()).WASM_HEX });
    } catch (cause) {
      throw new KmsError(
        "Rejected.UnsupportedOperation",
        "The kernels cannot be loaded; pass the option wasm.",
        { cause },
      );
    }
    if (loader.find(relaxedSimd, build) !== undefined) return;
  }
}
