/** AES keys that belong to no record of the store but to one stream each; all of them end with the Kms. */

import { KmsError } from "../errors.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import type { AesGcm, AesKey, Awaitable } from "./engine.ts";

/** AES-GCM under one key that callers brought; see `AesGcm` for the arguments, which are read before a call returns. */
export interface BulkKey {
  /** @throws KmsError `Rejected.Closed` */
  seal(iv: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): MaybePromise<Uint8Array>;
  /** Answers undefined for any failure. @throws KmsError `Rejected.Closed` */
  open(iv: Uint8Array, sealed: Uint8Array, aad: Uint8Array): MaybePromise<Uint8Array | undefined>;
  /** Wipes the key. Idempotent. */
  destroy(): void;
}

/** Knows the live keys without keeping a forgotten one alive: its engine wipes it when it is collected. */
export class BulkKeys {
  readonly #live: Set<WeakRef<AesKey>> = new Set();
  #closed = false;

  /**
   * @param bytes 16, 24 or 32 bytes; copied
   * @throws KmsError `Rejected.Closed` when the Kms was closed meanwhile
   */
  async import(aesGcm: Awaitable<AesGcm>, bytes: Uint8Array): Promise<BulkKey> {
    for (const known of this.#live) if (known.deref() === undefined) this.#live.delete(known);
    const key = await aesGcm.importKey(bytes);
    const reference = new WeakRef(key);
    this.#live.add(reference);
    if (this.#closed) key.destroy();
    this.#ensureOpen();
    return {
      seal: (iv, plaintext, aad) => {
        this.#ensureOpen();
        return aesGcm.seal(key, iv, plaintext, aad);
      },
      open: (iv, sealed, aad) => {
        this.#ensureOpen();
        return aesGcm.open(key, iv, sealed, aad);
      },
      destroy: () => {
        this.#live.delete(reference);
        key.destroy();
      },
    };
  }

  /** Wipes every live key. */
  close(): void {
    this.#closed = true;
    for (const reference of this.#live) reference.deref()?.destroy();
    this.#live.clear();
  }

  #ensureOpen(): void {
    if (this.#closed) throw new KmsError("Rejected.Closed", "This Kms is closed.");
  }
}
