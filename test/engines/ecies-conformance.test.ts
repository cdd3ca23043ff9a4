/** Runs the ECIES conformance suite over every engine [ECIES-1] to [ECIES-10]. */

import { createNodeEngine } from "../../src/engines/node/index.ts";
import { createWasmEngine } from "../../src/engines/wasm/inlined.ts";
import { describeEcies } from "../conformance/ecies.ts";

for (const build of ["base", "simd", "relaxed"] as const) {
  describeEcies(`wasm (${build})`, () => createWasmEngine({ build, relaxedSimd: "force" }));
}
describeEcies("node", createNodeEngine);
