/** Hosts that bring the compiled modules: nothing is inlined, nothing is loaded. */

import type { LoadEngine } from "../engines/load-engine.ts";
import { createWebCryptoEngine as createWebCrypto } from "../engines/webcrypto/index.ts";
import { Kms as PortableKms } from "../kms.ts";
import type { KmsOptions } from "../operations/open-kms.ts";
import { portableEngineLoader, portablePlatform } from "./portable.ts";

/** Provides nothing: the option `wasm` has the modules, or WebCrypto serves. */
async function provideNothing(): Promise<void> {}

/** Loads an engine of its own state; "wasm" needs the option `wasm`. */
export const loadEngine: LoadEngine = /* @__PURE__ */ portableEngineLoader({
  provideKernels: provideNothing,
  createWebCrypto,
});

/** A KMS in this runtime. Open one with `Kms.open`, close it to wipe its keys. */
export class Kms extends PortableKms {
  /**
   * Opens a store (in memory if none is given) and makes its keys usable.
   *
   * @throws KmsError `InvalidParameter`, `MissingParameter`, `InvalidRootKey`, `Rejected.UnsupportedOperation`,
   *   `ServiceUnavailableTemporary`, `InternalFailure`
   */
  static async open(options: KmsOptions = {}): Promise<Kms> {
    return new Kms(
      await PortableKms.openContext(
        options,
        portablePlatform({ provideKernels: provideNothing, createWebCrypto }, "opened"),
      ),
    );
  }
}
