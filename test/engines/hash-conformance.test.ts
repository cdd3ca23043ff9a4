/** Runs the hash conformance suite over every engine that serves it. */

import { createNodeEngine } from "../../src/engines/node/index.ts";
import { createWasmEngine } from "../../src/engines/wasm/inlined.ts";
import { describeHash } from "../conformance/hash.ts";
import { createSyncWebCryptoEngine } from "../support/sync-engine.ts";

for (const build of ["base", "simd", "relaxed"] as const) {
  describeHash(`wasm (${build})`, () => createWasmEngine({ build, relaxedSimd: "force" }));
}
describeHash("node", createNodeEngine);
describeHash("webcrypto", createSyncWebCryptoEngine);
