/**
 * Loads the kernels that serve this runtime, and no other: each build is a chunk of its own where a bundler splits, or a
 * file of its own in the package.
 */

import { KmsError } from "../../errors.ts";
import { ecLoader } from "./load-ec-kernel.ts";
import { mainLoader } from "./load-kernel.ts";
import { rsaLoader } from "./load-rsa-kernel.ts";
import type { ModuleLoader, RelaxedSimd, WasmBuild } from "./module.ts";

type Chunk = () => Promise<{ readonly WASM_HEX: string }>;
type Chunks = Readonly<Partial<Record<WasmBuild, Chunk>>>;

const MAIN: Chunks = {
  base: () => import("./bytes/base.ts"),
  simd: () => import("./bytes/simd.ts"),
  relaxed: () => import("./bytes/relaxed.ts"),
};
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
 * Loads the best build of the main module and proves it; goes on to the next where its answers are wrong.
 *
 * @throws KmsError `Rejected.UnsupportedOperation` where there is no WebAssembly, a policy forbids it, or there is no import()
 */
export async function provideMainKernels(relaxedSimd: RelaxedSimd): Promise<void> {
  for (const build of mainLoader.supported(relaxedSimd)) {
    await fetchChunk(mainLoader, MAIN, build);
    if (mainLoader.has(build, relaxedSimd)) return;
  }
}

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

async function provideBest<Kernel>(
  loader: ModuleLoader<Kernel>,
  chunks: Chunks,
  relaxedSimd: RelaxedSimd,
): Promise<void> {
  const best = loader.supported(relaxedSimd).find((build) => chunks[build] !== undefined);
  if (best !== undefined) await fetchChunk(loader, chunks, best);
}

async function fetchChunk<Kernel>(
  loader: ModuleLoader<Kernel>,
  chunks: Chunks,
  build: WasmBuild,
): Promise<void> {
  try {
    const chunk = await chunks[build]?.();
    if (chunk !== undefined) loader.provide({ [build]: chunk.WASM_HEX });
  } catch (cause) {
    throw new KmsError(
      "Rejected.UnsupportedOperation",
      "The WebAssembly kernels cannot be loaded. Service workers have no import(): there, bundle to one file or pass " +
        "the modules of keyplane/kernels as the option wasm.",
      { cause },
    );
  }
}
