/** Runs the HKDF conformance suite over every engine that serves it. */

import { createNodeEngine } from "../../src/engines/node/index.ts";
import { createWasmEngine } from "../../src/engines/wasm/inlined.ts";
import { describeHkdf } from "../conformance/hkdf.ts";
import { createSyncWebCryptoEngine } from "../support/sync-engine.ts";

for (const build of ["base", "simd", "relaxed"] as const) {
  describeHkdf(`wasm (${build})`, () => createWasmEngine({ build, relaxedSimd: "force" }));
}
describeHkdf("node", createNodeEngine);
describeHkdf("webcrypto", createSyncWebCryptoEngine);
