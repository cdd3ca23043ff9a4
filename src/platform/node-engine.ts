/** The engines of Node, Bun and Deno; the one over node:crypto is loaded when it is first asked for. */

import { engineLoader, type LoadEngine } from "../engines/load-engine.ts";
import { createWasmEngine } from "../engines/wasm/inlined.ts";
import { createWebCryptoEngine } from "../engines/webcrypto/index.ts";

/** Loads an engine of its own state: keys of one are foreign to every other. */
export const loadEngine: LoadEngine = /* @__PURE__ */ engineLoader({
  wasm: async (options) => createWasmEngine(options),
  async node(options) {
    const { createNodeEngine } = await import("../engines/node/index.ts");
    return createNodeEngine(options);
  },
  webcrypto: createWebCryptoEngine,
});
