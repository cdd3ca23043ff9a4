/** Runs the AES key wrap conformance suite over every engine that serves it. */

import { createNodeEngine } from "../../src/engines/node/index.ts";
import { createWasmEngine } from "../../src/engines/wasm/inlined.ts";
import { describeAesKeyWrap } from "../conformance/aes-kw.ts";
import { createSyncWebCryptoEngine } from "../support/sync-engine.ts";

for (const build of ["base", "simd", "relaxed"] as const) {
  describeAesKeyWrap(`wasm (${build})`, () => createWasmEngine({ build, relaxedSimd: "force" }));
}
describeAesKeyWrap("node", createNodeEngine);
describeAesKeyWrap("webcrypto", createSyncWebCryptoEngine, ["aesKw"]);
