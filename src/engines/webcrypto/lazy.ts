/** Loads the engine with the first one that is asked for: a chunk of its own where a bundler splits. */

import { KmsError } from "../../errors.ts";
import type { AsyncEngine } from "../engine.ts";
import type { WebCryptoEngineOptions } from "./index.ts";

/**
 * Does what `createWebCryptoEngine` of `index.ts` does.
 *
 * @throws KmsError `Rejected.UnsupportedOperation` where there is no SubtleCrypto, or the engine cannot be loaded
 */
export async function createWebCryptoEngine(options: WebCryptoEngineOptions): Promise<AsyncEngine> {
  const engines = await import("./index.ts").catch((cause: unknown) => {
    throw new KmsError("Rejected.UnsupportedOperation", "The WebCrypto engine cannot be loaded.", { cause });
  });
  return engines.createWebCryptoEngine(options);
}
