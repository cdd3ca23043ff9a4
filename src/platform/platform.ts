/** What a runtime brings to a `Kms`: its engines and its ways to a root key. */

import type { AnyEngine, EngineChoice } from "../engines/choose-engine.ts";
import type { EngineName, WasmModules } from "../engines/engine.ts";
import type { RootKeyPlatform } from "../engines/root-key.ts";
import type { BlockSource } from "../envelope/blob-slab.ts";

/** Whether the relaxed SIMD build of the kernels may run: where the runtime has it, never, or by setting a V8 flag. */
export type RelaxedSimd = "auto" | "off" | "force";

/** What tells the engines of one name apart. */
export interface EngineVariant {
  readonly relaxedSimd: RelaxedSimd;
  /** Whether every ECDSA signature is verified before it leaves. */
  readonly verifySignatures: boolean;
  /** Modules the host compiled. */
  readonly wasm: WebAssembly.Module | WasmModules | undefined;
}

export interface Platform {
  readonly rootKey: RootKeyPlatform;
  /** Makes ready what cannot be made at once, before `engine` is asked. */
  readonly prepare: (choice: EngineChoice, variant: EngineVariant) => Promise<void>;
  /** Waits for the engine of long messages, where that is made ready late, before a stream begins with it. */
  readonly prepareBulk: (choice: EngineChoice, variant: EngineVariant) => Promise<void>;
  /**
   * Gives the realm's engine of a name and variant, made when first asked for; undefined where there is none.
   *
   * @param isOptional whether another may serve instead: then one that this runtime refuses is none, else an error
   * @throws KmsError `Rejected.UnsupportedOperation`
   */
  readonly engine: (name: EngineName, variant: EngineVariant, isOptional: boolean) => AnyEngine | undefined;
  /** Makes blocks for small ciphertexts where the platform can keep them from being transferred. */
  readonly newCiphertextBlock: BlockSource;
}
