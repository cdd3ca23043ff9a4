/**
 * Keeps the key ring and the store in step: each change is sealed, committed in one transaction, and only then seen by
 * calls. Control calls that change keys take turns; counting uses does not wait for them.
 */

import type { KeyVault } from "../engines/key-vault.ts";
import type { Router } from "../engines/router.ts";
import { blobHeader } from "../envelope/ciphertext-blob.ts";
import { formatKeyVersionId, parseKeyVersionId } from "../envelope/key-version-id.ts";
import { KmsError } from "../errors.ts";
import { Key, type KeyIdentity, type KeyStatus, KeyVersion } from "../keys/key.ts";
import { newKeyVersionIdBytes } from "../keys/key-id.ts";
import {
  decodeAliasRecord,
  decodeKeyRecord,
  decodeUsageRecord,
  encodeAliasRecord,
  encodeKeyRecord,
  encodeUsageRecord,
  materialIdentity,
  recordIdentity,
} from "../keys/key-record.ts";
import type { Alias, KeyRing } from "../keys/key-ring.ts";
import { materialOf } from "../keys/key-spec.ts";
import type { KeyStore, StoreChange, StoredRecord } from "../keys/key-store.ts";
import { UsageCounter } from "../keys/usage-counter.ts";
import { type MaybePromise, whenReady } from "../maybe-promise.ts";
import { storeCall } from "./store-call.ts";

/**
 * A header row that says rows were deleted and the store is not purged yet, so that a crash cannot make it forgotten.
 * It is plain and not authenticated: a forged one makes for a purge too many.
 */
const PURGE_DUE = { kind: "header", id: "purge-due" } as const;

const ANSWERS_LATER = "This key or store answers asynchronously; use the async call.";

export interface KeyRecordsOptions {
  readonly store: KeyStore;
  readonly vault: KeyVault;
  readonly ring: KeyRing;
  readonly router: Router;
  readonly clock: () => number;
  /** AES-GCM uses a key version may see, 1..2^32. */
  readonly usageLimit: number;
}

export class KeyRecords {
  readonly #store: KeyStore;
  readonly #vault: KeyVault;
  readonly #ring: KeyRing;
  readonly #router: Router;
  readonly #clock: () => number;
  readonly #usageLimit: number;
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;
  /** The store has the row `PURGE_DUE`. */
  #purgeDue = false;
  #reservations: Map<KeyVersion, Promise<void>> = new Map();

  constructor(options: KeyRecordsOptions) {
    this.#store = options.store;
    this.#vault = options.vault;
    this.#ring = options.ring;
    this.#router = options.router;
    this.#clock = options.clock;
    this.#usageLimit = options.usageLimit;
  }

  /** Fills the ring from the store's rows. A key with any refused row is corrupt as a whole, never half there. */
  async load(rows: readonly StoredRecord[]): Promise<void> {
    this.#purgeDue = rows.some((row) => row.kind === PURGE_DUE.kind && row.id === PURGE_DUE.id);
    const byKind = (kind: StoredRecord["kind"]): Map<string, Uint8Array> =>
      new Map(rows.filter((row) => row.kind === kind).map((row) => [row.id, row.bytes]));
    const materials = byKind("version");
    const usages = byKind("usage");
    for (const [keyId, row] of byKind("key")) {
      const key = await this.#openKey(keyId, row, materials, usages);
      if (key === undefined) this.#ring.markKeyCorrupt(keyId);
      else this.#ring.addKey(key);
    }
    for (const [aliasName, row] of byKind("alias")) await this.#openAlias(aliasName, row);
  }

  async #openKey(
    keyId: string,
    row: Uint8Array,
    materials: ReadonlyMap<string, Uint8Array>,
    usages: ReadonlyMap<string, Uint8Array>,
  ): Promise<Key | undefined> {
    const opened = await this.#vault.open(recordIdentity("key", keyId), row);
    if (opened === undefined) return undefined;
    const record = decodeKeyRecord(opened);
    const key = new Key(record.identity, record.status);
    let whole = true;
    for (const { keyVersionId, createdAt } of record.versions) {
      const sealedMaterial = materials.get(keyVersionId) ?? new Uint8Array(0);
      const usage = await this.#openUsage(key, keyVersionId, usages);
      whole &&= usage !== "corrupt" && (await this.#canOpenMaterial(key, keyVersionId, sealedMaterial));
      key.versions.push(
        this.#version(key, keyVersionId, createdAt, sealedMaterial, usage === "corrupt" ? undefined : usage),
      );
    }
    if (whole) return key;
    // Its record is sound, so ciphertext under it can be told from a stranger's.
    this.#ring.markVersionsCorrupt(key);
    return undefined;
  }

  /** Opens the material once at load, so that a damaged row is found before the key is used. */
  async #canOpenMaterial(key: Key, keyVersionId: string, sealed: Uint8Array): Promise<boolean> {
    const material = await this.#vault.open(materialIdentity(key.identity, keyVersionId), sealed);
    material?.fill(0);
    return material !== undefined;
  }

  async #openUsage(
    key: Key,
    keyVersionId: string,
    usages: ReadonlyMap<string, Uint8Array>,
  ): Promise<UsageCounter | undefined | "corrupt"> {
    if (materialOf(key.identity.spec).type !== "aes") return undefined;
    const row = usages.get(keyVersionId);
    if (row === undefined) return "corrupt";
    const opened = await this.#vault.open(recordIdentity("usage", keyVersionId), row);
    return opened === undefined ? "corrupt" : new UsageCounter(decodeUsageRecord(opened), this.#usageLimit);
  }

  async #openAlias(aliasName: string, row: Uint8Array): Promise<void> {
    const opened = await this.#vault.open(recordIdentity("alias", aliasName), row);
    if (opened === undefined) this.#ring.markAliasCorrupt(aliasName);
    else this.#ring.setAlias(decodeAliasRecord(opened));
  }

  #version(
    key: Key,
    keyVersionId: string,
    createdAt: number,
    sealedMaterial: Uint8Array,
    usage: UsageCounter | undefined,
  ): KeyVersion {
    const idBytes = parseKeyVersionId(keyVersionId);
    if (idBytes === undefined) throw new Error("internal: a key version id is not a UUID");
    return new KeyVersion({
      key,
      keyVersionId,
      idBytes,
      blobHeader: blobHeader(idBytes),
      createdAt,
      usage,
      sealedMaterial,
    });
  }

  /** Runs a change of keys after those before it, so that what it read is still true when it commits. */
  inTurn<T>(change: () => MaybePromise<T>): Promise<T> {
    const result = this.#turn.then(() => {
      this.refuseClosed();
      return change();
    });
    this.#turn = result.catch(() => undefined);
    return result;
  }

  /**
   * Stops what was under way when the Kms was closed: the generation of a key, the rest of a batch.
   *
   * @throws KmsError `Rejected.Closed`
   */
  refuseClosed(): void {
    if (this.#closed) throw new KmsError("Rejected.Closed", "This Kms is closed.");
  }

  /** Commits; whatever the store throws arrives as a `KmsError`. */
  #commit(changes: readonly StoreChange[]): MaybePromise<void> {
    return storeCall(() => this.#store.commit(changes));
  }

  async #keyRow(
    identity: KeyIdentity,
    status: KeyStatus,
    versions: readonly KeyVersion[],
  ): Promise<StoreChange> {
    const record = {
      identity,
      status,
      versions: versions.map(({ keyVersionId, createdAt }) => ({ keyVersionId, createdAt })),
    };
    const bytes = await this.#vault.seal(recordIdentity("key", identity.keyId), encodeKeyRecord(record));
    return { action: "put", kind: "key", id: identity.keyId, bytes };
  }

  #usageRow(keyVersionId: string, count: number): MaybePromise<StoreChange> {
    const sealed = this.#vault.seal(recordIdentity("usage", keyVersionId), encodeUsageRecord(count));
    return whenReady(sealed, (bytes) => ({ action: "put", kind: "usage", id: keyVersionId, bytes }));
  }

  /** Seals new material as a version of a key; wipes the material. */
  async #newVersion(
    key: Key,
    material: Uint8Array,
    random: Uint8Array,
  ): Promise<{ version: KeyVersion; rows: StoreChange[] }> {
    const keyVersionId = formatKeyVersionId(newKeyVersionIdBytes(random));
    let bytes: Uint8Array;
    try {
      bytes = await this.#vault.seal(materialIdentity(key.identity, keyVersionId), material);
    } finally {
      material.fill(0);
    }
    const counts = materialOf(key.identity.spec).type === "aes";
    const usage = counts ? new UsageCounter(0, this.#usageLimit) : undefined;
    const rows: StoreChange[] = [{ action: "put", kind: "version", id: keyVersionId, bytes }];
    if (counts) rows.push(await this.#usageRow(keyVersionId, 0));
    return { version: this.#version(key, keyVersionId, this.#clock(), bytes, usage), rows };
  }

  /**
   * Adds a key with its first version.
   *
   * @param material wiped once it is sealed
   * @param random 16 random bytes for the version id
   */
  async create(
    identity: KeyIdentity,
    status: KeyStatus,
    material: Uint8Array,
    random: Uint8Array,
  ): Promise<Key> {
    const key = new Key(identity, status);
    const { version, rows } = await this.#newVersion(key, material, random);
    await this.#commit([await this.#keyRow(identity, status, [version]), ...rows]);
    key.versions.push(version);
    this.#ring.addKey(key);
    return key;
  }

  /** Gives a key a new primary version. */
  async addVersion(
    key: Key,
    status: KeyStatus,
    material: Uint8Array,
    random: Uint8Array,
  ): Promise<KeyVersion> {
    const { version, rows } = await this.#newVersion(key, material, random);
    await this.#commit([await this.#keyRow(key.identity, status, [...key.versions, version]), ...rows]);
    key.status = status;
    this.#ring.addVersion(version);
    return version;
  }

  async setStatus(key: Key, status: KeyStatus): Promise<void> {
    await this.#commit([await this.#keyRow(key.identity, status, key.versions)]);
    key.status = status;
  }

  async setAlias(alias: Alias): Promise<void> {
    const bytes = await this.#vault.seal(recordIdentity("alias", alias.aliasName), encodeAliasRecord(alias));
    await this.#commit([{ action: "put", kind: "alias", id: alias.aliasName, bytes }]);
    this.#ring.setAlias(alias);
  }

  async removeAlias(aliasName: string): Promise<void> {
    await this.#commit([{ action: "delete", kind: "alias", id: aliasName }]);
    this.#ring.removeAlias(aliasName);
  }

  /** Tells whether a key's deletion date has passed. */
  isGone(key: Key): boolean {
    const { deleteAt } = key.status;
    return deleteAt !== undefined && this.#clock() >= deleteAt;
  }

  /**
   * Removes every key whose date has passed: material, versions, counts and aliases, from the store's files as well.
   * What failed is made up for by the next call.
   */
  async deleteDue(): Promise<void> {
    await this.inTurn(async () => {
      const due = this.#ring.keys().filter((key) => this.isGone(key) && this.#isInReach(key));
      let failure: unknown;
      for (const key of due) {
        try {
          await this.#delete(key);
        } catch (error) {
          // A token that cannot be reached keeps no other key from being deleted.
          if (!key.isHardware) throw error;
          failure ??= error;
        }
      }
      await this.#purge();
      if (failure !== undefined) throw failure;
    });
  }

  async #purge(): Promise<void> {
    if (!this.#purgeDue) return;
    await storeCall(() => this.#store.purge());
    await this.#commit([{ action: "delete", ...PURGE_DUE }]);
    this.#purgeDue = false;
  }

  /** Tells whether a key can be deleted here: one in a token waits for a Kms that has the token. */
  #isInReach(key: Key): boolean {
    return !key.isHardware || this.#router.hardware.isThere;
  }

  async #delete(key: Key): Promise<void> {
    // A count that arrived after the deletion would stay in the store without its key. No new one begins: the key is gone.
    await Promise.allSettled(key.versions.map((version) => this.#reservations.get(version)));
    // First, so that a failure leaves a record to try again with; an object that is gone already is no error.
    if (key.isHardware) await this.#router.hardware.destroy(key.versions);
    const changes: StoreChange[] = [{ action: "delete", kind: "key", id: key.keyId }];
    for (const { keyVersionId } of key.versions) {
      changes.push({ action: "delete", kind: "version", id: keyVersionId });
      changes.push({ action: "delete", kind: "usage", id: keyVersionId });
    }
    for (const { aliasName } of this.#ring.aliasesOf(key.keyId)) {
      changes.push({ action: "delete", kind: "alias", id: aliasName });
    }
    changes.push({ action: "put", ...PURGE_DUE, bytes: Uint8Array.of(1) });
    await this.#commit(changes);
    this.#purgeDue = true;
    for (const version of key.versions) this.#router.forget(version);
    this.#ring.removeKey(key);
  }

  /** Returns when the next deletion falls due, in milliseconds since the epoch; 0 for one whose purge is still to come. */
  nextDeletion(): number | undefined {
    if (this.#purgeDue) return 0;
    const keys = this.#ring.keys().filter((key) => this.#isInReach(key));
    const dates = keys.flatMap((key) => key.status.deleteAt ?? []);
    return dates.length === 0 ? undefined : Math.min(...dates);
  }

  /**
   * Counts one AES-GCM use of a version before it happens.
   *
   * @param mayWait false where the caller cannot wait for the store; what was asked of the store serves later calls
   * @throws KmsError `Rejected.KeyExhausted` at the limit; `Rejected.UnsupportedOperation` for a wait that may not be
   */
  countUse(version: KeyVersion, mayWait: boolean): MaybePromise<void> {
    const { usage } = version;
    if (usage === undefined) throw new Error("internal: this version does not seal");
    if (usage.take()) return undefined;
    const pending = this.#reservations.get(version) ?? this.#reserve(version, usage);
    if (pending instanceof Promise && !mayWait) {
      // Whoever comes next hears of a failure.
      pending.catch(() => undefined);
      throw new KmsError("Rejected.UnsupportedOperation", ANSWERS_LATER);
    }
    return whenReady(pending, () => this.countUse(version, mayWait));
  }

  #reserve(version: KeyVersion, usage: UsageCounter): MaybePromise<void> {
    this.refuseClosed();
    const count = usage.nextReservation();
    if (count === undefined) {
      throw new KmsError(
        "Rejected.KeyExhausted",
        "This key version has sealed as often as AES-GCM allows. Rotate the key and seal with advanceEncrypt; encrypt and generateDataKey stay on the initial version and end here.",
      );
    }
    const committed = whenReady(this.#usageRow(version.keyVersionId, count), (row) => this.#commit([row]));
    if (!(committed instanceof Promise)) {
      usage.reserved(count);
      return undefined;
    }
    const pending = committed
      .then(() => usage.reserved(count))
      .finally(() => this.#reservations.delete(version));
    this.#reservations.set(version, pending);
    return pending;
  }

  /** Stores exact counts, wipes every handle and lets the store go. */
  async close(): Promise<void> {
    await this.#turn;
    this.#closed = true;
    await Promise.allSettled(this.#reservations.values());
    const counts: [string, number][] = [];
    for (const key of this.#ring.keys()) {
      for (const version of key.versions) {
        this.#router.forget(version);
        const exact = version.usage?.settle();
        if (exact !== undefined) counts.push([version.keyVersionId, exact]);
      }
    }
    try {
      const rows = await Promise.all(counts.map(([id, count]) => this.#usageRow(id, count)));
      if (rows.length > 0) await this.#commit(rows);
    } finally {
      this.#vault.close();
      await storeCall(() => this.#store.close());
    }
  }
}
