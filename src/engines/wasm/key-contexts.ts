/**
 * Lends the kernel's key contexts, and its few sets of tables for long messages, to any number of keys: the least recently
 * used one is wiped and given away, and rebuilt from the key's own bytes when it is needed again.
 */

import { ensure } from "../../errors.ts";
import type { AadFrame } from "../engine.ts";
import type { Kernel } from "./kernel.ts";

/** Where the bytes of one AES key live, with the context and the tables they occupy at the moment; -1 stands for none. */
export interface KeyHolder {
  /** 16, 24 or 32 bytes, zeroed when the key is destroyed. */
  readonly bytes: Uint8Array;
  readonly byteLength: number;
  /** The engine that imported the key. */
  readonly owner: object;
  slot: number;
  bulk: number;
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

/** Places in the arena with the key in each and the tick of its last use; 0 where the place is free. */
class Pool {
  readonly occupants: (KeyHolder | undefined)[];
  readonly lastUse: Float64Array;

  constructor(length: number) {
    this.occupants = new Array<KeyHolder | undefined>(length).fill(undefined);
    this.lastUse = new Float64Array(length);
  }

  oldest(): number {
    let oldest = 0;
    let oldestUse = Number.POSITIVE_INFINITY;
    for (let place = 0; place < this.lastUse.length; place++) {
      const use = this.lastUse[place] ?? 0;
      if (use < oldestUse) {
        oldestUse = use;
        oldest = place;
      }
      if (use === 0) break;
    }
    return oldest;
  }
}

export class KeyContexts {
  readonly #kernel: Kernel;
  /** Every key that is not destroyed. */
  readonly #live: Set<KeyHolder> = new Set();
  readonly #slots: Pool;
  readonly #bulks: Pool;
  #tick = 0;
  /** Bytes at the start of the data region that hold a sealed message copied out; wiped with the next key destroyed. */
  sealedLeft = 0;
  /** The frame that lies at the end of the AAD region, as of `frameRevision`; undefined when something else may. */
  frame: AadFrame | undefined;
  frameRevision = 0;
  /** False where the end of the frame was overwritten by that of a message opened. */
  frameWhole = false;
  /** Wipes dropped keys; absent on edge runtimes whose settings switch finalizers off. */
  readonly #dropped: FinalizationRegistry<KeyHolder> | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#slots = new Pool(kernel.contextCount);
    this.#bulks = new Pool(kernel.bulkCount);
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
    const holder: KeyHolder = {
      bytes,
      byteLength: key.length,
      owner,
      slot: -1,
      bulk: -1,
      destroyed: false,
    };
    this.#live.add(holder);
    return holder;
  }

  /** Wipes the key once its handle was collected. */
  wipeWithHandle(handle: object, holder: KeyHolder): void {
    this.#dropped?.register(handle, holder, holder);
  }

  /** Returns the slot that holds the key's context, built now if it was not there. */
  use(holder: KeyHolder): number {
    const slot = holder.slot >= 0 ? holder.slot : this.#build(holder);
    this.#tick += 1;
    this.#slots.lastUse[slot] = this.#tick;
    return slot;
  }

  /**
   * Returns one more than the number of the key's tables for long messages, built now if they were not there; 0 where the
   * build has none. The key's context must be in its slot.
   */
  useBulk(holder: KeyHolder): number {
    if (this.#kernel.bulkCount === 0) return 0;
    const bulk = holder.bulk >= 0 ? holder.bulk : this.#buildBulk(holder);
    this.#tick += 1;
    this.#bulks.lastUse[bulk] = this.#tick;
    return bulk + 1;
  }

  /** Wipes a key for good: its bytes, its context and its tables. */
  destroy(holder: KeyHolder): void {
    if (holder.destroyed) return;
    holder.destroyed = true;
    holder.bytes.fill(0);
    this.#evict(holder);
    this.#evictBulk(holder);
    this.#kernel.data.fill(0, 0, this.sealedLeft);
    this.sealedLeft = 0;
    this.#kernel.aad.fill(0);
    this.frame = undefined;
    this.#live.delete(holder);
    this.#dropped?.unregister(holder);
  }

  /** Wipes every key of an engine. */
  destroyAll(owner: object): void {
    for (const holder of this.#live) if (holder.owner === owner) this.destroy(holder);
  }

  /** @throws KmsError `InvalidParameter` for a destroyed key, whose bytes are zeros by now */
  #build(holder: KeyHolder): number {
    ensure(!holder.destroyed, "InvalidParameter", "key was destroyed.");
    const slot = this.#slots.oldest();
    const occupant = this.#slots.occupants[slot];
    if (occupant !== undefined) this.#evict(occupant);
    this.#kernel.key.set(holder.bytes);
    if (this.#kernel.aesGcmLoadKey(slot, holder.byteLength) !== 1) {
      throw new Error("internal: the kernel refused a key context");
    }
    this.#slots.occupants[slot] = holder;
    holder.slot = slot;
    return slot;
  }

  #buildBulk(holder: KeyHolder): number {
    const bulk = this.#bulks.oldest();
    const occupant = this.#bulks.occupants[bulk];
    if (occupant !== undefined) this.#evictBulk(occupant);
    if (this.#kernel.aesGcmLoadBulk(bulk, holder.slot, holder.byteLength) !== 1) {
      throw new Error("internal: the kernel refused tables for a key");
    }
    this.#bulks.occupants[bulk] = holder;
    holder.bulk = bulk;
    return bulk;
  }

  #evict(holder: KeyHolder): void {
    if (holder.slot < 0) return;
    this.#kernel.aesGcmDropKey(holder.slot);
    this.#slots.occupants[holder.slot] = undefined;
    this.#slots.lastUse[holder.slot] = 0;
    holder.slot = -1;
  }

  #evictBulk(holder: KeyHolder): void {
    if (holder.bulk < 0) return;
    this.#kernel.aesGcmDropBulk(holder.bulk);
    this.#bulks.occupants[holder.bulk] = undefined;
    this.#bulks.lastUse[holder.bulk] = 0;
    holder.bulk = -1;
  }
}
