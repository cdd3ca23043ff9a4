/** The builds of the kernels that the constant-time tools check: the very files that ship. */

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { buildName, MODULES, type WasmModule } from "../../.config/build-wasm.mjs";

export interface Build {
  readonly module: WasmModule;
  /** Name of the file without its ending: `base`, `ecc-relaxed`. */
  readonly name: string;
  readonly file: URL;
  readonly bytes: () => Uint8Array<ArrayBuffer>;
}

const DIST = new URL("../../dist/", import.meta.url);

/** Finds the module that a file in dist/ is a build of. */
function moduleOf(name: string): WasmModule {
  const found = Object.entries(MODULES).find(([module, { builds }]) =>
    Object.keys(builds).some((build) => buildName(module as WasmModule, build) === name),
  );
  if (found === undefined) throw new Error(`dist/${name}.wasm is a build of no module`);
  return found[0] as WasmModule;
}

/** Every module in dist/. */
export const BUILDS: readonly Build[] = readdirSync(fileURLToPath(DIST))
  .filter((name) => name.endsWith(".wasm"))
  .sort()
  .map((fileName) => {
    const file = new URL(fileName, DIST);
    const name = fileName.slice(0, -".wasm".length);
    return {
      module: moduleOf(name),
      name,
      file,
      bytes: () => new Uint8Array(readFileSync(fileURLToPath(file))),
    };
  });

/** Lets this process compile relaxed SIMD where the runtime has it behind a flag. Call before the first compile. */
export function allowRelaxedSimd(): void {
  if (Number(process.versions.node.split(".")[0]) < 22)
    setFlagsFromString("--experimental-wasm-relaxed-simd");
}
