/**
 * The port behind which records live. A store knows rows of opaque bytes and nothing of keys: it must keep an
 * acknowledged commit through a crash, apply a commit whole or not at all, and let one process in at a time.
 */

/** What a row holds: the store's own header, a key's metadata, one key version's material, its usage count, an alias. */
export type RecordKind = "header" | "key" | "version" | "usage" | "alias";

/** One row. `id` is unique within its kind; `bytes` are sealed and meaningless to the store (the header's are plain). */
export interface StoredRecord {
  readonly kind: RecordKind;
  readonly id: string;
  readonly bytes: Uint8Array;
}

/** One change of a commit; `put` inserts or replaces. */
export type StoreChange =
  | { readonly action: "put"; readonly kind: RecordKind; readonly id: string; readonly bytes: Uint8Array }
  | { readonly action: "delete"; readonly kind: RecordKind; readonly id: string };

/** Where sealed key records live. */
export interface KeyStore {
  /** A persistent store outlives the process, so `Kms.open` insists on a root key for it. */
  readonly persistent: boolean;
  /**
   * Takes the store for this process and reads every row.
   *
   * @throws KmsError `ServiceUnavailableTemporary` when another process or handle holds it, `InternalFailure` when it is not a Keyplane store or of a newer schema
   */
  open(): Promise<StoredRecord[]>;
  /**
   * Applies all changes in one durable transaction, or none.
   * A store that answers synchronously may return nothing; the change is durable once the call (or its promise) is done.
   */
  commit(changes: readonly StoreChange[]): void | Promise<void>;
  /** Makes deleted bytes unrecoverable from the store's files (secure delete, log truncated). Called after deletions. */
  purge(): void | Promise<void>;
  /** Releases the store. Idempotent. */
  close(): Promise<void>;
}
