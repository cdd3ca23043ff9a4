/** Finds the engine that a message of a size is sealed in, and the handle a key has there: AES-GCM's part of the router. */

import { KmsError } from "../errors.ts";
import type { KeyVersion } from "../keys/key.ts";
import { materialOf } from "../keys/key-spec.ts";
import { type MaybePromise, whenReady } from "../maybe-promise.ts";
import type { AesLookup } from "./batch-stage.ts";
import { type BulkKey, BulkKeys } from "./bulk-keys.ts";
import { type Engines, served } from "./choose-engine.ts";
import type { AesGcm, Awaitable } from "./engine.ts";
import type { KeyBinder } from "./key-binder.ts";
import { type AesBinding, type BoundAesKey, checkedKey, type Slot, slotOf } from "./key-slot.ts";
import type { Route } from "./routes.ts";
import type { TokenKeys } from "./token-keys.ts";

/** Payload length, in bytes, that stands for "large" in the routes. */
const BULK_LENGTH = 65_536;

export class AesKeys {
  readonly #engines: Engines;
  readonly #binder: KeyBinder;
  readonly #tokenKeys: TokenKeys;
  readonly #routes: readonly Route[];
  readonly #bulkKeys: BulkKeys = new BulkKeys();

  constructor(engines: Engines, binder: KeyBinder, tokenKeys: TokenKeys) {
    this.#engines = engines;
    this.#binder = binder;
    this.#tokenKeys = tokenKeys;
    this.#routes = engines.routes("aesGcm");
  }

  /** Finds the key of a version in the engine for a payload size. */
  find(version: KeyVersion, byteLength: number): MaybePromise<BoundAesKey> {
    return this.#find(version, byteLength, this.#routes);
  }

  /** Returns a lookup of engines that answer at once, for calls that must. */
  synchronous(): AesLookup {
    const routes = this.#routes.filter(({ engine }) => engine !== "webcrypto");
    return (version, byteLength) => {
      if (version.key.isHardware) {
        throw new KmsError(
          "Rejected.UnsupportedOperation",
          "The key is in an HSM, which answers asynchronously; use the async call.",
        );
      }
      return this.#find(version, byteLength, routes);
    };
  }

  #find(version: KeyVersion, byteLength: number, routes: readonly Route[]): MaybePromise<BoundAesKey> {
    const slot = slotOf(version);
    for (const route of routes) {
      if (byteLength > route.maxBytes) continue;
      const known = slot.aes[route.engine];
      if (known !== undefined) return known.trusted;
      break;
    }
    return this.#bind(version, byteLength, slot, routes);
  }

  #bind(
    version: KeyVersion,
    byteLength: number,
    slot: Slot,
    routes: readonly Route[],
  ): MaybePromise<BoundAesKey> {
    if (version.key.isHardware) return whenReady(this.#tokenKeys.bind(version), ({ aes }) => aes);
    const facts = materialOf(version.key.identity.spec);
    if (facts.type !== "aes") throw new Error("internal: not an AES key");
    const engine = this.#engines.chooseAlong(routes, "aesGcm", byteLength, aesName(facts.byteLength));
    const known = slot.aes[engine.name];
    if (known !== undefined) return known.trusted;
    const aesGcm: Awaitable<AesGcm> = served(engine.aesGcm);
    const binding = this.#binder.keep<AesBinding>(
      slot,
      engine.name,
      () =>
        whenReady(
          this.#binder.withMaterial(version, (material) => aesGcm.importKey(material)),
          (key) => ({ key, trusted: aesGcm.unsafeBind?.(key) ?? checkedKey(aesGcm, key) }),
        ),
      (made) => {
        slot.aes[engine.name] = made;
      },
      ({ key }) => key.destroy(),
    );
    return whenReady(binding, ({ trusted }) => trusted);
  }

  /** Gives a key that is no record of the store to the engine for large payloads. The caller wipes the bytes. */
  importBulk(key: Uint8Array): Promise<BulkKey> {
    const engine = this.#engines.choose("aesGcm", BULK_LENGTH, aesName(key.length));
    return this.#bulkKeys.import(served<Awaitable<AesGcm>>(engine.aesGcm), key);
  }

  /** Wipes the keys of `importBulk`; their users are refused from now on. */
  closeBulk(): void {
    this.#bulkKeys.close();
  }
}

/** What capabilities call an AES key of a length in bytes. */
export function aesName(byteLength: number): string {
  return `AES-${byteLength * 8}`;
}
