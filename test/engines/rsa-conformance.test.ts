/** Runs the RSA conformance suites over every engine that serves RSA. */

import { createNodeEngine } from "../../src/engines/node/index.ts";
import { createWasmEngine } from "../../src/engines/wasm/inlined.ts";
import { describeRsa } from "../conformance/rsa.ts";
import { describeRsaKeys } from "../conformance/rsa-keys.ts";
import { createSyncWebCryptoEngine } from "../support/sync-engine.ts";

for (const build of ["base", "simd", "relaxed"] as const) {
  const make = () => createWasmEngine({ build, relaxedSimd: "force" });
  describeRsaKeys(`wasm (${build})`, make);
  describeRsa(`wasm (${build})`, make, { otherMgfHash: true, digests: true, anySalt: true });
}
describeRsaKeys("node", createNodeEngine);
describeRsa("node", createNodeEngine, { otherMgfHash: false, digests: true, anySalt: true });
describeRsaKeys("webcrypto", createSyncWebCryptoEngine);
describeRsa("webcrypto", createSyncWebCryptoEngine, { otherMgfHash: false, digests: false, anySalt: false });
