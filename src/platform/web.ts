/** Browsers: the build of the kernels that serves is loaded when a Kms is opened, those of curves and of RSA with their first key. */

import { provideKernels } from "../engines/wasm/lazy.ts";
import { createWebCryptoEngine as createWebCrypto } from "../engines/webcrypto/index.ts";
import { Kms as PortableKms } from "../kms.ts";
import type { KmsOptions } from "../operations/open-kms.ts";
import { portablePlatform } from "./portable.ts";

// The engine over WebCrypto is no chunk of its own: in esbuild's bundles what it shares with the rest would be one too, and a
// page waits longer for another file than for these 25 KB.

/** A KMS in this page or worker. Open one with `Kms.open`, close it to wipe its keys. */
export class Kms extends PortableKms {
  /**
   * Opens a store (in memory if none is given) and makes its keys usable.
   *
   * @throws KmsError `InvalidParameter`, `MissingParameter`, `InvalidRootKey`, `Rejected.UnsupportedOperation`,
   *   `ServiceUnavailableTemporary`, `InternalFailure`
   */
  static async open(options: KmsOptions = {}): Promise<Kms> {
    return new Kms(
      await PortableKms.openContext(options, portablePlatform({ provideKernels, createWebCrypto }, "used")),
    );
  }
}
