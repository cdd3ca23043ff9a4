/** Key deletion down to the bytes of the database file: nothing sealed of a deleted key is left to find. */

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { KeyStore, StoreChange } from "../../src/keys/key-store.ts";
import { sqliteStore } from "../../src/stores/sqlite.ts";
import { DAY, openKms, outcome, TestClock } from "../keys/support/kms.ts";

const plaintext = new Uint8Array(16).fill(9);
let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "keyplane-lifecycle-"));
  file = join(folder, "keys.db");
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Finds bytes or text in the database and its log as they are on the disk. */
function isOnDisk(wanted: Uint8Array | string): boolean {
  const files = [file, `${file}-wal`].filter((path) => existsSync(path)).map((path) => readFileSync(path));
  return files.some((bytes) => bytes.includes(Buffer.from(wanted as Uint8Array)));
}

/** Remembers every row put into a store. */
function watched(store: KeyStore): { store: KeyStore; put: (StoreChange & { action: "put" })[] } {
  const put: (StoreChange & { action: "put" })[] = [];
  const commit = (changes: readonly StoreChange[]): void | Promise<void> => {
    for (const change of changes) {
      if (change.action === "put") put.push({ ...change, bytes: change.bytes.slice() });
    }
    return store.commit(changes);
  };
  return {
    put,
    store: {
      persistent: store.persistent,
      open: () => store.open(),
      commit,
      purge: () => store.purge(),
      close: () => store.close(),
    },
  };
}

test("a deleted key leaves no sealed bytes in the file or its log, and the others keep theirs", async () => {
  const clock = new TestClock();
  const { store, put } = watched(sqliteStore({ file }));
  const kms = await openKms({ store, clock: clock.read });
  const { keyId } = await kms.createKey();
  await kms.rotateKey({ keyId });
  await kms.createAlias({ aliasName: "alias/doomed", keyId });
  await kms.encrypt({ keyId, plaintext });
  const doomed = put.filter((row) => row.kind !== "header");
  put.length = 0;
  // Enough others that rows move from page to page.
  const others: string[] = [];
  for (let i = 0; i < 30; i++) others.push((await kms.createKey({ keySpec: "EC_P256" })).keyId);
  const kept = put.filter((row) => row.kind === "version");
  await kms.scheduleKeyDeletion({ keyId, pendingWindowInDays: 7 });
  const last = put.at(-1) as StoreChange & { action: "put" };

  const materials = doomed.filter((row) => row.kind === "version");
  expect(materials).toHaveLength(2);
  for (const { bytes } of [...materials, ...kept, last]) expect(isOnDisk(bytes)).toBe(true);

  await kms.close();
  clock.advance(7 * DAY);
  const later = await openKms({ store: sqliteStore({ file }), clock: clock.read });
  expect(await outcome(() => later.describeKey({ keyId }))).toBe("Forbidden.KeyNotFound");
  // Half a row would be found as well: its end is as random as its beginning.
  for (const { bytes } of [...doomed, last]) {
    expect(isOnDisk(bytes.subarray(0, 24))).toBe(false);
    expect(isOnDisk(bytes.subarray(-24))).toBe(false);
  }
  expect(isOnDisk(keyId)).toBe(false);
  expect(isOnDisk("alias/doomed")).toBe(false);
  for (const { bytes } of kept) expect(isOnDisk(bytes)).toBe(true);
  expect((await later.listKeys({ pageSize: 100 })).keys.map((key) => key.keyId).sort()).toEqual(
    others.sort(),
  );
  await later.close();
});

test("keys, versions, states, counts and aliases come back from the file", async () => {
  const kms = await openKms({ store: sqliteStore({ file }) });
  const { keyId } = await kms.createKey({ description: "in a file" });
  const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext });
  await kms.rotateKey({ keyId });
  await kms.createAlias({ aliasName: "alias/a", keyId });
  const { keyId: off } = await kms.createKey({ keySpec: "HMAC_SHA_256" });
  await kms.disableKey({ keyId: off });
  const facts = async (of: typeof kms): Promise<unknown> => ({
    keys: [await of.describeKey({ keyId }), await of.describeKey({ keyId: off })].map(
      (key) => key.keyMetadata,
    ),
    versions: (await of.listKeyVersions({ keyId })).keyVersions,
    aliases: (await of.listAliases()).aliases,
  });
  const before = await facts(kms);
  await kms.close();
  const later = await openKms({ store: sqliteStore({ file }) });
  expect(await facts(later)).toEqual(before);
  expect((await later.advanceDecrypt({ ciphertextBlob })).plaintext).toEqual(plaintext);
  await later.close();
});
