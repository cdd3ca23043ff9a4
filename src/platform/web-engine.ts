/** The engines of browsers: the build of the kernels that serves is loaded when an engine is. */

import type { LoadEngine } from "../engines/load-engine.ts";
import { provideKernels } from "../engines/wasm/lazy.ts";
import { createWebCryptoEngine as createWebCrypto } from "../engines/webcrypto/index.ts";
import { portableEngineLoader } from "./portable.ts";

/** Loads an engine of its own state: keys of one are foreign to every other. */
export const loadEngine: LoadEngine = /* @__PURE__ */ portableEngineLoader({
  provideKernels,
  createWebCrypto,
});
