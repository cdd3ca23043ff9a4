/** Rows that were changed while the store was closed: docs/key-record.md, REC. */

import { beforeEach, describe, expect, test, vi } from "vitest";
import { Kms, type RecordKind } from "../../src/index.ts";
import { flipBit } from "../conformance/engine-support.ts";
import { editableStore } from "../support/editable-store.ts";
import { codeOfCall, expectRefusal, newKey, toHex } from "../support/kms.ts";
import { makeStored, plaintext, reopen, rootKey, type Stored } from "../support/stored-keys.ts";

let stored: Stored;
beforeEach(async () => {
  stored = await makeStored();
});
const reopened = (look: (kms: Kms) => Promise<void>): Promise<void> => reopen(stored, look);

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
