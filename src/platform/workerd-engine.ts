/** The engines of Cloudflare Workers (workerd). */

import type { LoadEngine } from "../engines/load-engine.ts";
import { provideKernels } from "../engines/wasm/workerd.ts";
import { createWebCryptoEngine as createWebCrypto } from "../engines/webcrypto/index.ts";
import { portableEngineLoader } from "./portable.ts";

/** Loads an engine of its own state: keys of one are foreign to every other. */
export const loadEngine: LoadEngine = /* @__PURE__ */ portableEngineLoader({
  provideKernels,
  createWebCrypto,
});
