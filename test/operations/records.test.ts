/** Rows that were changed while the store was closed, and root keys that do not fit: docs/key-record.md. */

import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { createRootKeyFile, Kms, type RecordKind, type RootKeyOption } from "../../src/index.ts";
import { flipBit } from "../conformance/engine-support.ts";
import { docVectors } from "../support/doc-vectors.ts";
import { type EditableStore, editableStore } from "../support/editable-store.ts";
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

const vector = docVectors("key-record.md");
const rootKey = { bytes: patterned(32) };
const plaintext = patterned(24);

interface Stored {
  readonly store: EditableStore;
  readonly aes: string;
  readonly other: string;
  readonly ec: string;
  readonly hmac: string;
  readonly blob: Uint8Array;
  readonly otherBlob: Uint8Array;
  readonly versions: Readonly<Record<"aes" | "other" | "ec" | "hmac", string>>;
}

let stored: Stored;
beforeEach(async () => {
  const store = editableStore({ persistent: true });
  const kms = await Kms.open({ store, rootKey });
  const aes = await newKey(kms, { description: "the first" });
  const other = await newKey(kms);
  const ec = await newKey(kms, { keySpec: "EC_P256" });
  const hmac = await newKey(kms, { keySpec: "HMAC_SHA_256" });
  await kms.createAlias({ aliasName: "alias/app", keyId: aes });
  await kms.createAlias({ aliasName: "alias/other", keyId: other });
  const blob = (await kms.advanceEncrypt({ keyId: aes, plaintext })).ciphertextBlob;
  const otherBlob = (await kms.advanceEncrypt({ keyId: other, plaintext })).ciphertextBlob;
  const versionOf = async (keyId: string): Promise<string> =>
    (await kms.describeKey({ keyId })).keyMetadata.primaryKeyVersion;
  const versions = {
    aes: await versionOf(aes),
    other: await versionOf(other),
    ec: await versionOf(ec),
    hmac: await versionOf(hmac),
  };
  await kms.close();
  stored = { store, aes, other, ec, hmac, blob, otherBlob, versions };
});

/** Opens the store again, looks, and closes it. */
async function reopened(look: (kms: Kms) => Promise<void>): Promise<void> {
  const kms = await Kms.open({ store: stored.store, rootKey });
  try {
    await look(kms);
  } finally {
    await kms.close();
  }
}

/** Fails unless the first key is corrupt in every call that names it and the others are whole. */
async function expectOnlyFirstCorrupt(kms: Kms, recordIsSound: boolean): Promise<void> {
  const { aes, other, ec, hmac, blob, otherBlob } = stored;
  for (const keyId of [aes, "alias/app"]) {
    for (const call of [
      () => kms.encrypt({ keyId, plaintext }),
      () => kms.advanceEncrypt({ keyId, plaintext }),
      () => kms.generateDataKey({ keyId }),
      () => kms.describeKey({ keyId }),
      () => kms.rotateKey({ keyId }),
      () => kms.reEncrypt({ ciphertextBlob: otherBlob, destinationKeyId: keyId }),
    ]) {
      const refusal = await expectRefusal(call, "Rejected.RecordCorrupt");
      expect(refusal.message).toContain(aes);
      expect(refusal.httpStatus).toBe(500);
    }
  }
  const named = await expectRefusal(
    () => kms.advanceDecrypt({ ciphertextBlob: blob, keyId: aes }),
    "Rejected.RecordCorrupt",
  );
  expect(named.message).toContain(aes);
  // Only the key's own record says which versions are the key's.
  expect(await codeOfCall(() => kms.advanceDecrypt({ ciphertextBlob: blob }))).toBe(
    recordIsSound ? "Rejected.RecordCorrupt" : "InvalidCiphertext",
  );
  expect((await kms.advanceDecrypt({ ciphertextBlob: otherBlob })).plaintext).toEqual(plaintext);
  expect((await kms.sign({ keyId: ec, message: plaintext })).signature[0]).toBe(0x30);
  expect((await kms.generateMac({ keyId: hmac, message: plaintext })).mac).toHaveLength(32);
  expect((await kms.encrypt({ keyId: "alias/other", plaintext })).keyId).toBe(other);
}

describe("rows", () => {
  test("of a whole store open again, counts and facts included [REC-4] [REC-6] [REC-7]", async () => {
    await reopened(async (kms) => {
      expect((await kms.advanceDecrypt({ ciphertextBlob: stored.blob })).plaintext).toEqual(plaintext);
      const { keyMetadata } = await kms.describeKey({ keyId: "alias/app" });
      expect(keyMetadata).toMatchObject({ keyId: stored.aes, description: "the first", usageCount: 1 });
    });
    const rows = await stored.store.rows();
    const ids = (kind: RecordKind): string[] =>
      rows
        .filter((row) => row.kind === kind)
        .map((row) => row.id)
        .sort();
    const { aes, other, ec, hmac, versions } = stored;
    expect(ids("header")).toEqual(["store"]);
    expect(ids("key")).toEqual([aes, other, ec, hmac].sort());
    expect(ids("version")).toEqual(Object.values(versions).sort());
    expect(ids("usage")).toEqual([versions.aes, versions.other].sort());
    expect(ids("alias")).toEqual(["alias/app", "alias/other"]);
  });

  test("have fresh ivs and hide what they hold [REC-1]", async () => {
    const rows = (await stored.store.rows()).filter((row) => row.kind !== "header");
    expect(rows.every((row) => row.bytes[0] === 1 && row.bytes.length >= 29)).toBe(true);
    expect(new Set(rows.map((row) => toHex(row.bytes.subarray(1, 13)))).size).toBe(rows.length);
    for (const row of rows)
      expect(new TextDecoder().decode(row.bytes)).not.toMatch(/key-|alias|the first|Enabled/);
  });

  const kinds: [RecordKind, () => string][] = [
    ["key", () => stored.aes],
    ["version", () => stored.versions.aes],
    ["usage", () => stored.versions.aes],
  ];
  const changes: [string, (bytes: Uint8Array) => Uint8Array | undefined][] = [
    ["a flipped first bit", (bytes) => flipBit(bytes, 0)],
    ["a flipped bit of the iv", (bytes) => flipBit(bytes, 30)],
    ["a flipped bit of the ciphertext", (bytes) => flipBit(bytes, 110)],
    ["a flipped last bit", (bytes) => flipBit(bytes, bytes.length * 8 - 1)],
    ["no last byte", (bytes) => bytes.slice(0, -1)],
    ["a byte too many", (bytes) => Uint8Array.from([...bytes, 0])],
    ["a header alone", (bytes) => bytes.slice(0, 13)],
    ["one byte", (bytes) => bytes.slice(0, 1)],
    ["zeros", (bytes) => new Uint8Array(bytes.length)],
  ];
  for (const [kind, idOf] of kinds) {
    test.each(changes)(
      `of kind ${kind} with %s make their key corrupt, and no other [REC-3] [REC-8]`,
      async (_, change) => {
        await stored.store.edit(kind, idOf(), change);
        await reopened((kms) => expectOnlyFirstCorrupt(kms, kind !== "key"));
      },
    );
  }

  test.each(["version", "usage"] as const)(
    "of kind %s that are gone make their key corrupt [REC-8]",
    async (kind) => {
      await stored.store.edit(kind, stored.versions.aes, () => undefined);
      await reopened((kms) => expectOnlyFirstCorrupt(kms, true));
    },
  );

  test("cannot stand in for one another, within a kind or across kinds [REC-2] [REC-5]", async () => {
    const rows = await stored.store.rows();
    const { aes, versions } = stored;
    const sources = rows.filter((row) => row.kind !== "header");
    for (const [kind, id] of [
      ["key", aes],
      ["version", versions.aes],
      ["usage", versions.aes],
    ] as const) {
      const original = rows.find((row) => row.kind === kind && row.id === id)?.bytes;
      for (const source of sources) {
        if (source.kind === kind && source.id === id) continue;
        await stored.store.edit(kind, id, () => source.bytes);
        await reopened(async (kms) => {
          const refusal = await expectRefusal(
            () => kms.encrypt({ keyId: aes, plaintext }),
            "Rejected.RecordCorrupt",
          );
          expect(refusal.message).toContain(aes);
        });
      }
      await stored.store.edit(kind, id, () => original);
    }
    await reopened(async (kms) => {
      expect((await kms.advanceDecrypt({ ciphertextBlob: stored.blob })).plaintext).toEqual(plaintext);
    });
  }, 20_000);

  test("of another store under the same root key are refused [REC-2] [ROOT-4]", async () => {
    const twin = editableStore({ persistent: true });
    const kms = await Kms.open({ store: twin, rootKey });
    const foreign = await newKey(kms);
    await kms.close();
    const rows = await twin.rows();
    await stored.store.open();
    await stored.store.commit(
      rows.filter((row) => row.kind !== "header").map((row) => ({ action: "put", ...row })),
    );
    await stored.store.close();
    await reopened(async (again) => {
      const refusal = await expectRefusal(
        () => again.encrypt({ keyId: foreign, plaintext }),
        "Rejected.RecordCorrupt",
      );
      expect(refusal.message).toContain(foreign);
      expect((await again.advanceDecrypt({ ciphertextBlob: stored.otherBlob })).plaintext).toEqual(plaintext);
    });
  });

  test("of an alias that were changed or swapped refuse the alias by name, not its key [REC-7] [REC-8]", async () => {
    const rows = await stored.store.rows();
    const other = rows.find((row) => row.id === "alias/other")?.bytes ?? new Uint8Array(0);
    for (const change of [(bytes: Uint8Array) => flipBit(bytes, 200), () => other, () => new Uint8Array(0)]) {
      await stored.store.edit("alias", "alias/app", change);
      await reopened(async (kms) => {
        const refusal = await expectRefusal(
          () => kms.encrypt({ keyId: "alias/app", plaintext }),
          "Rejected.RecordCorrupt",
        );
        expect(refusal.message).toContain("alias/app");
        expect((await kms.encrypt({ keyId: stored.aes, plaintext })).keyId).toBe(stored.aes);
        expect((await kms.encrypt({ keyId: "alias/other", plaintext })).keyId).toBe(stored.other);
      });
    }
  });

  test("that say a purge is due make for a purge when the store is opened, and go [REC-10]", async () => {
    await stored.store.open();
    await stored.store.commit([{ action: "put", kind: "header", id: "purge-due", bytes: Uint8Array.of(1) }]);
    await stored.store.close();
    const purge = vi.spyOn(stored.store, "purge");
    await reopened(async (kms) => {
      expect((await kms.advanceDecrypt({ ciphertextBlob: stored.blob })).plaintext).toEqual(plaintext);
    });
    expect(purge).toHaveBeenCalledTimes(1);
    expect((await stored.store.rows()).filter(({ kind }) => kind === "header").map(({ id }) => id)).toEqual([
      "store",
    ]);
  });

  test("of an older count of the same version open, as the specification warns [REC-9]", async () => {
    const before = (await stored.store.rows()).find(
      (row) => row.kind === "usage" && row.id === stored.versions.aes,
    );
    await reopened(async (kms) => {
      await kms.advanceEncrypt({ keyId: stored.aes, plaintext });
    });
    await stored.store.edit("usage", stored.versions.aes, () => before?.bytes);
    await reopened(async (kms) => {
      expect((await kms.describeKey({ keyId: stored.aes })).keyMetadata.usageCount).toBe(1);
    });
  });
});

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
