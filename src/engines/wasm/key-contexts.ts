/**
 * Lends the kernel's key contexts to any number of keys: the least recently used context is wiped and given away, and
 * rebuilt from the key's own bytes when it is needed again.
 */

import type { Kernel } from "./kernel.ts";

/** Where the bytes of one AES key live, with the context they occupy at the moment, if any. */
export interface KeyHolder {
  /** 16, 24 or 32 bytes, zeroed when the key is destroyed. */
  readonly bytes: Uint8Array;
  /** The engine that imported the key. */
  readonly owner: object;
  slot: number | undefined;
  destroyed: boolean;
}

const contextsOfKernel: WeakMap<Kernel, KeyContexts> = new WeakMap();

/** Returns the one table of contexts of a kernel. It outlives the engines, so that dropped keys are wiped after them. */
export function contextsOf(kernel: Kernel): KeyContexts {
  let contexts = contextsOfKernel.get(kernel);
  if (contexts === undefined) {
    contexts = new KeyContexts(kernel);
    contextsOfKernel.set(kernel, contexts);
  }
  return contexts;
}

export class KeyContexts {
  readonly #kernel: Kernel;
  /** Every key that is not destroyed. */
  readonly #live: Set<KeyHolder> = new Set();
  /** The key in each slot. */
  readonly #occupants: (KeyHolder | undefined)[];
  /** Tick of the last use of each slot; 0 where it is free. */
  readonly #lastUse: Float64Array;
  #tick = 0;
  /** Wipes dropped keys; absent on edge runtimes whose settings switch finalizers off. */
  readonly #dropped: FinalizationRegistry<KeyHolder> | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#occupants = new Array<KeyHolder | undefined>(kernel.contextCount).fill(undefined);
    this.#lastUse = new Float64Array(kernel.contextCount);
    this.#dropped =
      typeof FinalizationRegistry === "function"
        ? new FinalizationRegistry((holder) => this.destroy(holder))
        : undefined;
  }

  /**
   * Copies a key into memory of its own.
   *
   * @param key 16, 24 or 32 bytes
   */
  hold(key: Uint8Array, owner: object): KeyHolder {
    // A buffer made first lies outside the garbage-collected heap, where moving would leave copies behind.
    const bytes = new Uint8Array(new ArrayBuffer(key.length));
    bytes.set(key);
    const holder: KeyHolder = { bytes, owner, slot: undefined, destroyed: false };
    this.#live.add(holder);
    return holder;
  }

  /** Wipes the key once its handle was collected. */
  wipeWithHandle(handle: object, holder: KeyHolder): void {
    this.#dropped?.register(handle, holder, holder);
  }

  /** Returns the slot that holds the key's context, built now if it was not there. */
  use(holder: KeyHolder): number {
    const slot = holder.slot ?? this.#build(holder);
    this.#tick += 1;
    this.#lastUse[slot] = this.#tick;
    return slot;
  }

  /** Wipes a key for good: its bytes and its context. */
  destroy(holder: KeyHolder): void {
    if (holder.destroyed) return;
    holder.destroyed = true;
    holder.bytes.fill(0);
    this.#evict(holder);
    this.#live.delete(holder);
    this.#dropped?.unregister(holder);
  }

  /** Wipes every key of an engine. */
  destroyAll(owner: object): void {
    for (const holder of this.#live) if (holder.owner === owner) this.destroy(holder);
  }

  #build(holder: KeyHolder): number {
    const slot = this.#oldestSlot();
    const occupant = this.#occupants[slot];
    if (occupant !== undefined) this.#evict(occupant);
    this.#kernel.key.set(holder.bytes);
    if (this.#kernel.aesGcmLoadKey(slot, holder.bytes.length) !== 1) {
      throw new Error("internal: the kernel refused a key context");
    }
    this.#occupants[slot] = holder;
    holder.slot = slot;
    return slot;
  }

  #evict(holder: KeyHolder): void {
    if (holder.slot === undefined) return;
    this.#kernel.aesGcmDropKey(holder.slot);
    this.#occupants[holder.slot] = undefined;
    this.#lastUse[holder.slot] = 0;
    holder.slot = undefined;
  }

  #oldestSlot(): number {
    let oldest = 0;
    let oldestUse = Number.POSITIVE_INFINITY;
    this.#lastUse.forEach((use, slot) => {
      if (use < oldestUse) {
        oldestUse = use;
        oldest = slot;
      }
    });
    return oldest;
  }
}
