/** Runs the HMAC conformance suite over every engine that serves it. */

import { createNodeEngine } from "../../src/engines/node/index.ts";
import { createWasmEngine } from "../../src/engines/wasm/inlined.ts";
import { describeHmac } from "../conformance/hmac.ts";
import { createSyncWebCryptoEngine } from "../support/sync-engine.ts";

for (const build of ["base", "simd", "relaxed"] as const) {
  describeHmac(`wasm (${build})`, () => createWasmEngine({ build, relaxedSimd: "force" }));
}
describeHmac("node", createNodeEngine);
describeHmac("webcrypto", createSyncWebCryptoEngine);
