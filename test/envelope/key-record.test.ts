/** Sealed rows, their AADs and the record key: docs/key-record.md, REC and ROOT. */

import { createDecipheriv, hkdfSync, pbkdf2Sync, scryptSync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KeyVault } from "../../src/engines/key-vault.ts";
import { createNodeEngine } from "../../src/engines/node/index.ts";
import { deriveRecordKey } from "../../src/engines/root-key.ts";
import {
  decodeAliasRecord,
  decodeKeyRecord,
  decodeUsageRecord,
  encodeAliasRecord,
  encodeKeyRecord,
  encodeUsageRecord,
  materialIdentity,
  type RecordIdentity,
  recordAad,
  recordIdentity,
} from "../../src/keys/key-record.ts";
import { docVectors } from "../support/doc-vectors.ts";
import { hex, toHex } from "../support/kms.ts";

const vector = docVectors("key-record.md");
const keyRecord = decodeKeyRecord(new TextEncoder().encode(vector("key-json")));
const { aesGcm } = createNodeEngine();
if (aesGcm === undefined) throw new Error("the node engine has no AES-GCM");
const vault = await KeyVault.create(aesGcm, hex(vector("record-key")));
const open = async (identity: RecordIdentity, row: Uint8Array): Promise<string | undefined> => {
  const content = await vault.open(identity, row);
  return content === undefined ? undefined : toHex(content);
};
const text = (value: string): string => toHex(new TextEncoder().encode(value));

describe("sealed rows", () => {
  test("equal the published vectors [REC-1] [REC-2] [REC-4] [REC-5] [REC-6] [REC-7]", async () => {
    const material = materialIdentity(keyRecord.identity, vector("key-version-id"));
    expect(toHex(recordAad(material))).toBe(vector("version-aad"));
    expect(await open(material, hex(vector("version-row")))).toBe(vector("material"));
    expect(await open(recordIdentity("key", vector("key-id")), hex(vector("key-row")))).toBe(
      text(vector("key-json")),
    );
    expect(await open(recordIdentity("usage", vector("key-version-id")), hex(vector("usage-row")))).toBe(
      vector("usage-content"),
    );
    expect(await open(recordIdentity("alias", "alias/app"), hex(vector("alias-row")))).toBe(
      text(vector("alias-json")),
    );
  });

  test("are what node:crypto opens under the record key [REC-1] [REC-2]", async () => {
    const identity = recordIdentity("alias", "alias/x");
    const row = await vault.seal(identity, new TextEncoder().encode("content"));
    expect(row[0]).toBe(1);
    const decipher = createDecipheriv("aes-256-gcm", hex(vector("record-key")), row.subarray(1, 13));
    decipher.setAAD(recordAad(identity));
    decipher.setAuthTag(row.subarray(-16));
    expect(Buffer.concat([decipher.update(row.subarray(13, -16)), decipher.final()]).toString()).toBe(
      "content",
    );
    expect(toHex((await vault.seal(identity, new Uint8Array(3))).subarray(1, 13))).not.toBe(
      toHex(row.subarray(1, 13)),
    );
  });

  test("of another version or shorter than a header do not open [REC-1] [REC-3]", async () => {
    const row = hex(vector("alias-row"));
    for (const version of [0, 2, 255]) {
      expect(
        await open(recordIdentity("alias", "alias/app"), Uint8Array.from([version, ...row.subarray(1)])),
      ).toBeUndefined();
    }
    for (let length = 0; length < row.length; length++) {
      expect(await open(recordIdentity("alias", "alias/app"), row.subarray(0, length))).toBeUndefined();
    }
  });

  test("are bound by an injective encoding of what they are [REC-2]", () => {
    const field = fc.string({ unit: fc.constantFrom("a", "\0", "\u0001", "é"), maxLength: 4 });
    const identity = fc.record({
      kind: fc.constantFrom("key" as const, "version" as const),
      id: field,
      keyId: field,
      spec: field,
      origin: field,
    });
    const flat = (of: RecordIdentity): string =>
      JSON.stringify([of.kind, of.id, of.keyId, of.spec, of.origin]);
    fc.assert(
      fc.property(identity, identity, (a, b) => {
        expect(toHex(recordAad(a)) === toHex(recordAad(b))).toBe(flat(a) === flat(b));
      }),
      { numRuns: 1000 },
    );
    const base = materialIdentity(keyRecord.identity, vector("key-version-id"));
    const moved = { ...base, id: base.keyId, keyId: base.id };
    expect(toHex(recordAad(moved))).not.toBe(toHex(recordAad(base)));
  });
});

describe("contents", () => {
  test("go to bytes and back [REC-4] [REC-6] [REC-7]", () => {
    expect(decodeKeyRecord(encodeKeyRecord(keyRecord))).toEqual(keyRecord);
    expect(toHex(encodeKeyRecord(keyRecord))).toBe(text(vector("key-json")));
    const alias = decodeAliasRecord(new TextEncoder().encode(vector("alias-json")));
    expect(toHex(encodeAliasRecord(alias))).toBe(text(vector("alias-json")));
    for (const count of [0, 1, 255, 2 ** 20, 2 ** 32 - 1, 2 ** 32]) {
      expect(toHex(encodeUsageRecord(count))).toBe(count.toString(16).padStart(16, "0"));
      expect(decodeUsageRecord(encodeUsageRecord(count))).toBe(count);
    }
    expect(toHex(encodeUsageRecord(2 ** 20))).toBe(vector("usage-content"));
  });
});

describe("the record key", () => {
  test("is HKDF-SHA-256 of root key and store id, and the root key is wiped [ROOT-4]", async () => {
    const rootKey = hex(vector("root-key"));
    const derived = await deriveRecordKey(rootKey, hex(vector("store-id")));
    expect(toHex(derived)).toBe(vector("record-key"));
    expect(toHex(rootKey)).toBe("00".repeat(32));
    const outside = hkdfSync(
      "sha256",
      hex(vector("root-key")),
      hex(vector("store-id")),
      "keyplane record key 1",
      32,
    );
    expect(toHex(new Uint8Array(outside))).toBe(vector("record-key"));
  });

  test("of a passphrase comes by way of scrypt or PBKDF2 [ROOT-2]", async () => {
    const [passphrase, salt] = [vector("passphrase"), hex(vector("salt"))];
    const root = new Uint8Array(scryptSync(passphrase, salt, 32, { N: 2 ** 14, r: 8, p: 1 }));
    expect(toHex(root)).toBe(vector("scrypt-root-key"));
    expect(toHex(await deriveRecordKey(root, hex(vector("store-id"))))).toBe(vector("scrypt-record-key"));
    expect(pbkdf2Sync(passphrase, salt, 1000, 32, "sha256").toString("hex")).toBe(vector("pbkdf2-root-key"));
  });

  test("is wiped in the array that brought it once the vault has it [REC-1]", async () => {
    const bytes = hex(vector("record-key"));
    (await KeyVault.create(aesGcm, bytes)).close();
    expect(toHex(bytes)).toBe("00".repeat(32));
  });
});
