/** A memory store whose rows a test can read and change while no `Kms` holds it. */

import type { KeyStore, RecordKind, StoreChange, StoredRecord } from "../../src/index.ts";
import { memoryStore } from "../../src/index.ts";

export interface EditableStore extends KeyStore {
  /** Commits that reached the store. */
  readonly commits: (readonly StoreChange[])[];
  /** Reads every row; the store must be closed. */
  rows(): Promise<StoredRecord[]>;
  /** Replaces a row's bytes, or removes it; the store must be closed. */
  edit(kind: RecordKind, id: string, change: (bytes: Uint8Array) => Uint8Array | undefined): Promise<void>;
}

/** Makes an empty store. */
export function editableStore(options: { persistent?: boolean } = {}): EditableStore {
  const inner = memoryStore();
  const commits: (readonly StoreChange[])[] = [];
  const whileOpen = async <T>(use: (rows: StoredRecord[]) => T | Promise<T>): Promise<T> => {
    const rows = await inner.open();
    try {
      return await use(rows);
    } finally {
      await inner.close();
    }
  };
  return {
    persistent: options.persistent ?? false,
    commits,
    open: () => inner.open(),
    commit: (changes) => {
      commits.push(changes);
      return inner.commit(changes);
    },
    purge: () => inner.purge(),
    close: () => inner.close(),
    rows: () => whileOpen((rows) => rows),
    edit: (kind, id, change) =>
      whileOpen(async (rows) => {
        const row = rows.find((candidate) => candidate.kind === kind && candidate.id === id);
        if (row === undefined) throw new Error(`no ${kind} row ${id}`);
        const bytes = change(row.bytes);
        await inner.commit([
          bytes === undefined ? { action: "delete", kind, id } : { action: "put", kind, id, bytes },
        ]);
      }),
  };
}
