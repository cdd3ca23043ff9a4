/** What binds ciphertext through the facade: aad, contexts, their limits, and the two compatibility options. */

import { createCipheriv, createDecipheriv, createHash } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { encodeContext } from "../../src/envelope/encryption-context.ts";
import { fromVendorBlob, type Kms, toVendorBlob } from "../../src/index.ts";
import { docVectors } from "../support/doc-vectors.ts";
import { editableStore } from "../support/editable-store.ts";
import { codeOfCall, expectRefusal, hex, newKey, openKms, patterned, toHex, utf8 } from "../support/kms.ts";

const blobVector = docVectors("ciphertext-blob.md");
const recordVector = docVectors("key-record.md");
const plaintext = patterned(21);
type Context = Record<string, string>;

let kms: Kms;
let keyId: string;
beforeAll(async () => {
  kms = await openKms();
  keyId = await newKey(kms);
});

/** Tells whether a blob opens under this binding. */
async function opens(ciphertextBlob: Uint8Array, binding: object): Promise<boolean> {
  const code = await codeOfCall(() => kms.advanceDecrypt({ ciphertextBlob, ...binding }));
  expect(["none", "InvalidCiphertext"]).toContain(code);
  return code === "none";
}

describe("contexts", () => {
  test("open what they sealed in any order of keys, and nothing else [CTX-4] [CTX-5]", async () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "=", "&", "1", "\u{1F511}"), maxLength: 4 });
    const contexts = fc.dictionary(text, text, { maxKeys: 3, noNullPrototype: true });
    await fc.assert(
      fc.asyncProperty(contexts, contexts, async (sealed, other) => {
        const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext, encryptionContext: sealed });
        const reversed = Object.fromEntries(Object.entries(sealed).reverse());
        expect(await opens(ciphertextBlob, { encryptionContext: reversed })).toBe(true);
        const sorted = (map: Context): string => JSON.stringify(Object.entries(map).sort());
        expect(await opens(ciphertextBlob, { encryptionContext: other })).toBe(
          sorted(sealed) === sorted(other),
        );
      }),
    );
  });

  test("absent, empty and of an empty pair are three things [CTX-6]", async () => {
    const bindings = [{}, { encryptionContext: {} }, { encryptionContext: { "": "" } }];
    for (const sealed of bindings) {
      const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext, ...sealed });
      for (const opened of bindings) expect(await opens(ciphertextBlob, opened)).toBe(opened === sealed);
      const absent = { encryptionContext: undefined, aad: undefined };
      expect(await opens(ciphertextBlob, absent)).toBe(sealed === bindings[0]);
      expect(await opens(ciphertextBlob, { aad: new Uint8Array(0) })).toBe(sealed === bindings[0]);
    }
  });

  test("are the same as an aad that equals their encoding [CTX-6]", async () => {
    const encryptionContext = { tenant: "7", "": "x" };
    const aad = encodeContext(encryptionContext, "encryptionContext");
    const byContext = await kms.advanceEncrypt({ keyId, plaintext, encryptionContext });
    const byAad = await kms.advanceEncrypt({ keyId, plaintext, aad });
    expect(await opens(byContext.ciphertextBlob, { aad })).toBe(true);
    expect(await opens(byAad.ciphertextBlob, { encryptionContext })).toBe(true);
  });

  test("exclude an aad, even an empty one [CTX-6]", async () => {
    const both = { aad: new Uint8Array(0), encryptionContext: {} };
    const { ciphertextBlob, iv } = await kms.encrypt({ keyId, plaintext });
    const wrapping = {
      publicKeyBlob: new Uint8Array(1),
      wrappingKeySpec: "RSA_2048",
      wrappingAlgorithm: "RSAES_OAEP_SHA_1",
    } as const;
    const calls = [
      () => kms.encrypt({ keyId, plaintext, ...both }),
      () => kms.decrypt({ keyId, ciphertextBlob, iv, ...both }),
      () => kms.advanceEncrypt({ keyId, plaintext, ...both }),
      () => kms.advanceDecrypt({ ciphertextBlob, ...both }),
      () => kms.generateDataKey({ keyId, ...both }),
      () => kms.generateDataKeyWithoutPlaintext({ keyId, ...both }),
      () => kms.advanceGenerateDataKey({ keyId, ...both }),
      () => kms.advanceGenerateDataKeyWithoutPlaintext({ keyId, ...both }),
      () => kms.generateDataKeyPair({ keyId, keyPairSpec: "EC_P256", ...both }),
      () => kms.reEncrypt({ ciphertextBlob, sourceAad: both.aad, sourceEncryptionContext: {} }),
      () => kms.reEncrypt({ ciphertextBlob, destinationAad: both.aad, destinationEncryptionContext: {} }),
      () => kms.exportDataKey({ ciphertextBlob, ...wrapping, ...both }),
      () => kms.generateAndExportDataKey({ keyId, ...wrapping, ...both }),
    ];
    for (const call of calls) {
      const refusal = await expectRefusal(call, "InvalidParameter");
      expect(refusal.message).toMatch(
        /^(aad and encryptionContext|source\w+ and source\w+|destination\w+ and destination\w+) exclude each other\.$/,
      );
    }
  });

  test("that are malformed are refused by sealing and opening alike [CTX-1] [CTX-2] [CTX-3]", async () => {
    const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext });
    const own = JSON.parse('{"__proto__":"1"}') as Context;
    const sealed = await kms.advanceEncrypt({ keyId, plaintext, encryptionContext: own });
    expect(await opens(sealed.ciphertextBlob, { encryptionContext: {} })).toBe(false);
    expect(await opens(sealed.ciphertextBlob, { encryptionContext: JSON.parse('{"__proto__":"1"}') })).toBe(
      true,
    );

    const malformed = [
      null,
      [],
      new Map([["a", "1"]]),
      "a=1",
      { a: 1 },
      { a: null },
      { a: "\ud800" },
      { a: "x".repeat(8192) },
    ];
    for (const context of malformed) {
      const encryptionContext = context as Context;
      const first = await expectRefusal(
        () => kms.advanceEncrypt({ keyId, plaintext, encryptionContext }),
        "InvalidParameter",
      );
      const second = await expectRefusal(
        () => kms.advanceDecrypt({ ciphertextBlob, encryptionContext }),
        "InvalidParameter",
      );
      for (const refusal of [first, second]) expect(refusal.message).toContain("encryptionContext");
    }
  });

  test("are authenticated as the published vectors say, store rows included [BLOB-1] [AAD-1] [CTX-4] [REC-4] [REC-5] [REC-6]", async () => {
    const store = editableStore();
    await store.open();
    await store.commit([
      { action: "put", kind: "header", id: "store", bytes: utf8(recordVector("header")) },
      { action: "put", kind: "key", id: recordVector("key-id"), bytes: hex(recordVector("key-row")) },
      {
        action: "put",
        kind: "version",
        id: recordVector("key-version-id"),
        bytes: hex(recordVector("version-row")),
      },
      {
        action: "put",
        kind: "usage",
        id: recordVector("key-version-id"),
        bytes: hex(recordVector("usage-row")),
      },
      { action: "put", kind: "alias", id: "alias/app", bytes: hex(recordVector("alias-row")) },
    ]);
    await store.close();
    const made = await openKms({ store, rootKey: { bytes: hex(recordVector("root-key")) } });
    const encryptionContext = JSON.parse(blobVector("context")) as Context;
    const iv = hex(blobVector("iv"));
    const text = hex(blobVector("plaintext"));

    const blob = await made.advanceDecrypt({
      ciphertextBlob: hex(blobVector("advance-blob")),
      encryptionContext,
    });
    const detached = {
      keyId: "alias/app",
      ciphertextBlob: hex(blobVector("detached-sealed")),
      iv,
      encryptionContext,
    };
    expect([blob.plaintext, (await made.decrypt(detached)).plaintext]).toEqual([text, text]);
    expect(blob.keyId).toBe(recordVector("key-id"));
    const sealed = await made.advanceEncrypt({ keyId: "alias/app", plaintext: text, iv, encryptionContext });
    expect(toHex(sealed.ciphertextBlob)).toBe(blobVector("advance-blob"));
    const again = await made.encrypt({ keyId: "alias/app", plaintext: text, iv, encryptionContext });
    expect(toHex(again.ciphertextBlob)).toBe(blobVector("detached-sealed"));
    const usage = await made.describeKeyVersion({ keyId: blob.keyId, keyVersionId: blob.keyVersionId });
    expect(usage.keyVersion.usageCount).toBe(2 ** 20 + 2);
  });
});

describe("aad", () => {
  test("has at most 8192 bytes [CTX-3]", async () => {
    const { ciphertextBlob, iv } = await kms.encrypt({ keyId, plaintext, aad: patterned(8192) });
    const opened = await kms.decrypt({ keyId, ciphertextBlob, iv, aad: patterned(8192) });
    expect(opened.plaintext).toEqual(plaintext);
    const tooLong = { aad: patterned(8193) };
    for (const call of [
      () => kms.encrypt({ keyId, plaintext, ...tooLong }),
      () => kms.decrypt({ keyId, ciphertextBlob, iv, ...tooLong }),
      () => kms.advanceDecrypt({ ciphertextBlob, ...tooLong }),
      () => kms.generateDataKey({ keyId, ...tooLong }),
      () => kms.reEncrypt({ ciphertextBlob, sourceAad: tooLong.aad }),
      () => kms.reEncrypt({ ciphertextBlob, destinationAad: tooLong.aad }),
    ]) {
      const refusal = await expectRefusal(call, "InvalidParameter");
      expect(refusal.message).toMatch(/^(aad|sourceAad|destinationAad) must have at most 8192 bytes\.$/);
    }
  });

  test("opens nothing when it is extended by what the frame adds [AAD-4]", async () => {
    const { ciphertextBlob, iv, keyVersionId } = await kms.encrypt({ keyId, plaintext });
    const header = Uint8Array.from([0x4b, 0x50, 1, 2, 0, 0, 0, 0, ...hex(keyVersionId.replaceAll("-", ""))]);
    const crafted = [
      [1],
      [0],
      [2],
      [1, 0],
      [1, ...header],
      [1, ...new Uint8Array(11), ...header, ...(iv ?? [])],
    ];
    for (const bytes of crafted) {
      const aad = Uint8Array.from(bytes);
      expect(await codeOfCall(() => kms.decrypt({ keyId, ciphertextBlob, iv, aad }))).toBe(
        "InvalidCiphertext",
      );
    }
  });
});

describe("aadFraming none", () => {
  test("makes detached ciphertext plain GCM over the caller's aad, which node:crypto opens and makes [AAD-5]", async () => {
    const store = editableStore();
    await store.open();
    await store.commit([
      { action: "put", kind: "header", id: "store", bytes: utf8(recordVector("header")) },
      { action: "put", kind: "key", id: recordVector("key-id"), bytes: hex(recordVector("key-row")) },
      {
        action: "put",
        kind: "version",
        id: recordVector("key-version-id"),
        bytes: hex(recordVector("version-row")),
      },
      {
        action: "put",
        kind: "usage",
        id: recordVector("key-version-id"),
        bytes: hex(recordVector("usage-row")),
      },
    ]);
    await store.close();
    const rootKey = { bytes: hex(recordVector("root-key")) };
    const plain = await openKms({ store, rootKey, aadFraming: "none" });
    const key = recordVector("key-id");
    const iv = hex(blobVector("iv"));
    const aad = hex(blobVector("context-encoded"));
    const text = hex(blobVector("plaintext"));
    const published = await plain.encrypt({ keyId: key, plaintext: text, iv, aad });
    expect(toHex(published.ciphertextBlob)).toBe(blobVector("unframed-sealed"));

    for (const bound of [undefined, new Uint8Array(0), patterned(40)]) {
      const binding = bound === undefined ? {} : { aad: bound };
      const sealed = await plain.encrypt({ keyId: key, plaintext, ...binding });
      const decipher = createDecipheriv("aes-256-gcm", hex(recordVector("material")), sealed.iv ?? iv);
      decipher.setAAD(bound ?? new Uint8Array(0));
      decipher.setAuthTag(sealed.ciphertextBlob.subarray(-16));
      const opened = Buffer.concat([
        decipher.update(sealed.ciphertextBlob.subarray(0, -16)),
        decipher.final(),
      ]);
      expect(new Uint8Array(opened)).toEqual(plaintext);

      const cipher = createCipheriv("aes-256-gcm", hex(recordVector("material")), iv);
      cipher.setAAD(bound ?? new Uint8Array(0));
      const outside = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
      const request = { keyId: key, ciphertextBlob: new Uint8Array(outside), iv, ...binding };
      expect((await plain.decrypt(request)).plaintext).toEqual(plaintext);
      expect((await plain.advanceDecrypt(request)).plaintext).toEqual(plaintext);
    }

    // Blobs stay framed under either setting.
    const advance = await plain.advanceEncrypt({ keyId: key, plaintext: text, iv, aad });
    expect(toHex(advance.ciphertextBlob)).toBe(blobVector("advance-blob"));
  });
});

describe("contextEncoding aliyun-transfer-v1", () => {
  test("authenticates SHA-256 of the joined text [CTX-7]", async () => {
    const vendor = await openKms({ contextEncoding: "aliyun-transfer-v1" });
    const id = await newKey(vendor);
    const contexts: [Context, string][] = [
      [{ b: "2", a: "1" }, "a=1&b=2"],
      [{ a: "1&b=2" }, "a=1&b=2"],
      [{}, ""],
      [{ ü: "1", z: "" }, "z=&ü=1"],
    ];
    for (const [encryptionContext, text] of contexts) {
      const aad = new Uint8Array(createHash("sha256").update(text).digest());
      const { ciphertextBlob } = await vendor.advanceEncrypt({ keyId: id, plaintext, encryptionContext });
      expect((await vendor.advanceDecrypt({ ciphertextBlob, aad })).plaintext).toEqual(plaintext);
      await expectRefusal(() => vendor.advanceDecrypt({ ciphertextBlob }), "InvalidCiphertext");
    }
  });
});

describe("vendor layouts", () => {
  test("carry a blob through without a change to what it is bound to [VND-4]", async () => {
    const encryptionContext = { a: "1" };
    const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext, encryptionContext });
    for (const layout of ["openapi", "transfer"] as const) {
      const back = fromVendorBlob(toVendorBlob(ciphertextBlob, layout));
      expect((await kms.advanceDecrypt({ ciphertextBlob: back, encryptionContext })).plaintext).toEqual(
        plaintext,
      );
      expect(await opens(toVendorBlob(ciphertextBlob, layout), { encryptionContext })).toBe(false);
    }
  });
});
