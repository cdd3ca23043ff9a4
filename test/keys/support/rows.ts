/**
 * A key store for tests whose rows outlive its handles: a Kms can crash and another one open the same rows, and every
 * commit and purge can be delayed, watched or made to fail.
 */

import { KmsError } from "../../../src/errors.ts";
import type { KeyStore, RecordKind, StoreChange, StoredRecord } from "../../../src/keys/key-store.ts";

/** Steps in before a commit or purge takes effect; throwing or rejecting keeps it from happening. */
export interface StoreHooks {
  commit?: (changes: readonly StoreChange[]) => void | Promise<void>;
  purge?: () => void | Promise<void>;
}

export class TestRows {
  readonly rows: Map<string, StoredRecord> = new Map();
  readonly hooks: StoreHooks;
  /** Purges that took effect. */
  purges = 0;
  #generation = 0;

  constructor(hooks: StoreHooks = {}) {
    this.hooks = hooks;
  }

  /** Makes a handle. Opening it kills the handle before it, like a process that is no more. */
  handle(): KeyStore {
    let generation = -1;
    const ensureAlive = (): void => {
      if (generation !== this.#generation) throw new KmsError("Rejected.Closed", "This handle is dead.");
    };
    const after = (hook: void | Promise<void>, work: () => void): void | Promise<void> => {
      const effect = (): void => {
        ensureAlive();
        work();
      };
      return hook instanceof Promise ? hook.then(effect) : effect();
    };
    return {
      persistent: false,
      open: async () => {
        this.#generation += 1;
        generation = this.#generation;
        return [...this.rows.values()].map((row) => ({ ...row, bytes: row.bytes.slice() }));
      },
      commit: (changes) => {
        ensureAlive();
        return after(this.hooks.commit?.(changes), () => {
          for (const change of changes) this.#apply(change);
        });
      },
      purge: () => {
        ensureAlive();
        return after(this.hooks.purge?.(), () => {
          this.purges += 1;
        });
      },
      close: async () => undefined,
    };
  }

  /** Kills the open handle: nothing it writes from here on arrives. */
  crash(): void {
    this.#generation += 1;
  }

  /** Copies the rows as they are now, for a second life of their own. */
  copy(): TestRows {
    const copy = new TestRows();
    for (const [name, row] of this.rows) copy.rows.set(name, { ...row, bytes: row.bytes.slice() });
    return copy;
  }

  count(kind: RecordKind): number {
    return [...this.rows.values()].filter((row) => row.kind === kind).length;
  }

  #apply(change: StoreChange): void {
    const name = `${change.kind} ${change.id}`;
    if (change.action === "delete") this.rows.delete(name);
    else this.rows.set(name, { kind: change.kind, id: change.id, bytes: change.bytes.slice() });
  }
}

/** Waits for a time in milliseconds. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
