/** Runs the ECDH conformance suite over every engine that serves it. */

import { createNodeEngine } from "../../src/engines/node/index.ts";
import { createWasmEngine } from "../../src/engines/wasm/inlined.ts";
import { describeEcdh } from "../conformance/ecdh.ts";

for (const build of ["base", "simd", "relaxed"] as const) {
  describeEcdh(`wasm (${build})`, () => createWasmEngine({ build, relaxedSimd: "force" }));
}
describeEcdh("node", createNodeEngine);
