/** Every failure to open a ciphertext is one and the same error. */

import { constants, generateKeyPairSync, publicEncrypt } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { formatKeyVersionId } from "../../src/envelope/key-version-id.ts";
import type { Kms, KmsError } from "../../src/index.ts";
import { flipBit } from "../conformance/engine-support.ts";
import { expectRefusal, hex, newKey, openKms, patterned, refusalOf, toHex, utf8 } from "../support/kms.ts";

const secret = utf8("the quick brown fox jumps");
const encryptionContext = { tenant: "7" };
let kms: Kms;
let keyId: string;
let otherKeyId: string;
let rsaKeyId: string;
let hmacKeyId: string;

beforeAll(async () => {
  kms = await openKms();
  keyId = await newKey(kms);
  otherKeyId = await newKey(kms);
  hmacKeyId = await newKey(kms, { keySpec: "HMAC_SHA_256" });
  rsaKeyId = await newKey(kms, { keySpec: "RSA_2048", keyUsage: "ENCRYPT/DECRYPT" });
});

/** Fails unless an error is the one that every failed opening ends in, down to what can be printed of it. */
function expectTheOneError(error: KmsError): void {
  expect({ ...error.toJSON(), requestId: "" }).toEqual({
    code: "InvalidCiphertext",
    httpStatus: 400,
    message: "The ciphertext cannot be opened.",
    requestId: "",
  });
  expect(error.requestId).toMatch(/^[0-9a-f]{16}-[0-9a-z]+$/);
  expect(error.cause).toBeUndefined();
  expect(Reflect.ownKeys(error).sort()).toEqual([
    "code",
    "httpStatus",
    "message",
    "name",
    "requestId",
    "stack",
  ]);
  expect(error.stack).not.toMatch(/fox|tenant/);
}

const openAdvance = (ciphertextBlob: Uint8Array, more: object = {}): Promise<KmsError> =>
  refusalOf(() => kms.advanceDecrypt({ ciphertextBlob, encryptionContext, ...more }));

describe("advanceDecrypt", () => {
  test("refuses a flip of any bit of a blob alike [BLOB-9]", async () => {
    const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext: secret, encryptionContext });
    for (let bit = 0; bit < ciphertextBlob.length * 8; bit++) {
      expectTheOneError(await openAdvance(flipBit(ciphertextBlob, bit)));
    }
  });

  test("refuses every truncation and extension of a blob alike [BLOB-8] [BLOB-9]", async () => {
    const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext: secret, encryptionContext });
    for (let length = 0; length < ciphertextBlob.length; length++) {
      expectTheOneError(await openAdvance(ciphertextBlob.slice(0, length)));
      expectTheOneError(await openAdvance(ciphertextBlob.slice(length + 1)));
    }
    expectTheOneError(await openAdvance(Uint8Array.from([...ciphertextBlob, 0])));
    expectTheOneError(await openAdvance(Uint8Array.from([0, ...ciphertextBlob])));
  });

  test("refuses foreign bytes, unknown versions and contradicting keys alike [BLOB-9]", async () => {
    const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext: secret, encryptionContext });
    const elsewhere = await openKms();
    const foreign = await elsewhere.advanceEncrypt({
      keyId: await newKey(elsewhere),
      plaintext: secret,
      encryptionContext,
    });
    expectTheOneError(await openAdvance(foreign.ciphertextBlob));
    expectTheOneError(await openAdvance(utf8("vault:v1:AAAA")));
    expectTheOneError(await openAdvance(new Uint8Array(200)));
    for (const named of [otherKeyId, rsaKeyId, "key-00000000000000000000", "alias/unknown"]) {
      expectTheOneError(await openAdvance(ciphertextBlob, { keyId: named }));
    }
    for (const context of [{}, { tenant: "8" }, { Tenant: "7" }, undefined]) {
      expectTheOneError(await openAdvance(ciphertextBlob, { encryptionContext: context }));
    }
  });

  test("refuses a blob that names the version of a key that cannot seal alike [BLOB-9]", async () => {
    const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext: secret, encryptionContext });
    for (const id of [rsaKeyId, hmacKeyId, otherKeyId]) {
      const version = (await kms.describeKey({ keyId: id })).keyMetadata.primaryKeyVersion;
      const forged = Uint8Array.from(ciphertextBlob);
      forged.set(hex(version.replaceAll("-", "")), 8);
      expectTheOneError(await openAdvance(forged));
      expectTheOneError(await openAdvance(forged, { keyId: id }));
      expectTheOneError(await refusalOf(() => kms.reEncrypt({ ciphertextBlob: forged })));
    }
  });

  test("refuses one version's ciphertext under another version of the same key alike [AAD-4] [BLOB-9]", async () => {
    const rotating = await newKey(kms);
    const first = await kms.advanceEncrypt({ keyId: rotating, plaintext: secret, encryptionContext });
    await kms.rotateKey({ keyId: rotating });
    const second = await kms.advanceEncrypt({ keyId: rotating, plaintext: secret, encryptionContext });
    const crossed = Uint8Array.from(first.ciphertextBlob);
    crossed.set(second.ciphertextBlob.subarray(0, 24), 0);
    expect(formatKeyVersionId(crossed.subarray(8, 24))).toBe(second.keyVersionId);
    expectTheOneError(await openAdvance(crossed));
  });
});

describe("detached ciphertext", () => {
  test("fails alike for flips, truncations, contexts, ivs and keys that are wrong [BLOB-9]", async () => {
    const { ciphertextBlob, iv = hex("") } = await kms.encrypt({
      keyId,
      plaintext: secret,
      encryptionContext,
    });
    const again = await kms.encrypt({ keyId, plaintext: secret, encryptionContext });
    const calls: object[] = [];
    for (let bit = 0; bit < ciphertextBlob.length * 8; bit++)
      calls.push({ ciphertextBlob: flipBit(ciphertextBlob, bit) });
    for (let bit = 0; bit < 96; bit++) calls.push({ iv: flipBit(iv, bit) });
    for (let length = 0; length < ciphertextBlob.length; length++)
      calls.push({ ciphertextBlob: ciphertextBlob.slice(0, length) });
    calls.push(
      { iv: again.iv },
      { encryptionContext: {} },
      { encryptionContext: undefined },
      { keyId: otherKeyId },
    );
    for (const change of calls) {
      const request = { keyId, ciphertextBlob, iv, encryptionContext, ...change };
      expectTheOneError(await refusalOf(() => kms.decrypt(request)));
      expectTheOneError(await refusalOf(() => kms.advanceDecrypt(request)));
    }
  });

  test("does not pass for advance ciphertext, nor that for it [AAD-2]", async () => {
    const detached = await kms.encrypt({ keyId, plaintext: secret, encryptionContext });
    const advance = await kms.advanceEncrypt({ keyId, plaintext: secret, encryptionContext });
    expect(detached.keyVersionId).toBe(advance.keyVersionId);
    const dressed = Uint8Array.from([
      ...advance.ciphertextBlob.subarray(0, 24),
      ...(detached.iv ?? []),
      ...detached.ciphertextBlob,
    ]);
    expectTheOneError(await openAdvance(dressed));
    const undressed = {
      keyId,
      ciphertextBlob: advance.ciphertextBlob.slice(36),
      iv: advance.iv,
      encryptionContext,
    };
    expectTheOneError(await refusalOf(() => kms.decrypt(undressed)));
    expectTheOneError(await refusalOf(() => kms.advanceDecrypt(undressed)));
    expectTheOneError(await openAdvance(detached.ciphertextBlob));
  });

  test("needs its iv", async () => {
    const { ciphertextBlob } = await kms.encrypt({ keyId, plaintext: secret });
    const refusal = await expectRefusal(() => kms.decrypt({ keyId, ciphertextBlob }), "MissingParameter");
    expect(refusal.message).toContain("iv");
    const named = await expectRefusal(
      () => kms.advanceDecrypt({ ciphertextBlob, iv: patterned(12) }),
      "MissingParameter",
    );
    expect(named.message).toContain("keyId");
  });
});

describe("RSA ciphertext", () => {
  test("fails alike for garbage of any length, flips, other keys, hashes and paddings [BLOB-9]", async () => {
    const { ciphertextBlob } = await kms.encrypt({ keyId: rsaKeyId, plaintext: secret });
    const der = (await kms.getPublicKey({ keyId: rsaKeyId })).publicKeyDer;
    const own = { key: Buffer.from(der), format: "der", type: "spki" } as const;
    const other = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey;
    const outside = (padding: object): Uint8Array =>
      new Uint8Array(publicEncrypt({ ...own, ...padding }, secret));
    const oaep = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" };
    const bad = [
      new Uint8Array(0),
      new Uint8Array(1),
      new Uint8Array(255),
      new Uint8Array(256),
      new Uint8Array(256).fill(255),
      new Uint8Array(257),
      Uint8Array.from([...ciphertextBlob, 0]),
      ciphertextBlob.slice(1),
      outside({ ...oaep, oaepHash: "sha1" }),
      outside({ ...oaep, oaepLabel: Buffer.from("x") }),
      outside({ padding: constants.RSA_PKCS1_PADDING }),
      new Uint8Array(publicEncrypt({ key: other, ...oaep }, secret)),
      ...Array.from({ length: 24 }, (_, i) => flipBit(ciphertextBlob, i * 87)),
    ];
    for (const bytes of bad) {
      expectTheOneError(await refusalOf(() => kms.decrypt({ keyId: rsaKeyId, ciphertextBlob: bytes })));
    }
    const wrongHash = { keyId: rsaKeyId, ciphertextBlob, algorithm: "RSAES_OAEP_SHA_1" } as const;
    expectTheOneError(await refusalOf(() => kms.decrypt(wrongHash)));
    const opened = await kms.decrypt({ keyId: rsaKeyId, ciphertextBlob: outside(oaep) });
    expect(toHex(opened.plaintext)).toBe(toHex(secret));
  });
});

test("reEncrypt and exportDataKey end in the same error [BLOB-9]", async () => {
  const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext: secret, encryptionContext });
  const { publicKeyDer } = await kms.getPublicKey({ keyId: rsaKeyId });
  const wrapping = {
    publicKeyBlob: publicKeyDer,
    wrappingKeySpec: "RSA_2048",
    wrappingAlgorithm: "RSAES_OAEP_SHA_256",
  } as const;
  for (const blob of [
    ciphertextBlob,
    flipBit(ciphertextBlob, 400),
    new Uint8Array(0),
    ciphertextBlob.slice(0, 52),
  ]) {
    expectTheOneError(await refusalOf(() => kms.reEncrypt({ ciphertextBlob: blob })));
    expectTheOneError(await refusalOf(() => kms.exportDataKey({ ciphertextBlob: blob, ...wrapping })));
    expectTheOneError(
      await refusalOf(() => kms.reEncrypt({ ciphertextBlob: blob, destinationKeyId: otherKeyId })),
    );
  }
});
