/** What a batch has of the router: the engine it began with for each key, and a stage for what is sealed together. */

import type { KeyVersion } from "../keys/key.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import type { AadFrame, SealStage } from "./engine.ts";
import type { BoundAesKey } from "./key-slot.ts";

/** Finds the AES-GCM engine and handle for a version and payload size. */
export type AesLookup = (version: KeyVersion, byteLength: number) => MaybePromise<BoundAesKey>;

/** Returns a lookup that keeps, for each key version, the engine it gave first. */
export function pinnedLookup(find: AesLookup): AesLookup {
  const pins = new Map<KeyVersion, MaybePromise<BoundAesKey>>();
  let lastVersion: KeyVersion | undefined;
  let lastKey: MaybePromise<BoundAesKey> | undefined;
  return (version, byteLength) => {
    if (lastVersion === version && lastKey !== undefined) return lastKey;
    let key = pins.get(version);
    if (key === undefined) {
      key = find(version, byteLength);
      pins.set(version, key);
    }
    lastVersion = version;
    lastKey = key;
    return key;
  };
}

/** The stage of the first engine of a batch that has one; what other engines seal goes past it. */
export class BatchStage implements SealStage {
  #stage: SealStage | undefined;
  #isReleased = false;

  add(
    key: BoundAesKey,
    frame: AadFrame,
    prefixLength: number,
    plaintext: Uint8Array,
    out: Uint8Array,
    offset: number,
  ): boolean {
    // What an aborted batch left behind may still come; nobody waits for it.
    if (this.#isReleased) return false;
    this.#stage ??= key.borrowStage?.();
    return this.#stage?.add(key, frame, prefixLength, plaintext, out, offset) ?? false;
  }

  flush(): void {
    this.#stage?.flush();
  }

  release(): void {
    this.#stage?.release();
    this.#stage = undefined;
    this.#isReleased = true;
  }
}
