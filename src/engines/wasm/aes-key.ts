/** The handle of an AES key of a wasm engine; the bytes stay with the holder. */

import { ensure } from "../../errors.ts";
import type { AesKey } from "../engine.ts";
import type { KeyContexts, KeyHolder } from "./key-contexts.ts";

export class WasmAesKey implements AesKey {
  readonly byteLength: number;
  readonly #contexts: KeyContexts;
  readonly #holder: KeyHolder;

  constructor(contexts: KeyContexts, holder: KeyHolder) {
    this.byteLength = holder.byteLength;
    this.#contexts = contexts;
    this.#holder = holder;
    contexts.wipeWithHandle(this, holder);
  }

  destroy(): void {
    this.#contexts.destroy(this.#holder);
  }

  /** @throws KmsError `InvalidParameter` unless the handle is a live one of this engine */
  static holderOf(key: AesKey, owner: object): KeyHolder {
    ensure(
      typeof key === "object" && key !== null && #holder in key && key.#holder.owner === owner,
      "InvalidParameter",
      "key must be an AES key of this engine.",
    );
    ensure(!key.#holder.destroyed, "InvalidParameter", "key was destroyed.");
    return key.#holder;
  }
}
