/** The store's header and the root keys that open it: docs/key-record.md, ROOT. */

import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createRootKeyFile, Kms, type RootKeyOption } from "../../src/index.ts";
import { docVectors } from "../support/doc-vectors.ts";
import { editableStore } from "../support/editable-store.ts";
import {
  codeOfCall,
  expectRefusal,
  hex,
  newKey,
  openKms,
  patterned,
  refusalOf,
  toHex,
  utf8,
} from "../support/kms.ts";
import { makeStored, plaintext, reopen, rootKey, type Stored } from "../support/stored-keys.ts";

const vector = docVectors("key-record.md");
let stored: Stored;
beforeEach(async () => {
  stored = await makeStored();
});
const reopened = (look: (kms: Kms) => Promise<void>): Promise<void> => reopen(stored, look);

describe("the header", () => {
  const headerOf = async (): Promise<Record<string, unknown>> => {
    const row = (await stored.store.rows()).find(({ kind }) => kind === "header");
    return JSON.parse(new TextDecoder().decode(row?.bytes)) as Record<string, unknown>;
  };
  const open = () => Kms.open({ store: stored.store, rootKey });

  test("is JSON in clear, without anything of a key [ROOT-1] [ROOT-5]", async () => {
    const header = await headerOf();
    expect(Object.keys(header)).toEqual(["format", "storeId", "kdf", "check"]);
    expect(header).toMatchObject({ format: 1, kdf: { name: "none" } });
    expect(header.storeId).toMatch(/^[0-9a-f]{32}$/);
    expect(header.check).toMatch(/^01[0-9a-f]{56}$/);
  });

  test("that is damaged is Rejected.RecordCorrupt [ROOT-1] [ROOT-2] [ROOT-6]", async () => {
    const header = await headerOf();
    const salt = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
    const scrypt = { name: "scrypt", N: 16384, r: 8, p: 1, salt };
    const damaged = [
      "",
      "null",
      "7",
      "[]",
      '"text"',
      "{",
      "\ufffe{}",
      ...[
        { ...header, storeId: undefined },
        { ...header, storeId: "" },
        { ...header, storeId: "0g" },
        { ...header, check: 7 },
        { ...header, check: "1" },
        { ...header, kdf: undefined },
        { ...header, kdf: null },
        { ...header, kdf: { name: "md5" } },
        { ...header, kdf: { ...scrypt, N: 2 ** 30 } },
        { ...header, kdf: { ...scrypt, N: 3 } },
        { ...header, kdf: { ...scrypt, N: 1 } },
        { ...header, kdf: { ...scrypt, N: 1.5 } },
        { ...header, kdf: { ...scrypt, N: "16384" } },
        { ...header, kdf: { ...scrypt, r: 0 } },
        { ...header, kdf: { ...scrypt, r: 2 ** 24 } },
        { ...header, kdf: { ...scrypt, p: 17 } },
        { ...header, kdf: { ...scrypt, p: -1 } },
        { ...header, kdf: { ...scrypt, salt: "xyz" } },
        { ...header, kdf: { ...scrypt, salt: undefined } },
        { ...header, kdf: { name: "pbkdf2-sha-256", iterations: 1e9, salt } },
        { ...header, kdf: { name: "pbkdf2-sha-256", salt } },
      ].map((value) => JSON.stringify(value)),
    ];
    for (const text of damaged) {
      await stored.store.edit("header", "store", () => utf8(text));
      const commits = stored.store.commits.length;
      const passphrase = { passphrase: "correct horse" };
      for (const key of [rootKey, passphrase]) {
        const code = await codeOfCall(() => Kms.open({ store: stored.store, rootKey: key }));
        expect([text, code]).toEqual([text, "Rejected.RecordCorrupt"]);
      }
      expect(stored.store.commits.length).toBe(commits);
    }
  });

  test("of a newer format is InternalFailure [ROOT-1]", async () => {
    const header = await headerOf();
    for (const format of [2, 0, "1", undefined]) {
      await stored.store.edit("header", "store", () => utf8(JSON.stringify({ ...header, format })));
      await expectRefusal(open, "InternalFailure");
    }
  });

  test("that is exchanged in any other way does not verify [ROOT-5] [ROOT-6]", async () => {
    const header = await headerOf();
    const check = String(header.check);
    for (const change of [
      { storeId: "00".repeat(16) },
      { storeId: "00" },
      { check: `${check.slice(0, -2)}00` },
      { check: check.slice(2) },
      { check: "00" },
    ]) {
      await stored.store.edit("header", "store", () => utf8(JSON.stringify({ ...header, ...change })));
      await expectRefusal(open, "InvalidRootKey");
    }
  });

  test("must be there when records are [ROOT-1]", async () => {
    await stored.store.edit("header", "store", () => undefined);
    const commits = stored.store.commits.length;
    await expectRefusal(open, "Rejected.RecordCorrupt");
    expect(stored.store.commits.length).toBe(commits);
  });

  test("equals the published vector byte by byte, and its record key opens published rows [ROOT-4] [ROOT-5]", async () => {
    const store = editableStore({ persistent: true });
    await store.open();
    await store.commit([{ action: "put", kind: "header", id: "store", bytes: utf8(vector("header")) }]);
    await store.close();
    await (await Kms.open({ store, rootKey: { bytes: hex(vector("root-key")) } })).close();
    await expectRefusal(() => Kms.open({ store, rootKey }), "InvalidRootKey");
  });
});

describe("root keys", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "keyplane-root-"));
  });
  afterAll(() => rm(directory, { recursive: true }));

  test("that are wrong leave the store as it was and available [ROOT-6]", async () => {
    const before = (await stored.store.rows()).map((row) => [row.kind, row.id, toHex(row.bytes)]);
    const commits = stored.store.commits.length;
    const wrong: RootKeyOption[] = [
      { bytes: patterned(33).subarray(1) },
      { bytes: new Uint8Array(32) },
      { passphrase: "correct horse" },
    ];
    for (const key of wrong)
      await expectRefusal(() => Kms.open({ store: stored.store, rootKey: key }), "InvalidRootKey");
    expect(stored.store.commits.length).toBe(commits);
    expect((await stored.store.rows()).map((row) => [row.kind, row.id, toHex(row.bytes)])).toEqual(before);
    await reopened(async (kms) => {
      expect((await kms.advanceDecrypt({ ciphertextBlob: stored.blob })).plaintext).toEqual(plaintext);
    });
  });

  test("are checked before the store is opened, by type and length [ROOT-3]", async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(32));
    const bad: unknown[] = [
      null,
      "text",
      {},
      [],
      { bytes: "x" },
      { bytes: new Uint8Array(0) },
      { bytes: patterned(31) },
      { bytes: patterned(33) },
      { bytes: shared },
      { passphrase: "" },
      { passphrase: 7 },
      { file: "" },
      { file: patterned(3) },
      { ...rootKey, passphrase: "x" },
      { hsm: {} },
    ];
    for (const value of bad) {
      const refusal = await expectRefusal(
        () => Kms.open({ store: stored.store, rootKey: value as RootKeyOption }),
        "InvalidParameter",
      );
      expect(refusal.message).toContain("rootKey");
    }
    await expectRefusal(() => Kms.open({ store: stored.store }), "MissingParameter");
    await expectRefusal(() => Kms.open({ store: editableStore({ persistent: true }) }), "MissingParameter");
  });

  test("are not changed by opening, and may be changed afterwards", async () => {
    const bytes = patterned(32);
    const pending = Kms.open({ store: stored.store, rootKey: { bytes } });
    const kms = await pending;
    expect(bytes).toEqual(patterned(32));
    bytes.fill(0);
    await kms.rotateKey({ keyId: stored.aes });
    await kms.close();
    await reopened(async (again) => {
      expect((await again.advanceDecrypt({ ciphertextBlob: stored.blob })).plaintext).toEqual(plaintext);
    });
  });

  test("may be a CryptoKey that cannot be exported, in place of the same bytes [ROOT-7]", async () => {
    const importKey = (bytes: Uint8Array, name: string, usages: KeyUsage[]): Promise<CryptoKey> =>
      crypto.subtle.importKey("raw", bytes as Uint8Array<ArrayBuffer>, name, false, usages);
    const store = editableStore({ persistent: true });
    const bytes = patterned(32);
    const cryptoKey = await importKey(bytes, "HKDF", ["deriveBits"]);
    const kms = await Kms.open({ store, rootKey: { cryptoKey } });
    const keyId = await newKey(kms);
    await kms.close();
    for (const rootKey of [{ bytes }, { cryptoKey }]) {
      const again = await Kms.open({ store, rootKey });
      expect((await again.listKeys()).keys.map((key) => key.keyId)).toEqual([keyId]);
      await again.close();
    }
    const other = await importKey(bytes.reverse(), "HKDF", ["deriveBits"]);
    await expectRefusal(() => Kms.open({ store, rootKey: { cryptoKey: other } }), "InvalidRootKey");
    const wrong: unknown[] = [
      bytes,
      "key",
      {},
      undefined,
      await importKey(bytes, "HKDF", ["deriveKey"]),
      await importKey(bytes, "AES-GCM", ["encrypt"]),
    ];
    for (const value of wrong) {
      const rootKey = { cryptoKey: value as CryptoKey };
      await expectRefusal(() => Kms.open({ store, rootKey }), "InvalidParameter");
    }
  });

  test("from a file want 32 bytes that only the owner may read [ROOT-3]", async () => {
    const file = join(directory, "root.key");
    const open = (path: string) => Kms.open({ store: stored.store, rootKey: { file: path } });
    await writeFile(file, rootKey.bytes, { mode: 0o600 });
    await (await open(file)).close();
    for (const mode of [0o644, 0o640, 0o604, 0o660, 0o602]) {
      await chmod(file, mode);
      expect((await expectRefusal(() => open(file), "InvalidRootKey")).message).toContain("0600");
    }
    await chmod(file, 0o400);
    await (await open(file)).close();
    await expectRefusal(() => open(join(directory, "none")), "InvalidRootKey");
    await expectRefusal(() => open(directory), "InvalidRootKey");
    for (const length of [0, 31, 33, 64]) {
      const other = join(directory, `of-${length}`);
      await writeFile(other, patterned(length), { mode: 0o600 });
      await expectRefusal(() => open(other), "InvalidRootKey");
    }
  });

  test("are written to a new file with mode 0600 by createRootKeyFile [ROOT-3]", async () => {
    const file = join(directory, "new.key");
    await createRootKeyFile(file);
    await expect(createRootKeyFile(file)).rejects.toThrow();
    const store = editableStore({ persistent: true });
    await (await Kms.open({ store, rootKey: { file } })).close();
    await (await Kms.open({ store, rootKey: { file } })).close();
    await expectRefusal(() => Kms.open({ store, rootKey }), "InvalidRootKey");
  });

  test("from a passphrase go through scrypt with the header's parameters [ROOT-2] [ROOT-4]", async () => {
    const store = editableStore({ persistent: true });
    await store.open();
    await store.commit([
      { action: "put", kind: "header", id: "store", bytes: utf8(vector("scrypt-header")) },
    ]);
    await store.close();
    const open = (passphrase: string | Uint8Array) => Kms.open({ store, rootKey: { passphrase } });
    await (await open(vector("passphrase"))).close();
    await (await open(utf8(vector("passphrase")))).close();
    for (const wrong of ["correct horsf", "Correct horse", "correct horse ", utf8("x")]) {
      await expectRefusal(() => open(wrong), "InvalidRootKey");
    }
    const derived = { bytes: hex(vector("scrypt-root-key")) };
    const refusal = await refusalOf(() => Kms.open({ store, rootKey: derived }));
    expect([refusal.code, refusal.message]).toEqual([
      "InvalidRootKey",
      "This store was made with a passphrase.",
    ]);
  });

  test("of a new store are derived with N of 2^17 and a fresh salt [ROOT-2]", async () => {
    const store = editableStore({ persistent: true });
    const kms = await Kms.open({ store, rootKey: { passphrase: "correct horse" } });
    const keyId = await newKey(kms);
    await kms.close();
    const row = (await store.rows()).find(({ kind }) => kind === "header");
    const { kdf } = JSON.parse(new TextDecoder().decode(row?.bytes)) as { kdf: object };
    expect(kdf).toEqual({
      name: "scrypt",
      N: 131072,
      r: 8,
      p: 1,
      salt: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    const again = await openKms({ store, rootKey: { passphrase: utf8("correct horse") } });
    expect((await again.encrypt({ keyId, plaintext })).keyId).toBe(keyId);
  });
});
