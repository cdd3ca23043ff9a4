/** Runs the ECDSA conformance suite over every engine that serves it. */

import { createNodeEngine } from "../../src/engines/node/index.ts";
import { createWasmEngine } from "../../src/engines/wasm/inlined.ts";
import { describeEcdsa } from "../conformance/ecdsa.ts";
import { createSyncWebCryptoEngine } from "../support/sync-engine.ts";

for (const build of ["base", "simd", "relaxed"] as const) {
  const make = () => createWasmEngine({ build, relaxedSimd: "force" });
  describeEcdsa(`wasm (${build})`, make, { digests: true, recoverable: true });
}
describeEcdsa("node", createNodeEngine, { digests: false, recoverable: false });
describeEcdsa("webcrypto", createSyncWebCryptoEngine, {
  digests: false,
  recoverable: false,
  curves: ["P-256"],
});
