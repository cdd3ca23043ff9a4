/** Runs the ECDH conformance suite over every engine that serves it. */

import { createNodeEngine } from "../../src/engines/node/index.ts";
import { createWasmEngine } from "../../src/engines/wasm/inlined.ts";
import { describeEcdh } from "../conformance/ecdh.ts";
import { CURVES } from "../conformance/ecdsa.ts";
import { createSyncWebCryptoEngine } from "../support/sync-engine.ts";

for (const build of ["base", "simd", "relaxed"] as const) {
  describeEcdh(`wasm (${build})`, () => createWasmEngine({ build, relaxedSimd: "force" }));
}
describeEcdh("node", createNodeEngine);
describeEcdh("webcrypto", createSyncWebCryptoEngine, CURVES.slice(0, 1));
