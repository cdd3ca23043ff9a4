/** Vercel's edge runtime: compiling bytes is refused, so the kernels are modules of the deployment. */

import { provideKernels } from "../engines/wasm/edge-light.ts";
import { createWebCryptoEngine as createWebCrypto } from "../engines/webcrypto/index.ts";
import { Kms as PortableKms } from "../kms.ts";
import type { KmsOptions } from "../operations/open-kms.ts";
import { portablePlatform } from "./portable.ts";

/** A KMS in this isolate. Open one with `Kms.open`, close it to wipe its keys. */
export class Kms extends PortableKms {
  /**
   * Opens a store (in memory if none is given) and makes its keys usable.
   *
   * @throws KmsError `InvalidParameter`, `MissingParameter`, `InvalidRootKey`, `Rejected.UnsupportedOperation`,
   *   `ServiceUnavailableTemporary`, `InternalFailure`
   */
  static async open(options: KmsOptions = {}): Promise<Kms> {
    return new Kms(
      await PortableKms.openContext(options, portablePlatform({ provideKernels, createWebCrypto }, "opened")),
    );
  }
}
