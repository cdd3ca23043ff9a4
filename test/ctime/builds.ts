/** The builds of the kernels that the constant-time tools check: the very files that ship. */

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";

export interface Build {
  /** Name of the file without its ending: `base`, `simd`, `relaxed`. */
  readonly name: string;
  readonly file: URL;
  readonly bytes: () => Uint8Array<ArrayBuffer>;
}

const DIST = new URL("../../dist/", import.meta.url);

/** Every module in dist/. */
export const BUILDS: readonly Build[] = readdirSync(fileURLToPath(DIST))
  .filter((name) => name.endsWith(".wasm"))
  .sort()
  .map((name) => {
    const file = new URL(name, DIST);
    return {
      name: name.slice(0, -".wasm".length),
      file,
      bytes: () => new Uint8Array(readFileSync(fileURLToPath(file))),
    };
  });

/** Lets this process compile relaxed SIMD where the runtime has it behind a flag. Call before the first compile. */
export function allowRelaxedSimd(): void {
  if (Number(process.versions.node.split(".")[0]) < 22)
    setFlagsFromString("--experimental-wasm-relaxed-simd");
}
