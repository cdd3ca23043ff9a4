/** A store in this process's memory: for tests, caches and keys that need not outlive the process. Portable. */

import { copyBytes, ensureBytes } from "../bytes.ts";
import { ensure, KmsError } from "../errors.ts";
import type { KeyStore, RecordKind, StoreChange, StoredRecord } from "../keys/key-store.ts";

/**
 * Makes an empty store. Its rows stay when it is closed, so a later `Kms` of this process can open it again.
 * Replaced and deleted rows are zeroed at once.
 */
export function memoryStore(): KeyStore {
  return new MemoryStore();
}

class MemoryStore implements KeyStore {
  readonly persistent: boolean = false;
  readonly #rows = new Map<RecordKind, Map<string, Uint8Array>>();
  #open = false;

  async open(): Promise<StoredRecord[]> {
    if (this.#open) {
      throw new KmsError("ServiceUnavailableTemporary", "The memory store is held by another open handle.");
    }
    this.#open = true;
    const records: StoredRecord[] = [];
    for (const [kind, rows] of this.#rows) {
      for (const [id, bytes] of rows) records.push({ kind, id, bytes: copyBytes(bytes) });
    }
    return records;
  }

  commit(changes: readonly StoreChange[]): void {
    this.#ensureOpen();
    // Everything that can throw comes first: the second loop applies all changes or is never reached.
    for (const change of changes) if (change.action === "put") ensureBytes(change.bytes, "bytes");
    const copies = changes.map((change) => (change.action === "put" ? copyBytes(change.bytes) : undefined));
    for (const [index, { kind, id }] of changes.entries()) this.#replace(kind, id, copies[index]);
  }

  /** Does nothing more: removed bytes are zeroed by the commit that removes them. */
  purge(): void {
    this.#ensureOpen();
  }

  async close(): Promise<void> {
    this.#open = false;
  }

  #replace(kind: RecordKind, id: string, bytes: Uint8Array | undefined): void {
    const rows = this.#rows.get(kind) ?? new Map<string, Uint8Array>();
    this.#rows.set(kind, rows);
    rows.get(id)?.fill(0);
    if (bytes === undefined) rows.delete(id);
    else rows.set(id, bytes);
  }

  #ensureOpen(): void {
    ensure(this.#open, "Rejected.Closed", "The store is closed.");
  }
}
