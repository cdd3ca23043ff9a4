/** The engines of Vercel's edge runtime. */

import type { LoadEngine } from "../engines/load-engine.ts";
import { provideKernels } from "../engines/wasm/edge-light.ts";
import { createWebCryptoEngine as createWebCrypto } from "../engines/webcrypto/index.ts";
import { portableEngineLoader } from "./portable.ts";

/** Loads an engine of its own state: keys of one are foreign to every other. */
export const loadEngine: LoadEngine = /* @__PURE__ */ portableEngineLoader({
  provideKernels,
  createWebCrypto,
});
