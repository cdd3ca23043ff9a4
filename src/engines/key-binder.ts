/**
 * Makes the handle that a key version has in an engine and keeps it in the version's slot. Where an engine, the vault or
 * kernels still to be loaded answer with promises, so does the binder; everything else it gives at once.
 */

import { KmsError } from "../errors.ts";
import type { KeyVersion } from "../keys/key.ts";
import { materialIdentity } from "../keys/key-record.ts";
import { finallyRun, type MaybePromise, whenReady } from "../maybe-promise.ts";
import type { AnyEngine, LazyModule } from "./choose-engine.ts";
import type { Slot } from "./key-slot.ts";
import type { KeyVault } from "./key-vault.ts";

export class KeyBinder {
  readonly #vault: KeyVault;
  /** Bindings that wait for kernels to be loaded. */
  readonly #cold: Set<Promise<unknown>> = new Set();

  constructor(vault: KeyVault) {
    this.#vault = vault;
  }

  /** Whether there are bindings that wait for kernels to be loaded. */
  get isCold(): boolean {
    return this.#cold.size > 0;
  }

  /**
   * Makes the binding of a version in an engine once the kernels for it are loaded.
   *
   * @throws KmsError `Forbidden.KeyNotFound` where the version was let go meanwhile; whoever waited looks closer at the key
   */
  loadFirst<Binding>(
    engine: AnyEngine,
    module: LazyModule,
    slot: Slot,
    make: () => MaybePromise<Binding>,
  ): MaybePromise<Binding> {
    const wait = loading(engine, module);
    if (wait === undefined) return make();
    const cold = wait.then(() => {
      if (slot.isForgotten) throw new KmsError("Forbidden.KeyNotFound", "The key is there no more.");
      return make();
    });
    this.#cold.add(cold);
    // Whoever asked for the binding hears of a failure.
    cold.finally(() => this.#cold.delete(cold)).catch(() => undefined);
    return cold;
  }

  /**
   * Opens the material of a version for one import and wipes it.
   *
   * @throws KmsError `Rejected.RecordCorrupt` naming the key
   */
  withMaterial<T>(version: KeyVersion, use: (material: Uint8Array) => MaybePromise<T>): MaybePromise<T> {
    // What is stored for a hardware key finds it in its token and must never pass for key bytes.
    if (version.key.isHardware) throw new Error("internal: a hardware key has no material here");
    return this.withRecord(version, use);
  }

  /**
   * Opens what the store has of a version, of a hardware key what finds it in its token, and wipes it after use.
   *
   * @throws KmsError `Rejected.RecordCorrupt` naming the key
   */
  withRecord<T>(version: KeyVersion, use: (record: Uint8Array) => MaybePromise<T>): MaybePromise<T> {
    const { identity } = version.key;
    const opened = this.#vault.open(materialIdentity(identity, version.keyVersionId), version.sealedMaterial);
    return whenReady(opened, (record) => {
      if (record === undefined) {
        throw new KmsError(
          "Rejected.RecordCorrupt",
          `The record of key ${identity.keyId} was changed or damaged and is refused.`,
        );
      }
      return finallyRun(
        () => use(record),
        () => void record.fill(0),
      );
    });
  }

  /** Keeps a binding in its slot once it is there, and one still to come from being made twice. */
  keep<Binding>(
    slot: Slot,
    name: string,
    make: () => MaybePromise<Binding>,
    keep: (binding: Binding) => void,
    destroy: (binding: Binding) => void,
  ): MaybePromise<Binding> {
    const known = slot.pending.get(name) as Promise<Binding> | undefined;
    if (known !== undefined) return known;
    const made = make();
    if (!(made instanceof Promise)) {
      keep(made);
      return made;
    }
    const pending = made
      .then((binding) => {
        // Whoever waited finds a destroyed key, and looks at the key's state before using it.
        if (slot.isForgotten) destroy(binding);
        else keep(binding);
        return binding;
      })
      .finally(() => slot.pending.delete(name));
    slot.pending.set(name, pending);
    return pending;
  }
}

/** The wait for kernels that an engine loads at their first use; undefined where they are there. */
export function loading(engine: AnyEngine, module: LazyModule): Promise<void> | undefined {
  return engine.name === "webcrypto" ? undefined : engine.load?.(module);
}
