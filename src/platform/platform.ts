/** What a runtime brings to a `Kms`: its engines and its ways to a root key. */

import type { RootKeyPlatform } from "../engines/root-key.ts";
import type { EngineSource } from "../engines/router.ts";
import type { BlockSource } from "../envelope/blob-slab.ts";

export interface Platform {
  readonly rootKey: RootKeyPlatform;
  /** Gives the realm's engine of a name, made when first asked for. */
  readonly engine: EngineSource;
  /** Makes blocks for small ciphertexts where the platform can keep them from being transferred. */
  readonly newCiphertextBlock: BlockSource;
}
